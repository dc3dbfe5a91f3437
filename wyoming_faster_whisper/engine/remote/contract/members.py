"""Members of a JSON object that a peer sent, each checked. Pure."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from .tensors import MessageError, short

MOST_ITEMS = 2_000
"""Most elements of a list: names, languages, stretches of speech, words, tokens."""

_LARGEST = 1e9  # JSON has no infinity

T = TypeVar("T")


class Members:
    """Members of a JSON object from a peer, each read and checked once.

    Every method returns the default for a member that is missing.

    Args:
        members: the object.
        where: its name in errors.
    """

    def __init__(self, members: Mapping[str, Any], where: str) -> None:
        self._left = dict(members)
        self._where = where

    def end(self) -> None:
        """Check that all members have been read.

        Raises:
            MessageError: a member was not read, so this version does not know it.
        """
        if self._left:
            raise MessageError(
                f"{self._where} has {short(min(self._left))}, which is not known here"
            )

    def flag(self, name: str) -> bool:
        return bool(self._take(name, False, lambda value: type(value) is bool, "true or false"))

    def whole(self, name: str, default: int, *, most: int) -> int:
        return int(
            self._take(
                name,
                default,
                lambda value: type(value) is int and 0 <= value <= most,
                f"a whole number from 0 to {most}",
            )
        )

    def number(self, name: str, default: float, *, least: float, most: float) -> float:
        return float(
            self._take(
                name,
                default,
                lambda value: type(value) in (int, float) and least <= value <= most,
                f"a number from {least:g} to {most:g}",
            )
        )

    def text(self, name: str, default: str | None, *, longest: int) -> str | None:
        text: str | None = self._take(
            name,
            default,
            lambda value: is_text(value, longest),
            f"a text of at most {longest} characters",
        )
        return text

    def choice(self, name: str, choices: tuple[str, ...]) -> str:
        """Return one of the choices, of which the first is the default."""
        return str(
            self._take(
                name, choices[0], lambda value: value in choices, f"one of {', '.join(choices)}"
            )
        )

    def texts(self, name: str, *, longest: int) -> tuple[str, ...]:
        def read(item: Any) -> str:
            if not is_text(item, longest):
                raise ValueError(item)
            return str(item)

        return self.items(name, read)

    def items(self, name: str, read: Callable[[Any], T]) -> tuple[T, ...]:
        """Return a list whose items were converted by read(), which may raise."""
        given = self._take(
            name,
            [],
            lambda value: isinstance(value, list) and len(value) <= MOST_ITEMS,
            f"a list of at most {MOST_ITEMS} items",
        )
        try:
            return tuple(read(item) for item in given)
        except (TypeError, ValueError):
            raise MessageError(f"{self._where} has a malformed item in {name!r}") from None

    def object(self, name: str, read: Callable[[Mapping[str, Any]], T]) -> T | None:
        """Return an object that was converted by read(), which may raise."""
        given = self._take(name, None, lambda value: isinstance(value, dict), "an object")
        try:
            return None if given is None else read(given)
        except (KeyError, TypeError, ValueError):
            raise MessageError(f"{self._where} has a malformed {name!r}") from None

    def _take(self, name: str, default: Any, right: Callable[[Any], bool], kind: str) -> Any:
        value = self._left.pop(name, None)
        if value is None:
            return default
        if not right(value):
            raise MessageError(
                f"{self._where} has {short(value)} for {name!r}; it must be {kind}"
            )
        return value


def dump(members: Mapping[str, Any]) -> bytes:
    """Serialise a JSON object."""
    text = json.dumps(members, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode(errors="replace")  # a name may have a lone surrogate


def finite(value: float) -> float:
    """Return the nearest number that JSON has; 0 for NaN."""
    return max(-_LARGEST, min(float(value), _LARGEST)) if value == value else 0.0


def number(item: Any) -> float:
    """Read a number.

    Raises:
        ValueError: it is not a number, or not finite.
    """
    if type(item) not in (int, float) or not abs(item) <= _LARGEST:
        raise ValueError(item)
    return float(item)


def is_text(value: Any, longest: int) -> bool:
    """Return whether a value is a text of at most so many characters that UTF-8 can encode."""
    if not isinstance(value, str) or len(value) > longest:
        return False
    return not any("\ud800" <= c <= "\udfff" for c in value)


def control_character(text: str) -> str:
    """Return the first control character other than a line feed as U+XXXX; "" = none."""
    found = (c for c in text if unicodedata.category(c) == "Cc" and c != "\n")
    return next((f"U+{ord(c):04X}" for c in found), "")
