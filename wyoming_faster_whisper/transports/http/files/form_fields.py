"""Text fields of a form, by name and type. Pure.

An empty value counts as absent. A list may be sent as `name[]`, `name[0]` or `name`. If a
field that is not a list is sent twice, the last value counts.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from enum import StrEnum
from typing import TypeVar

from ....errors import either, printable
from ..api_errors import ApiError

_INDEXED = re.compile(r"(\w+)\[\d*\]")

_Choice = TypeVar("_Choice", bound=StrEnum)


class Fields:
    """Text fields of a form. All methods raise ApiError, a 400 that names the field.

    Args:
        fields: names and values in the order of the body.
    """

    def __init__(self, fields: Sequence[tuple[str, str]]) -> None:
        self._values: dict[str, list[str]] = {}
        for name, value in fields:
            indexed = _INDEXED.fullmatch(name)
            if stripped := value.strip():
                self._values.setdefault(indexed[1] if indexed else name, []).append(stripped)

    def all(self, name: str) -> list[str]:
        """Return all values of a field."""
        return self._values.get(name, [])

    def last(self, name: str) -> str | None:
        """Return the last value of a field."""
        return self.all(name)[-1] if self.all(name) else None

    def choices(self, name: str, kind: type[_Choice]) -> list[_Choice]:
        """Return all values of a field that takes the words of an enumeration."""
        values = [value.lower() for value in self.all(name)]
        for value in values:
            if value not in list(kind):
                raise wrong(name, value, either(list(kind)))
        return [kind(value) for value in values]

    def choice(self, name: str, kind: type[_Choice]) -> _Choice | None:
        """Return the last value of a field that takes the words of an enumeration."""
        chosen = self.choices(name, kind)
        return chosen[-1] if chosen else None

    def boolean(self, name: str) -> bool:
        """Return whether a field is true; an absent one is not."""
        value = (self.last(name) or "false").lower()
        if value not in ("true", "false", "1", "0"):
            raise wrong(name, value, "true or false")
        return value in ("true", "1")

    def number(self, name: str, default: float, *, most: float) -> float:
        """Return a number from 0 to most."""
        value = self.last(name)
        if value is None:
            return default
        try:
            number = float(value)
        except ValueError:
            number = math.nan
        if not 0 <= number <= most:
            raise wrong(name, value, f"a number from 0 to {most:g}")
        return number


def wrong(param: str, received: object, allowed: str) -> ApiError:
    """Return the error for a value that is not allowed."""
    return ApiError(
        400, f"{param} is {printable(received, 40)!r}; it must be {allowed}", param=param
    )
