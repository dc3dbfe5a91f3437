"""Odd paths, methods and headers: each gets a plain answer."""

from __future__ import annotations

import asyncio
from urllib.parse import urljoin

from tests.support.api import form, post, request
from tests.support.attacks import BODY, MODEL, PATH, SECOND
from tests.support.serving import Server

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
