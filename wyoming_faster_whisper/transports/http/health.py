"""Endpoints for monitoring: metrics, liveness and readiness."""

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
    take_snapshot: Callable[[], Callable[[], bytes]],
    kind: str,
    obstacle: Callable[[], str | None],
) -> ASGIApp:
    """Make the application that serves /metrics, /healthz and /readyz.

    The Host header is not checked: Prometheus and health probes may use any name for this server,
    and these endpoints change nothing and give no access to audio or text.

    Args:
        take_snapshot: called on the event loop. The function it returns renders the snapshot; it
            may block and is called in a thread.
        kind: content type of the rendered snapshot.
        obstacle: returns why new clients should go elsewhere; None = they can come.
    """

    async def metrics(request: Request) -> Response:
        text = await asyncio.to_thread(take_snapshot())
        return Response(text, headers={**_HEADERS, "content-type": kind})

    async def healthz(request: Request) -> Response:
        return PlainTextResponse("alive\n", headers=_HEADERS)

    async def readyz(request: Request) -> Response:
        reason = obstacle()
        return PlainTextResponse(
            f"{reason or 'ready'}\n", 503 if reason else 200, headers=_HEADERS
        )

    return Starlette(
        routes=[
            Route("/metrics", metrics),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
        ]
    )
