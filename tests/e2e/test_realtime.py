"""The realtime API over real WebSockets: sessions, turns, errors, keys and limits."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import numpy as np
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.support.realtime import (
    KEY,
    TRANSCRIPTION,
    RealtimeServer,
    Talker,
    realtime_server,
    talker,
    with_key,
)
from tests.support.serving import peer, until, warnings
from wyoming_faster_whisper.audio.pcm import Samples
from wyoming_faster_whisper.engine.protocol import Job
from wyoming_faster_whisper.engine.recognizer import ServedModel
from wyoming_faster_whisper.errors import EngineError
from wyoming_faster_whisper.testing import FakeEngine, silence, tone
from wyoming_faster_whisper.transports.http.connections.connection import ConnectionRules
from wyoming_faster_whisper.transports.http.connections.websocket import WebSocketRules
from wyoming_faster_whisper.transports.http.realtime.client import RealtimeLimits

from .conftest import Serve

Open = Callable[..., Awaitable[RealtimeServer]]
RATE = 24_000  # OpenAI's


@pytest.fixture
async def realtime(serve: Serve) -> AsyncIterator[Open]:
    """Start a server with the realtime API; keyword arguments are those of RealtimeServer."""
    async with AsyncExitStack() as servers:

        async def start(engine: FakeEngine | None = None, **more: Any) -> RealtimeServer:
            options = {key: more.pop(key) for key in ("max_audio_seconds",) if key in more}
            server = await serve(engine, **options)
            return await servers.enter_async_context(realtime_server(server, **more))

        yield start


def commands(*seconds: float, pause: float = 1.0) -> Samples:
    """Return commands of these lengths at 24 kHz, each with a pause after it."""
    return np.concatenate(
        [
            sound
            for length in seconds
            for sound in (tone(length, rate=RATE), silence(pause, rate=RATE))
        ]
    )


def of_kind(messages: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [message for message in messages if message["type"] == kind]


# Connecting.


@pytest.mark.parametrize(
    "query", ["", "?intent=transcription", "?model=whisper-1", "?model=base&intent=transcription"]
)
async def test_a_session_begins_however_the_client_asks_for_it(
    realtime: Open, query: str
) -> None:
    async with talker((await realtime()).url, query) as client:
        created = await client.receive("session.created")
    session = created["session"]
    assert created["event_id"].startswith("event_")
    assert session["id"].startswith("sess_")
    assert (session["type"], session["object"]) == (
        "transcription",
        "realtime.transcription_session",
    )
    assert session["audio"]["input"]["turn_detection"] == {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 500,
    }
    model = session["audio"]["input"]["transcription"]["model"]
    assert model == (query.partition("model=")[2].partition("&")[0] or None)


@pytest.mark.parametrize("path", ["/v1/v2", "/swagger/swagger-ui.css"])
async def test_a_websocket_at_a_wrong_path_is_told_so(serve: Serve, path: str) -> None:
    server = await serve(http_port=0)
    with pytest.raises(InvalidStatus) as refused:
        async with talker(f"{server.service.http_url}{path}"):
            pass
    response = refused.value.response
    assert response.status_code == 404
    assert "/v1/realtime" in json.loads(response.body or b"")["error"]["message"]


async def test_an_unknown_model_is_refused_before_the_websocket_opens(
    realtime: Open, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        async with talker((await realtime()).url, "?model=gpt-9"):
            pass
    response = refused.value.response
    assert response.status_code == 404
    error = json.loads(response.body or b"")["error"]
    assert (error["code"], error["param"]) == ("model_not_found", "model")
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ([], None),
        (["realtime", "openai-insecure-api-key.abc", "openai-beta.realtime-v1"], "realtime"),
        (["realtime"], "realtime"),
    ],
)
async def test_the_protocol_realtime_is_chosen_if_it_is_offered(
    realtime: Open, offered: list[str], chosen: str | None
) -> None:
    async with talker((await realtime()).url, protocols=offered) as client:
        assert client.connection.subprotocol == chosen


# Turns.


async def test_three_commands_in_one_message_are_three_items(realtime: Open) -> None:
    async with talker((await realtime()).url) as client:
        await client.receive("session.created")
        await client.append(commands(1.0, 2.0, 1.5), chunk=10_000_000)
        messages = []
        for _ in range(3):
            messages += await client.until(f"{TRANSCRIPTION}.completed")
    completed = of_kind(messages, f"{TRANSCRIPTION}.completed")
    committed = of_kind(messages, "input_audio_buffer.committed")
    started = of_kind(messages, "input_audio_buffer.speech_started")
    # Each with the pads of silence that are decoded with the speech.
    lengths = [float(message["transcript"].split()[0]) for message in completed]
    assert lengths == pytest.approx([1.4, 2.7, 2.2], abs=0.35)
    ids = [message["item_id"] for message in completed]
    assert len(set(ids)) == 3
    assert [message["item_id"] for message in committed] == ids
    assert [message["item_id"] for message in started] == ids
    assert [message["previous_item_id"] for message in committed] == [None, *ids[:2]]
    starts = [message["audio_start_ms"] for message in started]
    assert starts == pytest.approx([0, 2000 - 300, 5000 - 300], abs=200)
    seconds = [message["usage"]["seconds"] for message in completed]
    assert sum(seconds) == pytest.approx(7.0, abs=0.1)


async def test_the_client_ends_turns_if_turn_detection_is_null(realtime: Open) -> None:
    async with talker((await realtime()).url) as client:
        await client.receive("session.created")
        assert (await client.configure(turn_detection=None))["turn_detection"] is None
        for seconds in (1.0, 2.0):
            await client.append(tone(seconds, rate=RATE))
            await client.commit()
            messages = await client.until(f"{TRANSCRIPTION}.completed")
            assert [message["type"] for message in messages] == [
                "input_audio_buffer.committed",
                "conversation.item.added",
                "conversation.item.done",
                f"{TRANSCRIPTION}.delta",
                f"{TRANSCRIPTION}.completed",
            ]
            assert messages[-1]["transcript"] == f"{seconds} seconds"


async def test_semantic_vad_ends_turns_too(realtime: Open) -> None:
    async with talker((await realtime()).url) as client:
        await client.receive("session.created")
        await client.configure(turn_detection={"type": "semantic_vad"})
        await client.append(commands(1.0, 2.0, pause=1.4))
        assert len([await client.transcript() for _ in range(2)]) == 2


async def test_a_commit_ends_a_turn_that_the_server_would_end_later(realtime: Open) -> None:
    async with talker((await realtime()).url) as client:
        await client.receive("session.created")
        await client.append(tone(1.0, rate=RATE))
        await client.commit()
        messages = await client.until(f"{TRANSCRIPTION}.completed")
    assert messages[0]["type"] == "input_audio_buffer.speech_started"
    assert messages[1]["type"] == "input_audio_buffer.speech_stopped"
    assert messages[-1]["transcript"] == "1.0 seconds"


async def test_clear_discards_the_audio_that_is_not_committed(realtime: Open) -> None:
    async with talker((await realtime()).url) as client:
        await client.receive("session.created")
        await client.configure(turn_detection=None)
        await client.append(tone(3.0, rate=RATE))
        await client.send("input_audio_buffer.clear")
        await client.receive("input_audio_buffer.cleared")
        await client.append(tone(1.0, rate=RATE))
        await client.commit()
        assert await client.transcript() == "1.0 seconds"


async def test_cleared_audio_counts_in_the_times_and_not_in_a_commit(realtime: Open) -> None:
    """The resampler holds back a few milliseconds, which clear discards as well."""
    async with talker((await realtime()).url) as client:
        await client.receive("session.created")
        for _ in range(20):
            await client.append(silence(0.25, rate=RATE))
            await client.send("input_audio_buffer.clear")
            await client.receive("input_audio_buffer.cleared")
        await client.append(silence(0.05, rate=RATE))
        await client.commit()
        assert (await client.error())["code"] == "input_audio_buffer_commit_empty"
        await client.append(tone(1.0, rate=RATE))
        await client.commit()
        messages = await client.until(f"{TRANSCRIPTION}.completed")
    [started] = of_kind(messages, "input_audio_buffer.speech_started")
    [stopped] = of_kind(messages, "input_audio_buffer.speech_stopped")
    assert started["audio_start_ms"] >= 5000  # what is cleared is no part of the turn
    assert stopped["audio_end_ms"] == 6050


async def test_messages_are_answered_in_their_order(realtime: Open) -> None:
    async with talker((await realtime()).url) as client:
        await client.receive("session.created")
        await client.append(tone(1.0, rate=RATE))
        await client.commit()
        await client.send("input_audio_buffer.clear")
        await client.append(tone(0.5, rate=RATE))
        await client.commit()
        await client.commit(event_id="empty")
        await client.send("session.update", session={"type": "transcription"})
        messages = await client.until("session.updated")
    answers = ("input_audio_buffer.committed", "input_audio_buffer.cleared", "error")
    kinds = [each["type"] for each in messages if each["type"] in answers]
    assert kinds == [answers[0], answers[1], answers[0], answers[2]]


async def test_silence_gives_no_item(realtime: Open) -> None:
    async with talker((await realtime()).url) as client:
        await client.receive("session.created")
        await client.append(silence(25.0, rate=RATE))
        await client.append(commands(1.0))
        messages = await client.until(f"{TRANSCRIPTION}.completed")
    [started] = of_kind(messages, "input_audio_buffer.speech_started")
    assert started["audio_start_ms"] == pytest.approx(24_700, abs=100)
    assert messages[0] is started


async def test_text_is_sent_while_the_speaker_speaks(realtime: Open) -> None:
    engine = FakeEngine(lambda job: " ".join(["one", "two", "three"][: int(job.seconds)]))
    async with talker((await realtime(engine)).url) as client:
        await client.receive("session.created")
        await client.configure(turn_detection=None, transcription={"delay": "minimal"})
        early: list[dict[str, Any]] = []
        while not of_kind(early, f"{TRANSCRIPTION}.delta"):  # until two decodes agree
            await client.append(tone(0.5, rate=RATE))
            await client.send("session.update", session={})
            early += await client.until("session.updated")
        await client.append(tone(2.0, rate=RATE))
        await client.commit()
        messages = early + await client.until(f"{TRANSCRIPTION}.completed")
    deltas = [each["delta"] for each in of_kind(messages, f"{TRANSCRIPTION}.delta")]
    assert len(deltas) > 1
    assert "".join(deltas) == messages[-1]["transcript"] == "one two three"
    items = {each["item_id"] for each in messages if "item_id" in each}
    assert len(items) == 1


@pytest.mark.parametrize("name", ["audio/pcmu", "audio/pcma"])
async def test_telephone_audio_is_transcribed(realtime: Open, name: str) -> None:
    async with talker((await realtime()).url) as client:
        await client.receive("session.created")
        await client.configure(format={"type": name}, turn_detection=None)
        up, down = (b"\x80", b"\x00") if name == "audio/pcmu" else (b"\xaa", b"\x2a")
        await client.append_bytes((10 * up + 10 * down) * 800)
        await client.commit()
        assert await client.transcript() == "2.0 seconds"


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 48_000])
async def test_other_rates_are_an_extension(realtime: Open, rate: int) -> None:
    async with talker((await realtime()).url) as client:
        await client.receive("session.created")
        await client.configure(format={"type": "audio/pcm", "rate": rate}, turn_detection=None)
        await client.append(tone(1.5, rate=rate), chunk=1001)
        await client.commit()
        assert await client.transcript() == "1.5 seconds"


async def test_the_session_chooses_how_to_decode(realtime: Open) -> None:
    engine = FakeEngine()
    async with talker((await realtime(engine)).url) as client:
        await client.receive("session.created")
        await client.configure(
            turn_detection=None,
            transcription={
                "model": "whisper-1",
                "language": "de-AT",
                "prompt": "Küche.",
                "keywords": ["Nanit"],
            },
        )
        await client.append(tone(1.0, rate=RATE))
        await client.commit()
        completed = (await client.until(f"{TRANSCRIPTION}.completed"))[-1]
    options = engine.decoded[-1].options
    assert (options.language, options.prompt) == ("de", "Küche.")
    assert options.hotwords == ("Nanit",)
    assert completed["languages"] == [{"code": "de"}]


async def test_a_decode_that_fails_costs_only_its_item(realtime: Open) -> None:
    def fail_long(job: Job) -> str:
        if job.seconds > 1.5:
            raise EngineError("the model failed on this audio")
        return "short"

    async with talker((await realtime(FakeEngine(fail_long))).url) as client:
        await client.receive("session.created")
        await client.configure(turn_detection=None)
        for seconds in (2.0, 1.0):
            await client.append(tone(seconds, rate=RATE))
            await client.commit()
        failed = (await client.until(f"{TRANSCRIPTION}.failed"))[-1]
        assert failed["error"]["code"] == "engine_error"
        assert await client.transcript() == "short"


# Errors, after which the connection stays.


async def works(client: Talker) -> None:
    """Assert that the session still transcribes."""
    await client.send("input_audio_buffer.clear")
    await client.until("input_audio_buffer.cleared")
    await client.append(tone(1.0, rate=RATE))
    await client.commit()
    assert await client.transcript() == "1.0 seconds"


@pytest.mark.parametrize(
    ("message", "code", "param"),
    [
        ("junk", "invalid_json", None),
        (b"\x00\xff", "invalid_json", None),
        ("[" * 200_000, "invalid_json", None),
        ({"type": "sing"}, "invalid_value", "type"),
        ({"type": "response.create"}, "unsupported_event", "type"),
        ({"type": "conversation.item.create", "item": {}}, "unsupported_event", "type"),
        ({"type": "input_audio_buffer.append"}, "invalid_value", "audio"),
        ({"type": "input_audio_buffer.append", "audio": "%%%%"}, "invalid_value", "audio"),
        ({"type": "input_audio_buffer.commit"}, "input_audio_buffer_commit_empty", None),
        ({"type": "session.update"}, "invalid_value", "session"),
        (
            {"type": "session.update", "session": {"type": "realtime"}},
            "invalid_value",
            "session.type",
        ),
        (
            {
                "type": "session.update",
                "session": {"audio": {"input": {"transcription": {"model": "gpt-9"}}}},
            },
            "model_not_found",
            "session.audio.input.transcription.model",
        ),
    ],
)
async def test_an_error_names_the_message_and_the_connection_stays(
    realtime: Open,
    message: Any,
    code: str,
    param: str | None,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with talker((await realtime()).url) as client:
        await client.receive("session.created")
        named = isinstance(message, dict)
        sent = json.dumps({**message, "event_id": "mine"}) if named else message
        await client.connection.send(sent)
        error = await client.error()
        assert (error["code"], error["param"]) == (code, param)
        assert error["type"] == "invalid_request_error"
        assert error["event_id"] == ("mine" if named else None)
        await works(client)
    assert len(warnings(caplog)) == 1


async def test_a_commit_of_less_than_a_tenth_of_a_second_is_refused(realtime: Open) -> None:
    async with talker((await realtime()).url) as client:
        await client.receive("session.created")
        await client.append(tone(0.09, rate=RATE))
        await client.commit()
        assert (await client.error())["code"] == "input_audio_buffer_commit_empty"
        await client.append(tone(0.01, rate=RATE))
        await client.commit()
        await client.until("input_audio_buffer.committed")


async def test_the_end_of_a_client_of_openai_agents_is_tolerated(realtime: Open) -> None:
    """It commits and clears, and takes only an error with its own event_id for harmless."""
    async with talker((await realtime()).url) as client:
        await client.receive("session.created")
        await client.append(commands(1.0))
        await client.transcript()
        await client.append(silence(0.0, rate=RATE))
        await client.send("input_audio_buffer.clear")
        await client.receive("input_audio_buffer.cleared")
        await client.commit(event_id="last")
        await client.send("input_audio_buffer.clear")
        error = await client.error()
        assert (error["code"], error["event_id"]) == ("input_audio_buffer_commit_empty", "last")
        await client.receive("input_audio_buffer.cleared")


# The names of the beta.


@pytest.mark.parametrize(
    "sign",
    [{"openai_beta": "realtime=v1"}, {"protocols": ["realtime", "openai-beta.realtime-v1"]}],
)
async def test_a_client_of_the_beta_gets_its_names(realtime: Open, sign: Any) -> None:
    async with talker((await realtime()).url, **sign) as client:
        created = await client.receive("transcription_session.created")
        assert created["session"]["input_audio_format"] == "pcm16"
        await client.send(
            "transcription_session.update",
            session={
                "input_audio_format": "g711_ulaw",
                "input_audio_transcription": {"model": "gpt-4o-transcribe", "language": "en"},
                "turn_detection": None,
            },
        )
        updated = (await client.receive("transcription_session.updated"))["session"]
        assert updated["input_audio_format"] == "g711_ulaw"
        assert updated["turn_detection"] is None
        await client.append_bytes(b"\x80\x00" * 8_000)
        await client.commit()
        messages = await client.until(f"{TRANSCRIPTION}.completed")
        assert [message["type"] for message in messages][:2] == [
            "input_audio_buffer.committed",
            "conversation.item.created",
        ]


# Keys and client secrets.


@pytest.mark.parametrize(
    "given",
    [
        {"authorization": f"Bearer {KEY}"},
        {"authorization": f"bearer {KEY}"},
        {"api_key": KEY},
        {"x_api_key": KEY},
        {"protocols": ["realtime", f"openai-insecure-api-key.{KEY}"]},
    ],
)
async def test_a_key_is_taken_from_a_header_or_a_protocol(realtime: Open, given: Any) -> None:
    async with talker((await realtime(authenticate=with_key)).url, **given) as client:
        await client.receive("session.created")


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"authorization": "Bearer wrong"},
        {"authorization": "Bearer "},
        {"authorization": "Bearer ek_forged.secret"},
        {"protocols": ["realtime", "openai-insecure-api-key.wrong"]},
        {"query": f"?api_key={KEY}"},
    ],
)
async def test_without_its_key_a_client_gets_401(
    realtime: Open, given: Any, caplog: pytest.LogCaptureFixture
) -> None:
    server = await realtime(authenticate=with_key)
    with pytest.raises(InvalidStatus) as refused:
        async with talker(server.url, **given):
            pass
    assert refused.value.response.status_code == 401
    body = json.loads(refused.value.response.body or b"")
    assert body["error"]["code"] == "invalid_api_key"
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]
    [told] = warnings(caplog)
    assert told.startswith("realtime clients rejected: 1; ")
    assert KEY not in caplog.text


async def post(
    server: RealtimeServer, path: str, body: object, **headers: str
) -> tuple[int, Any]:
    """Post JSON; return the status and the answer."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    given = {"host": "localhost", "content-length": str(len(data)), **headers}
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in given.items())
    where = server.url.removeprefix("http://").removesuffix("/v1")
    async with peer(f"tcp://{where}") as connection:
        connection.send(f"POST /v1/realtime/{path} HTTP/1.1\r\n{lines}\r\n".encode() + data)
        head, _, answer = (await connection.rest()).partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(answer)


