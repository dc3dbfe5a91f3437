"""Contract of the transports: over each of them a client sees the same session behaviour."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import pytest

from tests.support.serving import Server, until
from tests.support.transports import TRANSPORTS, Refused, Transport, Voice
from wyoming_faster_whisper.engine.protocol import Job
from wyoming_faster_whisper.errors import EngineError
from wyoming_faster_whisper.testing import FakeEngine, pcm16, silence, tone
from wyoming_faster_whisper.transports.lifecycle import ClientLimits

from .conftest import Serve

Open = Callable[..., Awaitable[Transport]]


@pytest.fixture(params=TRANSPORTS, ids=lambda kind: kind.__name__.lower())
async def serving(request: pytest.FixtureRequest, serve: Serve) -> AsyncIterator[Open]:
    """Start a server with the transport; the arguments are those of serve()."""

    async with AsyncExitStack() as transports:

        async def start(engine: FakeEngine | None = None, **given: object) -> Transport:
            kind = request.param
            transport: Transport = kind(await serve(engine, **{**kind.options, **given}))
            await transport.start()
            transports.push_async_callback(transport.close)
            return transport

        yield start


connecting = pytest.mark.parametrize(
    "serving",
    [kind for kind in TRANSPORTS if kind.connects],
    ids=lambda kind: kind.__name__.lower(),
    indirect=True,
)


async def idle(server: Server) -> None:
    """Wait until no audio is stored and no job is queued."""
    await until(lambda: server.memory.used == 0 and server.waiting == 0)


async def test_a_burst_is_answered(serving: Open) -> None:
    async with (await serving()).connect() as voice:
        await voice.say(tone(2.0), chunk=64_000)
        assert await voice.text() == "2.0 seconds"


async def test_the_chunk_size_does_not_change_the_answer(serving: Open) -> None:
    data = pcm16(tone(1.0))
    async with (await serving()).connect() as voice:
        await voice.start()
        for at in range(0, len(data), 331):
            await voice.audio(data[at : at + 331])
        await voice.stop()
        assert await voice.text() == "1.0 seconds"


async def test_utterances_of_one_client_are_answered_in_order(serving: Open) -> None:
    transport = await serving()
    async with transport.connect() as voice:
        for seconds in (1.0, 2.0, 1.5):
            await voice.say(tone(seconds))
        texts = [await voice.text() for _ in range(3)]
    assert texts == ["1.0 seconds", "2.0 seconds", "1.5 seconds"]


async def test_silence_is_answered_with_an_empty_text(serving: Open) -> None:
    async with (await serving()).connect() as voice:
        await voice.say(silence(1.0))
        assert await voice.text() == ""


async def test_an_overlong_utterance_is_answered_and_the_next_one_too(serving: Open) -> None:
    transport = await serving(max_audio_seconds=2)
    async with transport.connect() as voice:
        await voice.say(tone(9.0), chunk=3200)
        first = await voice.text()
        assert 2.0 <= float(first.split()[0]) < 4.5
        if transport.continuous:  # the rest is answered too
            seconds = float(first.split()[0])
            while seconds < 9.0:
                seconds += float((await voice.text()).split()[0])
        await voice.say(tone(1.0))
        assert await voice.text() == "1.0 seconds"


async def test_a_new_start_discards_the_utterance(serving: Open) -> None:
    transport = await serving()
    async with transport.connect() as voice:
        await voice.start()
        await voice.audio(pcm16(tone(1.5)))
        await voice.say(tone(1.0))
        assert await voice.text() == "1.0 seconds"
    await idle(transport.server)


async def test_each_of_many_clients_at_once_gets_its_own_answer(serving: Open) -> None:
    transport = await serving(FakeEngine(max_batch=4))

    async def speak(seconds: float) -> str:
        async with transport.connect() as voice:
            await voice.say(tone(seconds))
            return await voice.text()

    lengths = [1.0 + number / 10 for number in range(12)]
    texts = await asyncio.gather(*map(speak, lengths))
    assert texts == [f"{seconds:.1f} seconds" for seconds in lengths]
    await idle(transport.server)


async def test_a_client_beyond_the_limit_gets_a_busy_error(serving: Open) -> None:
    transport = await serving(max_connections=1)
    async with transport.connect() as first:
        await first.start()
        await first.audio(pcm16(tone(1.0)))
        await until(lambda: transport.server.memory.used > 0)
        async with transport.connect() as second:
            with pytest.raises(Refused, match="busy"):
                await second.text()
            await second.closed()
        await first.stop()
        assert await first.text() == "1.0 seconds"


async def test_a_client_that_sends_faster_than_the_model_decodes_is_throttled(
    serving: Open,
) -> None:
    engine = FakeEngine(held=True)
    transport = await serving(engine, max_audio_seconds=60)
    async with transport.connect() as voice:
        sending = asyncio.create_task(_say_often(voice, 12))
        await until(engine.decoding.is_set)
        for _ in range(1000):
            await asyncio.sleep(0)
        # Two recordings of 4 s, two bytes a sample.
        assert transport.server.memory.used <= 2 * 4 * 32_000 + transport.read_ahead
        engine.release()
        texts = [await voice.text() for _ in range(12)]
        await sending
    assert texts == ["4.0 seconds"] * 12


async def _say_often(voice: Voice, times: int) -> None:
    for _ in range(times):
        await voice.say(tone(4.0), chunk=32_000)


async def test_a_failed_decode_is_reported(serving: Open) -> None:
    """It ends the connection, unless that is one endless stream."""

    def fail(job: Job) -> str:
        raise EngineError("the model failed on this audio")

    transport = await serving(FakeEngine(fail))
    async with transport.connect() as voice:
        await voice.say(tone(1.0))
        with pytest.raises(Refused, match="engine"):
            await voice.text()
        if not transport.continuous:
            await voice.closed()
    await idle(transport.server)


async def test_a_client_that_stalls_in_an_utterance_gets_a_timeout_error(serving: Open) -> None:
    transport = await serving(limits=ClientLimits(inside_utterance=0.05))
    async with transport.connect() as voice:
        await voice.start()
        await voice.audio(pcm16(tone(0.5)))
        with pytest.raises(Refused, match="timeout"):
            await voice.text()
        await voice.closed()
    await idle(transport.server)


async def _connects(voice: Voice, engine: FakeEngine, server: Server) -> None:
    pass


async def _starts(voice: Voice, engine: FakeEngine, server: Server) -> None:
    await voice.start()


async def _speaks(voice: Voice, engine: FakeEngine, server: Server) -> None:
    await voice.start()
    await voice.audio(pcm16(tone(1.0)))
    await until(lambda: server.memory.used > 0)


async def _is_decoded(voice: Voice, engine: FakeEngine, server: Server) -> None:
    await voice.say(tone(1.0))
    await until(engine.decoding.is_set)


async def _is_queued(voice: Voice, engine: FakeEngine, server: Server) -> None:
    async with server.client() as other:
        await other.say(tone(2.0))
        await until(engine.decoding.is_set)
        await voice.say(tone(1.0))
        await until(lambda: server.waiting == 1)


STEPS = (_connects, _starts, _speaks, _is_decoded, _is_queued)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.__name__.lstrip("_"))
async def test_a_client_that_disconnects_leaves_nothing_in_memory(
    serving: Open,
    step: Callable[[Voice, FakeEngine, Server], Awaitable[None]],
    caplog: pytest.LogCaptureFixture,
) -> None:
    engine = FakeEngine(held=True)
    transport = await serving(engine)
    server = transport.server
    async with transport.connect() as voice:
        await step(voice, engine, server)
        await voice.leave()
        if step is _is_queued:
            await until(lambda: server.waiting == 0)  # withdrawn while the model is held
        engine.release()
    await until(lambda: transport.clients == 0)
    await idle(server)
    await server.serves()
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@connecting
async def test_a_client_that_has_just_connected_can_speak_while_the_server_drains(
    serving: Open,
) -> None:
    transport = await serving()
    async with transport.connect() as voice:
        await until(lambda: transport.clients == 1)
        draining = asyncio.create_task(transport.drain())
        await asyncio.sleep(0)
        await voice.say(tone(1.0))
        assert await voice.text() == "1.0 seconds"
        await voice.closed()
        await draining


@connecting
async def test_a_client_that_says_nothing_while_the_server_drains_is_disconnected(
    serving: Open,
) -> None:
    transport = await serving(limits=ClientLimits(last_chance=0.05))
    async with transport.connect() as voice:
        await until(lambda: transport.clients == 1)
        draining = asyncio.create_task(transport.drain())
        await voice.closed()
        await draining


async def test_draining_lets_an_utterance_end_and_closes_idle_clients_at_once(
    serving: Open,
) -> None:
    engine = FakeEngine(held=True)
    transport = await serving(engine)
    async with transport.connect() as resting, transport.connect() as voice:
        await resting.say(silence(0.5))
        assert await resting.text() == ""
        await voice.say(tone(1.0))
        await until(engine.decoding.is_set)
        draining = asyncio.create_task(transport.drain())
        await resting.closed()
        engine.release()
        assert await voice.text() == "1.0 seconds"
        await voice.closed()
        await draining
