"""Hallucination check: whether a decoded text can be trusted. Pure.

A short window, noise or a foreign word can send the decoder into a loop, or make it output the
most frequent phrases of its training data ("Thank you."). The signs are a repeated phrase, an
exhausted token budget, a low mean log-probability, a text without words, and low odds that the
words were spoken (speech_odds.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import Enum

from .repetition import count_words, has_loop, has_repeat, same_words


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

    def ambiguous(self, max_gap: float) -> bool:
        """Return True if a hypothesis with other words is nearly as probable, but not more.

        A more probable hypothesis has already been rejected for its out-of-vocabulary words.

        Args:
            max_gap: difference in log-probability up to which two hypotheses are close.
        """
        return any(
            0 <= self.scores[0] - likely < max_gap and not same_words(self.text, text)
            for text, likely in zip(self.alternatives, self.scores[1:], strict=False)
        )


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Fitted thresholds of the hallucination check; calibration/ has their data."""

    min_logprob: float  # mean log-probability below which a text gets a second pass
    # Difference in log-probability (natural, whole text) up to which two hypotheses are close.
    max_score_gap: float
    # Seconds of certain speech above which an empty answer needs a second pass.
    long_speech: float


_MANY_DIGITS = 3  # number of digits in a text that make a time, a code or a year


def fragile(text: str) -> bool:
    """Return True for texts that a short window often gets wrong.

    They are counts, see has_counts(), and texts of one or two words, which give the decoder no
    context.
    """
    return has_counts(text) or has_few_words(text)


def has_few_words(text: str) -> bool:
    """Return True for a text of one or two words."""
    return count_words(text) < 2.99


def has_counts(text: str) -> bool:
    """Return True for texts in which a number of repetitions matters: codes and repeated words.

    In a short window "1234" becomes "12334", and six times "yes" becomes five times "yes".
    """
    return sum(map(str.isdigit, text)) >= _MANY_DIGITS or has_repeat(text)


def judge_hypothesis(
    decoded: Decoded,
    thresholds: Thresholds,
    *,
    certain_speech: bool,
    speech_odds: float = math.inf,
    sure: float = 0.0,
    speech_seconds: float = 0.0,
    long: bool = False,
) -> Verdict:
    """Decide what to do with the result of a pass.

    Args:
        decoded: result of the pass.
        thresholds: those of the model and the language.
        certain_speech: False where the VAD was not sure that there is speech.
        speech_odds: log-odds that the words were spoken (speech_odds.py).
        sure: size of the log-odds, positive or negative, below which the text gets a second pass.
        speech_seconds: seconds of speech by the VAD, without pauses.
        long: there is more audio than in a command. Such a text has counts and close hypotheses
            far more often, and a second pass because of them made it no better in six languages,
            with and without noise (python -m bench.calibration.long_second_pass).
    """
    no_speech = (
        Verdict.SECOND_PASS
        if certain_speech and speech_seconds > thresholds.long_speech
        else Verdict.NO_SPEECH
    )
    if not has_words(decoded.text):
        return no_speech
    if not certain_speech:
        made_up = speech_odds < 0 or decoded.repetitive
        return Verdict.NO_SPEECH if made_up else Verdict.ACCEPT
    if speech_odds < -sure:
        return no_speech
    doubtful = speech_odds < sure or _is_doubtful(decoded, thresholds, long=long)
    return Verdict.SECOND_PASS if doubtful else Verdict.ACCEPT


def _is_doubtful(decoded: Decoded, thresholds: Thresholds, *, long: bool) -> bool:
    if (
        decoded.repetitive
        or decoded.avg_logprob < thresholds.min_logprob
        or has_few_words(decoded.text)
    ):
        return True
    ambiguous = decoded.ambiguous(thresholds.max_score_gap)
    return not long and (ambiguous or has_counts(decoded.text))


def has_words(text: str) -> bool:
    """Return True if a text has a letter or a digit."""
    return any(character.isalnum() for character in text)


def unfinished(decoded: Decoded, min_logprob: float) -> bool:
    """Return True for a text that more audio after its last word may change.

    Such a text has no final punctuation, is repetitive, or has a low mean log-probability.

    Args:
        min_logprob: mean log-probability below which a text gets a second pass.
    """
    ended = decoded.text.rstrip()[-1:] in tuple(".?!…。？！।")
    return not ended or decoded.repetitive or decoded.avg_logprob < min_logprob
