"""Reads a JSON object from an untrusted peer. Pure."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from ...errors import ProtocolError, printable


def read_object(payload: bytes, limit: int) -> dict[str, Any]:
    """Parse a JSON object; an empty payload counts as {}.

    A duplicate key is an error: two readers of the same message would disagree about its value.

    Args:
        limit: maximum size of the payload in bytes.

    Raises:
        ProtocolError: the payload is too large, or not a JSON object of RFC 8259.
    """
    if len(payload) > limit:
        raise ProtocolError(f"the message has {len(payload)} bytes; the limit is {limit}")
    if not payload:
        return {}
    try:
        value = json.loads(
            payload.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_reject
        )
    except ProtocolError:
        raise
    except (ValueError, RecursionError):
        raise ProtocolError(
            f"{printable(payload[:60].decode('utf-8', 'replace'), 40)!r} is not JSON"
        ) from None
    if not isinstance(value, dict):
        raise ProtocolError("the message is not a JSON object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ProtocolError(f"duplicate key {printable(key, 20)!r}")
        found[key] = value
    return found


def _reject(constant: str) -> NoReturn:
    raise ProtocolError(f"{constant} is not JSON")
