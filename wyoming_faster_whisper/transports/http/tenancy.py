"""ASGI middleware that finds the tenant of each client, after its authentication."""

from __future__ import annotations

from dataclasses import replace

from starlette.types import ASGIApp, Receive, Scope, Send

from ...tenants.tenants import Tenants
from .credentials import connection_identities, principal_of


class Tenancy:
    """Puts the client with its tenant into scope["principal"].

    Args:
        app: gets the requests.
        tenants: the tenants in use.
    """

    def __init__(self, app: ASGIApp, tenants: Tenants) -> None:
        self._app = app
        self._tenants = tenants

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        client, known = principal_of(scope), connection_identities(scope)
        if client.identities != known:
            client = replace(client, identities=(*client.identities, *known))
        allowed = {**scope, "principal": self._tenants.assign(client)}
        await self._app(allowed, receive, send)
