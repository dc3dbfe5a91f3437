"""Limits on memory, queue and connections, which protect clients from each other."""

from __future__ import annotations

import asyncio
import gc
import threading
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
from wyoming.ping import Ping

from tests.support.serving import (
    DEADLINE,
    PCM,
    Peer,
    Server,
    frames,
    recording,
    until,
    utterance,
    warnings,
)
from wyoming_faster_whisper.audio.recording import Recording
from wyoming_faster_whisper.engine.protocol import Job
from wyoming_faster_whisper.testing import FakeEngine, pcm16, tone
from wyoming_faster_whisper.transports.lifecycle import ClientLimits
from wyoming_faster_whisper.transports.wyoming.framing import write_event

from .conftest import Serve

LARGE = 6_400  # bytes, 200 ms: chunks of a recording whose length matters, and not its chunks
TIMEOUT = 0.5  # seconds; long enough for a client that has something to say


async def test_a_client_that_never_stops_buffers_two_utterances_at_most(serve: Serve) -> None:
    server = await serve(FakeEngine(held=True), max_audio_seconds=1.0)
    *endless, _ = recording(pcm16(tone(2.0)), PCM, chunk=320)
    async with server.peer() as greedy, server.client() as other:
        greedy.send(frames(endless) * 20)
        await until(lambda: server.memory.used >= 2 * 32_000)
        for _ in range(50):
            await other.ping()
        assert server.memory.used == 2 * 32_000
        await greedy.vanish(reset=True)
        await until(lambda: server.connections == 1)
        assert server.memory.used == 0


async def test_a_reset_is_detected_while_an_answer_is_pending(serve: Serve) -> None:
    server = await serve(FakeEngine(held=True))
    async with server.client() as first, server.peer() as leaving:
        await first.say(tone(0.5))
        await until(server.engine.decoding.is_set)
        # More than asyncio buffers, so it has stopped reading from the socket.
        leaving.send(frames(utterance(tone(2.0)) * 10))
        await until(lambda: server.waiting == 1)
        await leaving.vanish(reset=True)
        await until(lambda: server.connections == 1)
        assert server.withdrawn == 1


async def test_audio_beyond_the_memory_limit_is_refused(server: Server) -> None:
    server.memory.limit = 3 * 32_000
    *audio, stop = utterance(tone(2.0))
    async with server.client() as speaking, server.peer() as refused:
        await speaking.send(*audio)
        await speaking.ping()
        assert (await refused.send(frames(utterance(tone(2.0)))).error()).code == "busy"
        await speaking.send(stop)
        assert await speaking.transcript() == "2.0 seconds"
    await until(lambda: server.connections == 0)
    assert server.memory.used == 0


async def test_audio_of_a_disconnected_client_is_freed(serve: Serve) -> None:
    """It is freed at once, without the garbage collector."""
    server = await serve()
    gc.collect()
    gc.disable()
    try:
        async with server.peer() as answered:
            answered.send(frames(utterance(tone(3.0))))
            await answered.receive()
            answered.send(frames(utterance(tone(3.0))[:-1]))
            await until(lambda: server.memory.used > 3 * 32_000 - 6_400)
            await answered.vanish(reset=True)
        await until(lambda: server.connections == 0)
        held = [one for one in gc.get_objects() if isinstance(one, Recording)]
        assert sum(map(len, held)) == 0
    finally:
        gc.enable()


async def test_one_chunk_beyond_the_memory_limit_is_refused(
    serve: Serve,
) -> None:
    server = await serve(max_audio_memory=1)  # MB: 31 s
    data = frames(recording(pcm16(tone(60.0)), PCM, chunk=2 * 960_000))
    async with server.peer() as refused, server.peer() as other:
        assert (await refused.send(data).error()).code == "busy"
        await until(lambda: server.memory.used == 0)
        other.send(data[:1_000_000])  # the rest of the announced payload is never sent
        await until(lambda: server.memory.used > 900_000)
        await until(
            lambda: all(
                len(connection._frames._buffer) <= 64 * 1024
                for connection in server.listener._connections.values()
            )
        )
    await until(lambda: server.connections == 0)
    assert server.memory.used == 0


