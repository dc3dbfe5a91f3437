"""Tokens of an issuer, whose keys come from a real server that fails in many ways."""

from __future__ import annotations

import asyncio
import gzip
import json
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from openai import AuthenticationError
from websockets.typing import Subprotocol

from tests.support.api import head, openai, request, wav
from tests.support.auth import KEY, bearer, write_keys
from tests.support.issuer import (
    AUDIENCE,
    ISSUER,
    Issuer,
    fresh,
    rsa_key,
    token,
    usual_set,
)
from tests.support.serving import DEADLINE, Server, peer, until
from tests.support.web import address, browser
from wyoming_faster_whisper.errors import SettingError
from wyoming_faster_whisper.testing import tone
from wyoming_faster_whisper.transports.auth.issuer import KeySetFile, KeySetUrl
from wyoming_faster_whisper.transports.auth.jwk import parse_key_set
from wyoming_faster_whisper.transports.auth.jwks import FetchError
from wyoming_faster_whisper.transports.auth.tokens import LEEWAY

from .conftest import Serve

SECRET = "0123456789abcdef0123456789abcdef"
WRONG = rsa_key("mallory")


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    found = Issuer()
    async with found.listening():
        yield found


async def models(server: Server, text: str) -> int:
    """Return the status of a request that only needs a valid token."""
    return (await request(server, "GET", "/v1/models", authorization=bearer(text))).status


async def serve_tokens(serve: Serve, issuer: Issuer, **more: Any) -> Server:
    jwks = f"{issuer.url}/jwks"
    return await serve(
        http_port=0, jwt_issuer=ISSUER, jwt_audience=AUDIENCE, jwt_jwks=jwks, **more
    )


async def test_openai_s_client_uses_a_token(serve: Serve, issuer: Issuer) -> None:
    server = await serve_tokens(serve, issuer)
    async with openai(server) as client:
        client.api_key = token(fresh())
        file = ("a.wav", wav(tone(1.0)))
        answer = await client.audio.transcriptions.create(model="whisper-1", file=file)
        assert answer.text == "1.0 seconds"
        client.api_key = token(fresh(exp=1))
        with pytest.raises(AuthenticationError, match="the token has expired"):
            await client.models.list()


async def test_the_issuer_is_discovered(serve: Serve, issuer: Issuer) -> None:
    server = await serve(http_port=0, jwt_issuer=issuer.url, jwt_audience=AUDIENCE)
    assert await models(server, token(fresh(iss=issuer.url))) == 200
    assert await models(server, token(fresh(iss=f"{issuer.url}/"))) == 401
    assert issuer.requests[:2] == ["/.well-known/openid-configuration", "/jwks"]


async def test_an_issuer_whose_name_ends_with_a_slash_is_discovered(
    serve: Serve, issuer: Issuer
) -> None:
    """Authentik's do."""
    issuer.name = f"{issuer.url}/"
    server = await serve(http_port=0, jwt_issuer=issuer.name, jwt_audience=AUDIENCE)
    assert await models(server, token(fresh(iss=issuer.name))) == 200


async def test_the_discovery_document_must_name_the_issuer(serve: Serve, issuer: Issuer) -> None:
    issuer.name = "https://evil.example"
    server = await serve(http_port=0, jwt_issuer=issuer.url, jwt_audience=AUDIENCE)
    assert await models(server, token(fresh(iss=issuer.url))) == 503


