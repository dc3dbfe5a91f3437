"""Is this text to be believed? Pure.

A short window, a noise or a foreign word can send the decoder into loops or
make it say what it saw most in training ("Thank you."). What gives it away is
counted here: repeats, an exhausted budget, a low mean log-probability, and the
model's own word that nobody spoke.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """What to do with a decoded text."""

    BELIEVE = "believe"
    AGAIN = "again"  # decode once more, with all the care there is
    EMPTY = "empty"  # nobody spoke


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a pass of the decoder gave."""

    text: str
    tokens: int
    logprob: float  # mean over tokens, natural log
    no_speech: float  # the model's probability that nobody spoke
    budget: int  # tokens that were allowed


# Whisper's own thresholds (openai/whisper: transcribe.py).
_COMPRESSION = 2.4
_NO_SPEECH = 0.6
_LOGPROB = -1.0

_CARE = -0.6  # mean log-probability below which a second look is worth its time


def token_budget(seconds: float) -> int:
    """Tokens that a clip of that length can need, with room to spare.

    English spoken fast is 5 tokens a second; scripts of which the tokenizer
    knows single bytes only take twice that.
    """
    return min(224, 16 + round(12 * seconds))


def loops(text: str) -> bool:
    """True where a text says the same thing again and again.

    Three times the same words in a row, or what compresses too well.
    """
    data = text.encode()
    if len(data) > 40 and len(data) / len(zlib.compress(data)) > _COMPRESSION:
        return True
    words = text.lower().split()
    for size in range(1, len(words) // 3 + 1):
        # "no, no, no" is what people say; four times is not.
        times = 4 if size == 1 else 3
        for start in range(len(words) - times * size + 1):
            first = words[start : start + size]
            if all(
                words[start + k * size : start + (k + 1) * size] == first for k in range(times)
            ):
                return True
    return False


def judge(decoded: Decoded, *, sure: bool, last: bool) -> Verdict:
    """Decide over one pass.

    Args:
        sure: the VAD heard speech, not only something that might be.
        last: no further pass will be made.
    """
    wrong = loops(decoded.text) or decoded.tokens >= decoded.budget
    if not decoded.text:
        return Verdict.EMPTY
    if decoded.no_speech > _NO_SPEECH and decoded.logprob < (_LOGPROB if sure else _CARE):
        return Verdict.EMPTY
    if not sure and (wrong or decoded.logprob < _CARE):
        return Verdict.EMPTY
    if not last and (wrong or decoded.logprob < _CARE):
        return Verdict.AGAIN
    return Verdict.BELIEVE
