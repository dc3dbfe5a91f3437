"""A client that tries a running server as Home Assistant uses it.

It sends 16 kHz, 16-bit, mono audio in real time, in chunks of 10 ms with one event each, and
reads the server's events meanwhile, as Home Assistant 2026.10 and later does: the first
transcript is the answer, and the connection is then closed.
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

CHUNK = 0.01  # seconds; as Home Assistant's
_PCM = PcmFormat()  # as Home Assistant's
_CHUNK_BYTES = round(CHUNK * _PCM.rate) * _PCM.frame_bytes
SILENCE = 0.7  # seconds of silence that end a turn in Home Assistant, by default
ROOMS = 4  # simultaneous speakers
_OPEN_ENDED = 5.0  # seconds of silence that the server has to end a turn itself
_NO_SPEECH = 2.0  # seconds of silence sent in the trial without speech
_ASK = 0.2  # seconds between two `describe` requests under load
_TIMEOUT = 60.0  # seconds to wait for an event of the server
_ASKING = 10.0  # seconds to wait for the Info, twice as long as Home Assistant waits


def spoken(clip: Clip) -> bytes:
    """Convert a clip to what Home Assistant sends: 16 kHz, 16-bit, mono PCM."""
    stream = PcmStream(clip.pcm)
    return to_pcm16(np.concatenate([stream.feed(clip.data), stream.finish()]))


@dataclass(frozen=True, slots=True)
class SyntheticClient:
    """A client that uses the server at a URI as Home Assistant does.

    Args:
        order: the spoken command as PCM; see spoken().
        language: the language code that is sent with each request.
        expected: words that an English transcript must contain; empty = not known.
        pace: seconds per second of audio; 0 = as fast as possible.
        tls: the TLS context; None = no TLS.
    """

    uri: str
    order: bytes
    language: str
    expected: frozenset[str] = frozenset()
    pace: float = 1.0
    tls: ssl.SSLContext | None = None

    async def try_server(self) -> ServerTrial:
        """Run all trials.

        Raises:
            ServerError: the server does not answer `describe`.
        """
        described = await self.describe()
        return ServerTrial(
            described=described,
            first=await self.speak(self.order, silence=SILENCE, pace=0.0),
            external=await self.speak(self.order, silence=SILENCE),
            open_ended=await self.speak(self.order, silence=_OPEN_ENDED),
            silence=await self.speak(b"", silence=_NO_SPEECH),
            crowd=await self.try_concurrently(),
            expected=self.expected if "en" in described.languages else frozenset(),
        )

    async def describe(self) -> Described:
        """Request the server's Info on a new connection.

        Raises:
            ServerError: the server does not answer or has no speech-to-text program.
        """
        began = time.monotonic()
        async with Client(self.uri, timeout=_ASKING, tls=self.tls) as client:
            info = await client.describe()
        seconds = time.monotonic() - began
        programs = [program for program in info.asr if program.installed]
        if not programs:
            raise ClientError(f"the server at {self.uri} has no speech-to-text")
        # Home Assistant uses only the first program, with all of its models.
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
        """Send the command from several rooms at once, and keep requesting Info meanwhile."""
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
        """Send speech, then silence, then audio-stop; stop early if the answer comes before.

        Args:
            words: the speech as PCM, in the format of order; may be empty.
            silence: seconds of silence after it.
            pace: seconds per second of audio; None = the client's own.
        """
        sound = words + bytes(round(silence / CHUNK) * _CHUNK_BYTES)
        client = Client(self.uri, timeout=_TIMEOUT, tls=self.tls)
        said = 0.0  # when the last word was sent
        stopped = 0.0  # when audio-stop was sent; 0 = not yet
        ended: float  # when the answer came or the attempt failed
        reply: asyncio.Task[str] | None = None
        text, error = None, ""
        try:
            shape = {"rate": _PCM.rate, "width": _PCM.width, "channels": _PCM.channels}
            await client.send(Transcribe(language=self.language))
            reply = asyncio.create_task(_reply(client))
            with suppress(ServerError):  # if the server refuses, its reply says why
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
        except ServerError as failure:
            error = str(failure)
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
    """Yield each chunk's offset in bytes and its audio, when a microphone would deliver it.

    An incomplete last chunk is dropped, as Home Assistant does.
    """
    began = time.monotonic()
    for number in range(len(sound) // _CHUNK_BYTES):
        # Timed from the start, so that a late chunk does not delay those after it.
        await asyncio.sleep(began + number * CHUNK * pace - time.monotonic())
        at = number * _CHUNK_BYTES
        yield at, sound[at : at + _CHUNK_BYTES]
