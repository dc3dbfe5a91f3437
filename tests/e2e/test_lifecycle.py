"""Start and stop of a server: loading, listening, and finishing running utterances."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from tests.support.serving import DEADLINE, Server, until, utterance
from wyoming_faster_whisper.errors import ModelError, ServerError, SettingError
from wyoming_faster_whisper.testing import FakeEngine, tone

from .conftest import Serve


class SlowLoad:
    """Loader that blocks until finish() is called."""

    def __init__(self, engine: FakeEngine) -> None:
        self.engine = engine
        self.begun = threading.Event()
        self._go = threading.Event()
        self._error: ServerError | None = None

    def __call__(self) -> FakeEngine:
        self.begun.set()
        assert self._go.wait(DEADLINE)
        if self._error is not None:
            raise self._error
        return self.engine

    def finish(self, error: ServerError | None = None) -> None:
        self._error = error
        self._go.set()


async def test_requests_before_the_model_is_loaded_are_answered_after_it(serve: Serve) -> None:
    load = SlowLoad(FakeEngine())
    server = await serve(load.engine, load=load)
    await until(load.begun.is_set)
    async with server.client() as one, server.client() as two:
        before = await one.describe()
        await one.say(tone(1.0))
        await two.say(tone(0.5))
        await until(lambda: server.waiting == 2)
        assert await two.ping("loading?") == "loading?"
        load.finish()
        assert await one.transcript() == "1.0 seconds"
        assert await two.transcript() == "0.5 seconds"
        assert await one.describe() == before
    assert before.asr[0].models[0].installed


async def test_a_waiting_request_replaces_the_warm_up(serve: Serve) -> None:
    load = SlowLoad(FakeEngine())
    server = await serve(load.engine, load=load)
    async with server.client() as client:
        await client.say(tone(0.5))
        await until(lambda: server.waiting == 1)
        load.finish()
        assert await client.transcript() == "0.5 seconds"
    assert not load.engine.warmed_up


async def test_a_model_is_warmed_up_if_no_request_is_waiting(serve: Serve) -> None:
    load = SlowLoad(FakeEngine())
    server = await serve(load.engine, load=load)
    load.finish()
    await server.serves()
    assert load.engine.warmed_up


async def test_a_model_that_cannot_be_loaded_stops_the_server(serve: Serve) -> None:
    load = SlowLoad(FakeEngine())
    server = await serve(load=load)
    load.finish(ModelError("there is no such model"))
    with pytest.raises(ModelError, match="there is no such model"):
        await server.running


async def test_a_client_waiting_for_a_model_that_cannot_be_loaded_gets_an_error(
    serve: Serve,
) -> None:
    load = SlowLoad(FakeEngine())
    server = await serve(load=load)
    async with server.client() as client:
        await client.say(tone(0.5))
        await until(lambda: server.waiting == 1)
        load.finish(ModelError("there is no such model"))
        event = await client.receive()
        assert event.type == "error"
        assert event.data["code"] == "model"


async def test_a_stopping_server_finishes_running_decodes(serve: Serve) -> None:
    server = await serve(FakeEngine(held=True))
    async with server.client() as client:
        await client.say(tone(1.0))
        await until(server.engine.decoding.is_set)
        closing = await stopping(server)
        server.engine.release()
        assert await client.transcript() == "1.0 seconds"
        assert await client.client.read_event() is None
        await closing


async def test_a_stopping_server_lets_a_speaker_finish(serve: Serve) -> None:
    server = await serve()
    *audio, stop = utterance(tone(1.0))
    async with server.client() as client:
        await client.send(*audio)
        await client.ping()
        closing = await stopping(server)
        await client.send(stop)
        assert await client.transcript() == "1.0 seconds"
        assert await client.client.read_event() is None
        await closing


async def test_a_stopping_server_lets_a_speaker_finish_a_second_utterance(serve: Serve) -> None:
    server = await serve(FakeEngine(held=True))
    *audio, stop = utterance(tone(1.0))
    async with server.client() as client:
        await client.say(tone(0.5))
        await client.send(*audio)
        await client.ping()
        closing = await stopping(server)
        server.engine.release()
        assert await client.transcript() == "0.5 seconds"
        await client.send(stop)
        assert await client.transcript() == "1.0 seconds"
        await closing


async def test_a_stopping_server_answers_an_utterance_that_hit_the_length_limit(
    serve: Serve,
) -> None:
    server = await serve(FakeEngine(held=True), max_audio_seconds=1.0)
    async with server.client() as client:
        await client.say(tone(0.5))
        await client.say(tone(2.0))
        await until(server.engine.decoding.is_set)
        await until(lambda: server.memory.used == 48_000)
        closing = await stopping(server)
        server.engine.release()
        assert await client.transcript() == "0.5 seconds"
        assert await client.transcript() == "1.0 seconds"
        await closing


async def test_a_stopping_server_does_not_wait_for_idle_clients(serve: Serve) -> None:
    server = await serve()
    async with server.client() as idle, server.client() as silent:
        await idle.say(tone(0.5))
        await idle.transcript()
        await silent.ping()
        await (await stopping(server))
        assert await idle.client.read_event() is None
        assert await silent.client.read_event() is None


async def test_a_stopping_server_accepts_no_new_clients(serve: Serve) -> None:
    server = await serve(FakeEngine(held=True))
    async with server.client() as client:
        await client.say(tone(0.5))
        await until(server.engine.decoding.is_set)
        closing = await stopping(server)
        with pytest.raises(ConnectionRefusedError):
            async with server.client():
                pass
        server.engine.release()
        await client.transcript()
        await closing


async def test_a_server_can_stop_before_its_model_is_loaded(serve: Serve) -> None:
    load = SlowLoad(FakeEngine())
    server = await serve(load=load)
    await until(load.begun.is_set)
    await (await stopping(server))
    load.finish()


async def stopping(server: Server) -> asyncio.Task[None]:
    """Ask a server to stop; return the closing task once new clients are refused."""
    server.service.stop()
    await server.running
    closing = asyncio.create_task(server.service.close())
    await until(lambda: server.listener._stopping)
    return closing


async def test_a_unix_socket_is_removed_when_its_server_stops(
    serve: Serve, tmp_path: Path
) -> None:
    path = tmp_path / "socket"
    server = await serve(uri=f"unix://{path}")
    assert path.is_socket()
    await (await stopping(server))
    assert not path.exists()


async def test_a_unix_socket_that_another_server_replaced_is_kept(
    serve: Serve, tmp_path: Path
) -> None:
    path = tmp_path / "socket"
    one = await serve(uri=f"unix://{path}")
    path.unlink()
    two = await serve(uri=f"unix://{path}")
    await (await stopping(one))
    await two.serves()


async def test_a_unix_socket_left_behind_is_replaced(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    abandoned = await asyncio.start_unix_server(lambda reader, writer: None, path)
    path.rename(tmp_path / "kept")  # so that asyncio does not remove it
    abandoned.close()
    (tmp_path / "kept").rename(path)
    server = await serve(uri=f"unix://{path}")
    await server.serves()


async def test_a_unix_socket_in_use_is_kept(serve: Serve, tmp_path: Path) -> None:
    server = await serve(uri=f"unix://{tmp_path}/socket")
    with pytest.raises(SettingError, match="another server is listening on it"):
        await serve(uri=f"unix://{tmp_path}/socket")
    await server.serves()


async def test_a_file_that_is_not_a_socket_is_kept(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "diary").write_text("dear diary")
    with pytest.raises(SettingError, match="the path is a file, not a socket"):
        await serve(uri=f"unix://{tmp_path}/diary")
    assert (tmp_path / "diary").read_text() == "dear diary"


async def test_a_port_in_use_is_reported(serve: Serve) -> None:
    server = await serve()
    with pytest.raises(SettingError) as caught:
        await serve(uri=server.uri)
    assert str(caught.value) == (
        f"cannot listen on {server.uri}: Address already in use; see --uri"
    )
    await server.serves()


async def test_two_servers_in_one_process_do_not_interfere(serve: Serve) -> None:
    one = await serve(model="tiny.en")
    two = await serve(FakeEngine(lambda job: "the other one"), model="base")
    async with one.client() as client:
        assert (await client.describe()).asr[0].models[0].name == "tiny.en"
    async with two.client() as client:
        assert (await client.describe()).asr[0].models[0].name == "base"
        await client.say(tone(0.5))
        assert await client.transcript() == "the other one"
    await one.serves()