async def test_keys_can_come_from_a_file(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    await asyncio.to_thread(path.write_bytes, usual_set())
    server = await serve(http_port=0, jwt_issuer=ISSUER, jwt_audience="other,stt", jwt_jwks=path)
    assert await models(server, token(fresh())) == 200
    assert await models(server, token(fresh(), key=WRONG)) == 401


async def test_an_issuer_may_sign_with_a_secret(serve: Serve) -> None:
    server = await serve(http_port=0, jwt_issuer=ISSUER, jwt_audience=AUDIENCE, jwt_secret=SECRET)
    good = token(fresh(), key=SECRET.encode(), algorithm="HS256", kid=None)
    assert await models(server, good) == 200
    assert await models(server, token(fresh())) == 401


async def test_keys_and_tokens_are_accepted_side_by_side(
    serve: Serve, issuer: Issuer, tmp_path: Path
) -> None:
    keys = await asyncio.to_thread(write_keys, tmp_path / "keys")
    server = await serve_tokens(serve, issuer, api_keys=keys)
    assert await models(server, token(fresh())) == 200
    assert await models(server, KEY) == 200
    assert await models(server, "no." + "key" * 9) == 401


async def test_a_scope_is_missing_with_403_not_401(serve: Serve, issuer: Issuer) -> None:
    server = await serve_tokens(serve, issuer)
    sent = {"authorization": bearer(token(fresh(scope="openid stt:realtime")))}
    reply = await request(server, "POST", "/v1/audio/transcriptions", b"", **sent)
    assert (reply.status, reply.error["code"]) == (403, "insufficient_permissions")
    assert 'scope="stt:transcribe"' in reply.headers["www-authenticate"]


async def test_bad_tokens_cause_no_further_fetch(serve: Serve, issuer: Issuer) -> None:
    server = await serve_tokens(serve, issuer)
    assert await models(server, token(fresh())) == 200
    bad = [token(fresh(), kid=f"bad {n}", key=WRONG) for n in range(50)]
    assert {await models(server, text) for text in bad} == {401}
    assert issuer.requests == ["/jwks"]


async def test_the_subject_is_the_client_whatever_its_address(
    serve: Serve, issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    server = await serve_tokens(serve, issuer)
    authorization = bearer(token(fresh(sub="alice@example.com")))
    await request(server, "POST", "/asr", b"", authorization=authorization)
    assert any("; alice@example.com: " in one.getMessage() for one in caplog.records)


async def test_a_refusal_names_the_subject_if_the_token_is_genuine(
    serve: Serve, issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    server = await serve_tokens(serve, issuer)
    genuine = token(fresh(exp=1))
    await models(server, genuine)
    assert "authentication refused: alice at 127.0.0.1, expired (1 refusal)" in caplog.text
    assert genuine.split(".")[2] not in caplog.text


async def test_nothing_of_a_forged_token_is_logged(
    serve: Serve, issuer: Issuer, caplog: pytest.LogCaptureFixture
) -> None:
    server = await serve_tokens(serve, issuer)
    forged = token(fresh(sub="mallory"), key=WRONG)
    reply = await request(server, "GET", "/v1/models", authorization=bearer(forged))
    assert reply.status == 401
    for part in ("mallory", *forged.split(".")):
        assert part not in caplog.text
        assert part not in reply.body.decode()
    assert "authentication refused: 127.0.0.1, signature" in caplog.text


async def test_an_open_websocket_ends_when_its_token_expires(
    serve: Serve, issuer: Issuer
) -> None:
    server = await serve_tokens(serve, issuer)
    text = token(fresh(exp=time.time() - LEEWAY + 1.5))
    protocols = [Subprotocol("speech"), Subprotocol(f"openai-insecure-api-key.{text}")]
    async with browser(server, protocols=protocols) as client, asyncio.timeout(DEADLINE):
        await client.start()
        assert await client.error() == ("unauthenticated", "the token has expired", 4001)
    await until(lambda: server.browsers == 0)
    assert server.memory.used == 0


async def test_the_refusal_of_a_token_does_not_wait_for_the_body(
    serve: Serve, issuer: Issuer
) -> None:
    server = await serve_tokens(serve, issuer)
    forged = bearer(token(fresh(), key=WRONG))
    async with peer(f"tcp://{address(server)}") as connection:
        connection.send(head("POST", "/asr", length=10**9, authorization=forged))
        assert (await connection.until(b"\r\n\r\n")).startswith(b"HTTP/1.1 401")


async def test_the_issuer_may_be_down_at_the_start(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    issuer = Issuer()
    async with issuer.listening():
        pass
    server = await serve_tokens(serve, issuer)
    reply = await request(server, "GET", "/v1/models", authorization=bearer(token(fresh())))
    assert (reply.status, reply.error["code"]) == (503, "issuer_unavailable")
    assert int(reply.headers["retry-after"]) >= 1
    assert f"--jwt-jwks {issuer.url}/jwks cannot be used" in caplog.text


async def test_the_last_keys_are_used_while_the_issuer_is_down(serve: Serve) -> None:
    issuer = Issuer()
    async with issuer.listening():
        server = await serve_tokens(serve, issuer)
        assert await models(server, token(fresh())) == 200
    assert await models(server, token(fresh())) == 200


async def test_tokens_need_the_extra(serve: Serve, without_jwt: None) -> None:
    with pytest.raises(SettingError, match=r"--jwt-issuer needs jwt: .*\[auth\]"):
        await serve(http_port=0, jwt_issuer=ISSUER, jwt_audience=AUDIENCE, jwt_secret=SECRET)


@pytest.fixture
def without_jwt(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the import of PyJWT fail."""
    monkeypatch.setitem(sys.modules, "jwt", None)
    for name in ("tokens", "jwk"):
        monkeypatch.delitem(sys.modules, f"wyoming_faster_whisper.transports.auth.{name}")


# The source of the keys


async def fetched(issuer: Issuer, *, discover: bool = False) -> bytes:
    url = None if discover else f"{issuer.url}/jwks"
    source = await asyncio.to_thread(KeySetUrl, issuer.url, url)
    try:
        return await source.fetch()
    finally:
        await source.close()


async def test_a_key_set_is_fetched_whole(issuer: Issuer) -> None:
    assert await fetched(issuer) == usual_set()
    assert await fetched(issuer, discover=True) == usual_set()


@pytest.mark.parametrize("discover", [False, True])
@pytest.mark.parametrize(
    "status",
    [
        *("301 Moved Permanently", "302 Found", "307 Temporary Redirect", "404 Not Found"),
        *("500 Internal Server Error", "204 No Content"),
    ],
)
async def test_another_status_than_200_fails_and_no_redirect_is_followed(
    issuer: Issuer, status: str, discover: bool
) -> None:
    elsewhere = Issuer()
    async with elsewhere.listening():
        issuer.status = status
        issuer.headers = f"Location: {elsewhere.url}/jwks\r\n"
        issuer.body = b"" if status.startswith("204") else issuer.body
        with pytest.raises(FetchError, match=f"status {status[:3]}"):
            await fetched(issuer, discover=discover)
        assert elsewhere.requests == []


async def test_a_huge_key_set_is_not_read_to_its_end(issuer: Issuer) -> None:
    issuer.body = b"[" * 50_000_000
    with pytest.raises(FetchError, match="it is larger than 262144 bytes"):
        await fetched(issuer)


async def test_a_compressed_key_set_is_not_unpacked(issuer: Issuer) -> None:
    issuer.headers = "Content-Encoding: gzip\r\n"
    issuer.body = await asyncio.to_thread(gzip.compress, b" " * 100_000_000 + usual_set())
    data = await fetched(issuer)
    assert len(data) < 262_144
    with pytest.raises(ValueError, match="it is not JSON"):
        parse_key_set(data)


async def test_a_sign_in_page_is_refused_as_a_key_set(issuer: Issuer) -> None:
    issuer.body = b"<!doctype html><title>Sign in</title>"
    with pytest.raises(ValueError, match="it is not JSON"):
        parse_key_set(await fetched(issuer))


async def test_a_silent_issuer_is_given_five_seconds(issuer: Issuer) -> None:
    issuer.answering.clear()
    loop = asyncio.get_running_loop()
    before = loop.time()
    with pytest.raises(FetchError, match="no response within 5 s"):
        await fetched(issuer)
    assert 4.5 < loop.time() - before < 10


async def test_an_issuer_that_is_down_is_an_error(issuer: Issuer) -> None:
    closed = Issuer()
    async with closed.listening():
        pass
    with pytest.raises(FetchError, match=r"^Connection refused$"):
        await fetched(closed)


@pytest.mark.parametrize("url", ["ftp://localhost/jwks", "file:///etc/passwd", 7, None, ""])
async def test_the_discovery_document_leads_only_to_http(url: Any) -> None:
    class Odd(Issuer):
        async def answer(
            self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
        ) -> None:
            await reader.readuntil(b"\r\n\r\n")
            body = json.dumps({"issuer": self.url, "jwks_uri": url})
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
            writer.close()

    issuer = Odd()
    async with issuer.listening():
        with pytest.raises(
            FetchError, match="jwks_uri of the discovery document is not an https"
        ):
            await fetched(issuer, discover=True)


async def test_a_file_of_keys_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="No such file"):
        await KeySetFile(tmp_path / "missing").fetch()
    huge = tmp_path / "huge"
    await asyncio.to_thread(huge.write_bytes, b" " * 300_000)
    with pytest.raises(FetchError, match="larger than"):
        await KeySetFile(huge).fetch()
