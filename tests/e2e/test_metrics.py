"""Metrics, liveness and readiness over HTTP."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
from urllib.parse import urlsplit

import pytest

from tests.support.api import form, post, wav
from tests.support.serving import Server, until
from tests.support.web import browser, get
from wyoming_faster_whisper.engine.protocol import Engine
from wyoming_faster_whisper.errors import SettingError
from wyoming_faster_whisper.testing import FakeEngine, silence, tone

from .conftest import Serve


def address(server: Server) -> str:
    assert server.service.metrics_url is not None
    return urlsplit(server.service.metrics_url).netloc


async def metrics(server: Server) -> dict[str, float]:
    """Return our metrics: name with labels, without the prefix, to value."""
    answer = await get(address(server), "/metrics")
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/plain; version=")
    pairs = re.findall(r"^wyoming_stt_(\S+(?:{.*})?) (\S+)$", answer.text, re.MULTILINE)
    return {name: float(value) for name, value in pairs}


async def test_metrics_are_off_by_default(server: Server) -> None:
    assert server.service.metrics_url is None


async def test_an_unknown_path_is_answered_and_the_connection_closed(serve: Serve) -> None:
    answer = await get(address(await serve(metrics_port=0)), "/nothing")
    assert (answer.status, answer.headers["connection"]) == (404, "close")


async def test_an_utterance_is_counted(serve: Serve) -> None:
    server = await serve(metrics_port=0)
    async with server.client() as client:
        for sound in (tone(1.0), tone(2.0), silence(1.0)):
            await client.say(sound)
            await client.transcript()
        found = await metrics(server)
    assert found['utterances_total{outcome="text"}'] == 2
    assert found['utterances_total{outcome="nothing"}'] == 1
    assert found["audio_seconds_total"] == pytest.approx(4.0, abs=0.01)
    assert found["stop_to_text_seconds_count"] == 3
    assert found["speech_to_text_seconds_count"] == 2
    assert found['batches_total{size="1"}'] >= 2
    kinds = ("final", "guess", "partial")
    for name in ("queue_seconds", "decode_seconds"):
        assert sum(found.get(f'{name}_count{{kind="{kind}"}}', 0) for kind in kinds) >= 2
    assert found['sessions{transport="wyoming"}'] == 1


async def test_a_file_does_not_count_among_the_latencies_of_utterances(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server = await serve(metrics_port=0, http_port=0)
    body = form([("model", "whisper-1")], wav(tone(1.0)))
    assert (await post(server, "/v1/audio/transcriptions", body)).status == 200
    found = await metrics(server)
    assert found['utterances_total{outcome="text"}'] == 1
    assert found["stop_to_text_seconds_count"] == found["speech_to_text_seconds_count"] == 0
    assert "heard 1.0 s, ended by end of file" in caplog.text


async def test_a_browser_is_counted_as_a_web_session(serve: Serve) -> None:
    server = await serve(metrics_port=0, http_port=0)
    async with browser(server) as client:
        await client.say(tone(1.0))
        await client.final()
        found = await metrics(server)
    assert found['sessions{transport="web"}'] == 1
    assert found['utterances_total{outcome="text"}'] == 1


async def test_an_error_is_counted_by_its_code(serve: Serve) -> None:
    server = await serve(metrics_port=0)
    async with server.peer() as peer:
        peer.send(b"junk\n")
        await peer.error()
    assert (await metrics(server))['errors_total{code="protocol"}'] == 1


async def test_an_utterance_that_fails_is_counted(serve: Serve) -> None:
    def fail(_: object) -> str:
        raise RuntimeError("out of memory")

    server = await serve(FakeEngine(fail), metrics_port=0)
    async with server.client() as client:
        await client.say(tone(1.0))
        assert (await client.receive()).type == "error"
    found = await metrics(server)
    assert found['utterances_total{outcome="failed"}'] == 1
    assert found['errors_total{code="engine"}'] == 1


async def test_a_file_without_audio_is_counted_as_failed(serve: Serve) -> None:
    server = await serve(metrics_port=0, http_port=0)
    body = form([("model", "whisper-1")], b"no audio")
    assert (await post(server, "/v1/audio/transcriptions", body)).status == 400
    assert (await metrics(server))['utterances_total{outcome="failed"}'] == 1


async def test_an_utterance_whose_client_disconnected_is_counted(serve: Serve) -> None:
    engine = FakeEngine(held=True)
    server = await serve(engine, metrics_port=0)
    async with server.client() as first, server.client() as second:
        await first.say(tone(1.0))
        await until(engine.decoding.is_set)
        await second.say(tone(1.0))
        await until(lambda: server.waiting == 1)
        await second.leave()
        await until(lambda: server.withdrawn == 1)
        engine.release()
        await first.transcript()
    assert (await metrics(server))['utterances_total{outcome="left"}'] == 1


async def test_the_server_is_alive_before_it_is_ready(serve: Serve) -> None:
    loaded = threading.Event()

    def load() -> Engine:
        loaded.wait()
        return FakeEngine()

    server = await serve(load=load, metrics_port=0)
    try:
        assert (await get(address(server), "/healthz")).status == 200
        waiting = await get(address(server), "/readyz")
        assert (waiting.status, waiting.text) == (503, "the model is loading\n")
        assert (await metrics(server))["model_ready"] == 0
    finally:
        loaded.set()
    await server.serves()
    assert (await get(address(server), "/readyz")).status == 200
    assert (await metrics(server))["model_ready"] == 1


async def test_the_server_is_ready_while_its_model_is_unloaded(serve: Serve) -> None:
    """If no client came, the model would never be loaded again."""
    server = await serve(metrics_port=0, unload_after=0.01)
    await until(server.engine.unloaded.is_set)
    assert (await get(address(server), "/readyz")).status == 200


async def test_the_server_is_not_ready_while_it_drains(serve: Serve) -> None:
    engine = FakeEngine(held=True)
    server = await serve(engine, metrics_port=0)
    async with server.client() as client:
        await client.say(tone(1.0))
        await until(engine.decoding.is_set)
        server.service.stop()
        await until(lambda: server.running.done())
        closing = asyncio.create_task(server.service.close())
        draining = await get(address(server), "/readyz")
        assert (draining.status, draining.text) == (503, "the server is stopping\n")
        assert (await get(address(server), "/healthz")).status == 200
        engine.release()
        assert await client.transcript() == "1.0 seconds"
        await closing


async def test_a_metrics_port_in_use_is_an_error_that_names_the_option(serve: Serve) -> None:
    port = address(await serve(metrics_port=0)).rpartition(":")[2]
    with pytest.raises(SettingError, match="--metrics-port"):
        await serve(metrics_port=port)
