"""Scopes: what a key or a token allows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from ...tenants.claims import claim_at


class Scope(StrEnum):
    """A group of routes."""

    TRANSCRIBE = "stt:transcribe"  # files and background jobs
    REALTIME = "stt:realtime"  # streams, and client secrets for them
    ADMIN = "stt:admin"  # management of the server; no route needs it yet


USUAL = frozenset(Scope) - {Scope.ADMIN}
"""Scopes of a key for which the file of keys names none."""

# Names that issuers use: RFC 9068, Entra ID and Authelia, Auth0.
_CLAIMS = ("scope", "scp", "permissions")


def known(names: Iterable[str]) -> frozenset[Scope]:
    """Return the scopes among some names."""
    return frozenset(scope for scope in Scope if scope.value in set(names))


def scopes_of(claims: Mapping[str, Any], claim: str | None = None) -> frozenset[Scope]:
    """Return the scopes that a token grants.

    Args:
        claims: of the token.
        claim: name of the claim that lists scopes, or path to it with dots; None = the usual
            claims. The list is an array, or a string with spaces.
    """
    found = [claim_at(claims, claim)] if claim else [claims.get(name) for name in _CLAIMS]
    names: set[str] = set()
    for value in found:
        if isinstance(value, str):
            names |= set(value.split())
        elif isinstance(value, list):
            names |= {name for name in value if isinstance(name, str)}
    return known(names)
