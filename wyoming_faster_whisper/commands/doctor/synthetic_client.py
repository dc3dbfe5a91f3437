"""Plays Home Assistant against a running server.

Sound goes out as 16 kHz mono 16-bit in chunks of 10 ms, each an event, as fast as
it is spoken, and what comes back is read meanwhile, as Home Assistant does from
2026.10 on: the first transcript is the answer, and the connection is closed with it.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop

from ...audio.pcm import PcmFormat, PcmStream, to_pcm16
from ...client import Client, ClientError, Clip
from ...errors import ServerError
from .facts import ConcurrentTrial, Described, ServerTrial, TrialUtterance

CHUNK = 0.01  # seconds; Home Assistant's
_PCM = PcmFormat()  # Home Assistant's
_CHUNK_BYTES = round(CHUNK * _PCM.rate) * _PCM.frame_bytes
SILENCE = 0.7  # seconds that Home Assistant waits for, unless told otherwise
ROOMS = 4  # that speak at once
_OPEN_ENDED = 5.0  # seconds of silence after which the server is not waited for any more
_NOBODY = 2.0  # seconds of silence where nobody speaks
_ASK = 0.2  # seconds between two questions under load
_PATIENCE = 60.0  # seconds without a sign of life
_ASKING = 10.0  # seconds to say what it is, twice what Home Assistant has


def spoken(clip: Clip) -> bytes:
    """A clip as Home Assistant would send it: 16 kHz mono 16-bit."""
    stream = PcmStream(clip.pcm)
    return to_pcm16(np.concatenate([stream.feed(clip.data), stream.finish()]))


@dataclass(frozen=True, slots=True)
class SyntheticClient:
    """Somebody who speaks with the server at a URI.

    Args:
        order: what is said; see speech_end().
        expected: words of the order; empty = not known.
        pace: seconds that a second of sound takes; 0 = as fast as it goes.
        tls: with which the server wants to be spoken to; None = without.
    """

    uri: str
    order: bytes
    language: str
    expected: frozenset[str] = frozenset()
    pace: float = 1.0
    tls: ssl.SSLContext | None = None

    async def try_server(self) -> ServerTrial:
        """Do all that Home Assistant does.

        Raises:
            ServerError: the server cannot even say what it is.
        """
        described = await self.describe()
        return ServerTrial(
            described=described,
            first=await self.speak(self.order, silence=SILENCE, pace=0.0),
            external=await self.speak(self.order, silence=SILENCE),
            open_ended=await self.speak(self.order, silence=_OPEN_ENDED),
            silence=await self.speak(b"", silence=_NOBODY),
            crowd=await self.try_concurrently(),
            expected=self.expected if "en" in described.languages else frozenset(),
        )

    async def describe(self) -> Described:
        """Ask what the server is, on a connection of its own."""
        began = time.monotonic()
        async with Client(self.uri, timeout=_ASKING, tls=self.tls) as client:
            info = await client.describe()
        seconds = time.monotonic() - began
        programs = [program for program in info.asr if program.installed]
        if not programs:
            raise ClientError(f"the server at {self.uri} has no speech-to-text")
        # Home Assistant looks at the first program alone, and at all of its models.
        program = info.asr[0]
        models = [model for model in program.models if model.installed]
        return Described(
            program=program.name,
            models=tuple(model.name for model in models),
            languages=tuple(sorted({code for model in models for code in model.languages})),
            external_vad=program.requires_external_vad,
            seconds=seconds,
        )

    async def try_concurrently(self) -> ConcurrentTrial:
        """Several rooms at once, and `describe` again and again meanwhile."""
        speaking = asyncio.gather(
            *(self.speak(self.order, silence=SILENCE) for _ in range(ROOMS))
        )
        describes = [await self._seconds_to_describe()]
        while not speaking.done():
            await asyncio.wait([speaking], timeout=_ASK)
            describes.append(await self._seconds_to_describe())
        return ConcurrentTrial(tuple(await speaking), tuple(describes))

    async def _seconds_to_describe(self) -> float:
        try:
            return (await self.describe()).seconds
        except ServerError:
            return float("inf")

    async def speak(
        self, words: bytes, *, silence: float, pace: float | None = None
    ) -> TrialUtterance:
        """Say something, be silent for some seconds, and end it with audio-stop.

        The first answer ends it sooner.

        Args:
            words: sound, as in order.
            silence: seconds.
        """
        sound = words + bytes(round(silence / CHUNK) * _CHUNK_BYTES)
        client = Client(self.uri, timeout=_PATIENCE, tls=self.tls)
        said = 0.0  # when the last word was sent
        stopped = 0.0  # when audio-stop was
        ended: float  # when the answer came, or it was clear that none will
        reply: asyncio.Task[str] | None = None
        text, error = None, ""
        try:
            shape = {"rate": _PCM.rate, "width": _PCM.width, "channels": _PCM.channels}
            await client.send(Transcribe(language=self.language))
            reply = asyncio.create_task(_reply(client))
            with suppress(ServerError):  # a server that refuses says why: in the reply
                await client.send(AudioStart(**shape))
                async for at, chunk in _paced(sound, self.pace if pace is None else pace):
                    if reply.done():
                        break
                    if at <= len(words):
                        said = time.monotonic()
                    await client.send(AudioChunk(**shape, audio=chunk))
                if not reply.done():
                    await client.send(AudioStop())
                    stopped = time.monotonic()
            text = await reply
        except ServerError as trouble:
            error = str(trouble)
        finally:
            ended = time.monotonic()
            if reply is not None:
                reply.cancel()
            await client.close()
        return TrialUtterance(
            text=text,
            error=error,
            before_stop=not stopped and text is not None,
            waited=ended - (stopped or said or ended),
        )


async def _reply(client: Client) -> str:
    while True:
        event = await client.receive()
        if Transcript.is_type(event.type):
            return str(event.data.get("text", ""))


async def _paced(sound: bytes, pace: float) -> AsyncIterator[tuple[int, bytes]]:
    """Each chunk and where it begins, at the time at which a microphone would have it.

    What does not fill the last chunk is dropped, as by Home Assistant.
    """
    began = time.monotonic()
    for number in range(len(sound) // _CHUNK_BYTES):
        # Against the clock, so that a late chunk does not delay those after it.
        await asyncio.sleep(began + number * CHUNK * pace - time.monotonic())
        at = number * _CHUNK_BYTES
        yield at, sound[at : at + _CHUNK_BYTES]