BEARER = {"authorization": f"Bearer {KEY}"}


async def test_a_client_secret_opens_a_session_as_it_was_made(realtime: Open) -> None:
    server = await realtime(authenticate=with_key)
    wanted = {"audio": {"input": {"turn_detection": None, "transcription": {"language": "de"}}}}
    status, made = await post(
        server,
        "client_secrets",
        {"expires_after": {"anchor": "created_at", "seconds": 60}, "session": wanted},
        **BEARER,
    )
    assert status == 200
    assert made["value"].startswith("ek_")
    assert made["session"]["type"] == "transcription"
    assert made["session"]["audio"]["input"]["transcription"]["language"] == "de"
    offered = ["realtime", f"openai-insecure-api-key.{made['value']}"]
    async with talker(server.url, protocols=offered) as client:
        session = (await client.receive("session.created"))["session"]
        assert session["audio"] == made["session"]["audio"]
    async with talker(server.url, authorization=f"Bearer {made['value']}") as client:
        await client.receive("session.created")
        assert [each.principal.key for each in server.realtime.sockets.clients] == ["kitchen"]


async def test_a_model_in_the_url_must_support_the_language_of_the_secret(
    realtime: Open, caplog: pytest.LogCaptureFixture
) -> None:
    models = [ServedModel("base", ("en", "de")), ServedModel("base.en", ("en",))]
    server = await realtime(models=models)
    wanted = {"audio": {"input": {"transcription": {"language": "de"}}}}
    _, made = await post(server, "client_secrets", {"session": wanted})
    with pytest.raises(InvalidStatus) as refused:
        async with talker(server.url, "?model=base.en", authorization=f"Bearer {made['value']}"):
            pass
    assert refused.value.response.status_code == 400
    body = json.loads(refused.value.response.body or b"")
    assert body["error"]["code"] == "unsupported_language"
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


