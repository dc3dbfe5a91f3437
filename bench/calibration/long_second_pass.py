"""Second passes of long segments: what each reason for one is worth.

Runs the server's own VAD, segmenter and engine in this process, on the files of bench.long_files.
Each segment with more audio than a command is decoded in one pass and in two. Prints, by the
reason for which the second pass would run, the word errors of both and the CPU time of the
second; progress goes to stderr.
"""

import argparse
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

from wyoming_faster_whisper.audio.highpass import HighPass
from wyoming_faster_whisper.engine.protocol import LONGEST_COMMAND, DecodeOptions, Job
from wyoming_faster_whisper.engine.whisper.acoustic_model import AcousticModel
from wyoming_faster_whisper.engine.whisper.calibration.values import Calibration, Calibrations
from wyoming_faster_whisper.engine.whisper.clip import Pass
from wyoming_faster_whisper.engine.whisper.encoder import Encoder
from wyoming_faster_whisper.engine.whisper.hallucination import Thresholds, has_counts
from wyoming_faster_whisper.engine.whisper.missing_speech import check_coverage
from wyoming_faster_whisper.engine.whisper.rescoring import prefer_in_vocabulary
from wyoming_faster_whisper.engine.whisper.second_pass import second_pass
from wyoming_faster_whisper.engine.whisper.tuning import BEAM
from wyoming_faster_whisper.models import choose
from wyoming_faster_whisper.speech.segmenter import SpeechRules, segments
from wyoming_faster_whisper.speech.vad import Vad

from ..long_files import BETWEEN, clips_by_language
from ..speech.noise import degrade, noise_of
from ..speech.pauses import room
from ..support.arguments import RECORDINGS, add, listed, parser
from ..support.clips import SAMPLE_RATE, WIDTH, Clip, Samples, to_samples
from ..support.models import load_whisper, model_directory
from ..support.passes import engine_clip, segment_job
from ..support.report import align, progress, write_json
from ..support.scoring import Errors, word_errors


@dataclass(frozen=True, slots=True)
class Spoken:
    """A long segment, and the text of the clips whose middle is in it."""

    job: Job
    text: str


@dataclass(frozen=True, slots=True)
class Twice:
    """A long segment, decoded once, and a second time if there was a reason."""

    condition: str
    reason: str  # "" = none
    first: Errors  # of the first pass
    second: Errors  # of the answer of both passes
    first_cpu: float  # seconds
    cpu: float  # seconds of the second pass


def main() -> None:
    arguments = parse_arguments()
    noise = noise_of(arguments.noise)
    model = load_whisper(model_directory(arguments.model), 1)
    calibrations = Calibrations(choose(arguments.model, []).name)
    encoder, vad = Encoder(model, calibrations, full_window=False), Vad()
    heard: list[Twice] = []
    for condition in arguments.conditions:
        for language, clips in clips_by_language(arguments).items():
            fitted = calibrations.of(language)
            for seed in range(arguments.count):
                progress(f"{condition}, {language}: {seed + 1}/{arguments.count}")
                heard += [
                    decode(model, encoder, fitted, each, condition, language)
                    for each in long_segments(clips, language, condition, seed, noise, vad)
                ]
    progress("")
    if not heard:
        sys.exit("no clip with a complete transcript was found, and flite is not installed")
    print(f"{arguments.model} int8; {len(heard)} segments of more than {LONGEST_COMMAND:g} s")
    print(table(heard, arguments.conditions))
    if arguments.json:
        write_json(arguments.json, {"segments": [asdict(each) for each in heard]})


def parse_arguments() -> argparse.Namespace:
    flags = parser("calibration.long_second_pass", __doc__)
    add(flags, "--model", "--json", "--noise")
    add(flags, "--recordings", help=f"{RECORDINGS}, in English")
    flags.add_argument("--language", action="append", default=[], metavar="CODE=DIR")
    flags.add_argument("--count", type=int, default=3, help="files of each language (default: 3)")
    flags.add_argument("--conditions", type=listed(("clean", "10dB")), default=("clean", "10dB"))
    return flags.parse_args()


def long_segments(
    clips: Sequence[Clip], language: str, condition: str, seed: int, noise: Samples, vad: Vad
) -> Iterator[Spoken]:
    """Join the clips in random order, and yield the segments that are longer than a command."""
    chance = random.Random(f"{language}{seed}")
    pcm = bytearray()
    middles: list[tuple[float, str]] = []  # in samples, and the text
    for clip in chance.sample(clips, len(clips)):
        middles.append((len(pcm) / WIDTH + clip.seconds * SAMPLE_RATE / 2, clip.text or ""))
        pcm += clip.audio + room(clip, chance.uniform(*BETWEEN))
    whole = Clip(f"{language} {seed}", bytes(pcm), b"")
    sound = HighPass().feed(to_samples(degrade(whole, whole.audio, condition, noise)))
    options = DecodeOptions(language=language)
    for part in segments(vad.probabilities(sound).tolist(), SpeechRules(), len(sound)):
        job = segment_job(sound, part, options)
        if job.seconds > LONGEST_COMMAND:
            said = [text for middle, text in middles if part.start <= middle < part.end]
            yield Spoken(job, " ".join(said))


def decode(
    model: AcousticModel,
    encoder: Encoder,
    fitted: Calibration,
    spoken: Spoken,
    condition: str,
    language: str,
) -> Twice:
    """Decode a segment by the steps of the pipeline; a second time if there is a reason."""
    clip = engine_clip(model, fitted, spoken.job)
    began = time.process_time()
    [decoded] = model.generate(encoder.first(clip), [clip.prompt], BEAM, [clip.budget])
    decoded = prefer_in_vocabulary(decoded, clip.oov_count, fitted.rescoring)
    first = second = check_coverage(model, clip, decoded, lambda: encoder.first(clip))
    passed = time.process_time()
    if why := reason(first, fitted.hallucination):
        second, _ = second_pass(model, encoder, clip, first)
    return Twice(
        condition,
        why,
        word_errors(spoken.text, first.decoded.text, language),
        word_errors(spoken.text, second.decoded.text, language),
        passed - began,
        time.process_time() - passed,
    )


def reason(first: Pass, fitted: Thresholds) -> str:
    """Return the first reason for a second pass that holds, surest first; "" if none does."""
    decoded = first.decoded
    if first.looped or first.gaps:
        return "a loop, or speech left out"
    if decoded.avg_logprob < fitted.min_logprob:
        return "an unlikely text"
    if has_counts(decoded.text):
        return "counts: digits, repeats"
    return "close hypotheses" if decoded.ambiguous(fitted.max_score_gap) else ""


def table(heard: Sequence[Twice], conditions: Sequence[str]) -> str:
    rows = [["", "segments", "errors of the first pass", "of both", "CPU s", "of the first"]]
    for condition in conditions:
        rows.append([condition])
        some = [each for each in heard if each.condition == condition]
        for why in sorted({each.reason for each in some}):
            these = [each for each in some if each.reason == why]
            rows.append(
                [
                    why or "no reason",
                    str(len(these)),
                    str(sum(each.first.wrong for each in these)),
                    str(sum(each.second.wrong for each in these)),
                    f"{sum(each.cpu for each in these):.1f}",
                    f"{sum(each.first_cpu for each in these):.1f}",
                ]
            )
    return align(rows)


if __name__ == "__main__":
    main()
