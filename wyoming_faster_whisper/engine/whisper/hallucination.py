"""Hallucination check: whether a decoded text can be trusted. Pure.

A short window, noise or a foreign word can send the decoder into a loop, or make it write the
most frequent phrases of its training data ("Thank you."). The signs are a repeated phrase, an
exhausted token budget, a low mean log-probability, a text without words, and the model's
no-speech probability.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from .repetition import _pieces, has_loop, has_repeat, same_words


class Verdict(Enum):
    """Decision on a decoded text."""

    ACCEPT = "believe"
    SECOND_PASS = "again"  # decode once more, over another window or at another speed
    NO_SPEECH = "empty"  # the audio has no speech: answer with an empty text


@dataclass(frozen=True, slots=True)
class Decoded:
    """Result of one pass of the decoder."""

    text: str
    tokens: int
    avg_logprob: float  # mean over tokens, natural log
    no_speech_prob: float  # the model's no-speech probability, 0 to 1
    budget: int  # maximum number of tokens of the pass
    alternatives: tuple[str, ...] = ()  # the other hypotheses of the n-best list, best first
    scores: tuple[float, ...] = ()  # log-probability (natural) of the text, then of the others

    @property
    def repetitive(self) -> bool:
        """True if the decoder exhausted its budget or looped."""
        return self.tokens >= self.budget or has_loop(self.text)

    @property
    def ambiguous(self) -> bool:
        """True if a hypothesis with other words is nearly as probable, but not more probable.

        A more probable hypothesis has already been rejected for its out-of-vocabulary words.
        """
        return any(
            0 <= self.scores[0] - likely < _MAX_SCORE_GAP and not same_words(self.text, text)
            for text, likely in zip(self.alternatives, self.scores[1:], strict=False)
        )

    @property
    def noise_score(self) -> float:
        """No-speech probability and log-probability as one number, low for speech.

        With base and the window of a command, the weight separates 40 recordings of noise, tones
        and kitchens that the VAD was not sure of (1.88 and more) from 45 whispered commands
        (1.82 and less).
        """
        return 1.5 * self.no_speech_prob - self.avg_logprob


_MAX_NOISE_UNCERTAIN = 1.85  # noise score, where the VAD is not sure that there is speech
# Noise score, where the VAD is sure: it rejects no recorded order, clean or with kitchen noise
# down to 5 dB. Loud kitchens, which can fool the VAD, have 1.97 and more.
_MAX_NOISE_CERTAIN = 1.95
_MIN_NO_SPEECH_PROB = 0.45

# Mean log-probability below which a second pass is worth its time, from python -m
# bench.second_pass: 8% of the clean recorded orders and 19% of all down to 5 dB are below it
# (docs/performance.md).
_MIN_LOGPROB = -0.4

# Difference in log-probability (natural, whole text) up to which two hypotheses are close.
_MAX_SCORE_GAP = 0.05

_MANY_DIGITS = 3  # number of digits in a text that make a time, a code or a year

# Seconds of certain speech above which an empty answer needs a second pass.
_LONG_SPEECH = 3.0


def fragile(text: str) -> bool:
    """Return True for texts that a short window often gets wrong.

    They are counts, see has_counts(), and texts of one or two words, which give the decoder no
    context.
    """
    words = sum(size for _, size in _pieces(text.replace("-", " ")))
    return has_counts(text) or words < 2.99


def has_counts(text: str) -> bool:
    """Return True for texts in which a number of repetitions matters: codes and repeated words.

    In a short window "1234" becomes "12334", and six times "yes" becomes five times "yes".
    """
    return sum(map(str.isdigit, text)) >= _MANY_DIGITS or has_repeat(text)


def judge_hypothesis(
    decoded: Decoded, *, certain_speech: bool, speech_seconds: float = 0.0
) -> Verdict:
    """Decide what to do with the result of a pass.

    Args:
        decoded: result of the pass.
        certain_speech: False where the VAD was not sure that there is speech.
        speech_seconds: seconds of speech by the VAD, without pauses.
    """
    no_speech = (
        Verdict.SECOND_PASS
        if certain_speech and speech_seconds > _LONG_SPEECH
        else Verdict.NO_SPEECH
    )
    if not has_words(decoded.text):
        return no_speech
    if not certain_speech:
        noise = decoded.repetitive or decoded.noise_score > _MAX_NOISE_UNCERTAIN
        return Verdict.NO_SPEECH if noise else Verdict.ACCEPT
    if decoded.no_speech_prob > _MIN_NO_SPEECH_PROB and decoded.noise_score > _MAX_NOISE_CERTAIN:
        return no_speech
    if (
        decoded.repetitive
        or decoded.avg_logprob < _MIN_LOGPROB
        or fragile(decoded.text)
        or decoded.ambiguous
    ):
        return Verdict.SECOND_PASS
    return Verdict.ACCEPT


def has_words(text: str) -> bool:
    """Return True if a text has a letter or a digit."""
    return any(character.isalnum() for character in text)


def unfinished(decoded: Decoded) -> bool:
    """Return True for a text that more audio after its last word may change.

    Such a text has no final punctuation, is repetitive, or has a low mean log-probability.
    """
    ended = decoded.text.rstrip()[-1:] in tuple(".?!…。？！।")
    return not ended or decoded.repetitive or decoded.avg_logprob < _MIN_LOGPROB