@pytest.mark.parametrize("path", ["transcription_sessions", "sessions"])
async def test_the_beta_returns_a_session_with_its_client_secret(
    realtime: Open, path: str
) -> None:
    server = await realtime(authenticate=with_key)
    status, made = await post(server, path, {"input_audio_format": "g711_alaw"}, **BEARER)
    assert (status, made["input_audio_format"]) == (200, "g711_alaw")
    secret = made["client_secret"]["value"]
    async with talker(server.url, authorization=f"Bearer {secret}") as client:
        session = (await client.receive("session.created"))["session"]
        assert session["audio"]["input"]["format"] == {"type": "audio/pcma"}


@pytest.mark.parametrize(
    ("body", "headers", "status", "param"),
    [
        ({}, {}, 401, None),
        ({}, {"authorization": "Bearer ek_a.b"}, 401, None),
        (b"junk", BEARER, 400, None),
        (b"[]", BEARER, 400, None),
        (b"[" * 50_000, BEARER, 400, None),
        (b" " * 100_000, BEARER, 413, None),
        ({"expires_after": {"seconds": 5}}, BEARER, 400, "expires_after.seconds"),
        ({"expires_after": {"seconds": "60"}}, BEARER, 400, "expires_after.seconds"),
        ({"expires_after": {"anchor": "now"}}, BEARER, 400, "expires_after.anchor"),
        ({"session": {"type": "realtime"}}, BEARER, 400, "session.type"),
        ({"session": []}, BEARER, 200, None),
        ({"session": "x"}, BEARER, 400, "session"),
        (
            {"session": {"audio": {"input": {"transcription": {"model": "gpt-9"}}}}},
            BEARER,
            404,
            "model",
        ),
    ],
)
async def test_a_request_for_a_client_secret_is_checked(
    realtime: Open, body: object, headers: dict[str, str], status: int, param: str | None
) -> None:
    server = await realtime(authenticate=with_key)
    got, answer = await post(server, "client_secrets", body, **headers)
    assert got == status
    if got != 200:
        assert answer["error"]["param"] == param
        assert set(answer["error"]) == {"message", "type", "param", "code"}


