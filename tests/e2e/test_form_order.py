"""The order of a form: fields before and after the file, which is decoded while it arrives."""

from __future__ import annotations

import asyncio

import numpy as np

from tests.support.api import form, head, post, response, wav
from tests.support.serving import peer, until
from tests.support.web import address
from wyoming_faster_whisper.testing import FakeEngine, silence, tone

from .conftest import Serve

PATH = "/v1/audio/transcriptions"
TWO_PARTS = np.concatenate([tone(5.0), silence(6.0), tone(1.0)])
MODEL = [("model", "whisper-1")]


async def test_the_fields_may_follow_the_file(serve: Serve) -> None:
    engine = FakeEngine()
    server = await serve(engine, http_port=0)
    body = form([("model", "whisper-1"), ("language", "de")], wav(tone(1.0)), file_first=True)
    assert (await post(server, PATH, body)).status == 200
    assert [job.options.language for job in engine.decoded] == ["de"]


async def test_a_field_after_the_file_counts_even_if_the_model_came_before(serve: Serve) -> None:
    engine = FakeEngine()
    server = await serve(engine, http_port=0)
    start = form(MODEL, wav(tone(1.0)))[: -len("--boundary--\r\n")]
    rest = form([("language", "de")], None)
    async with peer(f"tcp://{address(server)}") as connection:
        kind = "multipart/form-data; boundary=boundary"
        size = len(start) + len(rest)
        connection.send(head("POST", PATH, length=size, content_type=kind) + start)
        connection.send(rest)
        assert (await response(connection)).status == 200
    assert engine.decoded[-1].options.language == "de"


async def test_a_field_after_the_file_stops_what_was_begun_without_it(serve: Serve) -> None:
    engine = FakeEngine(held=True)
    server = await serve(engine, http_port=0)
    start = form(MODEL, wav(TWO_PARTS)).removesuffix(b"--boundary--\r\n")
    rest = form([("language", "de")], None)
    async with peer(f"tcp://{address(server)}") as connection:
        kind = "multipart/form-data; boundary=boundary"
        size = len(start) + len(rest)
        connection.send(head("POST", PATH, length=size, content_type=kind) + start)
        await asyncio.to_thread(engine.decoding.wait)
        connection.send(rest)
        await until(lambda: server.waiting > 0)
        engine.release()
        assert (await response(connection)).status == 200
    assert [job.options.language for job in engine.decoded] == [None, "de", "de"]


async def test_a_format_after_the_file_costs_no_other_decode(serve: Serve) -> None:
    engine = FakeEngine()
    server = await serve(engine, http_port=0)
    start = form(MODEL, wav(np.concatenate([tone(1.0), silence(20.0)])))  # arrives in parts
    rest = form([("response_format", "text")], None)
    reply = await post(server, PATH, start.removesuffix(b"--boundary--\r\n") + rest)
    assert reply.headers["content-type"].startswith("text/plain")
    assert len(engine.decoded) == 1


async def test_decoding_begins_while_the_file_still_arrives(serve: Serve) -> None:
    engine = FakeEngine()
    server = await serve(engine, http_port=0)
    body = form(MODEL, wav(np.concatenate([TWO_PARTS, silence(30.0)])))
    async with peer(f"tcp://{address(server)}") as connection:
        kind = "multipart/form-data; boundary=boundary"
        connection.send(head("POST", PATH, length=len(body), content_type=kind) + body[:-1000])
        await until(lambda: bool(engine.decoded))
        connection.send(body[-1000:])
        assert (await response(connection)).status == 200
