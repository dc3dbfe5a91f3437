"""What a machine asks a server: how it is, whether it lives, whether it can serve."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

_HEADERS = {"cache-control": "no-store"}


def build_health(
    take_snapshot: Callable[[], Callable[[], bytes]], kind: str, ready: Callable[[], bool]
) -> ASGIApp:
    """Make the application: /metrics, /healthz, /readyz.

    The Host is not checked: who scrapes or probes may know us by any name, and there is
    nothing here to be done or to be heard.

    Args:
        take_snapshot: called in the event loop; what it returns may block, and renders the
            snapshot.
        kind: the content type of that.
        ready: the model is loaded.
    """

    async def metrics(request: Request) -> Response:
        text = await asyncio.to_thread(take_snapshot())
        return Response(text, headers={**_HEADERS, "content-type": kind})

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("alive\n", headers=_HEADERS)

    async def readyz(request: Request) -> Response:
        if ready():
            return PlainTextResponse("ready\n", headers=_HEADERS)
        return PlainTextResponse("the model is loading\n", 503, headers=_HEADERS)

    return Starlette(
        routes=[
            Route("/metrics", metrics),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
        ]
    )
