"""Texts that leave a sentence out: the experiment for the coverage limits in the calibrations.

Runs the server's own engine in this process. Three sentences by different speakers, with a pause
between them, become one utterance. The whole text, and the text without its first, second or last
sentence, is aligned with the audio as engine/whisper/missing_speech.py does it. Prints, for
several thresholds, the share of complete and of incomplete texts that are flagged; progress goes
to stderr.

A recorded order has no full transcript. The model's own text over the full window stands in for
it, if that contains the order's phrases.
"""

import argparse
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

from wyoming_faster_whisper.engine.protocol import Job
from wyoming_faster_whisper.engine.whisper.acoustic_model import AcousticModel
from wyoming_faster_whisper.engine.whisper.calibration.values import Calibrations
from wyoming_faster_whisper.engine.whisper.coverage import (
    Alignment,
    Limits,
    Span,
    gaps,
    speech_within,
)
from wyoming_faster_whisper.engine.whisper.token_budget import token_budget
from wyoming_faster_whisper.engine.whisper.window import FULL_FRAMES, window_frames
from wyoming_faster_whisper.models import choose
from wyoming_faster_whisper.speech.vad import Vad

from ..speech import voices
from ..speech.sentences import joined
from ..support.arguments import RECORDINGS, add, given_clips, parser
from ..support.clips import SAMPLE_RATE, Clip, accepted, to_samples
from ..support.models import load_whisper, model_directory
from ..support.report import align, progress, write_json
from .encoder_window import speech

WITHIN = (0.65, 0.75, 0.8, 0.85, 0.9, 1.0, 1.2)  # seconds of speech within one token
AFTER = (0.2, 0.3, 0.4, 0.5, 0.7, 0.9)  # seconds of speech after the last token
SPARSE = (3.0, 3.5, 4.0, 4.5, 5.0)  # tokens per second of speech
TOGETHER = 3  # sentences in an utterance

COMPLETE, FIRST, MIDDLE, LAST = "complete", "without the first", "the second", "the last"


@dataclass(frozen=True, slots=True)
class Aligned:
    """One text, aligned with one utterance."""

    kind: str  # COMPLETE, or what is missing
    text: str
    within: float  # maximum seconds of speech within one token, less the allowance for its digits
    after: float  # seconds of speech after the last token
    density: float  # tokens per second of speech
    found: bool  # flagged by the calibrated limits: sparse, and with a gap


def main() -> None:
    arguments = parse_arguments()
    directory = model_directory(arguments.model)
    model = load_whisper(directory, arguments.threads)
    fitted = Calibrations(choose(arguments.model, []).name).of(arguments.language)
    vad = Vad()
    clips = given_clips(arguments)
    if arguments.language == "en" and voices.installed() and arguments.synthetic:
        clips += voices.english()[: arguments.limit]
    sentences = list(with_texts(model, clips, vad, arguments.language))
    if len(sentences) < TOGETHER:
        sys.exit("too few clips whose text is known")
    found: list[Aligned] = []
    chance = random.Random(0)
    for number in range(arguments.count):
        progress(f"utterance {number + 1}/{arguments.count}")
        some = chance.sample(sentences, TOGETHER)
        job = speech(joined(some, chance), vad, arguments.language)
        frames = window_frames(job.seconds, fitted.window)
        found += aligned(model, job, [clip.text or "" for clip in some], frames, fitted.coverage)
    progress("")
    print(
        f"{arguments.model} int8, {arguments.language}: {len(sentences)} sentences,"
        f" {arguments.count} utterances, {len(found)} texts"
    )
    print(table(found))
    if arguments.json:
        write_json(arguments.json, {"texts": [asdict(each) for each in found]})


def parse_arguments() -> argparse.Namespace:
    flags = parser("calibration.coverage", __doc__)
    add(flags, "--model", "--limit", "--json")
    add(flags, "--threads", default=1)
    add(flags, "--recordings", help=RECORDINGS)
    flags.add_argument("--language", default="en", help="language of the clips")
    flags.add_argument("--count", type=int, default=60, help="utterances of three sentences each")
    flags.add_argument(
        "--synthetic", action="store_true", help="add sentences by espeak-ng (English)"
    )
    return flags.parse_args()


def with_texts(
    model: AcousticModel, clips: Sequence[Clip], vad: Vad, language: str
) -> Iterator[Clip]:
    """Yield the clips with a known text, and orders with the model's text if it is accepted."""
    for number, clip in enumerate(clips, start=1):
        if clip.text is not None:
            yield clip
            continue
        progress(f"text of order {number}/{len(clips)}")
        job = speech(to_samples(clip.audio), vad, language)
        encoding = model.encode([model.features(job.samples)], FULL_FRAMES)
        budget = token_budget(job.seconds, language)
        [heard] = model.generate(
            encoding, [model.tokenizer.prompt(job.options, language)], 5, [budget]
        )
        if accepted(clip, heard.text) and heard.text.endswith((".", "?", "!")):
            yield Clip(clip.name, clip.audio, clip.tail, heard.text, clip.phrases)


def aligned(
    model: AcousticModel, job: Job, texts: Sequence[str], frames: int, limits: Limits
) -> Iterator[Aligned]:
    """Align an utterance with its complete text, and with the text without each sentence."""
    encoding = model.encode([model.features(job.samples)], frames)
    prompt = model.tokenizer.prompt(job.options, job.options.language or "en")
    voice = [(start / SAMPLE_RATE, end / SAMPLE_RATE) for start, end in job.speech]
    kinds = {COMPLETE: -1, FIRST: 0, MIDDLE: 1, LAST: len(texts) - 1}
    for kind, without in kinds.items():
        text = " ".join(each for at, each in enumerate(texts) if at != without)
        alignment = model.align(encoding, prompt, text, job.seconds)
        if alignment is None:
            continue
        density = len(alignment.texts) / job.speech_seconds
        yield Aligned(
            kind,
            text,
            within=max(
                speech_within(alignment.span(at), voice) - limits.per_digit * more_digits(token)
                for at, token in enumerate(alignment.texts)
            ),
            after=after(alignment, voice),
            density=density,
            found=density < limits.sparse and bool(gaps(alignment, voice, limits)),
        )


def more_digits(token: str) -> int:
    return max(0, sum(map(str.isdigit, token)) - 1)


def after(alignment: Alignment, voice: Sequence[Span]) -> float:
    return speech_within((alignment.end, float("inf")), voice)


def table(found: Sequence[Aligned]) -> str:
    kinds = (COMPLETE, FIRST, MIDDLE, LAST)
    lines = [["", *kinds]]

    def row(name: str, suspected: Callable[[Aligned], bool]) -> None:
        groups = [[each for each in found if each.kind == kind] for kind in kinds]
        shares = (sum(map(suspected, some)) / max(1, len(some)) for some in groups)
        lines.append([name, *(f"{100 * share:.1f}%" for share in shares)])

    lines.append(["speech within a token of at least"])
    for least in WITHIN:
        row(f"  {least:g} s", lambda each, least=least: each.within >= least)  # type: ignore[misc]
    lines.append(["speech after the last token of at least"])
    for least in AFTER:
        row(f"  {least:g} s", lambda each, least=least: each.after >= least)  # type: ignore[misc]
    lines.append(["tokens per second of speech below"])
    for most in SPARSE:
        row(f"  {most:g}", lambda each, most=most: each.density < most)  # type: ignore[misc]
    row("by the calibrated limits", lambda each: each.found)
    return align(lines)


if __name__ == "__main__":
    main()
