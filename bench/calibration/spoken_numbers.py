"""Speech within one token: the experiment for per_digit and least_spoken of the coverage check.

Runs the server's own engine in this process. Numbers and single words by synthetic voices are
decoded over the full window, and the texts without a word error are aligned with the audio as
engine/whisper/missing_speech.py does it. All are complete, so a text that is flagged is a false
alarm. Prints the speech within one token by the number of its digits, and the texts that are
flagged with other limits; progress goes to stderr.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

from wyoming_faster_whisper.engine.whisper.acoustic_model import AcousticModel
from wyoming_faster_whisper.engine.whisper.calibration.values import Calibration, Calibrations
from wyoming_faster_whisper.engine.whisper.coverage import (
    Alignment,
    Limits,
    Span,
    gaps,
    sparse,
    speech_within,
)
from wyoming_faster_whisper.engine.whisper.hallucination import Decoded
from wyoming_faster_whisper.engine.whisper.window import FULL_FRAMES
from wyoming_faster_whisper.models import choose
from wyoming_faster_whisper.speech.vad import Vad

from ..speech import texts
from ..speech.synthesis import Voice, say
from ..support.arguments import add, parser
from ..support.clips import Clip, to_samples
from ..support.models import load_whisper, model_directory
from ..support.passes import engine_clip
from ..support.report import align, percentile, progress, write_json
from ..support.scoring import word_errors
from .encoder_window import speech

VOICES = (Voice("flite", "slt"), Voice("espeak-ng", "en-gb"), Voice("espeak-ng", "en-us", 0.8))
PER_DIGIT = (0.0, 0.2, 0.4, 0.6)  # seconds
LEAST_SPOKEN = (0.0, 0.5, 1.0, 1.5, 2.0)  # seconds


@dataclass(frozen=True, slots=True)
class Aligned:
    """A complete text, aligned with its audio."""

    decoded: Decoded
    alignment: Alignment
    speech: tuple[Span, ...]  # seconds

    @property
    def speech_seconds(self) -> float:
        return sum(end - start for start, end in self.speech)

    def checked(self, limits: Limits) -> bool:
        """Return whether the server would align the text."""
        return sparse(self.decoded, self.speech_seconds, limits)

    def flagged(self, limits: Limits) -> bool:
        return self.checked(limits) and bool(gaps(self.alignment, self.speech, limits))


def main() -> None:
    arguments = parse_arguments()
    model = load_whisper(model_directory(arguments.model), arguments.threads)
    fitted = Calibrations(choose(arguments.model, []).name).of("en")
    spoken = [each for each in VOICES if each.installed]
    lines = (*texts.NUMBERS, *texts.WORDS, *texts.REPEATS)[: arguments.limit]
    clips = say([(text, voice) for voice in spoken for text in lines])
    found = list(aligned(model, fitted, clips))
    if not found:
        sys.exit("no text was recognised; are flite and espeak-ng installed?")
    print(f"{arguments.model} int8: {len(found)} of {len(clips)} texts without a word error")
    print(by_digits(found))
    print(table(found, fitted.coverage))
    if arguments.json:
        write_json(arguments.json, {"texts": [asdict(each) for each in found]})


def parse_arguments() -> argparse.Namespace:
    flags = parser("calibration.spoken_numbers", __doc__)
    add(flags, "--model", "--json")
    add(flags, "--limit", help="use the first N texts")
    add(flags, "--threads", default=1)
    return flags.parse_args()


def aligned(
    model: AcousticModel, fitted: Calibration, clips: Sequence[Clip]
) -> Iterator[Aligned]:
    """Yield the texts without a word error."""
    vad = Vad()
    for number, each in enumerate(clips, start=1):
        progress(f"{number}/{len(clips)}")
        clip = engine_clip(model, fitted, speech(to_samples(each.audio), vad, "en"))
        encoding = model.encode([clip.features], FULL_FRAMES)
        [decoded] = model.generate(encoding, [clip.prompt], clip.beam, [clip.budget])
        if word_errors(each.text or "", decoded.text).wrong:
            continue
        alignment = model.align(encoding, clip.prompt, decoded.text, clip.seconds)
        if alignment is not None:
            yield Aligned(decoded, alignment, tuple(clip.speech))
    progress("")


def by_digits(found: Sequence[Aligned]) -> str:
    """Format the seconds of speech within one token, by its number of digits."""
    seconds: dict[int, list[float]] = {}
    for each in found:
        for at, token in enumerate(each.alignment.texts):
            digits = sum(map(str.isdigit, token))
            within = speech_within(each.alignment.span(at), each.speech)
            seconds.setdefault(digits, []).append(within)
    lines = [["digits", "tokens", "median", "95th percentile", "most"]]
    for digits, some in sorted(seconds.items()):
        shown = (f"{percentile(some, share):.2f} s" for share in (50, 95, 100))
        lines.append([str(digits), str(len(some)), *shown])
    return align(lines)


def table(found: Sequence[Aligned], fitted: Limits) -> str:
    lines = [["", "aligned", "flagged"]]

    def row(name: str, limits: Limits) -> None:
        checked = sum(each.checked(limits) for each in found)
        flagged = sum(each.flagged(limits) for each in found)
        lines.append([name, str(checked), str(flagged)])

    row("as calibrated", fitted)
    for value in PER_DIGIT:
        row(f"per_digit {value:g} s", replace(fitted, per_digit=value))
    for value in LEAST_SPOKEN:
        row(f"least_spoken {value:g} s", replace(fitted, least_spoken=value))
    return align(lines)


if __name__ == "__main__":
    main()
