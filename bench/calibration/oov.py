"""Errors by penalty per out-of-vocabulary word: the experiment for VOCABULARIES and oov_penalty.

Decodes recordings in several languages in this process, over the full window and in one pass, and
chooses among the hypotheses with several penalties for words that are not in pyspellchecker's
list. Prints, by language, the word errors with each penalty, how many recordings are better and
worse with a penalty of 2 than with none, and the fewest errors that any hypothesis has.
Results of the model are kept on disk (--cache); progress goes to stderr.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from wyoming_faster_whisper.audio.highpass import HighPass
from wyoming_faster_whisper.biasing.lexicon import count_oov, vocabulary
from wyoming_faster_whisper.engine.protocol import DecodeOptions
from wyoming_faster_whisper.engine.whisper.acoustic_model import AcousticModel
from wyoming_faster_whisper.engine.whisper.calibration.values import Calibrations
from wyoming_faster_whisper.engine.whisper.hallucination import Decoded
from wyoming_faster_whisper.engine.whisper.rescoring import Weights, prefer_in_vocabulary
from wyoming_faster_whisper.engine.whisper.window import FULL_FRAMES
from wyoming_faster_whisper.models import choose
from wyoming_faster_whisper.speech.segmenter import SpeechRules, segments
from wyoming_faster_whisper.speech.vad import Vad

from ..support.arguments import add, parser
from ..support.clips import Samples, load, to_samples
from ..support.memo import remembered_whisper
from ..support.passes import engine_clip, segment_job
from ..support.report import align, progress, write_json
from ..support.scoring import language_errors

PENALTIES = (0.0, 0.5, 1.0, 2.0, 3.0)  # log-probability per word, natural
_USED = PENALTIES.index(2.0)


@dataclass(frozen=True, slots=True)
class Rescored:
    """One segment: its word errors by penalty, and those of its best hypothesis."""

    language: str
    name: str
    words: int
    wrong: tuple[int, ...]  # by PENALTIES
    fewest: int


def main() -> None:
    arguments = parse_arguments()
    name = choose(arguments.model, []).name
    model = remembered_whisper(arguments.model, arguments.threads, arguments.cache)
    calibrations, vad = Calibrations(name), Vad()
    found: list[Rescored] = []
    for folder in sorted(each for each in arguments.languages_dir.glob("*") if each.is_dir()):
        language, known = folder.name, vocabulary(folder.name)
        for clip in load([folder], arguments.limit):
            progress(f"{language}: {clip.name}")
            sound = HighPass().feed(to_samples(clip.audio + clip.silence(0.7)))
            lists = decode(model, calibrations, vad, sound, language)
            if len(lists) == 1:  # the words of a segment are known
                found.append(rescored(language, clip.name, clip.text or "", lists[0], known))
    progress("")
    if not found:
        sys.exit(f"{arguments.languages_dir} has no folder of recordings")
    print(f"{arguments.model} int8, one pass over 30 s; {len(found)} recordings")
    print(table(found))
    if arguments.json:
        write_json(arguments.json, {"rescored": [asdict(each) for each in found]})


def parse_arguments() -> argparse.Namespace:
    flags = parser("calibration.oov", __doc__)
    add(flags, "--model", "--json", "--cache")
    add(flags, "--limit", help="use a fixed sample of N clips of each language")
    add(flags, "--threads", default=1)
    add(flags, "--languages-dir", action="store", required=True)
    return flags.parse_args()


def decode(
    model: AcousticModel, calibrations: Calibrations, vad: Vad, sound: Samples, language: str
) -> list[Decoded]:
    """Return the n-best list of each segment."""
    found: list[Decoded] = []
    options = DecodeOptions(language=language)
    for part in segments(vad.probabilities(sound).tolist(), SpeechRules(), len(sound)):
        job = segment_job(sound, part, options)
        clip = engine_clip(model, calibrations.of(language), job)
        encoding = model.encode([clip.features], FULL_FRAMES)
        found += model.generate(encoding, [clip.prompt], clip.beam, [clip.budget])
    return found


def rescored(
    language: str, name: str, text: str, decoded: Decoded, known: frozenset[str]
) -> Rescored:
    """Count the errors of the hypothesis that each penalty prefers."""

    def wrong(heard: str) -> int:
        return language_errors(text, heard, language).wrong

    preferred = [
        prefer_in_vocabulary(decoded, lambda each: count_oov(each, known), Weights(penalty))
        for penalty in PENALTIES
    ]
    return Rescored(
        language,
        name,
        language_errors(text, "", language).words,
        tuple(
            wrong(decoded.text if not penalty else each.text)
            for penalty, each in zip(PENALTIES, preferred, strict=True)
        ),
        min(map(wrong, (decoded.text, *decoded.alternatives))),
    )


def table(found: Sequence[Rescored]) -> str:
    """Format a row of word errors per language."""
    penalties = [f"penalty {penalty:g}" for penalty in PENALTIES]
    lines = [["", "clips", "words", *penalties, "better, worse", "best of the beam"]]
    for language in dict.fromkeys(each.language for each in found):
        some = [each for each in found if each.language == language]
        better = sum(each.wrong[_USED] < each.wrong[0] for each in some)
        worse = sum(each.wrong[_USED] > each.wrong[0] for each in some)
        counts = [sum(each.wrong[at] for each in some) for at in range(len(PENALTIES))]
        lines.append(
            [
                *(language, str(len(some)), str(sum(each.words for each in some))),
                *map(str, counts),
                *(f"{better}, {worse}", str(sum(each.fewest for each in some))),
            ]
        )
    return align(lines)


if __name__ == "__main__":
    main()
