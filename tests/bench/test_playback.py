"""Playback of one utterance in real time: latencies, and answers that come too early."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from wyoming.asr import Transcript
from wyoming.event import Event, async_read_event, async_write_event

from bench.support.playback import play
from wyoming_faster_whisper.testing import pcm16, silence, tone
from wyoming_faster_whisper.testing.tcp_server import TcpServer

SPOKEN, ROOM = pcm16(tone(0.1)), pcm16(silence(0.1))


@asynccontextmanager
async def server(answers_at: Callable[[Event, int], bool]) -> AsyncIterator[int]:
    """Run a server that answers at the first event for which answers_at() returns true."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        chunks = 0
        while (event := await async_read_event(reader)) is not None:
            chunks += event.type == "audio-chunk"
            if answers_at(event, chunks):
                await async_write_event(Transcript("heard").event(), writer)
                break
        while await reader.read(1000):
            pass

    async with TcpServer(serve) as listening:
        yield listening.port


async def test_an_answer_after_audio_stop_has_both_latencies() -> None:
    async with server(lambda event, _: event.type == "audio-stop") as port:
        answer = await play(port, SPOKEN, silence=ROOM, paced=True)
    assert answer.text == "heard"
    assert answer.after_stop is not None
    assert answer.after_speech is not None
    assert answer.after_speech >= answer.after_stop + 0.09


async def test_an_answer_before_audio_stop_has_no_latency_after_it() -> None:
    async with server(lambda _, chunks: chunks == 12) as port:
        answer = await play(port, SPOKEN, silence=ROOM * 100, paced=True)
    assert answer.after_stop is None
    assert answer.after_speech is not None
    assert answer.after_speech > 0


async def test_an_answer_before_the_last_word_counts_as_cut_off() -> None:
    async with server(lambda _, chunks: chunks == 5) as port:
        answer = await play(port, SPOKEN * 100, silence=ROOM, paced=True)
    assert answer.after_speech is None


async def test_chunks_of_stereo_audio_also_last_10_ms() -> None:
    async with server(lambda event, chunks: event.type == "audio-stop" and chunks == 20) as port:
        answer = await play(port, SPOKEN * 2, silence=ROOM * 2, channels=2, timeout=5)
    assert answer.text == "heard"
