"""Check the settings for authentication of the HTTP API."""

from __future__ import annotations

import ipaddress
from urllib.parse import urlsplit

from ..errors import SettingError
from .settings import Settings

_SHORTEST_SECRET = 32  # bytes, as RFC 7518 wants for HS256


def check_authentication(settings: Settings) -> None:
    """Check the options for keys and tokens, and that other machines need one of them.

    Raises:
        SettingError: options contradict each other, or one is missing.
    """
    given = _given(settings)
    if given and settings.http_open:
        raise SettingError(f"--http-open contradicts {given[0]}")
    _check_tokens(settings)
    if settings.http_port is None or _is_loopback(settings.http_host):
        return
    if not given and not settings.http_open and not settings.tls_ca:
        raise SettingError(
            f"--http-host is {settings.http_host}, which other machines can reach, and there is "
            "no authentication; give --api-keys or --jwt-issuer, or --http-open to serve every "
            "client"
        )


def authentication_warnings(settings: Settings) -> list[str]:
    """Return warnings about valid settings that leave the API open to other clients."""
    if settings.http_port is None:
        return []
    warnings = []
    if settings.http_open and not _is_loopback(settings.http_host):
        warnings.append(
            f"--http-open: every client that reaches {settings.http_host} may use the API and "
            "the page; --api-keys and --jwt-issuer restrict them"
        )
    source = settings.jwt_jwks or ("" if settings.jwt_secret else settings.jwt_issuer) or ""
    if source.startswith("http:") and not _is_loopback(urlsplit(source).hostname or ""):
        warnings.append(
            f"the keys of the issuer come from {source} without TLS, so that an attacker "
            "on the network can replace them"
        )
    return warnings


def _given(settings: Settings) -> list[str]:
    names = (
        "api_keys",
        "jwt_issuer",
        "jwt_audience",
        "jwt_jwks",
        "jwt_secret",
        "jwt_scope_claim",
    )
    return [f"--{name.replace('_', '-')}" for name in names if getattr(settings, name)]


def _check_tokens(settings: Settings) -> None:
    issuer, jwks, secret = settings.jwt_issuer, settings.jwt_jwks, settings.jwt_secret
    if issuer is None:
        return
    if not settings.jwt_audience:
        raise SettingError("--jwt-issuer requires --jwt-audience")
    if jwks and secret:
        raise SettingError("--jwt-secret contradicts --jwt-jwks: an issuer signs in one way only")
    if secret is not None and len(secret.encode()) < _SHORTEST_SECRET:
        raise SettingError(
            f"--jwt-secret has {len(secret.encode())} bytes; it must have at least "
            f"{_SHORTEST_SECRET}"
        )
    if not jwks and not secret and not issuer.startswith(("https://", "http://")):
        raise SettingError(
            f"--jwt-issuer is {issuer!r}, which is not a URL; give --jwt-jwks or --jwt-secret"
        )


def _is_loopback(host: str) -> bool:
    """Return whether only this machine can reach an address. A name counts as reachable."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() == "localhost"
