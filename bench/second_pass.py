"""Accuracy by second-pass threshold: the experiment for engine/whisper/hallucination.py.

Runs the server's own engine in this process. Every order is decoded in a window of its own
length, in the full window, and in two passes combined as the engine does. In its own window it is
decoded twice: by the beam alone, and with rescoring for out-of-vocabulary words. The result for
each threshold follows from the log-probability of the first pass. Prints a table; progress goes
to stderr.
"""

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from wyoming_faster_whisper.engine.protocol import Job
from wyoming_faster_whisper.engine.whisper.acoustic_model import AcousticModel, Encoding
from wyoming_faster_whisper.engine.whisper.calibration.values import Calibration, Calibrations
from wyoming_faster_whisper.engine.whisper.clip import Clip as EngineClip
from wyoming_faster_whisper.engine.whisper.encoder import Encoder
from wyoming_faster_whisper.engine.whisper.hallucination import Decoded, fragile
from wyoming_faster_whisper.engine.whisper.missing_speech import check_coverage
from wyoming_faster_whisper.engine.whisper.rescoring import prefer_in_vocabulary
from wyoming_faster_whisper.engine.whisper.second_pass import second_pass
from wyoming_faster_whisper.engine.whisper.tuning import BEAM
from wyoming_faster_whisper.speech.vad import Vad

from .accuracy import KITCHEN, POOLED
from .encoder_window import speech
from .speech.noise import degrade, kitchen_like
from .support.arguments import RECORDINGS, add, listed, parser
from .support.clips import TEST_CLIPS, Clip, accepted, load, read_wav, to_samples
from .support.models import load_whisper, model_directory
from .support.report import align, progress, write_json

# Mean log-probability below which a text gets a second pass. Texts that are doubtful for other
# reasons get one in any case.
THRESHOLDS = (-0.3, -0.4, -0.5, -0.6, -0.7, -0.8, -math.inf)


@dataclass(frozen=True, slots=True)
class Heard:
    """One order in one condition."""

    condition: str
    doubtful: bool  # gets a second pass whatever its log-probability
    logprob: float  # of the first pass
    beam: bool  # accepted: the best hypothesis of the beam
    plain: bool  # accepted: after rescoring for out-of-vocabulary words
    full: bool  # accepted: in the full window
    both: bool  # accepted: in two passes

    def again(self, threshold: float) -> bool:
        return self.doubtful or self.logprob < threshold

    def right(self, threshold: float) -> bool:
        """Return True if the server's answer with a threshold is accepted."""
        return self.both if self.again(threshold) else self.plain


def main() -> None:
    arguments = parse_arguments()
    noise = to_samples(read_wav(arguments.noise)) if arguments.noise else kitchen_like()
    clips = [
        clip
        for clip in load(arguments.recordings or [TEST_CLIPS], arguments.limit)
        if clip.phrases
    ]
    directory = model_directory(arguments.model)
    model = load_whisper(directory, arguments.threads)
    calibrations = Calibrations(arguments.model)
    encoder = Encoder(model, calibrations, full_window=False)
    fitted = calibrations.of("en")
    vad = Vad()
    heard: list[Heard] = []
    for number, clip in enumerate(clips, start=1):
        progress(f"{number}/{len(clips)}")
        for condition in arguments.conditions:
            pcm = clip.audio + clip.silence(arguments.trailing)
            job = speech(to_samples(degrade(clip, pcm, condition, noise)), vad, "en")
            heard.append(passes(model, encoder, fitted, clip, condition, job))
    progress("")
    if not heard:
        sys.exit("no clips with phrases found")
    print(f"{arguments.model} int8, {arguments.threads} thread(s); {len(heard)} orders")
    print(table(heard, arguments.conditions))
    if arguments.json:
        write_json(arguments.json, {"orders": [asdict(order) for order in heard]})


def parse_arguments() -> argparse.Namespace:
    flags = parser("second_pass", __doc__)
    add(flags, "--model", "--limit", "--json")
    add(flags, "--threads", default=1)
    add(flags, "--recordings", help=RECORDINGS)
    add(flags, "--trailing", type=float, default=0.7)
    flags.add_argument("--noise", type=Path, default=KITCHEN if KITCHEN.exists() else None)
    flags.add_argument("--conditions", type=listed(POOLED), default=POOLED)
    return flags.parse_args()


def passes(
    model: AcousticModel,
    encoder: Encoder,
    fitted: Calibration,
    clip: Clip,
    condition: str,
    job: Job,
) -> Heard:
    """Decode in one pass and in two, by the steps of the pipeline, which would skip some."""
    prompt = model.tokenizer.prompt(job.options, "en")
    sound = EngineClip(job, model.features(job.padded_samples), "en", 1.0, prompt, BEAM, fitted)

    def decoded(encoding: Encoding) -> Decoded:
        return model.generate(encoding, [prompt], BEAM, [sound.budget])[0]

    beam = decoded(encoder.first(sound))
    plain = prefer_in_vocabulary(beam, sound.oov_count, fitted.rescoring)
    first = check_coverage(model, sound, plain, lambda: encoder.first(sound))
    both = second_pass(model, encoder, sound, first)
    right = (
        accepted(clip, text)
        for text in (
            beam.text,
            first.decoded.text,
            prefer_in_vocabulary(
                decoded(encoder.full(sound)), sound.oov_count, fitted.rescoring
            ).text,
            both.decoded.text,
        )
    )
    close = plain.ambiguous(fitted.hallucination.max_score_gap)
    doubtful = plain.repetitive or close or fragile(plain.text) or bool(first.gaps)
    return Heard(condition, doubtful, plain.avg_logprob, *right)


def table(heard: Sequence[Heard], conditions: Sequence[str]) -> str:
    lines = [["", *conditions, "all", "decoded again"]]

    def row(name: str, right: Callable[[Heard], bool], again: str = "") -> None:
        groups = [[order for order in heard if order.condition == c] for c in conditions]
        shares = [sum(map(right, group)) / len(group) for group in (*groups, heard)]
        lines.append([name, *(f"{100 * share:.1f}%" for share in shares), again])

    row("best hypothesis of the beam", lambda order: order.beam)
    row("with OOV rescoring", lambda order: order.plain)
    row("over the full window", lambda order: order.full)
    for threshold in THRESHOLDS:
        share = sum(order.again(threshold) for order in heard) / len(heard)
        name = (
            "second pass: doubtful texts only"
            if threshold == -math.inf
            else f"second pass below {threshold:g}"
        )
        row(name, partial(Heard.right, threshold=threshold), f"{100 * share:.0f}%")
    return align(lines)


if __name__ == "__main__":
    main()
