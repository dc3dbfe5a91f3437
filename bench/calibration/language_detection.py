"""Detected languages by seconds of speech: which to believe, and what two candidates gain.

Runs the server's own VAD and engine in this process. Recordings in several languages are cut
after some seconds of speech, and the language of each part is detected. Prints, by seconds of
speech,

- how many languages are believed with a least probability, and how many of those are wrong: a
  wrong one spoils the segments that take it over (the limits in session/decodes.py);
- for homes of two of the languages, the share of parts in the wrong one: detected among all
  languages as by the reference server, and among the two, by the prior odds of the expected
  language (`expected_odds`) and by the encoder window;
- for detection in a short window first, and in the full one where the probability is below a
  limit (`least_probability`): the share of wrong languages, and of full windows.

Results of the model are kept on disk (--cache). Progress goes to stderr.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import combinations, permutations, product
from math import inf
from pathlib import Path

from wyoming_faster_whisper.audio.pcm import SAMPLE_RATE
from wyoming_faster_whisper.engine.protocol import DecodeOptions, Job
from wyoming_faster_whisper.engine.whisper.language import Detection, choose_language
from wyoming_faster_whisper.engine.whisper.window import FRAMES_PER_SECOND, FULL_SECONDS
from wyoming_faster_whisper.speech.vad import Vad

from ..accuracy import POOLED
from ..speech.noise import degrade, noise_of
from ..support.arguments import add, listed, numbers, parser
from ..support.clips import load, to_samples
from ..support.memo import remembered_whisper
from ..support.report import align, progress, write_json
from ..support.servers import ROOT
from .encoder_window import speech

LENGTHS = (0.5, 1.0, 1.5, 2.0, 3.0)  # seconds of speech; inf = all
LEAST = (0.0, 0.3, 0.5, 0.7, 0.9)  # probability
WINDOWS = (30, 10)  # seconds; the full one and the short one
ODDS = (1.0, 2.0, 3.0, 5.0, 10.0)
BELIEVED = (3.0, 0.9)  # odds and least probability of the last column of pairs()
LIMITS = (0.0, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.1)  # probability; 1.1 = none is enough


@dataclass(frozen=True, slots=True)
class Detected:
    """The languages of the beginning of a recording."""

    name: str  # of the recording
    condition: str
    language: str  # spoken
    seconds: float  # of speech, one of LENGTHS
    window: int  # seconds
    found: Mapping[str, float]  # probability of each language

    def among(self, *candidates: str, odds: float = 1.0) -> tuple[str, float]:
        """Return the language and its probability; the first candidate is the expected one."""
        expected = candidates[0] if candidates else None
        options = DecodeOptions(candidate_languages=candidates, expected_language=expected)
        return choose_language(self.found, options, Detection(odds, FULL_SECONDS, 0.0, 0.0, 0.0))


def main() -> None:
    arguments = parse_arguments()
    model = remembered_whisper(arguments.model, arguments.threads, arguments.cache)
    vad = Vad()
    folders = sorted(each for each in arguments.languages.glob("*") if each.is_dir())
    clips = [(each.name, clip) for each in folders for clip in load([each], arguments.limit)]
    noise = noise_of(arguments.noise)
    found: list[Detected] = []
    for number, (language, clip) in enumerate(clips, start=1):
        progress(f"{number}/{len(clips)}, {language}")
        for condition in arguments.conditions:
            sound = to_samples(degrade(clip, clip.audio, condition, noise))
            for seconds, job in beginnings(speech(sound, vad, language), arguments.lengths):
                features = model.features(job.samples)
                for window in WINDOWS:
                    encoding = model.encode([features], window * FRAMES_PER_SECOND)
                    [shares] = model.detect_language(encoding)
                    found.append(
                        Detected(clip.name, condition, language, seconds, window, shares)
                    )
    progress("")
    if not found:
        sys.exit(f"{arguments.languages} has no folder of recordings")
    names = [each.name for each in folders]
    print(f"{arguments.model} int8: {len(clips)} clips, {', '.join(names)}")
    for window in WINDOWS:
        print(f"window of {window} s")
        print(table([each for each in found if each.window == window]))
    print(pairs(found, names))
    print(short_first(found, names))
    if arguments.json:
        write_json(arguments.json, {"detected": [asdict(each) for each in found]})


def parse_arguments() -> argparse.Namespace:
    flags = parser("calibration.language_detection", __doc__)
    add(flags, "--model", "--json", "--cache", "--noise")
    add(flags, "--limit", help="use a fixed sample of N clips of each language")
    add(flags, "--threads", default=1)
    flags.add_argument("--conditions", type=listed(POOLED), default=("clean",))
    flags.add_argument(
        "--lengths",
        type=numbers,
        default=LENGTHS,
        metavar="A,B",
        help="seconds of speech; inf = whole recordings",
    )
    flags.add_argument(
        "--languages",
        type=Path,
        metavar="DIR",
        default=ROOT.parent / "shared" / "speech" / "languages",
        help="folder with a folder of recordings for each language (default: %(default)s)",
    )
    return flags.parse_args()


def beginnings(job: Job, lengths: Sequence[float]) -> Iterator[tuple[float, Job]]:
    """Yield the beginning of a job for each length of speech that the job reaches."""
    options = DecodeOptions()
    for seconds in lengths:
        if seconds == inf:
            yield seconds, Job(job.samples, options)
            continue
        left = round(seconds * SAMPLE_RATE)
        for start, end in job.speech:
            if end - start >= left:
                yield seconds, Job(job.samples[: start + left], options)
                break
            left -= end - start


def table(found: Sequence[Detected]) -> str:
    """Format how many languages are believed, of all, by seconds of speech."""
    lines = [["seconds of speech", "clips", *(f"from {least:g}: of, wrong" for least in LEAST)]]
    for seconds in dict.fromkeys(each.seconds for each in found):
        some = [(each, *each.among()) for each in found if each.seconds == seconds]
        cells = [written(seconds), str(len(some))]
        for least in LEAST:
            believed = [(each, code) for each, code, share in some if share >= least]
            wrong = sum(code != each.language for each, code in believed)
            cells.append(f"{len(believed)}, {wrong}")
        lines.append(cells)
    return align(lines)


def pairs(found: Sequence[Detected], names: Sequence[str]) -> str:
    """Format the share of wrong languages in homes of two languages.

    Each recording is heard once in each home that speaks its language, with either language as
    the expected one. The last column has those that are detected with some probability: how
    many there are, and how many of them are wrong.
    """
    odds = [f"odds of {value:g}" for value in ODDS]
    last = "odds of {:g}, from {:g}: of, wrong".format(*BELIEVED)
    lines = [["seconds of speech", "window", "spoken", "trials", "among all", *odds, last]]
    for seconds in dict.fromkeys(each.seconds for each in found):
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
                prior, least = BELIEVED
                named = [(e.language, *e.among(*home, odds=prior)) for e, home in trials]
                believed = [code != language for language, code, share in named if share >= least]
                shares.append(f"{len(believed)}, {sum(believed)}")
                lines.append([written(seconds), f"{window} s", spoken, str(len(trials)), *shares])
    return align(lines)


def short_first(found: Sequence[Detected], names: Sequence[str]) -> str:
    """Format what detection in the short window first loses, and how often it is not enough.

    Trials among all languages, and, in homes of two of them without an expected one.
    """
    limits = [f"below {limit:g}: wrong, again" for limit in LIMITS]
    lines = [["seconds of speech", "condition", "among", "trials", *limits]]
    by_window = [[each for each in found if each.window == window] for window in WINDOWS]
    both = list(zip(*by_window, strict=True))
    rows = dict.fromkeys((full.seconds, full.condition) for full, _ in both)
    for (seconds, condition), among in product(rows, ("all", "two")):
        homes = list(combinations(names, 2)) if among == "two" else [()]
        trials = [
            (full.language, full.among(*home), short.among(*home))
            for full, short in both
            if (full.seconds, full.condition) == (seconds, condition)
            for home in homes
            if not home or full.language in home
        ]
        cells = [written(seconds), condition, among, str(len(trials))]
        for limit in LIMITS:
            again = sum(short[1] < limit for _, _, short in trials)
            wrong = sum(
                (full if short[1] < limit else short)[0] != spoken
                for spoken, full, short in trials
            )
            cells.append(f"{wrong}, {100 * again / len(trials):.0f}%" if trials else "")
        lines.append(cells)
    return align(lines)


def written(seconds: float) -> str:
    return "all" if seconds == inf else f"{seconds:g} s"


if __name__ == "__main__":
    main()
