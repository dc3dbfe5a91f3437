"""Decode server on Ray Serve: each replica has a model with our own queue and batches.

deploy/ray/serve.yaml deploys it. Its user_config is described in configuration.py; a change of it
takes effect without a restart of the replicas. Requests and errors: docs/remote.md.
"""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response

from ..engine.queue import WorkerStatistics
from ..errors import SettingError
from .loading import recognizer_of
from .open_inference import LARGEST_BODY, Reply, answer, error_reply
from .replica import Replica
from .slot import ModelSlot

try:
    from ray import serve
except ImportError as error:
    raise SettingError("Ray Serve needs the extra ray") from error

_MOST_ON_DEMAND = 3  # models besides the first one in a replica's memory


class _OnDemand:
    """Slot of a model on demand. Ray calls __del__() to unload it, in a thread."""

    def __init__(self, slot: ModelSlot) -> None:
        self.slot = slot
        self._loop = asyncio.get_running_loop()
        self._kept = True

    def __del__(self) -> None:
        if self._kept and not self._loop.is_closed():
            self._kept = False
            asyncio.run_coroutine_threadsafe(self.slot.close(), self._loop)


@serve.deployment
class SpeechToText:
    """Deployment of a decode server. Ray calls its methods in the event loop of a replica."""

    def __init__(self) -> None:
        self._replica = Replica(recognizer_of, self._slot_on_demand)

    async def reconfigure(self, user_config: object) -> None:
        """Take a configuration, first of all at the start."""
        await self._replica.configure(user_config)

    async def check_health(self) -> None:
        """Raise an error if the replica must be replaced. Ray calls it periodically."""
        await self._replica.check_health()

    async def __call__(self, request: Request) -> Response:
        """Answer a request. Ray cancels the call when the client disconnects."""
        reply = self._replica.refusal(request.url.path, request.headers)
        if reply is None:
            reply = await self._answer(request)
        return Response(reply.body, reply.status, headers=dict(reply.headers))

    async def _answer(self, request: Request) -> Reply:
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > LARGEST_BODY:
                break
        if len(body) > LARGEST_BODY:
            return error_reply(413, f"the body has more than {LARGEST_BODY} bytes")
        return await answer(
            self._replica, request.method, request.url.path, request.headers, bytes(body)
        )

    async def statistics(self) -> WorkerStatistics:
        """Return a snapshot of the queue of this replica, for calls by a handle."""
        [model] = self._replica.loaded()
        return model.statistics()

    async def _slot_on_demand(self, name: str) -> ModelSlot:
        kept = await self._on_demand(name)
        slot: ModelSlot = kept.slot
        return slot

    # Ray's router prefers replicas that have a model in memory; the least recently used is
    # unloaded.
    @serve.multiplexed(  # type: ignore[untyped-decorator]
        max_num_models_per_replica=_MOST_ON_DEMAND
    )
    async def _on_demand(self, name: str) -> _OnDemand:
        return _OnDemand(self._replica.new_slot())


app = SpeechToText.bind()  # type: ignore[attr-defined]
