"""Detected languages by seconds of speech: the experiment for the limits in session/decodes.py.

Runs the server's own VAD and engine in this process. Recordings in several languages are cut
after some seconds of speech, and the language of each part is detected. Prints, by seconds of
speech and least probability, how many languages are believed, and how many of those are wrong: a
wrong one spoils the segments that take it over. Progress goes to stderr.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from wyoming_faster_whisper.audio.pcm import SAMPLE_RATE
from wyoming_faster_whisper.engine.protocol import DecodeOptions, Job
from wyoming_faster_whisper.engine.whisper.calibration.values import Calibrations
from wyoming_faster_whisper.engine.whisper.encoder import Encoder
from wyoming_faster_whisper.engine.whisper.language import languages
from wyoming_faster_whisper.models import choose
from wyoming_faster_whisper.speech.vad import Vad

from .encoder_window import speech
from .support.arguments import add, parser
from .support.clips import load, to_samples
from .support.models import load_whisper, model_directory
from .support.report import align, progress, write_json
from .support.servers import ROOT

LENGTHS = (0.5, 1.0, 1.5, 2.0, 3.0)  # seconds of speech
LEAST = (0.0, 0.3, 0.5, 0.7, 0.9)  # probability


@dataclass(frozen=True, slots=True)
class Detected:
    """The language of the beginning of a recording."""

    language: str  # spoken
    seconds: float  # of speech, one of LENGTHS
    detected: str
    probability: float


def main() -> None:
    arguments = parse_arguments()
    model = load_whisper(model_directory(arguments.model), arguments.threads)
    encoder = Encoder(model, Calibrations(choose(arguments.model, []).name), full_window=False)
    vad = Vad()
    folders = sorted(each for each in arguments.languages.glob("*") if each.is_dir())
    clips = [(each.name, clip) for each in folders for clip in load([each], arguments.limit)]
    found: list[Detected] = []
    for number, (language, clip) in enumerate(clips, start=1):
        progress(f"{number}/{len(clips)}, {language}")
        for seconds, job in beginnings(speech(to_samples(clip.audio), vad, language)):
            encoding = encoder.batch([job], [model.features(job.samples)])
            [(detected, probability)] = languages(model, [job], encoding)
            found.append(Detected(language, seconds, detected, probability))
    progress("")
    if not found:
        sys.exit(f"{arguments.languages} has no folder of recordings")
    print(f"{arguments.model} int8: {len(clips)} clips, {', '.join(f.name for f in folders)}")
    print(table(found))
    if arguments.json:
        write_json(arguments.json, {"detected": [asdict(each) for each in found]})


def parse_arguments() -> argparse.Namespace:
    flags = parser("language_detection", __doc__)
    add(flags, "--model", "--json")
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
    lines = [["seconds of speech", "clips", *(f"from {least:g}: of, wrong" for least in LEAST)]]
    for seconds in LENGTHS:
        some = [each for each in found if each.seconds == seconds]
        cells = [f"{seconds:g} s", str(len(some))]
        for least in LEAST:
            believed = [each for each in some if each.probability >= least]
            wrong = sum(each.detected != each.language for each in believed)
            cells.append(f"{len(believed)}, {wrong}")
        lines.append(cells)
    return align(lines)


if __name__ == "__main__":
    main()
