"""Checks the URLs of webhooks: they must begin with a prefix of the operator. Pure.

A URL must be plain: no user, no fragment, and no escape, semicolon or dot segment in its path,
which the receiver might read as another path. So no two parsers disagree about it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

LONGEST_URL = 2000  # characters

_URL = re.compile(
    r"""
    (?P<scheme> https?) ://
    (?P<host> \[ [0-9a-f:.]+ \] | [a-z0-9_] [a-z0-9_.-]* )
    (?: : (?P<port> [0-9]{1,5} ) )?
    (?P<path> (?: / [a-z0-9._~@:+,=-]* )* )
    (?: \? (?P<query> [a-z0-9._~!$&'()*+,;=:@/?%-]* ) )?
    """,
    re.VERBOSE | re.IGNORECASE | re.ASCII,
)
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class WebhookUrl:
    """A plain URL, taken apart."""

    scheme: str
    host: str
    port: int
    path: str  # begins with /
    has_query: bool

    @classmethod
    def parse(cls, url: str) -> WebhookUrl:
        """Take a URL apart.

        Raises:
            ValueError: the URL is not plain.
        """
        if len(url) > LONGEST_URL:
            raise ValueError(f"it has {len(url)} characters; the limit is {LONGEST_URL}")
        found = _URL.fullmatch(url)
        if not found:
            raise ValueError(
                "it must be like https://host:port/path?query, with a path of letters, digits "
                "and -._~@:+,="
            )
        scheme, path = found["scheme"].lower(), found["path"] or "/"
        port = int(found["port"] or _PORTS[scheme])
        if port > 65535:
            raise ValueError(f"its port is {port}; the limit is 65535")
        if {".", ".."} & set(path.split("/")):
            raise ValueError("its path has a segment of dots")
        return cls(scheme, found["host"].lower(), port, path, found["query"] is not None)

    def begins_with(self, prefix: WebhookUrl) -> bool:
        """Return whether this URL has the same server as a prefix, and its path or one below."""
        below = prefix.path if prefix.path.endswith("/") else prefix.path + "/"
        return (self.scheme, self.host, self.port) == (
            prefix.scheme,
            prefix.host,
            prefix.port,
        ) and (self.path == prefix.path or self.path.startswith(below))
