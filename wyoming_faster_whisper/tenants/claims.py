"""Claims of a token. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def claim_at(claims: Mapping[str, Any], path: str) -> object:
    """Return a claim of a token; None if it is missing.

    Args:
        path: name of the claim, or path to it with dots.
    """
    if path in claims:  # a name may be a URL, which has dots
        return claims[path]
    value: object = claims
    for name in path.split("."):
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
