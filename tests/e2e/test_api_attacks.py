"""Attacks on the HTTP API: each gets a plain answer, and leaves the server as it was."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import socket
import threading
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import av
import numpy as np
import pytest
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tests.support.api import BOUNDARY, Reply, form, head, post, request, response, wav
from tests.support.disk import largest_file
from tests.support.media import write_media
from tests.support.serving import Peer, Server, peer, until, warnings
from tests.support.web import address
from wyoming_faster_whisper.testing import FakeEngine, silence, tone
from wyoming_faster_whisper.transports.http.connections.server import HttpServer
from wyoming_faster_whisper.transports.lifecycle import ClientLimits

from .conftest import Serve, StartProcess

PATH = "/v1/audio/transcriptions"
MODEL = [("model", "whisper-1")]
SECOND = wav(tone(1.0))
MULTIPART = f"multipart/form-data; boundary={BOUNDARY}"
SMALL: dict[str, Any] = {"http_port": 0, "max_upload": 1, "max_file_seconds": 60}
IMPATIENT = ClientLimits(write=0.3)
WEBSOCKET: dict[str, Any] = {
    "connection": "Upgrade",
    "upgrade": "websocket",
    "sec_websocket_key": "dGhlIHNhbXBsZSBub25jZQ==",
    "sec_websocket_version": "13",
}


def upload(**headers: Any) -> bytes:
    """Return the head of an upload in chunks, or as the headers say."""
    return head("POST", PATH, content_type=MULTIPART, **headers)


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


CHUNKED = upload(transfer_encoding="chunked")
BODY = form(MODEL, SECOND)


@asynccontextmanager
async def connected(server: Server) -> AsyncIterator[Peer]:
    async with peer(f"tcp://{address(server)}") as connection:
        yield connection


async def send(server: Server, data: bytes) -> Reply:
    """Send bytes; return the response after which the server closes the connection."""
    async with connected(server) as connection:
        return await response(connection.send(data))


def in_use() -> tuple[int, int, int]:
    """Return the numbers of file descriptors, tasks and threads. Pools keep their threads."""
    pools = ("upload", "spool", "vad", "asyncio")
    threads = [one for one in threading.enumerate() if not one.name.startswith(pools)]
    return len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks()), len(threads)


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


@asynccontextmanager
async def unharmed(
    server: Server, folder: Path, log: pytest.LogCaptureFixture
) -> AsyncIterator[Server]:
    """Check that what happens inside leaves nothing behind, and that the server goes on."""
    log.set_level(logging.INFO)
    await request(server, "GET", "/health")
    await server.serves()
    await until(lambda: server.connections == 0)
    before, stored = in_use(), files(folder)
    yield server
    await until(lambda: all(now <= then for now, then in zip(in_use(), before, strict=True)))
    assert files(folder) == stored
    assert not [record for record in log.records if record.exc_info]
    assert not [record for record in log.records if record.name.startswith("uvicorn")]
    await server.serves()


@pytest.fixture
async def target(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> AsyncIterator[Server]:
    """A server with small limits, which has to survive the test unharmed."""
    server = await serve(**SMALL)
    async with unharmed(server, tmp_path, caplog):
        yield server


MALFORMED = {
    "binary": b"\x00\x01\x02\xff\r\n\r\n",
    "text": b"hello world\r\n\r\n",
    "HTTP/0.9": b"GET /health\r\n\r\n",
    "no Host": b"GET /health HTTP/1.1\r\n\r\n",
    "a space in a header's name": b"GET /health HTTP/1.1\r\nhost: a\r\nx : y\r\n\r\n",
    "NUL in a header": b"GET /health HTTP/1.1\r\nhost: a\r\nx: a\0b\r\n\r\n",
    "NUL in the path": b"GET /\0 HTTP/1.1\r\nhost: a\r\n\r\n",
    "a path that is not ASCII": "GET /ü HTTP/1.1\r\nhost: a\r\n\r\n".encode(),
    "negative length": upload(content_length="-1"),
    "signed length": upload(content_length="+1"),
    "length of 26 digits": upload(content_length="9" * 26),
    "list of lengths": upload(content_length="1, 2"),
    "hexadecimal length": upload(content_length="0x10"),
    "two lengths": upload(content_length="3\r\ncontent-length: 4") + b"abcd",
    "unknown transfer encoding": upload(transfer_encoding="gzip"),
    "two transfer encodings": upload(transfer_encoding="chunked, chunked"),
    "no size of a chunk": CHUNKED + b"zz\r\nhello",
    "negative size of a chunk": CHUNKED + b"-1\r\nhello",
    "endless size of a chunk": CHUNKED + b"f" * 100 + b"\r\n",
    "chunk longer than its size": CHUNKED + b"2\r\nhello\r\n",
    "garbage after a chunk": CHUNKED + chunk(BODY[:1000]) + b"GARBAGE\r\n",
}


async def test_malformed_http_gets_an_error_object_and_a_log_line(
    target: Server, caplog: pytest.LogCaptureFixture
) -> None:
    for case, sent in MALFORMED.items():
        reply = await send(target, sent)
        assert (case, reply.status) == (case, 400)
        assert reply.error["type"] == "invalid_request_error"
        assert reply.headers["connection"] == "close"
    assert "the request is not HTTP/1.1: " in warnings(caplog)[0]


async def test_a_head_that_does_not_end_is_too_large(target: Server) -> None:
    reply = await send(target, b"GET /health HTTP/1.1\r\nhost: a\r\nx: " + b"a" * 20_000)
    assert reply.status == 431
    assert reply.error["type"] == "invalid_request_error"


async def test_garbage_after_an_early_response_only_ends_the_connection(
    target: Server,
) -> None:
    for path in ("/nothing", PATH):
        async with connected(target) as connection:
            connection.send(head("POST", path, content_type="a/b", transfer_encoding="chunked"))
            connection.send(chunk(b"hello"))
            await connection.until(b"}}")
            assert await connection.send(b"zzzz\r\n").rest() == b""


async def test_a_length_beside_chunks_does_not_cut_the_body(target: Server) -> None:
    both = upload(transfer_encoding="chunked", content_length="5")
    reply = await send(target, both + chunk(BODY) + b"0\r\n\r\n" + head("GET", "/v1/models"))
    assert reply.json["text"] == "1.0 seconds"
    assert reply.headers["connection"] == "close"


async def test_pipelined_requests_get_one_answer(target: Server) -> None:
    assert (await send(target, head("GET", "/health") * 3)).json == {"status": "ok"}


async def test_http_1_0_is_answered(target: Server) -> None:
    stream = form([*MODEL, ("stream", "true")], SECOND)
    for more in ("", "connection: keep-alive\r\n"):
        reply = await send(target, f"GET /health HTTP/1.0\r\n{more}\r\n".encode())
        assert reply.json == {"status": "ok"}
        line = f"POST {PATH} HTTP/1.0\r\ncontent-type: {MULTIPART}\r\n{more}"
        length = f"content-length: {len(stream)}\r\n\r\n"
        reply = await send(target, (line + length).encode() + stream)
        assert reply.body.endswith(b"data: [DONE]\n\n")
        assert "transfer-encoding" not in reply.headers


async def test_a_whole_url_is_taken_for_its_path(target: Server) -> None:
    for url in ("http://localhost/health", "HTTP://localhost:1//health/", "https://a.b/health"):
        assert (await request(target, "GET", url)).json == {"status": "ok"}
    assert (await request(target, "GET", "http://localhost")).status == 200


async def test_the_body_is_asked_for_if_the_client_expects_that(target: Server) -> None:
    async with connected(target) as connection:
        connection.send(upload(content_length=str(len(BODY)), expect="100-continue"))
        assert (await connection.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 100 ")
        assert (await response(connection.send(BODY))).json["text"] == "1.0 seconds"


async def test_the_body_is_not_asked_for_if_it_is_refused(target: Server) -> None:
    async with connected(target) as connection:
        connection.send(upload(content_length="9999999999", expect="100-continue"))
        assert (await connection.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 413 ")


ROUTES = {
    "/": 200,
    "/health": 200,
    "/docs": 200,
    "/openapi.json": 200,
    "/swagger/swagger-ui.css": 200,
    "/v1/models": 200,
    "/v1/models/whisper-1": 200,
    "/v1/models/none": 404,
    PATH: 405,
    f"{PATH}/none": 404,
    "/asr": 405,
    "/nothing": 404,
    "*": 404,
}


async def test_every_path_answers_head_like_get_without_the_body(target: Server) -> None:
    for path, status in ROUTES.items():
        got, asked = [await request(target, method, path) for method in ("GET", "HEAD")]
        assert (path, got.status, asked.status) == (path, status, status)
        assert asked.body == b""
        assert asked.headers["content-type"] == got.headers["content-type"]


async def test_other_methods_get_an_error_object(target: Server) -> None:
    for method in ("OPTIONS", "PATCH", "CONNECT", "BREW"):
        for path in ROUTES:
            reply = await request(target, method, path)
            assert reply.status in (404, 405)
            assert reply.error["type"] == "invalid_request_error"


ODD_PATHS = [
    *("/%00", "/%ff%fe", "/%0d%0aX:%20y", "/%f0%9f%8e%a4", "/" + "a" * 5000, "/%", "/%zz"),
    *(
        "/swagger/%00",
        "/swagger/%ff",
        "/swagger/" + "a" * 300,
        "/swagger/..%2f..%2f..%2fsetup",
    ),
    *("//evil.example/..", "/v1/models/%00", f"{PATH}/%00", f"{PATH}/%ff/content"),
]


async def test_odd_paths_are_not_found(target: Server) -> None:
    for path in ODD_PATHS:
        reply = await request(target, "GET", path)
        assert (path, reply.status) == (path, 404)
        assert len(reply.error["message"]) < 300
        assert reply.error["message"].isprintable()


async def test_a_wrong_wait_is_named(target: Server) -> None:
    for wait in ("-1", "nan", "abc", "1,5", "%00"):
        reply = await request(target, "GET", f"{PATH}/none?wait={wait}")
        assert (wait, reply.status, reply.error["param"]) == (wait, 400, "wait")


async def test_an_endless_wait_is_cut_and_ends_with_the_job(target: Server) -> None:
    job = (await post(target, PATH, form([*MODEL, ("background", "true")], SECOND))).json["id"]
    reply = await request(target, "GET", f"{PATH}/{job}?wait=1e400")
    assert reply.json["status"] == "completed"
    for path in (f"{PATH}/{job}", f"{PATH}/{job}/content"):
        for method in ("GET", "DELETE"):
            other = await request(target, method, path, source="127.0.0.2")
            assert other.status in (404, 405)
    assert (await request(target, "DELETE", f"{PATH}/{job}")).json["deleted"]


async def test_an_odd_wait_in_prefer_is_ignored(target: Server) -> None:
    for prefer in (
        "wait=1e400, respond-async",
        "respond-async, wait=-1",
        'respond-async;x="',
        ",,respond-async,=,;",
        "respond-async, wait=" + "9" * 400,
    ):
        reply = await post(target, PATH, form(MODEL, SECOND), prefer=prefer)
        assert (prefer, reply.status) == (prefer, 202)
        await request(target, "DELETE", urljoin(PATH, reply.headers["location"]))


async def test_a_long_prefer_header_does_not_block_the_server(target: Server) -> None:
    async with asyncio.timeout(5):  # once it took half a minute
        reply = await post(target, PATH, BODY, prefer="a=" + " " * 15_000 + "b c")
    assert reply.status == 200


TEXT = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n'.encode()
END = f"\r\n--{BOUNDARY}--\r\n".encode()
FORMS = {
    "no bytes": b"",
    "no part": END[2:],
    "no file": form(MODEL, None),
    "1000 fields": form([(f"f{at}", "x") for at in range(1000)], SECOND),
    "two files": form(MODEL, SECOND)[: -len(END) + 2] + form([], SECOND),
    "a long field": form([("prompt", "x" * 70_000)], SECOND),
    "long fields": form([("prompt", "x" * 60_000)] * 5, SECOND),
    "many hotwords": form([("hotwords", "a," * 30_000)] * 4, SECOND),
    "no final boundary": BODY[: -len(END)],
    "half a boundary": BODY[:-5],
    "a boundary of its own": BODY.replace(BOUNDARY.encode(), b"other"),
    "text before the first boundary": b"hello\r\n" + BODY,
    "a header that does not end": TEXT[:20] + b"x" * 10_000,
    "100 headers of a part": TEXT[:-4] + b"\r\na: b" * 100 + b"\r\n\r\nx" + END,
    "a header's name that is not ASCII": TEXT.replace(b"Disp", b"\xff") + b"x" + END,
    "no name of a part": TEXT.replace(b'; name="prompt"', b"") + b"x" + END,
    "a field that is not UTF-8": TEXT + b"\xff\xfe" + END,
    "an impossible character set": TEXT.replace(b'"prompt"', b"a; filename*=idna''x") + END,
    "base64": b"UklGRiR9AABXQVZF" * 1000,
    "JSON": b'{"model": "whisper-1", "file": "UklGRg=="}',
    "endless empty lines": b"\r\n" * 500_000,
}


async def test_a_wrong_form_is_the_fault_of_the_client(
    target: Server, caplog: pytest.LogCaptureFixture
) -> None:
    for case, body in FORMS.items():
        reply = await post(target, PATH, body)
        assert (case, reply.status) == (case, 400)
        assert reply.error["type"] == "invalid_request_error"
    assert "requests refused: 1; 127.0.0.1:" in warnings(caplog)[0]
    assert not [one for one in caplog.records if one.name.startswith("python_multipart")]


WRONG_FIELDS = [
    *[("temperature", value) for value in ("1e400", "nan", "-1", "abc", "\0")],
    ("response_format", "\0"),
    ("language", "x" * 60_000),
    ("languages[]", "\ud7ff"),
    ("stream", "perhaps"),
    ("chunking_strategy", '{"a":' * 10_000),
    ("chunking_strategy", '{"threshold":' + "1" * 5000 + "}"),
    ("chunking_strategy", '{"threshold":1e400}'),
    ("chunking_strategy", '{"type":"\\ud800"}'),
    ("include[]", "everything"),
    ("url", "http://169.254.169.254/"),
    ("known_speaker_references[]", "data:audio/wav;base64," + "A" * 60_000),
    ("webhook_url", "http://127.0.0.1/"),
]


async def test_a_wrong_field_is_named(target: Server) -> None:
    for field, value in WRONG_FIELDS:
        reply = await post(target, PATH, form([*MODEL, (field, value)], SECOND))
        assert (field, value[:40], reply.status) == (field, value[:40], 400)
        assert reply.error["param"].startswith(field.removesuffix("[]"))
        assert len(reply.error["message"]) < 300


async def test_another_type_or_encoding_of_the_body_is_not_supported(target: Server) -> None:
    for name, value in (
        ("content_type", "application/json"),
        ("content_type", "application/x-www-form-urlencoded"),
        ("content_type", ""),
        ("content_type", "audio/wav"),
        ("content_encoding", "gzip"),
        ("content_encoding", "br"),
    ):
        reply = await post(target, PATH, BODY, **{name: value})
        assert (value, reply.status) == (value, 415)
        assert reply.error["type"] == "invalid_request_error"


async def test_an_unusable_boundary_is_refused(target: Server) -> None:
    for boundary in (
        "",
        "; boundary=",
        f"; boundary={'x' * 80}",
        "; boundary=\xfc",
        '; boundary="',
    ):
        reply = await post(target, PATH, BODY, content_type=f"multipart/form-data{boundary}")
        assert (boundary, reply.status) == (boundary, 400)
        assert reply.error["type"] == "invalid_request_error"


FILE_NAMES = [
    'filename="a\nERROR: forged"',
    "filename*=utf-8''a%0AERROR:%20forged%1b%5b31m",
    "filename*=unicode_escape''%5Cud800",
    f'filename="{"a" * 4000}"',
    'filename="../../../etc/passwd"',
    'filename=""',
    "filename*=utf-8''%FF",
    'filename="\U0001f3a4.wav"',
]


async def test_the_name_of_a_file_cannot_forge_the_log(
    target: Server, caplog: pytest.LogCaptureFixture
) -> None:
    for name in FILE_NAMES:
        part = (
            f"--{BOUNDARY}\r\nContent-Disposition: form-data; name=file; {name}\r\n\r\nno sound"
        )
        reply = await post(target, PATH, part.encode() + END)
        assert reply.status == 400
        message = reply.error["message"]
        assert (name, message.isprintable(), len(message) < 300) == (name, True, True)
        assert "cannot read :" not in message
    assert all(line.isprintable() for line in warnings(caplog))


def zip_file() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("a.wav", SECOND)
    return data.getvalue()


def header(at: int, value: bytes) -> bytes:
    """Return a WAV file with other bytes at a place of its header."""
    return SECOND[:at] + value + SECOND[at + len(value) :]


def long_opus(packets: int) -> bytes:
    """Return an Ogg file with 60 ms of silence in each packet of one byte."""
    data = io.BytesIO()
    with av.open(data, "w", format="ogg") as file:
        stream = file.add_stream("libopus", rate=48_000, layout="mono")
        assert isinstance(stream, av.AudioStream)
        stream.codec_context.open()
        for at in range(packets):
            packet = av.Packet(b"\x18")
            packet.stream, packet.time_base = stream, Fraction(1, 48_000)
            packet.pts = packet.dts = at * 2880
            packet.duration = 2880
            file.mux(packet)
    return data.getvalue()


NOT_AUDIO: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "one byte": lambda: b"\0",
    "zeros": lambda: bytes(900_000),
    "a zip": zip_file,
    "a playlist": lambda: b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
    "a concatenation": lambda: b"ffconcat version 1.0\nfile /etc/passwd\n",
    "an SVG": lambda: b'<svg xmlns="http://www.w3.org/2000/svg"/>' * 100,
    "a WAV header alone": lambda: SECOND[:44],
    "a WAV of 0 Hz": lambda: header(24, bytes(4)),
    "a WAV of 1 Hz": lambda: header(24, b"\1\0\0\0"),
    "a WAV of 4 GHz": lambda: header(24, b"\xff\xff\xff\xff"),
    "a WAV without channels": lambda: header(22, b"\0\0"),
    "a WAV of 65535 channels": lambda: header(22, b"\xff\xff"),
    "a WAV of 65535 bits": lambda: header(34, b"\xff\xff"),
}


async def test_a_file_without_usable_audio_is_the_fault_of_the_client(target: Server) -> None:
    for case, make in NOT_AUDIO.items():
        reply = await post(target, PATH, form(MODEL, make()))
        assert (case, reply.status, reply.error["param"]) == (case, 400, "file")


async def test_a_small_file_that_is_an_hour_long_is_refused_at_the_limit(target: Server) -> None:
    data = await asyncio.to_thread(long_opus, 60_000)
    assert len(data) < 256 * 1024
    reply = await post(target, PATH, form(MODEL, data))
    assert (reply.status, reply.error["param"]) == (400, "file")
    assert "longer than 60 s" in reply.error["message"]


async def test_a_video_without_sound_is_the_fault_of_the_client(
    target: Server, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("film") / "a.mp4"
    data = (await asyncio.to_thread(write_media, path, None)).read_bytes()
    reply = await post(target, PATH, form(MODEL, data))
    assert "no audio track" in reply.error["message"]


async def test_a_cut_mp3_is_transcribed_as_far_as_it_goes(
    target: Server, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("music") / "a.mp3"
    data = (await asyncio.to_thread(write_media, path, tone(3.0))).read_bytes()
    reply = await post(target, PATH, form(MODEL, data[: len(data) // 2]))
    assert 1.0 < reply.json["usage"]["seconds"] < 2.0


async def test_the_promised_length_of_a_wav_does_not_count(target: Server) -> None:
    promise = b"\xff\xff\xff\xff"
    data = header(40, promise)
    reply = await post(target, PATH, form(MODEL, data[:4] + promise + data[8:]))
    assert reply.json["text"] == "1.0 seconds"


async def test_25_mib_of_zeros_are_refused(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with unharmed(await serve(http_port=0), tmp_path, caplog) as server:
        reply = await post(server, PATH, form(MODEL, bytes(25 * 1024 * 1024 - 1000)))
        assert (reply.status, reply.error["param"]) == (400, "file")


async def test_bytes_after_the_final_boundary_are_ignored(
    target: Server, caplog: pytest.LogCaptureFixture
) -> None:
    assert (await post(target, PATH, BODY + b"x" * 900_000)).status == 200
    assert warnings(caplog) == []


async def test_a_body_that_stops_times_out(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with unharmed(await serve(audio_timeout=0.2, **SMALL), tmp_path, caplog) as server:
        async with connected(server) as connection:
            connection.send(upload(content_length="1000") + BODY[:500])
            answer = await connection.until(b"}}")
        assert answer.startswith(b"HTTP/1.1 408 ")
        assert b"--audio-timeout" in answer


async def test_a_body_that_trickles_times_out(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = await serve(upload_timeout=0.3, **SMALL)
    async with unharmed(server, tmp_path, caplog), connected(server) as connection:
        connection.send(CHUNKED)
        answer = asyncio.create_task(connection.until(b"}}"))
        for byte in BODY:
            connection.send(chunk(bytes([byte])))
            if (await asyncio.wait([answer], timeout=0.02))[0]:
                break
        assert (await answer).startswith(b"HTTP/1.1 408 ")
        assert b"--upload-timeout" in await answer


async def test_a_client_that_leaves_inside_its_upload_is_forgotten(
    target: Server, caplog: pytest.LogCaptureFixture
) -> None:
    for sent in (0, 200, len(BODY) - 1):
        for reset in (False, True):
            async with connected(target) as connection:
                connection.send(upload(content_length=str(len(BODY))) + BODY[:sent])
                await until(lambda: bool(tasks_of(target)))
                await connection.vanish(reset=reset)
            await until(lambda: not tasks_of(target))
    assert warnings(caplog) == []
    assert "left before" in caplog.text


def tasks_of(server: Server) -> set[asyncio.Task[None]]:
    assert server.service._api_server is not None
    return server.service._api_server._server._server.server_state.tasks


BAD = [
    b"garbage\r\n\r\n",
    head("GET", "/nothing"),
    head("POST", PATH, content_type="application/json", length=0),
    head("GET", "/", origin="http://evil.example", host="evil.example"),
    head("GET", "/v1/models", origin="http://evil.example"),
    head("GET", f"{PATH}/none"),
    head("GET", "/v1/models", connection="upgrade", upgrade="websocket"),
    upload(content_length="100"),  # and leaves
]


async def test_many_bad_requests_write_few_lines(
    target: Server, caplog: pytest.LogCaptureFixture
) -> None:
    loop = asyncio.get_running_loop()
    began, seen = loop.time(), len(caplog.records)
    for bad in BAD * 25:
        async with connected(target) as connection:
            connection.send(bad)
            if bad is not BAD[-1]:
                await connection.rest()
    await until(lambda: not tasks_of(target))
    # Three logs of one line a second: connections, refused requests, abandoned ones.
    written = [one for one in caplog.records[seen:] if one.name.startswith("wyoming_faster")]
    assert len(written) <= 3 * (2 + loop.time() - began)
    assert len(written) < len(BAD) * 25 / 2


HANDSHAKES = [
    head("POST", "/v1/models", length=3, **WEBSOCKET) + b"abc",
    head("GET", "/v1/models", length=3, **WEBSOCKET) + b"abc",
    head("GET", "/v1/models", x="a" * 10_000, **WEBSOCKET),
    head("GET", "/v1/models", **WEBSOCKET).replace(b"websocket-key", b"websocket-kex"),
    head("GET", "/" + "a" * 9000, **WEBSOCKET),
]


async def test_a_wrong_websocket_handshake_ends_the_connection(target: Server) -> None:
    for handshake in HANDSHAKES:
        assert (await send(target, handshake)).status == 400


async def test_a_websocket_where_none_is_served_is_refused(target: Server) -> None:
    for path in ("/", "/health", "/v1/models", "/swagger/x", "/nothing", PATH):
        assert (await request(target, "GET", path, **WEBSOCKET)).status == 403


LONG_TEXT = "word " * 400_000  # much more than what the buffers of both ends hold


@asynccontextmanager
async def lazy_reader(server: Server, fields: list[tuple[str, str]]) -> AsyncIterator[Peer]:
    """Upload a file over a connection whose receive buffer is small."""
    lazy = socket.socket()
    lazy.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    lazy.setblocking(False)
    host, _, port = address(server).rpartition(":")
    await asyncio.get_running_loop().sock_connect(lazy, (host, int(port)))
    reader, writer = await asyncio.open_connection(sock=lazy, limit=4096)
    body = form([*MODEL, *fields], SECOND)
    writer.write(upload(content_length=str(len(body))) + body)
    try:
        yield Peer(reader, writer)
    finally:
        writer.transport.abort()


@pytest.mark.parametrize("fields", [[], [("stream", "true")]])
async def test_a_client_that_does_not_read_its_answer_is_disconnected(
    serve: Serve,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    fields: list[tuple[str, str]],
) -> None:
    said = iter(["1.0 seconds", LONG_TEXT, "1.0 seconds"])
    server = await serve(FakeEngine(lambda _: next(said)), limits=IMPATIENT, **SMALL)
    async with unharmed(server, tmp_path, caplog), lazy_reader(server, fields):
        await until(lambda: "read nothing of its response" in caplog.text)
        await until(lambda: not tasks_of(server))


async def test_a_client_that_reads_slowly_gets_all_of_its_answer(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    said = iter(["1.0 seconds", LONG_TEXT, "1.0 seconds"])
    server = await serve(FakeEngine(lambda _: next(said)), limits=IMPATIENT, **SMALL)
    async with unharmed(server, tmp_path, caplog), lazy_reader(server, []) as connection:
        got = await connection.until(b"\r\n\r\n")
        for size in range(100_000, 900_000, 100_000):  # more than the time limit in all
            while len(got) < size:
                got += await connection._reader.read(8192)
            await asyncio.sleep(0.1)
        got += await connection.rest()
    assert len(json.loads(got.partition(b"\r\n\r\n")[2])["text"]) == len(LONG_TEXT)


async def test_a_body_is_read_in_small_pieces() -> None:
    """Chunks of one byte would block the event loop for a second per 256 KiB."""
    sizes = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        more = True
        while more:
            message = await receive()
            sizes.append(len(message["body"]))
            more = message["more_body"]
        await Response()(scope, receive, send)

    server = HttpServer(app, option="--http-port")
    where = (await server.start("127.0.0.1", 0)).replace("http", "tcp")
    try:
        async with peer(where) as connection:
            connection.send(head("POST", "/", length=2_000_000) + bytes(2_000_000))
            assert (await response(connection)).status == 200
    finally:
        await server.stop()
    assert sum(sizes) == 2_000_000
    assert max(sizes) <= (64 + 16) * 1024


@pytest.fixture
def full_disk() -> Iterator[None]:
    with largest_file(1024 * 1024):
        yield


async def test_a_full_disk_is_told_and_leaves_no_file(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture, full_disk: None
) -> None:
    server = await serve(http_port=0)
    async with unharmed(server, tmp_path, caplog):
        reply = await post(server, PATH, form(MODEL, wav(silence(100.0))))
        assert (reply.status, reply.error["code"]) == (503, "storage_full")
        assert "file too large" in reply.error["message"]
        assert (await post(server, PATH, BODY)).status == 200


async def test_a_folder_that_cannot_be_written_is_told(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = await serve(http_port=0)
    (tmp_path / "tmp").rmdir()
    (tmp_path / "tmp").touch()
    async with unharmed(server, tmp_path, caplog):
        reply = await post(server, PATH, form(MODEL, wav(silence(100.0))))
        assert (reply.status, reply.error["code"]) == (503, "storage_full")


async def test_a_stop_inside_an_upload_is_told(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    server = await serve(**SMALL)
    async with connected(server) as connection:
        connection.send(upload(content_length=str(len(BODY))) + BODY[:2000])
        await until(lambda: bool(tasks_of(server)))
        assert server.service._api_server is not None
        await server.service._api_server.stop(0.1)
        reply = await response(connection)
    assert (reply.status, reply.headers["retry-after"]) == (503, "5")
    assert "stopping" in reply.error["message"]
    assert not [record for record in caplog.records if record.exc_info]
    assert not [record for record in caplog.records if record.name.startswith("uvicorn")]


async def test_a_stop_inside_a_stream_is_told(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    engine = FakeEngine()
    server = await serve(engine, **SMALL)
    body = form([*MODEL, ("stream", "true")], wav(np.concatenate([tone(5.0), silence(20.0)])))
    async with connected(server) as connection:
        connection.send(upload(content_length=str(len(body))) + body[:-100])
        await connection.until(b"delta")
        assert server.service._api_server is not None
        await server.service._api_server.stop(0.1)
        rest = await connection.rest()
    assert b"event: error" in rest
    assert b"stopping" in rest
    assert not [record for record in caplog.records if record.exc_info]
    assert not [record for record in caplog.records if record.name.startswith("uvicorn")]


def target_of(link: Path) -> str:
    """Return what a symbolic link names; "" if it has just gone."""
    try:
        return os.readlink(link)
    except FileNotFoundError:
        return ""


async def test_a_killed_server_leaves_no_upload_on_the_disk(
    start_process: StartProcess, tmp_path: Path
) -> None:
    process = await start_process("--uri=tcp://127.0.0.1:0", "--http-port=0", "--model=tiny.en")
    where = (await process.logged(r"API at http://(\S+)/v1"))[1]
    async with peer(f"tcp://{where}") as connection:
        connection.send(upload(content_length="20000000", expect="100-continue"))
        await connection.until(b"\r\n\r\n")
        connection.send(form(MODEL, bytes(4_000_000))[:3_000_000])
        folder = tmp_path / "data"
        fds = Path(f"/proc/{process.process.pid}/fd")
        await until(lambda: any("(deleted)" in target_of(fd) for fd in fds.iterdir()))
        stored = files(folder)
        process.process.kill()
        await process.ended()
    assert files(folder) == stored == []
