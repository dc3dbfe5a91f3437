"""Sends clips to a Wyoming server as Home Assistant does.

Each utterance has its own connection, and each 10 ms chunk its own event. The reply is read while
the audio is sent; if it arrives first, the rest is not sent.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass

from wyoming.asr import Transcribe, Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.client import AsyncClient, AsyncTcpClient
from wyoming.error import Error

SAMPLE_RATE = 16000
WIDTH = 2  # bytes
CHUNK_SECONDS = 0.01
CHUNK_BYTES = round(SAMPLE_RATE * CHUNK_SECONDS) * WIDTH


class NoAnswer(Exception):
    """The server did not answer the utterance with a transcript."""


@dataclass(slots=True)
class Clock:
    """Times of one utterance in seconds, monotonic clock."""

    started: float = 0.0  # audio-start was sent
    spoken: float | None = None  # the last chunk of the clip was sent
    stopped: float | None = None  # audio-stop was sent


@dataclass(frozen=True, slots=True)
class PlayedAnswer:
    """A transcript and its latency.

    after_speech and after_stop are None if the answer came before that event was sent.
    """

    text: str
    seconds: float  # from audio-start
    after_speech: float | None  # seconds from the last chunk of the clip, before the silence
    after_stop: float | None  # seconds from audio-stop


async def play(
    port: int,
    audio: bytes,
    *,
    silence: bytes = b"",
    paced: bool = False,
    language: str | None = "en",
    channels: int = 1,
    timeout: float = 120,
    before_stop: Callable[[], None] = lambda: None,
) -> PlayedAnswer:
    """Play one clip to a local server and wait for its text.

    Args:
        port: TCP port on 127.0.0.1.
        audio: PCM, 16-bit, 16 kHz, channels interleaved.
        silence: PCM sent after the clip, before audio-stop.
        paced: send in real time, one chunk every 10 ms; else all at once.
        channels: at least 1.
        language: requested in the transcribe event; None = the server chooses.
        timeout: seconds for the whole exchange.
        before_stop: called when all audio has been sent, before audio-stop.

    Raises:
        NoAnswer: an error event, a closed connection, or no answer in time.
    """
    clock = Clock()
    try:
        async with asyncio.timeout(timeout), AsyncTcpClient("127.0.0.1", port) as client:
            sending = asyncio.create_task(
                _send(client, clock, audio, silence, paced, language, channels, before_stop)
            )
            try:
                text = await _transcript(client)
                answered = time.perf_counter()
            finally:
                sending.cancel()
                with contextlib.suppress(asyncio.CancelledError, OSError):
                    await sending
    except TimeoutError:
        raise NoAnswer(f"no transcript within {timeout:g} s") from None
    except (OSError, EOFError) as error:
        raise NoAnswer(f"the connection broke: {error}") from error
    return PlayedAnswer(
        text=text.strip(),
        seconds=answered - clock.started,
        after_speech=None if clock.spoken is None else answered - clock.spoken,
        after_stop=None if clock.stopped is None else answered - clock.stopped,
    )


async def _send(
    client: AsyncClient,
    clock: Clock,
    audio: bytes,
    silence: bytes,
    paced: bool,
    language: str | None,
    channels: int,
    before_stop: Callable[[], None],
) -> None:
    await client.write_event(Transcribe(language=language).event())
    await client.write_event(AudioStart(SAMPLE_RATE, WIDTH, channels).event())
    clock.started = time.perf_counter()
    due = clock.started
    for part, is_clip in ((audio, True), (silence, False)):
        for start in range(0, len(part), CHUNK_BYTES * channels):
            if paced:
                # A microphone delivers a chunk when its 10 ms are over.
                due += CHUNK_SECONDS
                await asyncio.sleep(due - time.perf_counter())
            piece = part[start : start + CHUNK_BYTES * channels]
            await client.write_event(AudioChunk(SAMPLE_RATE, WIDTH, channels, piece).event())
        if is_clip:
            clock.spoken = time.perf_counter()
    before_stop()
    clock.stopped = time.perf_counter()
    await client.write_event(AudioStop().event())


async def _transcript(client: AsyncClient) -> str:
    while (event := await client.read_event()) is not None:
        if Transcript.is_type(event.type):
            return Transcript.from_event(event).text
        if Error.is_type(event.type):
            raise NoAnswer(Error.from_event(event).text)
    raise NoAnswer("the server closed the connection")
