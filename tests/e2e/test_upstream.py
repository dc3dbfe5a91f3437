"""A server behind another: who decodes, and what the speaker gets."""

from __future__ import annotations

import logging

import pytest

from tests.support.serving import Server, until, utterance, warnings
from wyoming_faster_whisper.engine.remote.wyoming import Upstreams
from wyoming_faster_whisper.errors import SettingError
from wyoming_faster_whisper.testing import FakeEngine, silence, tone

from .conftest import Serve

HERE, THERE = "decoded here", "decoded there"


def engine(text: str, **more: bool) -> FakeEngine:
    return FakeEngine(lambda _: text, **more)


async def said(server: Server, *, language: str | None = None) -> str:
    async with server.client() as client:
        await client.say(tone(1.0), language=language)
        return await client.transcript()


def outcome(log: pytest.LogCaptureFixture, server: Server) -> str:
    """What the last line about an utterance says of the upstream."""
    lines = [r for r in log.records if hasattr(r, "fields") and "upstream" in r.fields]
    return str(lines[-1].fields["upstream"])


async def test_the_upstream_decodes_and_we_do_not(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    box, pi = engine(THERE), engine(HERE)
    gpu = await serve(box)
    server = await serve(pi, upstream=gpu.uri)
    assert await said(server) == THERE
    assert pi.decoded == []
    assert [round(job.seconds, 1) for job in box.decoded] == [1.0]
    assert outcome(caplog, server) == "used"


async def test_the_upstream_hears_it_while_it_is_spoken(serve: Serve) -> None:
    gpu = await serve(engine(THERE))
    server = await serve(engine(HERE), upstream=gpu.uri)
    *spoken, stop = utterance(tone(1.0))
    async with server.client() as client:
        await client.send(*spoken)
        await until(lambda: gpu.memory.used >= 2 * 15_000)
        await client.send(stop)
        assert await client.transcript() == THERE


async def test_where_it_is_away_we_decode(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    server = await serve(engine(HERE), upstream="tcp://127.0.0.1:9")
    assert await said(server) == HERE
    assert outcome(caplog, server) == "away"
    assert any("tcp://127.0.0.1:9 is unavailable" in line for line in warnings(caplog))


async def test_where_it_is_late_we_decode(serve: Serve, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    slow = engine(THERE, held=True)
    gpu = await serve(slow)
    server = await serve(engine(HERE), upstream=gpu.uri, upstream_timeout=0.1)
    assert await said(server) == HERE
    assert outcome(caplog, server) == "late"
    slow.release()


async def test_where_it_is_busy_we_decode(serve: Serve) -> None:
    slow = engine(THERE, held=True)
    gpu = await serve(slow, max_waiting=1)
    server = await serve(engine(HERE), upstream=gpu.uri, upstream_timeout=30)
    async with gpu.client() as one, gpu.client() as two:
        await one.say(tone(1.0))
        await until(slow.decoding.is_set)
        await two.say(tone(1.0))
        await until(lambda: gpu.waiting == 1)
        assert await said(server) == HERE
        slow.release()


async def test_one_without_the_language_is_not_asked(serve: Serve) -> None:
    english = await serve(engine("english"), model="tiny.en")
    server = await serve(engine(HERE), upstream=english.uri)
    assert await said(server, language="de") == HERE
    assert await said(server, language="en") == "english"


async def test_a_sentence_of_nothing_asks_nobody(serve: Serve) -> None:
    box = engine(THERE)
    gpu = await serve(box)
    server = await serve(engine(HERE), upstream=gpu.uri)
    async with server.client() as client:
        await client.say(silence(1.0))
        assert await client.transcript() == ""
    assert box.decoded == []


async def test_it_is_asked_again_once_it_is_back(serve: Serve) -> None:
    gpu = await serve(engine(THERE))
    server = await serve(engine(HERE), upstream=gpu.uri)
    upstreams(server).all[0].failed("a test pulled the plug")
    assert await said(server) == HERE
    await until(lambda: upstreams(server).all[0].healthy)
    assert await said(server) == THERE


async def test_they_are_asked_in_the_order_given(serve: Serve) -> None:
    first, second = await serve(engine("first")), await serve(engine("second"))
    away = f"tcp://127.0.0.1:{await free_port(serve)}"
    server = await serve(engine(HERE), upstream=[away, first.uri, second.uri])
    assert await said(server) == "first"
    upstreams(server).all[1].failed("a test pulled the plug")
    assert await said(server) == "second"


async def test_a_server_does_not_ask_itself(serve: Serve) -> None:
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
    assert await said(one) == "two"
    assert await said(two) == "one"


async def test_what_is_no_address_is_an_error_that_names_the_option(serve: Serve) -> None:
    with pytest.raises(SettingError, match="--upstream is 'gpu-box'"):
        await serve(upstream="gpu-box")


async def free_port(serve: Serve) -> int:
    """A port on which a server listened until now."""
    server = await serve()
    server.service.stop()
    await server.running
    await server.service.close()
    return server.service.address.port


def upstreams(server: Server) -> Upstreams:
    found = server.service._upstreams
    assert found is not None
    return found
