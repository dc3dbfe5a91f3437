"""Checks of the values in a file of tenants. Pure.

Each check takes a value and where it is, and raises ValueError with both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..models.languages import MULTILINGUAL_V3, normalise
from ..tenant import Priority

_LONGEST_TEXT = 2000  # characters of a prompt; the decoder takes no more
_LONGEST_WORD = 100  # characters of a name or term, as in requests
_MOST_WORDS = 500


def only(entries: Mapping[str, Any], keys: Sequence[str], where: str) -> None:
    """Check that a table has no other keys."""
    for key in entries:
        if key not in keys:
            raise ValueError(
                f"{where} has the key {key!r}; it must be among {', '.join(sorted(keys))}"
            )


def table(value: object, where: str) -> Mapping[str, Any]:
    """Check that a value is a table."""
    if not isinstance(value, dict):
        raise ValueError(f"{where} is {_shown(value)}; it must be a table")
    return value


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:40]}..."


def _text(value: object, where: str) -> str:
    if not isinstance(value, str) or not value.isprintable():
        raise ValueError(f"{where} is {_shown(value)}; it must be a text without control codes")
    return value


def texts(value: object, where: str) -> tuple[str, ...]:
    """Check that a value is a list of texts; return them without repetitions."""
    if not isinstance(value, list):
        raise ValueError(f"{where} is {_shown(value)}; it must be a list of texts")
    for one in value:
        if not _text(one, where):
            raise ValueError(f"{where} has an empty text")
    return tuple(dict.fromkeys(value))


def _prompt(value: object, where: str) -> str:
    text = _text(value, where)
    if len(text) > _LONGEST_TEXT:
        raise ValueError(f"{where} has {len(text)} characters; it may have {_LONGEST_TEXT}")
    return text


def _words(value: object, where: str) -> tuple[str, ...]:
    words = texts(value, where)
    if len(words) > _MOST_WORDS:
        raise ValueError(f"{where} has {len(words)} names; it may have {_MOST_WORDS}")
    for word in words:
        if len(word) > _LONGEST_WORD:
            raise ValueError(
                f"{where} has a name of {len(word)} characters; it may have {_LONGEST_WORD}"
            )
    return words


def _languages(value: object, where: str) -> tuple[str, ...]:
    codes = []
    for tag in texts(value, where):
        code = normalise(tag, MULTILINGUAL_V3)
        if code is None:
            raise ValueError(f"{where} has {tag!r}, a language that Whisper does not know")
        codes.append(code)
    if not codes:
        raise ValueError(f"{where} is empty; leave it out to allow all languages")
    return tuple(dict.fromkeys(codes))


def _models(value: object, where: str) -> tuple[str, ...]:
    names = texts(value, where)
    if not names:
        raise ValueError(f"{where} is empty; leave it out to allow all models")
    return names


def _priority(value: object, where: str) -> Priority:
    if not isinstance(value, str) or value not in tuple(Priority):
        raise ValueError(f"{where} is {_shown(value)}; it must be {' or '.join(Priority)}")
    return Priority(value)


def _flag(value: object, where: str) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{where} is {_shown(value)}; it must be true or false")
    return value


def _number(
    kind: type[int] | type[float], least: float, most: float
) -> Callable[[object, str], float]:
    def check(value: object, where: str) -> float:
        numbers = (int,) if kind is int else (int, float)
        if isinstance(value, bool) or not isinstance(value, numbers):
            what = "a whole number" if kind is int else "a number"
            raise ValueError(f"{where} is {_shown(value)}; it must be {what}")
        if not least <= value <= most:  # NaN fails as well
            raise ValueError(f"{where} is {value}; it must be {least:g} to {most:g}")
        return kind(value)

    return check


VALUES: dict[str, tuple[str, Callable[[object, str], object]]] = {
    "models": ("models", _models),
    "languages": ("languages", _languages),
    "prompt": ("prompt", _prompt),
    "vocabulary": ("vocabulary", _words),
    "home_names": ("home_names", _flag),
    "requests": ("requests", _number(int, 1, 65535)),
    "audio_per_minute": ("audio_per_minute", _number(float, 1, 1_000_000)),
    "jobs": ("jobs", _number(int, 1, 65535)),
    "priority": ("priority", _priority),
    "weight": ("weight", _number(float, 0.01, 100)),
    "log_text": ("log_text", _flag),
}
"""Each key of a tenant's table, with the field of Tenant that it sets, and its check."""