# Limits.


async def test_a_message_of_15_mib_of_audio_is_taken(realtime: Open) -> None:
    server = await realtime(max_audio_seconds=600)
    audio = np.concatenate([silence(200.0, rate=RATE), commands(1.0)])
    async with talker(server.url) as client:
        await client.receive("session.created")
        await client.append(audio, chunk=10 * 1024 * 1024)
        assert (await client.transcript()).endswith("seconds")


async def test_a_larger_message_ends_the_connection(realtime: Open) -> None:
    server = await realtime()
    async with talker(server.url) as client:
        await client.receive("session.created")
        with contextlib.suppress(ConnectionClosed):  # the server may close while it arrives
            await client.connection.send("x" * (16 * 1024 * 1024 + 1))
        assert await client.closed() == 1009
    await until(lambda: len(server.realtime.sockets.clients) == 0)


async def test_a_flood_of_messages_harms_no_other_client(serve: Serve) -> None:
    server = await serve()
    rules = ConnectionRules(websocket=WebSocketRules(frames=1e6, burst=1_000_000))
    async with realtime_server(server, rules=rules) as api, talker(api.url) as client:
        await client.receive("session.created")

        async def flood() -> None:
            for number in range(10_000):
                await client.connection.send(
                    json.dumps({"type": "input_audio_buffer.append", "audio": "%" * (number % 9)})
                )

        async def read() -> int:
            errors = 0
            while errors < 10_000 - 10_000 // 9 - 1:  # an empty string is not garbage
                assert (await client.receive())["type"] == "error"
                errors += 1
            return errors

        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(flood())
            tasks.create_task(read())
            await server.serves()
        await works(client)


