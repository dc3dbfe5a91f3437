"""Build the authentication of the HTTP API from the operator's settings."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from ..config.settings import Settings
from ..tenant import IdentityKind
from ..tenants.tenants import Tenants
from ..transports.auth.api_keys import ApiKeys
from ..transports.auth.authenticator import Authenticator

if TYPE_CHECKING:
    from ..transports.auth.tokens import SigningKeys, TokenVerifier


def make_authenticator(
    settings: Settings, now: Callable[[], float], tenants: Tenants
) -> Authenticator | None:
    """Make the authentication; None if the settings ask for none. Blocking: it reads files.

    Args:
        now: returns the seconds since the epoch.
        tenants: its claims are looked for in tokens; it gets the names of the keys.

    Raises:
        SettingError: a file cannot be used.
        ImportError: the extra for tokens is not installed.
    """
    if settings.api_keys is None and settings.jwt_issuer is None:
        return None
    keys = ApiKeys(Path(settings.api_keys)) if settings.api_keys else None
    if keys is not None:
        tenants.known[IdentityKind.KEY] = ("--api-keys", keys.names)
    return Authenticator(
        keys,
        _make_tokens(settings, settings.jwt_issuer, now, tenants)
        if settings.jwt_issuer
        else None,
    )


def _make_tokens(
    settings: Settings, issuer: str, now: Callable[[], float], tenants: Tenants
) -> TokenVerifier:
    from ..transports.auth.tokens import TokenRules, TokenVerifier

    rules = TokenRules(
        issuer=issuer, audience=settings.jwt_audience, scope_claim=settings.jwt_scope_claim
    )
    return TokenVerifier(
        rules,
        _make_signing_keys(settings, issuer),
        now=now,
        identities=lambda claims: tenants.directory.identities_in(claims),
    )


def _make_signing_keys(settings: Settings, issuer: str) -> SigningKeys:
    from ..transports.auth.issuer import KeySetFile, KeySetUrl
    from ..transports.auth.jwk import SharedSecret
    from ..transports.auth.jwks import Jwks

    if settings.jwt_secret is not None:
        return SharedSecret(settings.jwt_secret.encode())
    where = settings.jwt_jwks
    if where is None or where.startswith(("https:", "http:")):
        return Jwks(KeySetUrl(issuer, where))
    return Jwks(KeySetFile(Path(where)))
