"""Keys, tokens and client secrets at the realtime API, and how their ends end a WebSocket."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest
from openai import AsyncOpenAI
from websockets.exceptions import InvalidStatus

from tests.support.api import openai, post, request
from tests.support.auth import FILES_ONLY, KEY, KEYS, REALTIME_ONLY, bearer, write_keys
from tests.support.issuer import AUDIENCE, ISSUER, fresh, token
from tests.support.realtime import Talker, talker
from tests.support.serving import DEADLINE, Server, until
from wyoming_faster_whisper.testing import tone
from wyoming_faster_whisper.transports.auth.tokens import LEEWAY

from .conftest import Serve

SECRET = "0123456789abcdef0123456789abcdef"
SECRETS = "/v1/realtime/client_secrets"


@pytest.fixture
async def keys(tmp_path: Path) -> Path:
    return await asyncio.to_thread(write_keys, tmp_path / "keys")


@pytest.fixture
async def server(serve: Serve, keys: Path) -> Server:
    """A server that accepts keys, and tokens that are signed with the secret."""
    return await serve(
        http_port=0,
        api_keys=keys,
        jwt_issuer=ISSUER,
        jwt_audience=AUDIENCE,
        jwt_secret=SECRET,
    )


def signed(**changes: Any) -> str:
    return token(fresh(**changes), key=SECRET.encode(), algorithm="HS256", kid=None)


def offered(key: str) -> list[str]:
    return ["realtime", f"openai-insecure-api-key.{key}"]


def base(server: Server) -> str:
    return f"{server.service.http_url}/v1"


async def made(server: Server, key: str, body: bytes = b"{}") -> dict[str, Any]:
    """Make a client secret; return the response."""
    reply = await request(server, "POST", SECRETS, body, authorization=bearer(key))
    assert reply.status == 200, reply.body
    found: dict[str, Any] = reply.json
    return found


async def refusal(server: Server, **how: Any) -> tuple[int, str]:
    """Return the status and the error code with which a WebSocket is refused."""
    with pytest.raises(InvalidStatus) as refused:
        async with talker(base(server), **how):
            pass
    response = refused.value.response
    assert response.headers["www-authenticate"].startswith("Bearer realm=")
    return response.status_code, json.loads(response.body)["error"]["code"]


async def ended(client: Talker) -> tuple[str, int | None]:
    """Return the code of the error that ends a session, and the close code."""
    async with asyncio.timeout(DEADLINE):
        error = (await client.until("error"))[-1]["error"]
        return error["code"], await client.closed()


async def test_openai_s_client_opens_a_session_with_its_key(server: Server) -> None:
    sockets = base(server).replace("http", "ws", 1)
    async with (
        AsyncOpenAI(base_url=base(server), websocket_base_url=sockets, api_key=KEY) as client,
        client.realtime.connect(extra_query={"intent": "transcription"}) as connection,
    ):
        assert (await connection.recv()).type == "session.created"


@pytest.mark.parametrize("by_token", [False, True])
async def test_a_browser_offers_a_key_or_a_token_as_a_protocol(
    server: Server, by_token: bool
) -> None:
    key = signed() if by_token else KEY
    async with talker(base(server), protocols=offered(key)) as client:
        assert client.connection.subprotocol == "realtime"
        await client.receive("session.created")


async def test_a_websocket_is_refused_before_it_opens(server: Server) -> None:
    invalid = (401, "invalid_api_key")
    assert await refusal(server) == invalid
    assert await refusal(server, authorization=bearer("wrong")) == invalid
    assert await refusal(server, protocols=offered("wrong")) == invalid
    assert await refusal(server, protocols=offered(signed(exp=1))) == invalid
    missing_scope = (403, "insufficient_permissions")
    assert await refusal(server, authorization=bearer(FILES_ONLY)) == missing_scope
    in_url = await refusal(server, query=f"?api_key={KEY}", authorization=bearer(KEY))
    assert in_url == (400, "invalid_request")


async def test_a_session_ends_when_its_key_is_deleted(server: Server, keys: Path) -> None:
    async with (
        talker(base(server), authorization=bearer(KEY)) as ends,
        talker(base(server), authorization=bearer(REALTIME_ONLY)) as stays,
    ):
        await ends.receive("session.created")
        await ends.append(tone(0.5, rate=24_000))
        await asyncio.to_thread(write_keys, keys, KEYS.replace("alice", "#alice"))
        assert await ended(ends) == ("invalid_api_key", 4001)
        await stays.receive("session.created")
        await stays.configure(turn_detection=None)
    await until(lambda: server.browsers == 0)
    assert server.memory.used == 0


async def test_a_session_ends_when_its_token_expires(server: Server) -> None:
    expiry = time.time() - LEEWAY + 1.5
    text = signed(exp=expiry)
    async with talker(base(server), authorization=bearer(text)) as client:
        created = await client.receive("session.created")
        assert created["session"]["expires_at"] == int(expiry + LEEWAY)
        assert await ended(client) == ("session_expired", 4001)
    await until(lambda: server.browsers == 0)


async def test_a_client_secret_opens_a_session_for_its_maker(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    secret = (await made(server, KEY))["value"]
    async with talker(base(server), protocols=offered(secret)) as client:
        await client.receive("session.created")
        await client.send("nonsense")
        await client.error()
    assert any(one.getMessage().startswith("alice: ") for one in caplog.records)
    assert secret not in caplog.text


async def test_a_client_secret_is_good_for_a_websocket_only(server: Server) -> None:
    secret = (await made(server, KEY))["value"]
    for method, path in (("POST", SECRETS), ("GET", "/v1/models"), ("GET", "/about")):
        reply = await request(server, method, path, None, authorization=bearer(secret))
        assert reply.status == 401


async def test_making_a_client_secret_needs_the_scope(server: Server) -> None:
    for key, status in ((FILES_ONLY, 403), ("wrong", 401), ("ek_wrong", 401)):
        assert (await post(server, SECRETS, b"{}", authorization=bearer(key))).status == status


@pytest.mark.parametrize("secret", ["ek_", "ek_x.y", "ek_" + "a" * 100])
async def test_a_forged_client_secret_is_refused(server: Server, secret: str) -> None:
    assert await refusal(server, protocols=offered(secret)) == (401, "invalid_api_key")


async def test_a_session_of_a_client_secret_ends_with_the_key_of_its_maker(
    server: Server, keys: Path
) -> None:
    secret = (await made(server, KEY))["value"]
    async with talker(base(server), protocols=offered(secret)) as client:
        await client.receive("session.created")
        await asyncio.to_thread(write_keys, keys, KEYS.replace("alice", "#alice"))
        assert await ended(client) == ("invalid_api_key", 4001)
    assert await refusal(server, protocols=offered(secret)) == (401, "invalid_api_key")


async def test_a_client_secret_ends_with_its_key_even_if_the_client_has_another(
    serve: Serve, keys: Path
) -> None:
    replaced = f"{KEYS}\nalice {KEY}{KEY}\n"
    await asyncio.to_thread(write_keys, keys, replaced)
    server = await serve(http_port=0, api_keys=keys)
    secret = (await made(server, KEY))["value"]
    async with talker(base(server), protocols=offered(secret)) as client:
        await client.receive("session.created")
        await asyncio.to_thread(write_keys, keys, replaced.replace("alice", "#alice", 1))
        assert await ended(client) == ("invalid_api_key", 4001)
    assert await refusal(server, protocols=offered(secret)) == (401, "invalid_api_key")


async def test_a_client_secret_expires_with_the_token_of_its_maker(server: Server) -> None:
    expiry = time.time() - LEEWAY + 2.5
    told = await made(server, signed(exp=expiry))
    assert told["expires_at"] <= expiry + LEEWAY
    async with talker(base(server), protocols=offered(told["value"])) as client:
        await client.receive("session.created")
        assert await ended(client) == ("session_expired", 4001)
    assert await refusal(server, protocols=offered(told["value"])) == (401, "invalid_api_key")


async def test_without_authentication_any_key_and_a_client_secret_still_work(
    serve: Serve,
) -> None:
    server = await serve(http_port=0)
    secret = (await made(server, "any"))["value"]
    for protocols in ((), offered("any"), offered(secret)):
        async with talker(base(server), protocols=protocols) as client:
            await client.receive("session.created")
    async with openai(server) as client:
        assert (await client.models.list()).data
