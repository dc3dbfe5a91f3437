"""Detected languages by seconds of speech: which to believe, and what two candidates gain.

Runs the server's own VAD and engine in this process. Recordings in several languages are cut
after some seconds of speech, and the language of each part is detected. Prints, by seconds of
speech,

- how many languages are believed with a least probability, and how many of those are wrong: a
  wrong one spoils the segments that take it over (the limits in session/decodes.py);
- for homes of two of the languages, the share of parts in the wrong one: detected among all
  languages as by the reference server, and among the two, by the prior odds of the expected
  language (`expected_odds`) and by the encoder window.

Results of the model are kept on disk (--cache). Progress goes to stderr.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import permutations
from pathlib import Path

from wyoming_faster_whisper.audio.pcm import SAMPLE_RATE
from wyoming_faster_whisper.engine.protocol import DecodeOptions, Job
from wyoming_faster_whisper.engine.whisper.language import Detection, choose_language
from wyoming_faster_whisper.engine.whisper.window import FRAMES_PER_SECOND
from wyoming_faster_whisper.speech.vad import Vad

from ..support.arguments import add, parser
from ..support.clips import load, to_samples
from ..support.memo import remembered_whisper
from ..support.report import align, progress, write_json
from ..support.servers import ROOT
from .encoder_window import speech

LENGTHS = (0.5, 1.0, 1.5, 2.0, 3.0)  # seconds of speech
LEAST = (0.0, 0.3, 0.5, 0.7, 0.9)  # probability
WINDOWS = (30, 10)  # seconds; the first is the one in which all languages are detected
ODDS = (1.0, 2.0, 3.0, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Detected:
    """The languages of the beginning of a recording."""

    language: str  # spoken
    seconds: float  # of speech, one of LENGTHS
    window: int  # seconds
    found: Mapping[str, float]  # probability of each language

    def among(self, *candidates: str, odds: float = 1.0) -> tuple[str, float]:
        """Return the language and its probability; the first candidate is the expected one."""
        expected = candidates[0] if candidates else None
        options = DecodeOptions(candidate_languages=candidates, expected_language=expected)
        return choose_language(self.found, options, Detection(odds))


def main() -> None:
    arguments = parse_arguments()
    model = remembered_whisper(arguments.model, arguments.threads, arguments.cache)
    vad = Vad()
    folders = sorted(each for each in arguments.languages.glob("*") if each.is_dir())
    clips = [(each.name, clip) for each in folders for clip in load([each], arguments.limit)]
    found: list[Detected] = []
    for number, (language, clip) in enumerate(clips, start=1):
        progress(f"{number}/{len(clips)}, {language}")
        for seconds, job in beginnings(speech(to_samples(clip.audio), vad, language)):
            features = model.features(job.samples)
            for window in WINDOWS:
                encoding = model.encode([features], window * FRAMES_PER_SECOND)
                [shares] = model.detect_language(encoding)
                found.append(Detected(language, seconds, window, shares))
    progress("")
    if not found:
        sys.exit(f"{arguments.languages} has no folder of recordings")
    names = [each.name for each in folders]
    print(f"{arguments.model} int8: {len(clips)} clips, {', '.join(names)}")
    print(table([each for each in found if each.window == WINDOWS[0]]))
    print(pairs(found, names))
    if arguments.json:
        write_json(arguments.json, {"detected": [asdict(each) for each in found]})


def parse_arguments() -> argparse.Namespace:
    flags = parser("calibration.language_detection", __doc__)
    add(flags, "--model", "--json", "--cache")
    add(flags, "--limit", help="use a fixed sample of N clips of each language")
    add(flags, "--threads", default=1)
    flags.add_argument(
        "--languages",
        type=Path,
        metavar="DIR",
        default=ROOT.parent / "shared" / "speech" / "languages",
        help="folder with a folder of recordings for each language (default: %(default)s)",
    )
    return flags.parse_args()


def beginnings(job: Job) -> Iterator[tuple[float, Job]]:
    """Yield the beginning of a job with each of LENGTHS seconds of speech, if it has as much."""
    options = DecodeOptions()
    for seconds in LENGTHS:
        left = round(seconds * SAMPLE_RATE)
        for start, end in job.speech:
            if end - start >= left:
                yield seconds, Job(job.samples[: start + left], options)
                break
            left -= end - start


def table(found: Sequence[Detected]) -> str:
    """Format how many languages are believed, of all, by seconds of speech."""
    lines = [["seconds of speech", "clips", *(f"from {least:g}: of, wrong" for least in LEAST)]]
    for seconds in LENGTHS:
        some = [(each, *each.among()) for each in found if each.seconds == seconds]
        cells = [f"{seconds:g} s", str(len(some))]
        for least in LEAST:
            believed = [(each, code) for each, code, share in some if share >= least]
            wrong = sum(code != each.language for each, code in believed)
            cells.append(f"{len(believed)}, {wrong}")
        lines.append(cells)
    return align(lines)


def pairs(found: Sequence[Detected], names: Sequence[str]) -> str:
    """Format the share of wrong languages in homes of two languages.

    Each recording is heard once in each home that speaks its language, with either language as
    the expected one.
    """
    odds = [f"odds of {value:g}" for value in ODDS]
    lines = [["seconds of speech", "window", "spoken", "trials", "among all", *odds]]
    for seconds in LENGTHS:
        for window in WINDOWS:
            some = [e for e in found if (e.seconds, e.window) == (seconds, window)]
            for spoken in ("the expected language", "the other"):
                trials = [
                    (each, home)
                    for home in permutations(names, 2)
                    for each in some
                    if each.language == home[0 if spoken != "the other" else 1]
                ]
                if not trials:
                    continue
                of_all = sum(each.among()[0] != each.language for each, _ in trials)
                wrong = [
                    sum(e.among(*home, odds=value)[0] != e.language for e, home in trials)
                    for value in ODDS
                ]
                shares = [f"{100 * count / len(trials):.1f}%" for count in (of_all, *wrong)]
                lines.append([f"{seconds:g} s", f"{window} s", spoken, str(len(trials)), *shares])
    return align(lines)


if __name__ == "__main__":
    main()
