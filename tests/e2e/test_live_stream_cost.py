"""Read coalescing: how often a live stream is read, how late the answer is, and flow control."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trustme
from wyoming.asr import Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.event import Event, async_read_event

from tests.support.virtual_time import CHUNK, CLIENT, House, run
from wyoming_faster_whisper.speech.utterance import UtteranceRules
from wyoming_faster_whisper.speech.vad import SpeechDetector
from wyoming_faster_whisper.testing import LoudnessVad, pcm16, tone
from wyoming_faster_whisper.transports.lifecycle import ClientLimits
from wyoming_faster_whisper.transports.tls import client_context
from wyoming_faster_whisper.transports.wyoming.connection import Connection
from wyoming_faster_whisper.transports.wyoming.framing import write_event

DECODE = 0.2  # seconds per decode
AT_ONCE = 0.2  # seconds within which a client has sent a recording that it has already


class CountingReader(asyncio.StreamReader):
    """StreamReader that counts its reads, and the bytes that it holds."""

    reads = 0
    held = 0
    most_held = 0

    def feed_data(self, data: Any) -> None:
        self.held += len(data)
        self.most_held = max(self.most_held, self.held)
        super().feed_data(data)

    async def read(self, n: int = -1) -> bytes:
        data = await super().read(n)
        self.reads += 1
        self.held -= len(data)
        return data


@asynccontextmanager
async def connected(
    house: House,
    reader: asyncio.StreamReader,
    *,
    pause: float = 0.0,
    authority: trustme.CA | None = None,
    **shared: Any,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Serve a connection that reads from the reader; yield the client's streams.

    Args:
        authority: issues the certificate of the server; None = no TLS.
        shared: fields of SessionContext.
    """
    tls = trusting = None
    if authority is not None:
        tls, trusting = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), client_context()
        authority.issue_cert("127.0.0.1").configure_cert(tls)
        authority.configure_trust(trusting)
    ours, theirs = socket.socketpair()
    writers: list[asyncio.StreamWriter] = []
    protocol = asyncio.StreamReaderProtocol(reader, lambda _, writer: writers.append(writer))
    transport, _ = await house.loop.connect_accepted_socket(lambda: protocol, ours)
    if tls is not None:
        transport.pause_reading()  # like the listener
    [writer] = writers
    connection = Connection(
        reader,
        writer,
        CLIENT,
        context=house.context(rules=UtteranceRules(guess_after=pause), **shared),
        info=lambda _: Event("info"),
        limits=ClientLimits(),
        tls=tls,
    )
    serving = asyncio.create_task(connection.run())
    hears, says = await asyncio.open_connection(
        sock=theirs, ssl=trusting, server_hostname="127.0.0.1" if trusting else None
    )
    yield hears, says
    says.transport.abort()
    await serving


async def send_speech(
    speech: float, silence: float = 0.0, *, pace: float = 0.01, pause: float = 0.0
) -> tuple[str, float, int]:
    """Send one utterance; return text, seconds from audio-stop to the answer, number of reads.

    Args:
        speech: seconds of speech.
        silence: seconds of silence after the speech.
        pace: seconds between two chunks of 10 ms.
        pause: seconds of silence before a guess.
    """
    reader = CountingReader()
    async with (
        House(lambda job: DECODE) as house,
        connected(house, reader, pause=pause) as (hears, says),
    ):
        says.write(write_event(AudioStart(16_000, 2, 1).event()))
        data = pcm16(tone(speech)) + bytes(round(silence * 16_000) * 2)
        for at in range(0, len(data), CHUNK):
            await asyncio.sleep(pace)
            chunk = AudioChunk(16_000, 2, 1, data[at : at + CHUNK])
            says.write(write_event(chunk.event()))
        says.write(write_event(AudioStop().event()))
        stopped = house.loop.time()
        answer = await async_read_event(hears)
        waited = house.loop.time() - stopped
        assert answer is not None
        return Transcript.from_event(answer).text, waited, reader.reads


def test_a_possible_live_stream_is_read_every_20_ms_at_first_then_every_100_ms() -> None:
    text, waited, reads = run(send_speech(1.0))
    assert text == "1.0 seconds"
    assert reads <= AT_ONCE / 0.02 + 0.8 / 0.1 + 5
    assert waited <= DECODE + 0.101  # one read-coalescing delay later


def test_a_live_stream_is_read_every_100_ms() -> None:
    text, waited, reads = run(send_speech(4.0))
    assert text == "4.0 seconds"
    assert reads <= AT_ONCE / 0.02 + 3.8 / 0.1 + 5
    assert waited <= DECODE + 0.101


def test_read_coalescing_does_not_delay_the_answer_after_a_pause() -> None:
    """The stream is read every 20 ms in the pause, but every 50 ms while a guess is decoded."""
    text, waited, reads = run(send_speech(4.0, 0.7, pause=0.128))
    assert text.endswith("seconds")
    assert waited <= 0.021  # the guess was already decoded
    in_pause = 0.2 / 0.02 + DECODE / 0.05 + 0.4 / 0.02
    assert reads <= AT_ONCE / 0.02 + 3.8 / 0.064 + in_pause + 5


def test_a_client_that_sends_faster_than_real_time_is_not_delayed() -> None:
    text, waited, _ = run(send_speech(1.5, pace=0.0))
    assert text == "1.5 seconds"
    assert waited <= DECODE + 0.021


def test_read_coalescing_does_not_resume_reads_that_flow_control_paused() -> None:
    async def flood() -> int:
        detectors = iter([LoudnessVad(), LoudnessVad()])

        async def loading() -> SpeechDetector:
            for detector in detectors:
                return detector
            await asyncio.Event().wait()  # the third utterance is never processed
            raise AssertionError

        start, stop = AudioStart(16_000, 2, 1).event(), AudioStop().event()
        chunk = AudioChunk(16_000, 2, 1, pcm16(tone(0.05))).event()
        long = AudioChunk(16_000, 2, 1, bytes(64_000)).event()
        reader = CountingReader()
        async with (
            House(lambda job: DECODE) as house,
            connected(house, reader, vad=loading) as (_, says),
        ):
            says.write(b"".join(map(write_event, (start, chunk, stop))))
            await asyncio.sleep(0.01)
            # Its audio-stop waits for the first answer, while more arrives than is held.
            says.write(b"".join(map(write_event, (start, chunk, stop, start, chunk))))
            await asyncio.sleep(0.01)
            says.write(80 * write_event(long))  # over a minute of audio, after which it waits
            await asyncio.sleep(2.0)
        return reader.most_held

    # Flow control pauses at twice the StreamReader's limit, after one read of the transport.
    assert run(flood()) <= 2 * 64 * 1024 + 256 * 1024


def test_a_client_that_disconnects_while_its_reads_are_delayed_is_forgotten(
    authority: trustme.CA, caplog: pytest.LogCaptureFixture
) -> None:
    """The transport of TLS fails if it is asked for anything after it has been closed."""

    async def leave() -> None:
        async with House(lambda job: DECODE) as house:
            async with connected(house, CountingReader(), authority=authority) as (_, says):
                says.write(write_event(AudioStart(16_000, 2, 1).event()))
                await asyncio.sleep(0.001)
            await asyncio.sleep(0.02)  # the delay

    run(leave())
    assert [record.getMessage() for record in caplog.records] == []
