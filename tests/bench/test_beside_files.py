"""bench.beside_files: long files in their own processes, and the table."""

from __future__ import annotations

import asyncio

import pytest
from wyoming.asr import Transcript
from wyoming.audio import AudioChunk, AudioStop
from wyoming.error import Error
from wyoming.event import Event, async_read_event, async_write_event

from bench.beside_files import BesideFiles, table, targets
from bench.support.competition import send_file
from wyoming_faster_whisper.testing.tcp_server import TcpServer


async def sent(answer: Event, seconds: float) -> tuple[bytes, str]:
    """Send a file to a server with this answer; return its audio and the client's address."""
    audio, address, closed = bytearray(), "", asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal address
        address = writer.get_extra_info("peername")[0]
        while (event := await async_read_event(reader)) is not None:
            if AudioChunk.is_type(event.type):
                audio.extend(event.payload or b"")
            elif AudioStop.is_type(event.type):
                await async_write_event(answer, writer)
        writer.close()
        await writer.wait_closed()
        closed.set()

    async with TcpServer(serve) as server:
        try:
            await send_file(server.port, "127.0.0.5", b"\x01\x02" * 5000, seconds)
        finally:
            await closed.wait()
    return bytes(audio), address


async def test_a_file_has_its_length_and_an_address_of_its_own() -> None:
    audio, address = await sent(Transcript("a text").event(), 1.2)
    assert audio == (b"\x01\x02" * 20_000)[: len(audio)]
    assert len(audio) == 1.2 * 32_000
    assert address == "127.0.0.5"


async def test_a_file_that_the_server_refuses_is_an_error() -> None:
    with pytest.raises(EOFError, match="too many"):
        await sent(Error("too many").event(), 1.2)


def test_the_target_compares_with_the_wait_alone() -> None:
    measured = BesideFiles([0.4], [0.5], [0.1], [0.2], lost=0, throughput=20.0)
    lines = table(measured).splitlines()
    assert [line.split()[-1] for line in lines if ", p95" in line] == ["1.25", "2.00"]
    ours = targets(measured).splitlines()
    assert [line.split()[-1] for line in ours[1:]] == ["met", "missed", "met"]
