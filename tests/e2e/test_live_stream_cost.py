"""A microphone's stream costs no more than it must."""

from __future__ import annotations

import asyncio
import socket

from wyoming.asr import Transcript
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.event import Event, async_read_event

from tests.support.virtual_time import CHUNK, House, run
from wyoming_faster_whisper.session.session import SessionContext
from wyoming_faster_whisper.speech.vad import SpeechDetector
from wyoming_faster_whisper.testing import LoudnessVad, pcm16, tone
from wyoming_faster_whisper.transports.lifecycle import ClientLimits
from wyoming_faster_whisper.transports.wyoming.connection import Connection
from wyoming_faster_whisper.transports.wyoming.framing import write_event

DECODE = 0.2  # seconds that one takes
BURST = 1.0  # seconds before a stream can be told to be live


class CountingReader(asyncio.StreamReader):
    """Knows how often it was read."""

    reads = 0

    async def read(self, n: int = -1) -> bytes:
        data = await super().read(n)
        self.reads += 1
        return data


async def vad() -> SpeechDetector:
    return LoudnessVad()


async def spoken(
    speech: float, silence: float = 0.0, *, pace: float = 0.01, pause: float = 0.0
) -> tuple[str, float, int]:
    """What is answered, how long after audio-stop, in how many reads.

    Args:
        speech: seconds of it.
        silence: seconds behind it.
        pace: seconds between two chunks of 10 ms.
        pause: seconds of silence after which to guess.
    """
    ours, theirs = socket.socketpair()
    async with House(lambda job: DECODE) as house:
        loop = house.loop
        reader = CountingReader()
        protocol = asyncio.StreamReaderProtocol(reader)
        transport, _ = await loop.connect_accepted_socket(lambda: protocol, ours)
        connection = Connection(
            reader,
            asyncio.StreamWriter(transport, protocol, reader, loop),
            context=SessionContext(
                worker=house.worker, vad=vad, offer=house.offer, guess_after=pause
            ),
            info=Event("info"),
            limits=ClientLimits(),
            peer="client",
        )
        serving = asyncio.create_task(connection.run())
        hears, says = await asyncio.open_connection(sock=theirs)
        says.write(write_event(AudioStart(16_000, 2, 1).event()))
        data = pcm16(tone(speech)) + bytes(round(silence * 16_000) * 2)
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


def test_what_may_be_a_live_stream_is_read_a_few_chunks_at_a_time() -> None:
    text, waited, reads = run(spoken(BURST))
    assert text == f"{BURST:.1f} seconds"
    assert reads <= BURST / 0.02 + 3
    assert waited <= DECODE + 0.021  # and the rest


def test_a_live_stream_is_read_ten_chunks_at_a_time() -> None:
    text, waited, reads = run(spoken(4.0))
    assert text == "4.0 seconds"
    assert reads <= BURST / 0.02 + 3.0 / 0.1 + 5
    assert waited <= DECODE + 0.101


def test_a_pause_is_noticed_in_time_and_the_end_of_it_at_once() -> None:
    """While the guess is decoded, less often in between."""
    text, waited, reads = run(spoken(4.0, 0.7, pause=0.128))
    assert text.endswith("seconds")
    assert waited <= 0.021  # the guess was there
    in_pause = 0.2 / 0.02 + DECODE / 0.05 + 0.4 / 0.02
    assert reads <= BURST / 0.02 + 3.0 / 0.064 + in_pause + 5


def test_who_sends_faster_than_he_speaks_is_not_held_up() -> None:
    text, waited, _ = run(spoken(1.5, pace=0.0))
    assert text == "1.5 seconds"
    assert waited <= DECODE + 0.021
