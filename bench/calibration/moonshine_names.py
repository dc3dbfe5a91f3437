"""Names with Moonshine, by bonus: the experiment for `name_bonus` in its calibration.

Moonshine takes no prompt, so texts with a name are less probable than with Whisper, for which the
weights of names were fitted. Decodes orders with names, and sentences and recorded orders
without, in this process. Prints for each bonus how many names are right and how many other texts
change; progress goes to stderr.
"""

import argparse
import asyncio
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wyoming_faster_whisper.biasing.hypotheses import Rewrite, choose_rewrite
from wyoming_faster_whisper.engine.onnx.moonshine import engine as moonshine
from wyoming_faster_whisper.engine.protocol import DecodeOptions, Job

from ..names import is_right, names_of
from ..speech.homes import TUNING
from ..speech.synthesis import say
from ..support.arguments import add, parser
from ..support.clips import Clip, to_samples
from ..support.clips import load as load_clips
from ..support.models import load_moonshine
from ..support.report import align, progress
from .moonshine_thresholds import BEAM

BONUSES = (0.0, 2.0, 4.0, 6.0, 8.0, 10.0)


@dataclass(frozen=True, slots=True)
class Heard:
    """A clip, its text without a rewrite, and the rewrites that were scored."""

    name: str  # "" = a clip without a name
    text: str
    rewrites: Sequence[Rewrite] = ()
    scores: Sequence[float] = ()
    unbiased: float = 0.0  # score of the text, natural log

    def with_bonus(self, bonus: float) -> str:
        chosen = choose_rewrite(self.rewrites, self.scores, unbiased_score=self.unbiased - bonus)
        return chosen.text if chosen else self.text


class Recorder:
    """Stands for choose_rewrite() in the engine: keeps what it was asked, and chooses nothing."""

    def __init__(self) -> None:
        self.asked: dict[str, Any] = {}

    def __call__(
        self, rewrites: Sequence[Rewrite], scores: Sequence[float], *, unbiased_score: float
    ) -> None:
        self.asked = {
            "rewrites": rewrites,
            "scores": tuple(scores),
            "unbiased": unbiased_score,
        }


def main() -> None:
    arguments = parse_arguments()
    names = asyncio.run(names_of(TUNING))
    engine = load_moonshine("moonshine-base-en", arguments.threads)
    recorder = Recorder()
    moonshine.choose_rewrite = recorder  # type: ignore[attr-defined]
    heard: list[Heard] = []
    clips = list(all_clips(arguments))
    for number, (name, clip) in enumerate(clips, start=1):
        progress(f"{number}/{len(clips)}")
        recorder.asked = {}
        options = DecodeOptions(language="en", hotwords=names, beam_size=BEAM)
        [transcript] = engine.decode([Job(to_samples(clip.audio), options)])
        asked = dict(recorder.asked)
        if asked:  # the engine has subtracted its own bonus
            asked["unbiased"] += engine.thresholds.name_bonus
        heard.append(Heard(name, transcript.text, **asked))
    progress("")
    print(table(heard))


def all_clips(arguments: argparse.Namespace) -> Iterator[tuple[str, Clip]]:
    """Yield each clip with the name in it, "" for none."""
    commands = [each for each in TUNING.commands(200) if each[2].installed][: arguments.count]
    spoken = say([(text, voice) for text, _, voice in commands])
    for (_, name, _), clip in zip(commands, spoken, strict=True):
        yield name, clip
    voices = TUNING.voices
    plain = [(text, voices[at % len(voices)]) for at, text in enumerate(TUNING.plain)]
    for clip in say(plain[: arguments.count]):
        yield "", clip
    for folder in arguments.orders:
        for clip in load_clips([folder], arguments.count):
            yield "", clip


def parse_arguments() -> argparse.Namespace:
    flags = parser("calibration.moonshine_names", __doc__)
    add(flags, "--threads", default=1)
    flags.add_argument("--count", type=int, default=60, help="clips of each kind (default: 60)")
    flags.add_argument("--orders", type=Path, action="append", default=[], metavar="DIR")
    return flags.parse_args()


def table(heard: Sequence[Heard]) -> str:
    named = [each for each in heard if each.name]
    others = [each for each in heard if not each.name]
    lines = [["bonus", f"names right (of {len(named)})", f"others changed (of {len(others)})"]]
    for bonus in (*BONUSES, math.inf):
        right = sum(is_right(each.name, each.with_bonus(bonus)) for each in named)
        changed = sum(each.with_bonus(bonus) != each.text for each in others)
        lines.append([f"{bonus:g}", str(right), str(changed)])
    return align(lines)


if __name__ == "__main__":
    main()
