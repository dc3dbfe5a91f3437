"""The header of a token, which also tells tokens from API keys. Pure."""

from __future__ import annotations

import base64
import json
from typing import Any


def token_header(text: str) -> dict[str, Any] | None:
    """Return the header of a text that has the form of a signed token; None otherwise."""
    header, *others = text.split(".")
    if len(others) != 2:
        return None
    try:
        data = base64.urlsafe_b64decode(header.encode() + b"=" * (-len(header) % 4))
        found = json.loads(data, object_pairs_hook=_unambiguous)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _unambiguous(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a member occurs twice")
    return found