async def test_a_client_that_sends_too_many_messages_is_throttled(serve: Serve) -> None:
    """Two messages may come at once; after the third, the client has to wait for an hour."""
    server = await serve()
    rules = ConnectionRules(websocket=WebSocketRules(frames=1 / 3600, burst=2))
    async with realtime_server(server, rules=rules) as api, talker(api.url) as client:
        await client.receive("session.created")
        for _ in range(3):
            await client.send("input_audio_buffer.clear")
            await client.receive("input_audio_buffer.cleared")
        await client.send("input_audio_buffer.clear")
        await server.serves()  # in this time it would also have answered the last one
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await client.receive()
        client.connection.transport.abort()


async def test_a_session_ends_after_its_time(realtime: Open) -> None:
    server = await realtime(own_limits=RealtimeLimits(session=0.05))
    async with talker(server.url) as client:
        await client.receive("session.created")
        assert (await client.error())["code"] == "session_expired"
        assert await client.closed() == 1000


async def test_a_client_that_sends_a_file_at_once_gets_pongs_meanwhile(serve: Serve) -> None:
    """The audio waits on the server, not in the socket, where it would hold up the ping."""
    engine = FakeEngine(held=True)
    server = await serve(engine)
    async with realtime_server(server) as api, talker(api.url) as client:
        await client.receive("session.created")
        await client.append(commands(*[1.0] * 60), chunk=100_000)
        await until(engine.decoding.is_set)
        await (await client.connection.ping())
        engine.release()
        for _ in range(60):
            await client.transcript()
    await until(lambda: server.memory.used == 0)


