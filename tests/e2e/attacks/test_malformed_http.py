"""Requests that are not HTTP, or odd HTTP: each gets an error object."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.api import form, head, request, response
from tests.support.attacks import (
    BODY,
    CHUNKED,
    MODEL,
    MULTIPART,
    PATH,
    SECOND,
    chunk,
    connected,
    send,
    upload,
)
from tests.support.serving import Server, until, warnings
from tests.support.web import address
from wyoming_faster_whisper.audio.pcm import PcmFormat
from wyoming_faster_whisper.client import Client, ClientError, Clip
from wyoming_faster_whisper.transports.http.connections.connection import (
    HttpConnection,
    OpenConnection,
)

WEBSOCKET: dict[str, Any] = {
    "connection": "Upgrade",
    "upgrade": "websocket",
    "sec_websocket_key": "dGhlIHNhbXBsZSBub25jZQ==",
    "sec_websocket_version": "13",
}


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


async def test_a_wyoming_client_is_told_at_once_that_the_port_speaks_http(
    target: Server, caplog: pytest.LogCaptureFixture
) -> None:
    reply = await send(target, b'{"type": "describe"}\n')
    assert (reply.status, reply.error["message"]) == (
        400,
        "this port speaks HTTP, not Wyoming; see --uri",
    )
    assert "this port speaks HTTP, not Wyoming; see --uri" in warnings(caplog)[0]
    async with Client(f"tcp://{address(target)}") as client:
        with pytest.raises(ClientError, match="does not speak the Wyoming protocol"):
            await client.transcribe(Clip(PcmFormat(), bytes(2_000_000)))


def received(opened: OpenConnection) -> int:
    """Return the number of bytes of a request that have arrived, but not its end."""
    protocol = opened.transport.get_protocol()
    assert isinstance(protocol, HttpConnection)
    return len(protocol.conn.trailing_data[0])


async def test_a_header_may_arrive_from_its_brace_on(target: Server) -> None:
    async with connected(target) as connection:
        connection.send(b"GET /health HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx: ")
        assert target.service._api_server is not None
        opened = target.service._api_server._server._acceptor._open
        await until(lambda: bool(opened) and received(next(iter(opened))) > 0)
        connection.send(b"{}\r\n\r\n")
        assert b" 200 " in await connection.rest()


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
        assert (await request(target, "GET", path, **WEBSOCKET)).status == 404
