"""Other servers that are asked first: which of them can be, and one utterance's way there.

An utterance goes to the first that is well and knows its language, while it arrives.
Who asked has the sound itself, and decodes it where no answer comes in time.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Sequence
from typing import Any

from wyoming.asr import Transcribe
from wyoming.asr import Transcript as TranscriptEvent
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.info import Info
from wyoming.ping import Ping, Pong

from ...audio.pcm import SAMPLE_RATE
from ...audio.recording import Recording
from ...client import Client, ClientError, Refused
from ...errors import ServerError, SettingError, printable
from ..protocol import Transcript
from .protocol import RELAYED, Tasks

_LOGGER = logging.getLogger(__name__)

_PATIENCE = 2.0  # seconds for a server to say what it is
_BETWEEN = 10.0  # seconds between two looks at one that is well
_BACK_OFF = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)  # and at one that is away
_CHUNK = SAMPLE_RATE // 10  # samples sent at once


class Upstream:
    """One other server, and what is known of it."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.languages: frozenset[str] = frozenset()  # none: it is away
        self._checking = asyncio.Event()  # at once
        self._failures = 0
        try:
            Client(uri)  # what is no address is an error now, not later
        except SettingError:
            raise SettingError(
                f"--upstream is {uri!r}; it must be tcp://HOST:PORT or unix://PATH"
            ) from None

    def __repr__(self) -> str:
        return f"<Upstream {self.uri}, {'well' if self.healthy else 'away'}>"

    @property
    def healthy(self) -> bool:
        return bool(self.languages)

    def knows(self, language: str | None) -> bool:
        """Whether it can be asked, in this language; None = it is to find out which."""
        return self.healthy and (language is None or language in self.languages)

    async def check(self, nonce: str) -> None:
        """Ask it what it is."""
        try:
            async with asyncio.timeout(_PATIENCE), Client(self.uri) as server:
                # Heard again by whoever sent it, where that is ourselves.
                await server.send(Ping(nonce))
                while not Pong.is_type((await server.receive()).type):
                    pass
                self._found(await server.describe())
        except TimeoutError:
            self.lost(f"it did not say what it is for {_PATIENCE:g} s")
        except ServerError as error:
            self.lost(str(error))

    async def check_repeatedly(self, nonce: str) -> None:
        """Look at it again and again."""
        while True:
            tries = min(self._failures, len(_BACK_OFF))
            pause = _BACK_OFF[tries - 1] if tries else _BETWEEN
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._checking.wait()
            self._checking.clear()
            await self.check(nonce)

    def lost(self, why: str) -> None:
        """It cannot be asked; look soon whether it can again."""
        if self.healthy or not self._failures:
            _LOGGER.warning("upstream %s is away: %s", self.uri, why)
        self.languages = frozenset()
        self._failures += 1

    def failed(self, why: str) -> None:
        """It did not do what it was asked for; look at once whether it is there."""
        self.lost(why)
        self._checking.set()

    def _found(self, info: Info) -> None:
        languages = frozenset(
            language
            for program in info.asr
            for model in program.models
            for language in model.languages
        )
        if not languages:
            self.lost("it is no speech-to-text server")
            return
        if not self.healthy:
            _LOGGER.info("upstream %s is there", self.uri)
        self.languages, self._failures = languages, 0


class Upstreams:
    """All other servers, in the order in which they are asked.

    Args:
        timeout: seconds from the end of speech to an answer that is in time.
    """

    def __init__(self, uris: Sequence[str], *, timeout: float) -> None:
        self.timeout = timeout
        self.all = [Upstream(uri) for uri in uris]
        self._nonce = secrets.token_hex(16)
        self._heard_ourselves = False
        self._health_checks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Look at all of them, and go on looking. We have to listen already.

        Raises:
            SettingError: one of them is this server.
        """
        for upstream in self.all:
            await upstream.check(self._nonce)
            if self._heard_ourselves:
                raise SettingError(f"--upstream {upstream.uri} is this server itself")
        self._health_checks = [
            asyncio.create_task(upstream.check_repeatedly(self._nonce)) for upstream in self.all
        ]

    async def close(self) -> None:
        for task in self._health_checks:
            task.cancel()
        if self._health_checks:
            await asyncio.wait(self._health_checks)

    def pinged(self, text: object) -> None:
        """Take what somebody sent us in a ping."""
        if text == self._nonce:
            self._heard_ourselves = True

    def relay(
        self,
        recording: Recording,
        names: Sequence[str],
        language: str | None,
        tasks: Tasks,
    ) -> Relay | None:
        """Begin to send an utterance on; None where nobody can be asked.

        Args:
            recording: grows while it is spoken; more() says so.
            names: to expect, most important first.
            language: Whisper's code; None = unknown.
            tasks: it is sent in it.
        """
        for upstream in self.all:
            if upstream.knows(language):
                return Relay(upstream, recording, names, language, tasks)
        return None


class Relay:
    """One utterance on its way to another server."""

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
        """An answer may come from it."""
        return not self._task.done() or self._answer() is not None

    def more(self) -> None:
        """The recording has grown."""
        self._more.set()

    def stop(self) -> None:
        """The recording is whole."""
        self._stopped = True
        self._more.set()

    def drop(self) -> None:
        """No answer is wanted."""
        self._task.cancel()

    async def answer(self, seconds: float) -> Transcript | None:
        """Wait for the answer; None if it did not come within seconds, or never will."""
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
            async with Client(self.upstream.uri, connect_timeout=_PATIENCE) as server:
                await self._say(server)
                return await self._hear(server)
        except Refused as error:
            # It is there, and said why not.
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
                    raise ClientError(f"an odd transcript: {printable(event.data, 80)}")
                return Transcript(text.strip(), language, verdict="upstream")
