"""Token budgets: the maximum number of tokens for a clip, by language. Pure."""

from __future__ import annotations

import json
import math
from importlib import resources

# Maximum number of tokens of any text: the positions of the decoder, less those of a prompt.
# Whisper's own limit is half the positions (openai/whisper: decoding.py); 13 s of Hindi reach it.
_LONGEST = 400

TOKENS_PER_SECOND: dict[str, float] = json.loads(
    (resources.files(__package__) / "calibration" / "tokens_per_second.json").read_text("utf-8")
)["tokens_per_second"]
"""Tokens that a language can need per second of speech, from python -m
bench.calibration.tokens_per_second. The file names the data and the date."""

# A budget that is too large costs time, and only if the decoder loops. One that is too small
# truncates the text.
LARGEST_RATE = max(TOKENS_PER_SECOND.values())
"""The rate of an unknown language."""


def token_budget(seconds: float, language: str) -> int:
    """Return the number of tokens that a clip can need, with some headroom.

    Args:
        seconds: length of the clip.
        language: Whisper's code; an unknown language gets the largest budget of any language.
    """
    rate = TOKENS_PER_SECOND.get(language, LARGEST_RATE)
    return min(_LONGEST, 10 + math.ceil(rate * seconds))
