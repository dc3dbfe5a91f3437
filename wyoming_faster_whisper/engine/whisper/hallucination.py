"""Hallucination: whether a decoded text is to be believed. Pure.

A short window, a noise or a foreign word can send the decoder into loops or
make it say what it saw most in training ("Thank you."). What gives it away is
counted here: repeats, an exhausted budget, a low mean log-probability, words that
nobody says, and the model's own word that nobody spoke.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from .repetition import _pieces, has_loop, has_repeat, same_words


class Verdict(Enum):
    """What to do with a decoded text."""

    ACCEPT = "believe"
    SECOND_PASS = "again"  # decode once more, in another way
    NO_SPEECH = "empty"  # nobody spoke


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a pass of the decoder gave."""

    text: str
    tokens: int
    avg_logprob: float  # mean over tokens, natural log
    no_speech_prob: float  # the model's probability that nobody spoke
    budget: int  # tokens that were allowed
    alternatives: tuple[str, ...] = ()  # texts that it holds for less likely, the likeliest first
    scores: tuple[float, ...] = ()  # how likely the text and the others are, natural log

    @property
    def repetitive(self) -> bool:
        """The decoder did not come to an end by itself, or went in circles."""
        return self.tokens >= self.budget or has_loop(self.text)

    @property
    def ambiguous(self) -> bool:
        """True where a hypothesis of other words is nearly as likely, and not likelier.

        One that is likelier has given way to this one for its words.
        """
        return any(
            0 <= self.scores[0] - likely < _MAX_SCORE_GAP and not same_words(self.text, text)
            for text, likely in zip(self.alternatives, self.scores[1:], strict=False)
        )

    @property
    def noise_score(self) -> float:
        """The two signs of noise in one number; speech has little of it.

        The weight parts, with base and the window of a command, 40 recordings of noise, tones
        and kitchens that the VAD was not sure of (1.88 and more) from 45 whispered commands
        (1.82 and less).
        """
        return 1.5 * self.no_speech_prob - self.avg_logprob


_MAX_NOISE_UNCERTAIN = 1.85  # for what might be speech
# For what the VAD is sure of: no recorded order, clean or with kitchen noise down to 5 dB, is
# lost to it; loud kitchens, which can fool the VAD, have 1.97 and more.
_MAX_NOISE_CERTAIN = 1.95
_MIN_NO_SPEECH_PROB = 0.45

# Mean log-probability under which a second pass pays: of recorded orders, 8% of the clean ones
# and 19% of all down to 5 dB are there (docs/performance.md).
_MIN_LOGPROB = -0.4

# By how much less likely than the first another hypothesis is where the two are close, natural
# log of the whole text.
_MAX_SCORE_GAP = 0.05

_MANY_DIGITS = 3  # in a text: a time, a code, a year

# Seconds of certain speech that are never answered with nothing without a second pass.
_LONG_SPEECH = 3.0


def fragile(text: str) -> bool:
    """True for texts that a short window is known to get wrong: counts, and single words.

    One or two words give the decoder no context.
    """
    words = sum(size for _, size in _pieces(text.replace("-", " ")))
    return has_counts(text) or words < 2.99


def has_counts(text: str) -> bool:
    """True for texts in which a number of times matters: codes and repeats.

    In a short window "1234" becomes "12334", and "yes" said six times is heard five times.
    """
    return sum(map(str.isdigit, text)) >= _MANY_DIGITS or has_repeat(text)


def judge_hypothesis(
    decoded: Decoded, *, certain_speech: bool, speech_seconds: float = 0.0
) -> Verdict:
    """Decide on the first pass.

    Args:
        certain_speech: the VAD heard speech, not only something that might be.
        speech_seconds: seconds of speech that the VAD heard.
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
    """True where a text holds a letter or a digit."""
    return any(character.isalnum() for character in text)


def unfinished(decoded: Decoded) -> bool:
    """True for a text that more sound after its last word may change.

    It has no final mark, or was doubted for more than what it says.
    """
    ended = decoded.text.rstrip()[-1:] in tuple(".?!…。？！।")
    return not ended or decoded.repetitive or decoded.avg_logprob < _MIN_LOGPROB
