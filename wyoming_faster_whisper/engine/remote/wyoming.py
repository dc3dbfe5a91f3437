"""Upstream Wyoming servers: their health checks, and the relay of one utterance.

An utterance is sent, while it arrives, to the first upstream that is available and supports
its language. The caller keeps the audio, and decodes it here if no answer comes in time.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections.abc import Sequence
from typing import Any

from wyoming.asr import Transcribe
from wyoming.asr import Transcript as TranscriptEvent
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.ping import Ping, Pong

from ...audio.pcm import SAMPLE_RATE
from ...audio.recording import Recording
from ...client import Client, ClientError, Refused
from ...errors import SettingError
from ..protocol import Transcript
from .health import Health
from .protocol import RELAYED, Tasks

_LOGGER = logging.getLogger(__name__)

_CONNECT_TIMEOUT = 2.0  # seconds for an upstream to accept a connection, or to describe itself
_CHUNK = SAMPLE_RATE // 10  # samples per audio chunk


class Upstream:
    """One upstream server, and the result of its last health check.

    Raises:
        SettingError: the URI is malformed.
    """

    def __init__(self, uri: str, nonce: str) -> None:
        self.uri = uri
        self.languages: frozenset[str] = frozenset()
        self.health = Health(f"upstream {uri}", self._check)
        self._nonce = nonce
        try:
            Client(uri)  # rejects a malformed URI now and not at the first check
        except SettingError:
            raise SettingError(
                f"--upstream is {uri!r}; it must be tcp://HOST:PORT or unix://PATH"
            ) from None

    def __repr__(self) -> str:
        return f"<Upstream {self.uri}, {'well' if self.healthy else 'away'}>"

    @property
    def healthy(self) -> bool:
        return self.health.available

    def knows(self, language: str | None) -> bool:
        """Return True if the upstream is available and supports the language; None = any."""
        return self.healthy and (language is None or language in self.languages)

    def failed(self, why: str) -> None:
        """Mark the upstream as unavailable after a failed request, and check it at once."""
        self.health.lost(why)
        self.health.suspect()

    async def _check(self) -> None:
        """Send a ping, then describe."""
        try:
            async with asyncio.timeout(_CONNECT_TIMEOUT), Client(self.uri) as server:
                # If the upstream is this server itself, pinged() gets the nonce back.
                await server.send(Ping(self._nonce))
                while not Pong.is_type((await server.receive()).type):
                    pass
                info = await server.describe()
        except TimeoutError:
            raise ClientError(
                f"it did not describe itself within {_CONNECT_TIMEOUT:g} s"
            ) from None
        self.languages = frozenset(
            language
            for program in info.asr
            for model in program.models
            for language in model.languages
        )
        if not self.languages:
            raise ClientError("it is not a speech-to-text server")


class Upstreams:
    """All upstream servers; see remote.protocol.Upstreams.

    Args:
        uris: addresses, in the order in which the upstreams are asked.
        timeout: seconds that an upstream has for its answer, from the end of speech.

    Raises:
        SettingError: a URI is malformed.
    """

    def __init__(self, uris: Sequence[str], *, timeout: float) -> None:
        self.timeout = timeout
        self._nonce = secrets.token_hex(16)
        self.all = [Upstream(uri, self._nonce) for uri in uris]
        self._heard_ourselves = False
        self._health_checks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Check all upstreams once, and keep checking them in the background.

        This server must already accept connections. Otherwise it could not detect that one of
        the upstreams is itself.

        Raises:
            SettingError: one of the upstreams is this server itself.
        """
        for upstream in self.all:
            await upstream.health.check()
            if self._heard_ourselves:
                raise SettingError(f"--upstream {upstream.uri} is this server itself")
        self._health_checks = [
            asyncio.create_task(upstream.health.check_repeatedly()) for upstream in self.all
        ]

    async def close(self) -> None:
        for task in self._health_checks:
            task.cancel()
        if self._health_checks:
            await asyncio.wait(self._health_checks)

    def pinged(self, text: object) -> None:
        """See remote.protocol.Upstreams.pinged."""
        if text == self._nonce:
            self._heard_ourselves = True

    def relay(
        self,
        recording: Recording,
        names: Sequence[str],
        language: str | None,
        tasks: Tasks,
    ) -> Relay | None:
        """See remote.protocol.Upstreams.relay."""
        for upstream in self.all:
            if upstream.knows(language):
                return Relay(upstream, recording, names, language, tasks)
        return None


class Relay:
    """One utterance that is being relayed; see remote.protocol.Relay."""

    def __init__(
        self,
        upstream: Upstream,
        recording: Recording,
        names: Sequence[str],
        language: str | None,
        tasks: Tasks,
    ) -> None:
        self.upstream = upstream
        self.late = False
        self._recording = recording
        self._names = names
        self._language = language
        self._more = asyncio.Event()
        self._stopped = False
        self._task: asyncio.Task[Transcript | None] = tasks.create_task(self._run())

    @property
    def alive(self) -> bool:
        """See remote.protocol.Relay.alive."""
        return not self._task.done() or self._answer() is not None

    def more(self) -> None:
        """See remote.protocol.Relay.more."""
        self._more.set()

    def stop(self) -> None:
        """See remote.protocol.Relay.stop."""
        self._stopped = True
        self._more.set()

    def drop(self) -> None:
        """See remote.protocol.Relay.drop."""
        self._task.cancel()

    async def answer(self, seconds: float) -> Transcript | None:
        """See remote.protocol.Relay.answer."""
        await asyncio.wait([self._task], timeout=seconds)
        if not self._task.done():
            self.late = True
            self._task.cancel()
            _LOGGER.info("upstream %s is late; decoding here", self.upstream.uri)
            return None
        return self._answer()

    def _answer(self) -> Transcript | None:
        if not self._task.done() or self._task.cancelled():
            return None
        return self._task.result()

    async def _run(self) -> Transcript | None:
        try:
            async with Client(self.upstream.uri, connect_timeout=_CONNECT_TIMEOUT) as server:
                await self._say(server)
                return await self._hear(server)
        except Refused as error:
            # The upstream is available and gave its reason.
            _LOGGER.info("upstream %s: %s; decoding here", self.upstream.uri, error)
            return None
        except ClientError as error:
            self.upstream.failed(str(error))
            return None

    async def _say(self, server: Client) -> None:
        request = Transcribe(
            language=self._language,
            context={RELAYED: True},
            transcript_names=list(self._names) or None,
        )
        shape: dict[str, Any] = {"rate": SAMPLE_RATE, "width": 2, "channels": 1}
        await server.send(request)
        await server.send(AudioStart(**shape))
        sent = 0
        while True:
            self._more.clear()
            whole = self._stopped
            while sent < len(self._recording):
                sound = self._recording.pcm(sent, sent + _CHUNK)
                await server.send(AudioChunk(**shape, audio=sound))
                sent += len(sound) // 2
            if whole:
                break
            await self._more.wait()
        await server.send(AudioStop())

    async def _hear(self, server: Client) -> Transcript:
        while True:
            event = await server.receive()
            if TranscriptEvent.is_type(event.type):
                text, language = event.data.get("text"), event.data.get("language")
                if not isinstance(text, str) or not isinstance(language, str | None):
                    # Not the values: without --log-text no transcript may get into the log.
                    raise ClientError(
                        f"the transcript has a text of type {type(text).__name__} and a language "
                        f"of type {type(language).__name__}"
                    )
                return Transcript(text.strip(), language, verdict="upstream")
