"""Second pass: decode a doubtful text once more, and choose between the passes."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum, auto

from ...hardware import release_memory
from .acoustic_model import AcousticModel, Encoding
from .clip import Clip, Pass
from .decoding import decode_again
from .encoder import Encoder
from .hallucination import Thresholds, Verdict, fragile, has_words, judge_hypothesis
from .missing_speech import check_coverage
from .rescoring import hypotheses_of, rescore
from .window import FULL_FRAMES


class Choice(Enum):
    """Which pass to believe."""

    FIRST = auto()
    SECOND = auto()
    RESCORE = auto()  # the most probable hypothesis of both


def second_pass(model: AcousticModel, encoder: Encoder, clip: Clip, first: Pass) -> Pass:
    """Decode once more, over the full window or over slower audio.

    The full window corrects what a short one gets wrong: loops, lost speech, miscounted
    repetitions, single words. A text that is merely unlikely is decoded from slower audio, in
    which the decoder makes other errors (speed perturbation). That is as accurate as the full
    window and takes a third of its time. The hypotheses of both passes are then rescored over
    both encodings.

    Returns:
        The pass to believe: the first one itself, the second, or the first with the rescored
        hypotheses.
    """
    full = encoder.frames(clip.job) < FULL_FRAMES and needs_full_window(first)
    # Heap blocks left by a short window may be too small for a longer one: return them first.
    release_memory()
    encoding = encoder.full(clip) if full else encoder.slower(clip)
    decoded = decode_again(model, clip, encoding)
    if full:
        second = check_coverage(model, clip, decoded, lambda: encoding)
    else:  # its times are not those of the clip
        second = Pass(decoded, looped=decoded.repetitive)
    match choose(first, second, clip.calibration.hallucination, full=full):
        case Choice.FIRST:
            return first
        case Choice.SECOND:
            return second
        case Choice.RESCORE:
            return _rescored(model, clip, first, second, (encoder.first(clip), encoding))


def needs_full_window(first: Pass) -> bool:
    """Return True for a text that a short window often gets wrong."""
    text = first.decoded.text
    return first.looped or bool(first.gaps) or not has_words(text) or fragile(text)


def choose(first: Pass, second: Pass, thresholds: Thresholds, *, full: bool) -> Choice:
    """Choose between the passes.

    Args:
        thresholds: those of the model and the language.
        full: the second pass used the full window, not slower audio.
    """
    if (
        not second.looped
        and judge_hypothesis(second.decoded, thresholds, certain_speech=True) is Verdict.NO_SPEECH
    ):
        return Choice.FIRST
    if not has_words(first.decoded.text):
        return Choice.SECOND
    if second.looped and not first.looped:
        return Choice.FIRST
    if full or first.looped or first.gaps:
        # Not rescored: if two texts differ in how often a word is repeated, rescoring always
        # prefers the shorter one.
        return Choice.FIRST if second.gaps and not first.gaps else Choice.SECOND
    return Choice.RESCORE


def _rescored(
    model: AcousticModel, clip: Clip, first: Pass, second: Pass, encodings: tuple[Encoding, ...]
) -> Pass:
    hypotheses = hypotheses_of(first.decoded, second.decoded)
    scores = model.score(encodings, clip.prompt, hypotheses)
    return replace(
        first, decoded=rescore(first.decoded, scores, clip.oov_count, clip.calibration.rescoring)
    )
