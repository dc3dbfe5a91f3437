"""When a second look pays, the trial behind engine/gate.py's threshold.

In this process, with the parts of this server's own engine: every order is decoded as it came,
played more slowly, and with a second look, in which both judge the texts of both; as it came
once as the beam has it, and once in words that there are. What a threshold makes of that
follows from the log-probability of the first. Prints a table; progress goes to stderr.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from wyoming_faster_whisper.audio import slower
from wyoming_faster_whisper.engine.base import DecodeOptions, Job
from wyoming_faster_whisper.engine.gate import Decoded, token_budget, unlooped, worded
from wyoming_faster_whisper.engine.hints import strange_words
from wyoming_faster_whisper.engine.model import load_model
from wyoming_faster_whisper.engine.whisper import PACE, WhisperEngine
from wyoming_faster_whisper.engine.window import window_frames
from wyoming_faster_whisper.models import size_of
from wyoming_faster_whisper.speech.vad import Vad

from .accuracy import KITCHEN, POOLED
from .arguments import RECORDINGS, add, listed, parser
from .clips import SAMPLE_RATE, TEST_CLIPS, Clip, Samples, accepted, load, read_wav, to_samples
from .models import model_directory
from .report import align, progress, write_json
from .sounds import degrade, kitchen_like
from .windows import speech

THRESHOLDS = (-0.3, -0.4, -0.5, -0.6, -0.7, -0.8)  # mean log-probability


@dataclass(frozen=True, slots=True)
class Look:
    """What one decode heard."""

    decoded: Decoded
    right: bool


@dataclass(frozen=True, slots=True)
class Heard:
    """One order in one condition."""

    condition: str
    beam: Look  # what the decoder holds for the likeliest
    plain: Look  # in words that there are
    slower: Look
    both: Look

    def again(self, threshold: float) -> bool:
        first = self.plain.decoded
        return first.derailed or first.logprob < threshold

    def right(self, threshold: float) -> bool:
        """Would the server's answer be, with that threshold?"""
        return (self.both if self.again(threshold) else self.plain).right


def main() -> None:
    arguments = parse_arguments()
    noise = to_samples(read_wav(arguments.noise)) if arguments.noise else kitchen_like()
    clips = [
        clip
        for clip in load(arguments.recordings or [TEST_CLIPS], arguments.limit)
        if clip.phrases
    ]
    directory = model_directory(arguments.model)
    model = load_model(directory, device="cpu", compute_type="int8", threads=arguments.threads)
    size = size_of(arguments.model)
    engine = WhisperEngine(model, directory, size=size)
    vad = Vad()
    heard: list[Heard] = []
    for number, clip in enumerate(clips, start=1):
        progress(f"{number}/{len(clips)}")
        for condition in arguments.conditions:
            pcm = clip.audio + clip.silence(arguments.trailing)
            sound = speech(to_samples(degrade(clip, pcm, condition, noise)), vad)
            heard.append(Heard(condition, *looks(engine, size, clip, sound)))
    progress("")
    if not heard:
        sys.exit("no clips with phrases found")
    print(f"{arguments.model} int8, {arguments.threads} thread(s); {len(heard)} orders")
    print(table(heard, arguments.conditions))
    if arguments.json:
        write_json(arguments.json, {"orders": [asdict(order) for order in heard]})


def parse_arguments() -> argparse.Namespace:
    flags = parser("looks", __doc__)
    add(flags, "--model", "--limit", "--json")
    add(flags, "--threads", default=1)
    add(flags, "--recordings", help=RECORDINGS)
    add(flags, "--trailing", type=float, default=0.7)
    flags.add_argument("--noise", type=Path, default=KITCHEN if KITCHEN.exists() else None)
    flags.add_argument("--conditions", type=listed(POOLED), default=POOLED)
    return flags.parse_args()


def looks(engine: WhisperEngine, size: str, clip: Clip, sound: Samples) -> Iterator[Look]:
    """As the beam has it, in words, more slowly, and by both; decode() would not do all."""
    job = Job(sound, DecodeOptions(language="en"))
    prompt = engine.model.prompt(job.options, "en")
    budget = token_budget(job.seconds, "en")

    def look(samples: Samples, *, second: bool = False) -> tuple[Any, Decoded]:
        frames = window_frames(
            len(samples) / SAMPLE_RATE, size=size, language="en", second=second
        )
        encoding = engine.model.encode([engine.model.features(samples)], frames)
        [decoded] = engine.model.generate(encoding, [prompt], 5, [budget])
        return encoding, unlooped(decoded, job.seconds)

    strange = strange_words(job.options, "en")
    encoding, beam = look(sound)
    plain = worded(beam, strange)
    _, slow = look(slower(sound, PACE), second=True)
    both = engine._again(job, "en", prompt, prompt, plain, encoding)
    for decoded in (beam, plain, worded(slow, strange), both):
        yield Look(decoded, accepted(clip, decoded.text))


def table(heard: Sequence[Heard], conditions: Sequence[str]) -> str:
    lines = [["", *conditions, "all", "looked at again"]]

    def row(name: str, right: Callable[[Heard], bool], again: str = "") -> None:
        groups = [[order for order in heard if order.condition == c] for c in conditions]
        shares = [sum(map(right, group)) / len(group) for group in (*groups, heard)]
        lines.append([name, *(f"{100 * share:.1f}%" for share in shares), again])

    row("as the beam has it", lambda order: order.beam.right)
    row("in words that there are", lambda order: order.plain.right)
    row("more slowly", lambda order: order.slower.right)
    for threshold in THRESHOLDS:
        share = sum(order.again(threshold) for order in heard) / len(heard)
        again = f"{100 * share:.0f}%"
        row(f"again below {threshold:g}", partial(Heard.right, threshold=threshold), again)
    return align(lines)


if __name__ == "__main__":
    main()
