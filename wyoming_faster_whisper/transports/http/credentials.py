"""Identity of an API client: the key that it sends, and its principal. Pure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from starlette.requests import HTTPConnection
from starlette.types import Scope

from ...principal import Principal
from ...tenant import Identity, IdentityKind
from ..admission import normalised_host
from ..auth.refusal import Refused
from .presented_key import presented_key

CERTIFICATE_NAMES = "certificate_names"
"""Key in scope["state"]: the names in the client's certificate; missing without one."""

_CERTIFICATE = "certificate:"  # of a principal's key; those of API keys, tokens, addresses differ

Authenticate = Callable[[HTTPConnection, str | None], Awaitable[Principal]]
"""Returns the client of a connection, given the key that it sent; raises ApiError 401 or 403."""


def principal_of(scope: Scope) -> Principal:
    """Return the client of an ASGI request.

    It is identified by its key or token, or without authentication by its certificate, if it
    needs one, or else by its address.
    """
    if "principal" in scope:
        found: Principal = scope["principal"]
        return found
    known = connection_identities(scope)
    if known and known[0].kind is IdentityKind.CERTIFICATE:
        name = known[0].value
        return Principal(f"{_CERTIFICATE}{name}", name, identities=known)
    client = scope.get("client")
    if not client:
        return Principal("", "http")
    return Principal(normalised_host(client[0]), f"{client[0]}:{client[1]}", identities=known)


def connection_identities(scope: Scope) -> tuple[Identity, ...]:
    """Return the identities of a client that its connection proves, whatever key it sends.

    These are the names in its certificate, and its address.
    """
    names = scope.get("state", {}).get(CERTIFICATE_NAMES, ())
    known = [Identity(IdentityKind.CERTIFICATE, name) for name in names]
    if client := scope.get("client"):
        known.append(Identity(IdentityKind.ADDRESS, normalised_host(client[0])))
    return tuple(known)


async def known_already(connection: HTTPConnection, key: str | None) -> Principal:
    """Return the client that authentication.py has identified, else the client by its address."""
    return principal_of(connection.scope)


def key_of(connection: HTTPConnection, offered: Sequence[str] = ()) -> str | None:
    """Return the key that a client sent in a header, or as a WebSocket protocol.

    None = there is none, or it is not presented as it must be; see presented_key().
    """
    scope = connection.scope
    try:
        return presented_key(scope["headers"], scope["query_string"], offered)
    except Refused:
        return None
