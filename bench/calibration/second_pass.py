"""Accuracy by second-pass threshold: the experiment for min_logprob, max_score_gap, oov_penalty.

Runs the server's own engine in this process. Every order is decoded in a window of its own
length, in the full window, and in two passes combined as the engine does. The first n-best list
is rescored with several penalties for out-of-vocabulary words. The results for other thresholds
follow from the scores of the first pass. Prints a table; progress goes to stderr.
"""

import argparse
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

from wyoming_faster_whisper.engine.protocol import Job
from wyoming_faster_whisper.engine.whisper.acoustic_model import AcousticModel, Encoding
from wyoming_faster_whisper.engine.whisper.calibration.values import Calibration, Calibrations
from wyoming_faster_whisper.engine.whisper.encoder import Encoder
from wyoming_faster_whisper.engine.whisper.hallucination import Decoded, Thresholds, fragile
from wyoming_faster_whisper.engine.whisper.missing_speech import check_coverage
from wyoming_faster_whisper.engine.whisper.rescoring import (
    Weights,
    prefer_in_vocabulary,
)
from wyoming_faster_whisper.engine.whisper.second_pass import second_pass
from wyoming_faster_whisper.engine.whisper.tuning import BEAM
from wyoming_faster_whisper.speech.vad import Vad

from ..accuracy import POOLED
from ..speech.noise import degrade, noise_of
from ..support.arguments import RECORDINGS, add, given_clips, listed, parser
from ..support.clips import Clip, accepted, to_samples
from ..support.models import load_whisper, model_directory
from ..support.passes import engine_clip
from ..support.report import align, progress, write_json
from .encoder_window import speech

# Mean log-probability below which a text gets a second pass. Texts that are doubtful for other
# reasons get one in any case.
THRESHOLDS = (-0.3, -0.4, -0.5, -0.6, -0.7, -0.8, -math.inf)
GAPS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.5)  # log-probability up to which two hypotheses are close
PENALTIES = (0.0, 0.5, 1.0, 2.0, 3.0, 4.0)  # log-probability per out-of-vocabulary word


@dataclass(frozen=True, slots=True)
class Heard:
    """One order in one condition."""

    condition: str
    doubtful: bool  # gets a second pass whatever its scores
    logprob: float  # of the first pass
    close: dict[float, bool]  # by gap: a hypothesis with other words is closer
    penalised: dict[float, bool]  # accepted, by PENALTIES: the preferred hypothesis of the beam
    plain: bool  # accepted: the first pass
    full: bool  # accepted: in the full window
    both: bool  # accepted: in two passes

    def again(self, threshold: float, gap: float) -> bool:
        return self.doubtful or self.close[gap] or self.logprob < threshold

    def right(self, threshold: float, gap: float) -> bool:
        """Return True if the server's answer with these thresholds is accepted."""
        return self.both if self.again(threshold, gap) else self.plain


def main() -> None:
    arguments = parse_arguments()
    noise = noise_of(arguments.noise)
    clips = [clip for clip in given_clips(arguments) if clip.phrases]
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
    print(table(heard, arguments.conditions, fitted.hallucination))
    if arguments.json:
        write_json(arguments.json, {"orders": [asdict(order) for order in heard]})


def parse_arguments() -> argparse.Namespace:
    flags = parser("calibration.second_pass", __doc__)
    add(flags, "--model", "--limit", "--json", "--noise")
    add(flags, "--threads", default=1)
    add(flags, "--recordings", help=RECORDINGS)
    add(flags, "--trailing", type=float, default=0.7)
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
    sound = engine_clip(model, fitted, job)

    def decoded(encoding: Encoding) -> Decoded:
        return model.generate(encoding, [sound.prompt], BEAM, [sound.budget])[0]

    def right(decoded: Decoded) -> bool:
        return accepted(clip, decoded.text)

    def preferred(decoded: Decoded, weights: Weights = fitted.rescoring) -> Decoded:
        return prefer_in_vocabulary(decoded, sound.oov_count, weights)

    beam = decoded(encoder.first(sound))
    plain = preferred(beam)
    first = check_coverage(model, sound, plain, lambda: encoder.first(sound))
    both, _ = second_pass(model, encoder, sound, first)
    return Heard(
        condition,
        doubtful=plain.repetitive or fragile(plain.text) or bool(first.gaps),
        logprob=plain.avg_logprob,
        close={gap: plain.ambiguous(gap) for gap in (*GAPS, fitted.hallucination.max_score_gap)},
        penalised={each: right(preferred(beam, Weights(each))) for each in PENALTIES},
        plain=right(first.decoded),
        full=right(preferred(decoded(encoder.full(sound)))),
        both=right(both.decoded),
    )


def table(heard: Sequence[Heard], conditions: Sequence[str], fitted: Thresholds) -> str:
    """Format the accepted orders by penalty, and by threshold and gap of the second pass.

    Args:
        fitted: its min_logprob holds for the rows of other gaps, its max_score_gap for those of
            other thresholds.
    """
    lines = [["", *conditions, "all", "decoded again"]]

    def row(name: str, right: Callable[[Heard], bool], again: str = "") -> None:
        groups = [[order for order in heard if order.condition == c] for c in conditions]
        shares = [sum(map(right, group)) / len(group) for group in (*groups, heard)]
        lines.append([name, *(f"{100 * share:.1f}%" for share in shares), again])

    def twice(name: str, threshold: float, gap: float) -> None:
        share = sum(order.again(threshold, gap) for order in heard) / len(heard)
        row(name, lambda order: order.right(threshold, gap), f"{100 * share:.0f}%")

    for penalty in PENALTIES:
        name = f"OOV penalty {penalty:g}" if penalty else "best hypothesis of the beam"
        row(name, lambda order, penalty=penalty: order.penalised[penalty])  # type: ignore[misc]
    row("over the full window", lambda order: order.full)
    for threshold in THRESHOLDS:
        doubtful = "second pass: doubtful texts only"
        twice(
            doubtful if threshold == -math.inf else f"second pass below {threshold:g}",
            threshold,
            fitted.max_score_gap,
        )
    for gap in GAPS:
        name = f"second pass below {fitted.min_logprob:g}, hypotheses closer than {gap:g}"
        twice(name, fitted.min_logprob, gap)
    return align(lines)


if __name__ == "__main__":
    main()
