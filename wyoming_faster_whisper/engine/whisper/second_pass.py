"""Second pass: decode a doubtful text once more, and choose between the passes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum, auto

from ...hardware import release_memory
from .acoustic_model import AcousticModel, Encoding
from .clip import Clip, Pass
from .decoding import decode_again
from .encoder import Encoder
from .hallucination import Decoded, fragile, has_words
from .missing_speech import check_coverage
from .repetition import has_repeat
from .rescoring import hypotheses_of, rescore
from .window import FULL_FRAMES

# Seconds by which two alignments differ where two texts leave out the same speech. Set by hand on
# 2026-12-01: 0 to 0.04 s in 11 pairs of texts by base in English, Spanish and German.
_SAME = 0.1


class Choice(Enum):
    """Choice between the first and the second pass."""

    FIRST = auto()
    SECOND = auto()
    RESCORE = auto()  # the most probable hypothesis of both


def second_pass(
    model: AcousticModel, encoder: Encoder, clip: Clip, first: Pass
) -> tuple[Pass, Decoded]:
    """Decode once more, over the full window or over slower audio.

    The full window corrects what a short one gets wrong: loops, lost speech, miscounted
    repetitions, single words. A text that is merely unlikely is decoded from slower audio, in
    which the decoder makes other errors (speed perturbation). That is as accurate as the full
    window and takes a third of its time. The hypotheses of both passes are then rescored over
    both encodings.

    Returns:
        The pass to believe: the first one itself, the second, or the first with the rescored
        hypotheses. And the result of the second pass.
    """
    full = _is_full(clip, first)
    # Heap blocks left by a short window may be too small for a longer one: return them first.
    release_memory()
    encoding = encoder.full(clip) if full else encoder.slower(clip)
    decoded = decode_again(model, clip, encoding)

    def in_time() -> Encoding:  # the times of slower audio are not those of the clip
        return encoding if full else encoder.first(clip)

    second = check_coverage(model, clip, decoded, in_time)
    spoken = clip.speech_odds(decoded) >= 0
    match choose(first, second, full=full, spoken=spoken):
        case Choice.FIRST:
            return first, decoded
        case Choice.SECOND:
            return second, decoded
        case Choice.RESCORE:
            encodings = (encoder.first(clip), encoding)
            return _rescored(model, clip, first, decoded, encodings), decoded


def unusable(first: Pass) -> bool:
    """Return True for a text that is known to be wrong, not only doubtful."""
    return first.looped or bool(first.gaps) or not has_words(first.decoded.text)


def needs_full_window(first: Pass) -> bool:
    """Return True for a text that a short window often gets wrong."""
    return unusable(first) or fragile(first.decoded.text)


@dataclass(frozen=True, slots=True)
class Pace:
    """Decoding speed of a batch on this machine, to predict how long a second pass would take.

    The encoder takes most of the time of a pass, so that is proportional to the window.
    """

    clock: Callable[[], float]  # seconds
    began: float  # when the first pass began
    per_frame: float  # seconds that it took for each frame of its window

    def after(self, frames: int) -> float:
        """Return when another pass would end, in seconds since the first one began.

        Args:
            frames: its window.
        """
        return self.clock() - self.began + frames * self.per_frame


def second_frames(encoder: Encoder, clip: Clip, first: Pass) -> int:
    """Return the window of the second pass, in frames."""
    return FULL_FRAMES if _is_full(clip, first) else encoder.slower_frames(clip)


def _is_full(clip: Clip, first: Pass) -> bool:
    return clip.frames < FULL_FRAMES and needs_full_window(first)


def choose(first: Pass, second: Pass, *, full: bool, spoken: bool = True) -> Choice:
    """Choose between the passes.

    Args:
        full: the second pass used the full window, not slower audio.
        spoken: False if the words of the second pass seem to be made up.
    """
    if not second.looped and not (spoken and has_words(second.decoded.text)):
        return Choice.FIRST
    if not has_words(first.decoded.text):
        return Choice.SECOND
    if second.looped and not first.looped:
        return Choice.FIRST
    if full or first.looped or first.gaps:
        # Not rescored: if two texts differ in how often a word is repeated, rescoring always
        # prefers the shorter one.
        if first.looped and first.gaps:  # such a text is the worse one, whatever the second lacks
            return Choice.SECOND
        if first.gaps and not full and abs(second.missing - first.missing) < _SAME:
            likelier = second.decoded.avg_logprob > first.decoded.avg_logprob
            return Choice.SECOND if likelier else Choice.FIRST
        return Choice.FIRST if second.missing > first.missing else Choice.SECOND
    if has_repeat(first.decoded.text):  # not rescored for the same reason
        return Choice.FIRST
    return Choice.RESCORE


def _rescored(
    model: AcousticModel,
    clip: Clip,
    first: Pass,
    second: Decoded,
    encodings: tuple[Encoding, Encoding],
) -> Pass:
    """Let both passes choose among the hypotheses of both.

    The beam search of a pass has scored its own hypotheses, so only those of the other pass have
    to be scored. Its scores include the end of the text, and those of score() do not, which makes
    no measurable difference (docs/performance-notes.md, "The end of a text in scores").
    """
    hypotheses = hypotheses_of(first.decoded, second)
    scores: dict[str, list[float]] = {text: [] for text in hypotheses}
    for decoded, encoding in zip((first.decoded, second), encodings, strict=True):
        known = _known_scores(clip, decoded)
        others = [text for text in hypotheses if text not in known]
        scored = model.score([encoding], clip.prompt, others) if others else {}
        for text in hypotheses:
            scores[text].append(known[text] if text in known else scored[text][0])
    return replace(
        first, decoded=rescore(first.decoded, scores, clip.oov_count, clip.calibration.rescoring)
    )


def _known_scores(clip: Clip, decoded: Decoded) -> dict[str, float]:
    """Return the log-probabilities of whole texts that a pass found, by text."""
    if clip.job.prefix or clip.job.options.temperature:
        return {}  # those of the rest of the text, or of samples
    found = zip((decoded.text, *decoded.alternatives), decoded.scores, strict=False)
    return dict(reversed(list(found)))  # of equal texts the likelier one, which is first
