"""Tokens that a clip may take, by language. Pure."""

from __future__ import annotations

import json
import math
from importlib import resources

# Tokens of a text at most: the places of the decoder, less a prompt. Whisper's own limit is half
# of them (openai/whisper: decoding.py), which 13 s of Hindi fill.
_LONGEST = 400

# Tokens a second of speech that a language can need; python -m bench.tokens_per_second.
_TOKENS_PER_SECOND: dict[str, float] = json.loads(
    (resources.files(__package__) / "calibration" / "tokens_per_second.json").read_text("utf-8")
)["tokens_per_second"]
# Too many tokens cost time, and only where the decoder loops; too few cost the text.
_UNKNOWN = max(_TOKENS_PER_SECOND.values())


def token_budget(seconds: float, language: str) -> int:
    """Tokens that a clip of that length can need, with room to spare.

    Args:
        language: Whisper's code; any other gets the budget of the neediest language.
    """
    rate = _TOKENS_PER_SECOND.get(language, _UNKNOWN)
    return min(_LONGEST, 10 + math.ceil(rate * seconds))
