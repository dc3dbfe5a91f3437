"""Check the settings for authentication of the HTTP API."""

from __future__ import annotations

import ipaddress

from ..errors import SettingError
from .settings import Settings


def check_authentication(settings: Settings) -> None:
    """Check the options for keys, and that other machines can reach the API only with one.

    Raises:
        SettingError: options contradict each other, or one is missing.
    """
    given = [flag for flag, value in _required_by_clients(settings).items() if value]
    if given and settings.http_port is None:
        raise SettingError(f"{given[0]} requires --http-port")
    if given and settings.http_open:
        raise SettingError(f"--http-open contradicts {given[0]}")
    if settings.http_port is None or _is_loopback(settings.http_host):
        return
    if not given and not settings.http_open and not settings.tls_ca:
        raise SettingError(
            f"--http-host is {settings.http_host}, which other machines can reach, and there is "
            "no authentication; give --api-keys, or --http-open to serve every client"
        )


def warn_of_open(settings: Settings) -> list[str]:
    """Return a warning if other machines can reach the API without a key."""
    if settings.http_port is None or not settings.http_open or _is_loopback(settings.http_host):
        return []
    return [
        f"--http-open: every client that reaches {settings.http_host} may use the API and the "
        "page; --api-keys restricts them"
    ]


def _required_by_clients(settings: Settings) -> dict[str, str | None]:
    return {"--api-keys": settings.api_keys}


def _is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address. A name counts as reachable."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
