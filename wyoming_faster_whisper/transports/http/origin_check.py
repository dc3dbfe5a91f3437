"""Origin check: only this server's own page and allowed origins may use the server. Pure.

Any web site can make its visitors' browsers open a WebSocket to localhost or post a form there,
and an attacker can point a DNS name there (DNS rebinding). The page and its WebSocket therefore
need a Host header with a known name of this server, and a WebSocket's Origin must be the page at
that Host. Clients of the API other than browsers reach the server by any name, for example
that of a container. They send no Origin; a request with one must come from the page at a known
Host, or from an allowed origin.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?")


class OriginCheck:
    """Check of the Host and Origin headers against the names of this server.

    Args:
        names: names of this server besides localhost. IP addresses are always accepted: the owner
            of a name can point it at this server, but an address cannot be redirected.
        origins: origins whose pages may use the API, such as "app://obsidian.md".
    """

    def __init__(self, names: Iterable[str], origins: Iterable[str] = ()) -> None:
        self._names = {"localhost", *(name.lower().rstrip(".") for name in names)}
        self._origins = frozenset(origins)

    def allows_api(self, origin: str, host: str) -> bool:
        """Return whether a request with these headers may use the API.

        Args:
            origin: the Origin header; "" if there is none.
            host: the Host header.
        """
        if not origin or origin in self._origins:
            return True
        return self.is_own_host(host) and self.is_same_origin(origin, host)

    def is_own_host(self, host: str) -> bool:
        """Return whether a Host header names this server. The port is ignored."""
        name = _name(host)
        if name in self._names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    @staticmethod
    def is_same_origin(origin: str, host: str) -> bool:
        """Return whether a page was loaded from the host that it connects to.

        The scheme is not compared, because a reverse proxy may have added TLS.

        Args:
            origin: the Origin header.
            host: the Host header.
        """
        try:
            url = urlsplit(origin)
        except ValueError:
            return False
        return url.scheme in ("http", "https") and bool(host) and url.netloc == host.lower()


def _name(host: str) -> str:
    """Return the name in a Host header, without port and final dot; "" if it is malformed."""
    found = _HOST.fullmatch(host.lower())
    return found[1].strip("[]").rstrip(".") if found else ""
