"""The Prefer header (RFC 7240): whether a client wants its answer later. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

# One preference: a token, which may have a value, and parameters, which are ignored. Possessive
# quantifiers keep the time linear; with others, 15 KiB of spaces take half a minute.
_PREFERENCE = re.compile(
    r"""
    \s*+ ([!#$%&'*+.^`|~\w-]++) (?: \s*+ = \s*+ (?: "([^"]*)" | ([^\s;"]*+) ) )?+ \s*+
    (?: ;.* )?
    """,
    re.VERBOSE | re.ASCII,
)
_BETWEEN_COMMAS = re.compile(r'(?:"[^"]*"|[^,"])+')


@dataclass(frozen=True, slots=True)
class Prefer:
    """The preferences of a request that this server knows."""

    respond_async: bool = False
    wait: float = 0.0  # seconds that the client waits for the answer itself; 0 = not given


def parse_prefer(headers: Iterable[str]) -> Prefer:
    """Read the Prefer headers of a request.

    Of a preference that is given twice, the first counts. One that is unknown or malformed is
    ignored, as the RFC demands.
    """
    given: dict[str, str] = {}
    for text in _BETWEEN_COMMAS.findall(",".join(headers)):
        if found := _PREFERENCE.fullmatch(text):
            given.setdefault(found[1].lower(), found[2] or found[3] or "")
    wait = given.get("wait", "")
    return Prefer(
        "respond-async" in given, float(wait) if re.fullmatch("[0-9]{1,9}", wait) else 0
    )