async def test_the_operator_sets_the_audio_memory_limit(serve: Serve) -> None:
    server = await serve(max_audio_memory=1)  # MB: 31 s
    async with server.peer() as refused:
        error = await refused.send(frames(utterance(tone(40.0), chunk=LARGE))).error()
    assert error.code == "busy"
    await server.serves()


async def test_the_rest_of_a_long_recording_is_not_decoded_after_a_disconnect(
    serve: Serve,
) -> None:
    left = threading.Event()

    def say(job: Job) -> str:
        if job.seconds < 1.0:
            left.wait(DEADLINE)
        return f"{job.seconds:.1f} seconds"

    server = await serve(FakeEngine(say, held=True))
    async with server.peer() as leaving:
        leaving.send(frames(utterance(tone(100.0), chunk=LARGE))).half_close()
        await until(server.engine.decoding.is_set)
        await until(lambda: "answering" in repr(server.listener._connections))
        async with server.client() as other:
            await other.say(tone(0.5))
            await until(lambda: server.waiting == 1)
            server.engine.release()
            assert await leaving.rest() == b""
            left.set()
            assert await other.transcript() == "0.5 seconds"
    assert len(server.engine.decoded) == 2


async def test_the_rest_of_a_long_recording_is_not_decoded_if_more_utterances_follow(
    serve: Serve,
) -> None:
    """While its first answer is pending, the server has not read to the end of the stream."""
    left = threading.Event()

    def say(job: Job) -> str:
        if job.seconds < 1.0:
            left.wait(DEADLINE)
        return f"{job.seconds:.1f} seconds"

    server = await serve(FakeEngine(say, held=True))
    async with server.peer() as leaving, server.client() as other:
        leaving.send(
            frames(utterance(tone(60.0), chunk=LARGE) + utterance(tone(2.0)))
        ).half_close()
        await until(server.engine.decoding.is_set)
        await until(lambda: "half closed" in repr(server.listener._connections))
        await other.say(tone(0.5))
        await until(lambda: server.waiting == 1)
        server.engine.release()
        assert await leaving.rest() == b""
        left.set()
        assert await other.transcript() == "0.5 seconds"
    assert len(server.engine.decoded) == 2


async def test_a_half_closed_clients_recording_is_decoded_if_no_other_client_waits(
    serve: Serve,
) -> None:
    server = await serve()
    async with server.peer() as peer:
        peer.send(frames(utterance(tone(70.0), chunk=LARGE))).half_close()
        assert (await peer.receive()).type == "transcript"
    assert len(server.engine.decoded) > 1


async def test_a_client_that_trickles_bytes_times_out(serve: Serve) -> None:
    server = await serve(limits=ClientLimits(first_event=TIMEOUT))

    async def trickle(peer: Peer) -> None:
        while True:
            peer.send(b" ")
            await asyncio.sleep(TIMEOUT / 20)

    async with server.peer() as slow:
        trickling = asyncio.create_task(trickle(slow))
        assert (await slow.receive()).data["code"] == "timeout"
        trickling.cancel()


async def test_a_stopping_server_does_not_wait_for_a_client_that_does_not_read(
    serve: Serve, tmp_path: Path
) -> None:
    server = await serve(uri=f"unix://{tmp_path}/socket", limits=ClientLimits(write=1000.0))
    async with server.peer() as not_reading:
        not_reading.send(write_event(Ping("x" * 200_000).event()) * 20)
        await until(lambda: server.connections == 1)
        [connection] = server.listener._connections.values()
        await until(lambda: connection._writer.transport.get_write_buffer_size() > 0)
        async with asyncio.timeout(DEADLINE):
            await server.listener.stop(TIMEOUT)
        assert server.connections == 0


async def test_many_rejected_clients_cause_few_log_lines(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    server = await serve(max_connections=1, limits=ClientLimits(linger=1000.0))
    async with server.client() as one, AsyncExitStack() as crowd:
        await one.ping()
        for _ in range(64):
            peer = await crowd.enter_async_context(server.peer())
            assert (await peer.receive()).data["code"] == "busy"
        # With 64 rejections in progress, the next client gets no error event.
        late = await crowd.enter_async_context(server.peer())
        assert await late.rest() == b""
    told = [
        line for line in warnings(caplog) if line.startswith("connections rejected or evicted: ")
    ]
    assert told[0] == (
        "connections rejected or evicted: 1; "
        "too many connections (1 client); try again later; open: 1"
    )
    assert len(told) < 10
