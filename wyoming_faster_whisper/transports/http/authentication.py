"""ASGI middleware that authenticates each client before the body of its request is read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...principal import Principal
from ..auth.authenticator import Authenticator
from ..auth.grant import Grant
from ..auth.refusal import Reason, Refused
from .access import is_open, needed_scope
from .api_errors import ApiError
from .presented_key import presented_key
from .realtime.client_secrets import PREFIX
from .refusals import RefusalLog, api_error
from .replies import refuse_socket, send_error


class Authentication:
    """Refuses requests without a key or token that allows them.

    An open WebSocket ends as soon as its key is deleted or its token expires.

    Args:
        app: gets the requests that are allowed, with the client as scope["principal"].
        authenticator: verifies keys and tokens.
        refusals: records who was refused.
        maker: returns the client that has made a client secret; raises ApiError. A WebSocket may
            be opened with such a secret instead of a key; it ends when the maker's key does.
    """

    def __init__(
        self,
        app: ASGIApp,
        authenticator: Authenticator,
        refusals: RefusalLog,
        maker: Callable[[str], Principal],
    ) -> None:
        self._app = app
        self._authenticator = authenticator
        self._refusals = refusals
        self._maker = maker

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, path = scope.get("method", ""), scope["path"]
        if is_open(method, path):
            await self._app(scope, receive, send)
            return
        needed = needed_scope(method, path)
        try:
            grant = await self._grant(scope)
            grant.check(needed)
        except Refused as refused:
            self._refusals.add(refused, (scope.get("client") or ("",))[0])
            error = api_error(refused, needed)
            if scope["type"] == "websocket":
                await refuse_socket(receive, send, error)
            else:
                await send_error(send, error)
            return
        allowed = {**scope, "principal": grant.principal}
        if scope["type"] == "websocket":
            async with _while_valid(receive, grant) as checked:
                await self._app(allowed, checked, send)
        else:
            await self._app(allowed, receive, send)

    async def _grant(self, scope: Scope) -> Grant:
        protocols = scope.get("subprotocols", ())
        key = presented_key(scope["headers"], scope["query_string"], protocols)
        if scope["type"] != "websocket" or not key.startswith(PREFIX):
            return await self._authenticator.verify(key)
        try:
            return self._authenticator.renew(self._maker(key))
        except ApiError as error:
            raise Refused(Reason.CLIENT_SECRET, str(error)) from None


@asynccontextmanager
async def _while_valid(receive: Receive, grant: Grant) -> AsyncIterator[Receive]:
    """Make a receive() that raises Refused once the grant has ended, even while it waits."""
    ended: asyncio.Future[Refused] = asyncio.ensure_future(grant.ended())
    waiting: asyncio.Future[Message] | None = None

    async def checked() -> Message:
        nonlocal waiting
        # Kept if this call is cancelled, so that no message is lost.
        waiting = waiting or asyncio.ensure_future(receive())
        both: set[asyncio.Future[Any]] = {waiting, ended}
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            raise ended.result()
        message, waiting = waiting.result(), None
        return message

    try:
        yield checked
    finally:
        tasks: list[asyncio.Future[Any]] = [ended] if waiting is None else [ended, waiting]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
