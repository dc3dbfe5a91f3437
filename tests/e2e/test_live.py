"""A microphone's stream costs no more than it must."""

from __future__ import annotations

import asyncio
import socket

from wyoming.asr import Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.event import Event, async_read_event

from wyoming_faster_whisper.session import Shared, SpeechDetector
from wyoming_faster_whisper.testing import LoudnessVad, pcm16, tone
from wyoming_faster_whisper.wire.connection import Connection
from wyoming_faster_whisper.wire.framing import write_event
from wyoming_faster_whisper.wire.visit import Limits

from ..virtual import CHUNK, House, run

SECONDS = 1.5


class CountingReader(asyncio.StreamReader):
    """Knows how often it was read."""

    reads = 0

    async def read(self, n: int = -1) -> bytes:
        data = await super().read(n)
        self.reads += 1
        return data


async def vad() -> SpeechDetector:
    return LoudnessVad()


async def spoken(pace: float) -> tuple[str, float, int]:
    """What is answered, how long after audio-stop, in how many reads.

    Args:
        pace: seconds between two chunks of 10 ms.
    """
    ours, theirs = socket.socketpair()
    async with House(lambda job: 0.2) as house:
        loop = house.loop
        reader = CountingReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await loop.connect_accepted_socket(lambda: protocol, ours)
        connection = Connection(
            reader,
            asyncio.StreamWriter(transport, protocol, reader, loop),
            shared=Shared(worker=house.worker, vad=vad, offer=house.offer),
            info=Event("info"),
            limits=Limits(),
            peer="client",
        )
        serving = asyncio.create_task(connection.run())
        hears, says = await asyncio.open_connection(sock=theirs)
        says.write(write_event(AudioStart(16_000, 2, 1).event()))
        data = pcm16(tone(SECONDS))
        for at in range(0, len(data), CHUNK):
            await asyncio.sleep(pace)
            chunk = AudioChunk(16_000, 2, 1, data[at : at + CHUNK])
            says.write(write_event(chunk.event()))
        says.write(write_event(AudioStop().event()))
        stopped = loop.time()
        answer = await async_read_event(hears)
        waited = loop.time() - stopped
        says.close()
        await serving
        assert answer is not None
        return Transcript.from_event(answer).text, waited, reader.reads


def test_a_live_stream_is_read_a_few_chunks_at_a_time() -> None:
    text, waited, reads = run(spoken(pace=0.01))
    assert text == f"{SECONDS:.1f} seconds"
    assert reads <= SECONDS / 0.02 + 3
    assert waited <= 0.2 + 0.021  # a decode, and the longest rest


def test_who_sends_faster_than_he_speaks_is_not_held_up() -> None:
    text, waited, _ = run(spoken(pace=0.0))
    assert text == f"{SECONDS:.1f} seconds"
    assert waited <= 0.2 + 0.021
