"""Decode servers: their health, which of them gets a job, and which gets it after a failure."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields, replace

from ...errors import Busy, EngineError, ServerError
from ..protocol import Job, Transcript
from ..recognizer import EVERYTHING
from .health import Health
from .inference_client import InferenceClient, RemoteModel, Unavailable, Unusable

_LOGGER = logging.getLogger(__name__)

_GAP = 1.0  # seconds that a job waits for a server, such as one behind a proxy that restarts
_CHECK_TIMEOUT = 5.0  # seconds for a health check
_BUSY_FOR = 10.0  # seconds after an answer in which a failed health check means a busy server
# Seconds after a sign of life in which a refused health check means a busy server; then it means
# a proxy without a server behind it, which answers with the same status.
_REFUSED_FOR = 60.0
_PAUSE = 0.2  # seconds until the same server is tried again
_BACKGROUND = 6  # factor by which the timeout of a file or a dictation is longer
_BUSY_AGAIN = (0.25, 0.5, 1.0, 2.0)  # seconds until background work asks a busy server again


@dataclass(frozen=True, slots=True)
class DecodeTimeout:
    """Timeouts of a decode by the servers."""

    command: float = 10.0  # seconds, with the retry
    # Seconds for any job; afterwards the watchdog counts the decode as hung.
    longest: float = 100.0

    def of(self, job: Job) -> float:
        """Return the timeout of a job in seconds."""
        return min(self.command * (_BACKGROUND if job.background else 1), self.longest)


class DecodeServer:
    """One decode server and its health. Lives on one event loop.

    Args:
        client: talks to the server; this object closes it.
        model: the model whose health is that of the server.
    """

    def __init__(self, client: InferenceClient, model: RemoteModel) -> None:
        self.client = client
        self.in_flight = 0  # jobs that it decodes
        self.health = Health(f"decode server {client.url}", self._check)
        self._model = model
        self._check_timeout = _CHECK_TIMEOUT  # seconds for a health check
        self._answered = float("-inf")  # time of its last transcript
        self._lively = float("-inf")  # time of that, or of a check that it passed

    async def recognize(self, model: RemoteModel, job: Job) -> Transcript:
        """Decode a job; see InferenceClient.recognize."""
        self.in_flight += 1
        try:
            transcript = await self.client.recognize(model, job)
        except (Unavailable, Unusable):
            self.health.suspect()
            raise
        finally:
            self.in_flight -= 1
        self._answered = self._lively = asyncio.get_running_loop().time()
        if model.languages and transcript.language not in model.languages:
            return replace(transcript, language=None)  # clients do not expect others
        return transcript

    async def _check(self) -> None:
        try:
            async with asyncio.timeout(self._check_timeout):
                try:
                    await self.client.ready(self._model)
                except Unavailable:  # perhaps it has just closed an idle connection
                    await self.client.ready(self._model)
                if not self.health.available:
                    await self.client.check_tensors(self._model)
                    await self._compare()
                self._lively = asyncio.get_running_loop().time()
        # Behind some ingresses the check waits among the jobs, or is refused as one of them.
        except Busy:
            since = asyncio.get_running_loop().time() - self._lively
            if not self.health.available or since >= _REFUSED_FOR:
                raise
        except TimeoutError:
            if asyncio.get_running_loop().time() - self._answered >= _BUSY_FOR:
                raise Unavailable(f"it did not answer within {self._check_timeout:g} s") from None

    async def _compare(self) -> None:
        """Compare the description of the model with what the server needs and clients know."""
        about = await self.client.describe(self._model)
        missing = [
            field.name
            for field in fields(about.capabilities)
            if getattr(EVERYTHING, field.name) and not getattr(about.capabilities, field.name)
        ]
        if missing:
            raise Unusable(f"model {self._model} lacks {', '.join(missing)}")
        announced = frozenset(self._model.languages)
        if announced and announced != frozenset(about.languages):
            _LOGGER.warning(
                "%s: model %s has other languages than its name implies; clients were told %s",
                self.health.name,
                self._model,
                "English only" if len(announced) == 1 else "all languages",
            )


class DecodeServers:
    """All decode servers. Lives on one event loop.

    Args:
        servers: in order of preference among equally loaded ones.
        timeout: how long a decode may take.
    """

    def __init__(self, servers: Sequence[DecodeServer], timeout: DecodeTimeout) -> None:
        self.all = servers
        self.timeout = timeout
        self._checks: list[asyncio.Task[None]] = []

    @property
    def available(self) -> bool:
        """True while a server takes jobs. May be read in any thread."""
        return any(server.health.available for server in self.all)

    @property
    def obstacle(self) -> str | None:
        """Reason why no server takes jobs; None = one does. May be read in any thread."""
        if self.available:
            return None
        away = self.all[0].health
        return f"{away.name} is unavailable: {away.why}"

    async def start(self) -> None:
        """Check all servers once, and keep checking them in the background."""
        await asyncio.gather(*(server.health.check() for server in self.all))
        self._checks = [
            asyncio.create_task(server.health.check_repeatedly()) for server in self.all
        ]

    async def close(self) -> None:
        """Stop the checks and close the connections. Nothing else uses them."""
        for check in self._checks:
            check.cancel()
        await asyncio.gather(*self._checks, return_exceptions=True)
        await asyncio.gather(*(server.client.close() for server in self.all))

    async def recognize(self, model: RemoteModel, job: Job) -> Transcript:
        """Decode a job on a server; after a failure, once more. Cancel the call to withdraw it.

        Raises:
            Busy: the servers have too much work.
            EngineError: no server answered; the sentence says why.
        """
        seconds = self.timeout.of(job)
        try:
            async with asyncio.timeout(seconds):
                return await self._try_again_if_busy(model, job)
        except TimeoutError:
            for server in self.all:
                server.health.suspect()
            raise EngineError(f"no decode server answered within {seconds:g} s") from None

    async def _try_again_if_busy(self, model: RemoteModel, job: Job) -> Transcript:
        """Decode a job; one for which no client waits is offered to busy servers again."""
        for pause in (*_BUSY_AGAIN, *_BUSY_AGAIN[-1:] * 100) if job.background else ():
            try:
                return await self._try_twice(model, job)
            except Busy:
                await asyncio.sleep(pause)
        return await self._try_twice(model, job)

    async def _try_twice(self, model: RemoteModel, job: Job) -> Transcript:
        if not self.available and not job.guess:
            await self._recovery()
        server = self._choose(())
        try:
            return await server.recognize(model, job)
        except (Unavailable, Unusable, Busy) as error:
            again = None if job.guess else self._again(server, error)
            if again is None:
                raise _named(server, error) from None
            _LOGGER.info("%s; trying %s", _named(server, error), again.health.name)
            if again is server:
                await asyncio.sleep(_PAUSE)
        try:
            return await again.recognize(model, job)
        except (Unavailable, Unusable, Busy) as error:
            raise _named(again, error) from None

    async def _recovery(self) -> None:
        """Wait for a short time until a server is available."""
        waiting = [asyncio.ensure_future(server.health.recovered()) for server in self.all]
        try:
            await asyncio.wait(waiting, timeout=_GAP, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()

    def _again(self, server: DecodeServer, error: ServerError) -> DecodeServer | None:
        """Return the server that gets a job after another one failed; None = no server."""
        try:
            return self._choose((server,))
        except EngineError:
            # The same one: behind its address, another replica may take the job.
            return server if isinstance(error, Unavailable) else None

    def _choose(self, tried: Collection[DecodeServer]) -> DecodeServer:
        """Return the available server with the fewest jobs.

        Raises:
            EngineError: no server is available.
        """
        able = [one for one in self.all if one.health.available and one not in tried]
        if not able:
            raise EngineError(self.obstacle or "there is no other decode server")
        return min(able, key=lambda one: one.in_flight)


def _named(server: DecodeServer, error: ServerError) -> ServerError:
    """Return the error with the name of the server in its sentence."""
    return type(error)(f"{server.health.name}: {error}")