async def test_a_client_that_leaves_a_throttled_session_leaves_nothing_in_memory(
    serve: Serve,
) -> None:
    engine = FakeEngine(held=True)
    server = await serve(engine)
    async with realtime_server(server) as api, talker(api.url) as client:
        await client.receive("session.created")
        await client.append(commands(*[1.0] * 60), chunk=100_000)
        await until(engine.decoding.is_set)
        client.connection.transport.abort()
        engine.release()
        await until(lambda: len(api.realtime.sockets.clients) == 0)
        await until(lambda: server.memory.used == 0)
    await server.serves()


async def test_a_stopping_server_sends_a_pending_transcript(serve: Serve) -> None:
    engine = FakeEngine(held=True)
    server = await serve(engine)
    async with realtime_server(server) as api, talker(api.url) as client, talker(api.url) as idle:
        await client.receive("session.created")
        await client.configure(turn_detection=None)
        await client.append(tone(1.0, rate=RATE))
        await client.commit()
        await until(engine.decoding.is_set)
        stopping = asyncio.create_task(api.stop())
        assert await idle.closed() == 1001
        engine.release()
        assert await client.transcript() == "1.0 seconds"
        assert await client.closed() == 1001
        await stopping


async def test_a_stopping_server_tells_a_client_that_speaks_on(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    async with realtime_server(await serve()) as api, talker(api.url) as client:
        await client.receive("session.created")
        await client.append(tone(1.0, rate=RATE))
        await client.until("input_audio_buffer.speech_started")
        await api.stop(0)
        assert (await client.error())["code"] == "server_stopping"
        assert await client.closed() == 1013
    assert not [record for record in caplog.records if record.levelno >= logging.ERROR]


async def test_the_api_is_served_on_the_http_port(serve: Serve) -> None:
    server = await serve(http_port=0)
    async with talker(f"{server.service.http_url}/v1") as client:
        await client.receive("session.created")
        assert server.browsers == 1
        await client.append(commands(1.0))
        assert (await client.transcript()).endswith("seconds")
