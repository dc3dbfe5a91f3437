"""Hung decodes and idle unload, as clients see them."""

from __future__ import annotations

import pytest

from tests.support.serving import frames, until, utterance
from wyoming_faster_whisper.errors import EngineError, NoMemory
from wyoming_faster_whisper.testing import FakeEngine, tone

from .conftest import Serve

TIMEOUT = 0.5  # seconds


async def test_a_hung_model_is_replaced(serve: Serve) -> None:
    hung, sound = FakeEngine(held=True), FakeEngine()
    engines = [hung, sound]
    server = await serve(hung, load=lambda: engines.pop(0), decode_timeout=TIMEOUT)
    async with server.peer() as peer:
        error = await peer.send(frames(utterance(tone(1.0)))).error()
    assert (error.code, error.text) == ("engine", "the model did not answer within 0.5 s")
    await server.serves()
    assert len(sound.decoded) == 1


async def test_a_second_hung_model_stops_the_server(serve: Serve) -> None:
    engines = [FakeEngine(held=True), FakeEngine(held=True)]
    waiting = list(engines)
    server = await serve(load=lambda: waiting.pop(0), decode_timeout=TIMEOUT)
    for _ in engines:
        async with server.peer() as peer:
            error = await peer.send(frames(utterance(tone(1.0)))).error()
        assert error.code == "engine"
    with pytest.raises(EngineError, match="this is the second hang"):
        await server.running
    for engine in engines:
        engine.release()


async def test_an_unloaded_model_is_reloaded_while_the_audio_arrives(serve: Serve) -> None:
    server = await serve(unload_after=TIMEOUT)
    await until(server.engine.unloaded.is_set)
    async with server.client() as client:
        await client.describe()
        assert server.engine.unloaded.is_set()  # describe does not need the model
        *audio, stop = utterance(tone(1.0))
        await client.send(*audio)
        await until(lambda: not server.engine.unloaded.is_set())
        await client.send(stop)
        assert await client.transcript() == "1.0 seconds"


async def test_a_reload_without_enough_memory_is_reported_and_the_server_continues(
    serve: Serve,
) -> None:
    class Large(FakeEngine):
        room = False

        def load(self) -> None:
            if not self.room:
                raise NoMemory("base needs about 285 MB of memory and 100 MB are available")
            super().load()

    engine = Large()
    server = await serve(engine, unload_after=TIMEOUT)
    await until(engine.unloaded.is_set)
    async with server.peer() as peer:
        error = await peer.send(frames(utterance(tone(1.0)))).error()
    assert error.code == "model"
    assert "100 MB are available" in error.text
    assert not server.running.done()
    engine.room = True
    await server.serves()
