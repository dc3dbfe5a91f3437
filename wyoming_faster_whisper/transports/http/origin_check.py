"""Who may use the page: a browser that shows it. Pure.

Any web site can make its visitors' browsers open a WebSocket to localhost, and a
name of the attacker's can be made to lead there (DNS rebinding). So the Host must
be a name that is surely ours, and a WebSocket's Origin the page at that Host.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from urllib.parse import urlsplit

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?")


class OriginCheck:
    """Knows the names of this server.

    Args:
        names: by which it is reached, beside localhost and any bare address: a name
            can be made to lead to us by who owns it, an address cannot.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._names = {"localhost", *(name.lower().rstrip(".") for name in names)}

    def is_own_host(self, host: str) -> bool:
        """Whether a Host header names this server; its port does not matter."""
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
        """Whether a page comes from the Host that it talks to.

        The scheme is not compared: a proxy in front may have added the TLS.
        """
        try:
            url = urlsplit(origin)
        except ValueError:
            return False
        return url.scheme in ("http", "https") and bool(host) and url.netloc == host.lower()


def _name(host: str) -> str:
    """The name in a Host header; "" where it is none."""
    found = _HOST.fullmatch(host.lower())
    return found[1].strip("[]").rstrip(".") if found else ""
