"""Upstream servers: which server decodes, and which answer the client gets."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from tests.support.serving import Server, until, utterance, warnings
from wyoming_faster_whisper.engine.remote.wyoming import Upstreams
from wyoming_faster_whisper.errors import SettingError
from wyoming_faster_whisper.testing import FakeEngine, silence, tone

from .conftest import Serve

HERE, THERE = "decoded here", "decoded there"


def engine(text: str, **more: Any) -> FakeEngine:
    return FakeEngine(lambda _: text, **more)


async def transcribed(server: Server, *, language: str | None = None) -> str:
    async with server.client() as client:
        await client.say(tone(1.0), language=language)
        return await client.transcript()


def outcome(log: pytest.LogCaptureFixture, server: Server) -> str:
    """Return the upstream outcome in the log line of the last utterance."""
    lines = [r for r in log.records if hasattr(r, "fields") and "upstream" in r.fields]
    return str(lines[-1].fields["upstream"])


async def test_an_available_upstream_decodes_instead_of_this_server(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    box, pi = engine(THERE), engine(HERE)
    gpu = await serve(box)
    server = await serve(pi, upstream=gpu.uri)
    assert await transcribed(server) == THERE
    assert pi.decoded == []
    assert [round(job.seconds, 1) for job in box.decoded] == [1.0]
    assert outcome(caplog, server) == "used"


async def test_audio_is_forwarded_to_the_upstream_during_speech(serve: Serve) -> None:
    gpu = await serve(engine(THERE))
    server = await serve(engine(HERE), upstream=gpu.uri)
    *spoken, stop = utterance(tone(1.0))
    async with server.client() as client:
        await client.send(*spoken)
        await until(lambda: gpu.memory.used >= 2 * 15_000)
        await client.send(stop)
        assert await client.transcript() == THERE


async def test_this_server_decodes_if_the_upstream_is_unavailable(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server = await serve(engine(HERE), upstream="tcp://127.0.0.1:9")
    assert await transcribed(server) == HERE
    assert outcome(caplog, server) == "away"
    assert any("tcp://127.0.0.1:9 is unavailable" in line for line in warnings(caplog))


async def test_this_server_decodes_if_the_upstream_is_late(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    slow = engine(THERE, held=True)
    gpu = await serve(slow)
    server = await serve(engine(HERE), upstream=gpu.uri, upstream_timeout=0.1)
    assert await transcribed(server) == HERE
    assert outcome(caplog, server) == "late"
    slow.release()


async def test_this_server_decodes_if_the_upstream_is_busy(serve: Serve) -> None:
    slow = engine(THERE, held=True)
    gpu = await serve(slow, max_waiting=1)
    server = await serve(engine(HERE), upstream=gpu.uri, upstream_timeout=30)
    async with gpu.client() as one, gpu.client() as two:
        await one.say(tone(1.0))
        await until(slow.decoding.is_set)
        await two.say(tone(1.0))
        await until(lambda: gpu.waiting == 1)
        assert await transcribed(server) == HERE
        slow.release()


async def test_an_upstream_without_the_language_is_not_used(serve: Serve) -> None:
    english = await serve(engine("english"), model="tiny.en")
    server = await serve(engine(HERE), upstream=english.uri)
    assert await transcribed(server, language="de") == HERE
    assert await transcribed(server, language="en") == "english"


async def test_silence_is_not_decoded_by_the_upstream(serve: Serve) -> None:
    box = engine(THERE)
    gpu = await serve(box)
    server = await serve(engine(HERE), upstream=gpu.uri)
    async with server.client() as client:
        await client.say(silence(1.0))
        assert await client.transcript() == ""
    assert box.decoded == []


async def test_an_upstream_is_used_again_once_it_has_recovered(serve: Serve) -> None:
    gpu = await serve(engine(THERE))
    server = await serve(engine(HERE), upstream=gpu.uri)
    upstreams(server).all[0].failed("marked as failed by the test")
    assert await transcribed(server) == HERE
    await until(lambda: upstreams(server).all[0].healthy)
    assert await transcribed(server) == THERE


async def test_upstreams_are_tried_in_the_given_order(serve: Serve) -> None:
    first, second = await serve(engine("first")), await serve(engine("second"))
    away = f"tcp://127.0.0.1:{await free_port(serve)}"
    server = await serve(engine(HERE), upstream=[away, first.uri, second.uri])
    assert await transcribed(server) == "first"
    upstreams(server).all[1].failed("marked as failed by the test")
    assert await transcribed(server) == "second"


async def test_a_server_cannot_be_its_own_upstream(serve: Serve) -> None:
    port = await free_port(serve)
    with pytest.raises(SettingError, match="this server itself"):
        await serve(
            engine(HERE), uri=f"tcp://127.0.0.1:{port}", upstream=f"tcp://localhost:{port}"
        )


async def test_a_cycle_ends_after_one_hop(serve: Serve) -> None:
    port = await free_port(serve)
    one = await serve(engine("one"), upstream=f"tcp://127.0.0.1:{port}")
    two = await serve(engine("two"), uri=f"tcp://127.0.0.1:{port}", upstream=one.uri)
    await until(lambda: upstreams(one).all[0].healthy)
    assert await transcribed(one) == "two"
    assert await transcribed(two) == "one"


async def test_an_unusable_upstream_address_is_an_error_that_names_the_option(
    serve: Serve,
) -> None:
    with pytest.raises(SettingError, match="--upstream is 'gpu-box'"):
        await serve(upstream="gpu-box")


async def free_port(serve: Serve) -> int:
    """Return a port on which a server has just stopped listening."""
    server = await serve()
    server.service.stop()
    await server.running
    await server.service.close()
    return server.service.address.port


def upstreams(server: Server) -> Upstreams:
    found = server.service._upstreams
    assert found is not None
    return found
