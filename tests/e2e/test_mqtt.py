"""Satellites that speak Hermes, through a real broker."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import aiomqtt
import numpy as np
import pytest
import trustme

from tests.support.broker import (
    PASSWORDS,
    Broker,
    amqtt_broker,
    deployed_broker,
    in_thread,
    plain_broker,
)
from tests.support.fake_broker import FakeBroker, fake_broker
from tests.support.processes import DEADLINE, serve_without
from tests.support.satellite import Satellite, client_for, satellite
from tests.support.serving import Server, until, warnings
from wyoming_faster_whisper.audio.pcm import PcmFormat, read_wav, write_wav
from wyoming_faster_whisper.engine.protocol import Job
from wyoming_faster_whisper.errors import EngineError, SettingError
from wyoming_faster_whisper.testing import FakeEngine, pcm16, silence, tone
from wyoming_faster_whisper.transports.lifecycle import ClientLimits
from wyoming_faster_whisper.transports.mqtt.broker_url import BrokerUrl
from wyoming_faster_whisper.transports.mqtt.connection import (
    BrokerOptions,
    Connection,
    ConnectionLost,
    Message,
)
from wyoming_faster_whisper.transports.mqtt.server import MqttOptions, MqttServer

from .conftest import Serve, StartProcess

PREFIX = "wyoming-faster-whisper"
PCM = PcmFormat()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    folder = tmp_path / "broker"
    folder.mkdir()
    with plain_broker(folder) as running:
        yield running


@pytest.fixture
async def deployed(tmp_path: Path, certificates: Path) -> AsyncIterator[Broker]:
    folder = tmp_path / "broker"
    folder.mkdir()
    async with in_thread(deployed_broker(folder, certificates)) as running:
        yield running


async def connected(server: Server) -> Server:
    """Wait until the server has connected to its broker."""
    await until(lambda: server.mqtt.connection.connected)
    return server


Join = Callable[..., Awaitable[Satellite]]


@pytest.fixture
async def join() -> AsyncIterator[Join]:
    """Connect a satellite; the arguments are those of satellite()."""
    async with AsyncExitStack() as stack:

        async def start(broker: Broker, site: str, **more: Any) -> Satellite:
            url = more.pop("url", None) or broker.url()
            return await stack.enter_async_context(satellite(url, site, **more))

        yield start


@asynccontextmanager
async def listener(broker: Broker, *filters: str) -> AsyncIterator[asyncio.Queue[Any]]:
    """Yield a queue of all messages on some topics: topic, payload, retained."""
    messages: asyncio.Queue[tuple[str, bytes, bool]] = asyncio.Queue()

    async def read(client: aiomqtt.Client) -> None:
        async for message in client.messages:
            assert isinstance(message.payload, bytes)
            messages.put_nowait((message.topic.value, message.payload, message.retain))

    async with client_for(broker.url()) as client:
        await client.subscribe([(each, 1) for each in filters])
        reading = asyncio.create_task(read(client))
        yield messages
        reading.cancel()
        await asyncio.gather(reading, return_exceptions=True)


async def leave(one: Satellite) -> None:
    """Say what the Will of a satellite says, so that the server need not wait for it."""
    await one.client.publish(f"{PREFIX}/{one.site}/status", b"offline")


async def received(messages: asyncio.Queue[Any], topic: str, payload: bytes | None = None) -> Any:
    """Return the next message with this topic, and with this payload if it is given."""
    async with asyncio.timeout(DEADLINE):
        while True:
            found, content, retained = await messages.get()
            if found == topic and payload in (None, content):
                return content, retained


# One utterance


@pytest.mark.parametrize("own_topics", [False, True])
async def test_an_utterance_is_answered_once(
    serve: Serve, broker: Broker, join: Join, own_topics: bool
) -> None:
    server = await connected(await serve(mqtt_url=broker.url()))
    hall = await join(broker, "hall", own_topics=own_topics)
    await hall.say(tone(1.0), "7", wakewordId="porcupine")
    answer = await hall.receive("/textCaptured")
    assert answer["text"] == "1.0 seconds"
    assert (answer["siteId"], answer["sessionId"]) == ("hall", "7")
    assert answer["wakewordId"] == "porcupine"
    assert 0 < answer["likelihood"] <= 1
    assert await hall.receive("recordingFinished") == {"siteId": "hall", "sessionId": "7"}
    await hall.say(tone(2.0))
    assert await hall.text() == "2.0 seconds"
    await until(lambda: not server.mqtt.clients)
    assert not [topic for topic in hall.unread if topic.endswith("/textCaptured")]


async def test_silence_ends_the_turn_of_a_satellite_that_asks_for_it(
    serve: Serve, broker: Broker, join: Join
) -> None:
    await connected(await serve(mqtt_url=broker.url()))
    hall = await join(broker, "hall")
    await hall.started(stopOnSilence=True)
    await hall.hear(tone(1.0))
    await hall.hear(silence(2.5))
    await hall.receive("recordingFinished")
    assert (await hall.text()).endswith("seconds")


async def test_without_stop_on_silence_only_the_satellite_ends_the_turn(
    serve: Serve, broker: Broker, join: Join
) -> None:
    server = await connected(await serve(mqtt_url=broker.url(), vad_endpointing=0.5))
    hall = await join(broker, "hall")
    await hall.started()
    await hall.hear(tone(1.0))
    await hall.hear(silence(2.0))
    await hall.hear(tone(1.0))
    await until(lambda: server.memory.used >= 2 * 4 * 15_900)
    await hall.stop()
    assert await hall.text() == "4.0 seconds"


async def test_the_language_and_the_intents_reach_the_model(
    serve: Serve, broker: Broker, join: Join
) -> None:
    engine = FakeEngine()
    await connected(await serve(engine, mqtt_url=broker.url(), beam_size=1))
    hall = await join(broker, "hall")
    await hall.say(tone(1.0), lang="de", intentFilter=["TurnOnLight"])
    assert (await hall.receive("/textCaptured"))["lang"] == "de"
    assert engine.decoded[-1].options.language == "de"
    assert engine.decoded[-1].options.hotwords == ("turn on light",)


async def test_the_audio_is_sent_back_if_asked_for(
    serve: Serve, broker: Broker, join: Join
) -> None:
    await connected(await serve(mqtt_url=broker.url()))
    hall = await join(broker, "hall")
    await hall.say(tone(1.0), "7", sendAudioCaptured=True)
    assert await hall.text() == "1.0 seconds"
    pcm, audio = read_wav(await hall.receive("audioCaptured"))
    assert (pcm, audio) == (PCM, pcm16(tone(1.0)))


async def test_an_answer_stands_although_the_audio_cannot_be_sent_back(
    serve: Serve, broker: Broker, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = await connected(await serve(mqtt_url=broker.url()))
    publish = server.mqtt.connection.publish

    async def without_audio(message: Message, within: float) -> None:
        if message.topic.endswith("audioCaptured"):
            raise ConnectionLost("the broker went away after the text")
        await publish(message, within)

    monkeypatch.setattr(server.mqtt.connection, "publish", without_audio)
    hall = await join(broker, "hall")
    for seconds in (1.0, 2.0):
        await hall.say(tone(seconds), sendAudioCaptured=True)
        assert await hall.text() == f"{seconds} seconds"
        await until(lambda: not server.mqtt.clients)
    assert not any(topic.startswith("hermes/error") for topic in hall.unread)


async def test_partial_text_has_a_topic_of_its_own(
    serve: Serve, broker: Broker, join: Join
) -> None:
    """Whole segments are committed text; between them the fake has no words that agree."""
    await connected(await serve(mqtt_url=broker.url(), vad_min_silence_ms=500))
    hall = await join(broker, "hall")
    await hall.started(sendPartials=True)
    for _ in range(2):
        await hall.hear(tone(5.0))
        await hall.hear(silence(1.5))
    first = await hall.receive("partialTextCaptured")
    await hall.hear(tone(5.0))
    await hall.stop()
    text = await hall.text()
    assert text.startswith(first["text"])
    assert first["siteId"] == "hall"


@pytest.mark.parametrize(
    "pcm", [PcmFormat(8000, 2, 2), PcmFormat(48_000, 2, 1), PcmFormat(16_000, 4, 1, True)]
)
async def test_audio_of_any_format_is_converted(
    serve: Serve, broker: Broker, join: Join, pcm: PcmFormat
) -> None:
    await connected(await serve(mqtt_url=broker.url()))
    hall = await join(broker, "hall")
    await hall.started()
    frame = write_wav(pcm, _sine(pcm, 0.1))
    for _ in range(10):
        await hall.frame(frame)
    await hall.stop()
    assert await hall.text() == "1.0 seconds"


def _sine(pcm: PcmFormat, seconds: float) -> bytes:
    count = round(seconds * pcm.rate)
    wave = 0.5 * np.sin(2 * np.pi * 400 * np.arange(count) / pcm.rate)
    wave = np.repeat(wave, pcm.channels)
    if pcm.floating:
        return wave.astype("<f4").tobytes()
    return (wave * 32767).astype("<i2").tobytes()


# Two sites, several sessions


async def test_frames_of_one_site_never_reach_another(
    serve: Serve, broker: Broker, join: Join
) -> None:
    await connected(await serve(FakeEngine(max_batch=4), mqtt_url=broker.url()))
    hall, kitchen = await join(broker, "hall"), await join(broker, "kitchen")
    await asyncio.gather(hall.started(sessionId="1"), kitchen.started(sessionId="1"))
    for _ in range(10):
        await hall.hear(tone(0.1))
        await kitchen.hear(tone(0.2), "1")
    await asyncio.gather(hall.stop(sessionId="1"), kitchen.stop(sessionId="1"))
    assert await hall.text() == "1.0 seconds"
    assert await kitchen.text() == "2.0 seconds"


async def test_a_site_may_have_several_sessions(serve: Serve, broker: Broker, join: Join) -> None:
    await connected(await serve(FakeEngine(max_batch=4), mqtt_url=broker.url()))
    hall = await join(broker, "hall")
    for session in ("a", "b"):
        await hall.started(sessionId=session)
    await hall.hear(tone(1.0), "a")
    await hall.hear(tone(0.5))  # for both
    for session in ("a", "b"):
        await hall.stop(sessionId=session)
    answers = [await hall.receive("/textCaptured") for _ in range(2)]
    texts = {answer["sessionId"]: answer["text"] for answer in answers}
    assert texts == {"a": "1.5 seconds", "b": "0.5 seconds"}


async def test_a_site_has_a_limited_number_of_sessions(
    serve: Serve, broker: Broker, join: Join
) -> None:
    await connected(await serve(mqtt_url=broker.url()))
    hall = await join(broker, "hall")
    for number in range(5):
        await hall.started(sessionId=str(number))
    await hall.start(sessionId="one more")
    assert await hall.error() == "busy"
    answer = await hall.receive("/textCaptured")
    assert (answer["text"], answer["sessionId"]) == ("", "one more")
    await leave(hall)


async def test_only_the_allowed_sites_are_served(
    serve: Serve, broker: Broker, join: Join, caplog: pytest.LogCaptureFixture
) -> None:
    await connected(await serve(mqtt_url=broker.url(), mqtt_sites="hall,kitchen"))
    cellar, hall = await join(broker, "cellar"), await join(broker, "hall")
    await cellar.start()
    await hall.say(tone(1.0))
    assert await hall.text() == "1.0 seconds"
    assert any("cellar is not in --mqtt-sites" in each for each in warnings(caplog))
    assert cellar.unread == []


async def test_a_site_belongs_to_the_tenant_that_names_it(
    serve: Serve, broker: Broker, join: Join, tmp_path: Path
) -> None:
    tenants = tmp_path / "tenants.toml"
    tenants.write_text('[tenants.guests]\nsites = ["hall"]\nlanguages = ["de"]\nrequests = 1\n')
    engine = FakeEngine(held=True)
    await connected(await serve(engine, mqtt_url=broker.url(), tenants=tenants))
    hall, kitchen = await join(broker, "hall"), await join(broker, "kitchen")
    await hall.say(tone(1.0), "1", lang="en")
    await until(engine.decoding.is_set)
    await hall.start(sessionId="2")
    assert await hall.error() == "busy"
    await kitchen.say(tone(1.0), lang="en")
    engine.release()
    assert await kitchen.text() == "1.0 seconds"
    assert {job.options.language for job in engine.decoded} == {"de", "en"}


async def test_a_session_of_a_sites_own_topics_does_not_hear_hermes_frames(
    serve: Serve, broker: Broker, join: Join
) -> None:
    """Otherwise a client allowed on Hermes' topics could speak for an isolated satellite."""
    await connected(await serve(mqtt_url=broker.url()))
    own, other = await join(broker, "hall", own_topics=True), await join(broker, "hall")
    await own.started()
    await other.hear(tone(2.0))
    await own.hear(tone(1.0))
    await other.stop()
    await own.stop()
    assert await own.text() == "1.0 seconds"
    assert other.unread == []


# The protocol, not followed exactly


async def test_a_site_is_not_heard_until_all_reasons_are_gone(
    serve: Serve, broker: Broker, join: Join
) -> None:
    await connected(await serve(mqtt_url=broker.url()))
    hall = await join(broker, "hall")
    await hall.send("toggleOff", reason="ttsSay")
    await hall.send("toggleOff", reason="playAudio")
    await hall.started()
    await hall.hear(tone(1.0))
    await hall.send("toggleOn", reason="ttsSay")
    await hall.hear(tone(1.0))
    await hall.send("toggleOn", reason="playAudio")
    await hall.hear(tone(0.5))
    await hall.send("toggleOff", reason="dialogueSession")
    await hall.hear(tone(1.0))
    await hall.send("toggleOn")
    await hall.hear(tone(0.5))
    await hall.stop()
    assert await hall.text() == "1.0 seconds"


async def test_a_stop_without_a_start_is_ignored(
    serve: Serve, broker: Broker, join: Join
) -> None:
    await connected(await serve(mqtt_url=broker.url()))
    hall = await join(broker, "hall")
    await hall.stop()
    await hall.stop(sessionId="never begun")
    await hall.say(tone(1.0))
    assert await hall.text() == "1.0 seconds"
    assert not [topic for topic in hall.unread if not topic.endswith("recordingFinished")]


async def test_a_start_during_an_utterance_begins_it_again(
    serve: Serve, broker: Broker, join: Join
) -> None:
    server = await connected(await serve(mqtt_url=broker.url()))
    hall = await join(broker, "hall")
    await hall.started()
    await hall.hear(tone(2.0))
    await hall.say(tone(1.0))
    assert await hall.text() == "1.0 seconds"
    await until(lambda: not server.mqtt.clients)
    assert not [topic for topic in hall.unread if topic.endswith("/textCaptured")]


async def test_frames_after_the_stop_are_ignored(
    serve: Serve, broker: Broker, join: Join
) -> None:
    server = await connected(await serve(mqtt_url=broker.url()))
    hall = await join(broker, "hall")
    await hall.say(tone(1.0))
    await hall.hear(tone(3.0))
    assert await hall.text() == "1.0 seconds"
    await until(lambda: server.memory.used == 0)


async def test_a_failed_decode_is_an_error_and_an_empty_text(
    serve: Serve, broker: Broker, join: Join
) -> None:
    def fail(job: Job) -> str:
        raise EngineError("the model failed on this audio")

    await connected(await serve(FakeEngine(fail), mqtt_url=broker.url()))
    hall = await join(broker, "hall")
    await hall.say(tone(1.0), "7")
    assert await hall.error() == "engine"
    answer = await hall.receive("/textCaptured")
    assert (answer["text"], answer["likelihood"], answer["sessionId"]) == ("", 0, "7")


async def test_a_frame_that_is_not_a_wav_file_ends_the_session_with_an_error(
    serve: Serve, broker: Broker, join: Join
) -> None:
    server = await connected(await serve(mqtt_url=broker.url()))
    hall = await join(broker, "hall")
    wav = write_wav(PCM, bytes(64))
    for frame in (
        b"garbage",
        b"RIFF\x24\x00\x00\x00WAVE",
        wav[:40],
        wav.replace(b"fmt ", b"xxxx"),
        wav.replace((16_000).to_bytes(4, "little"), b"\1\0\0\0", 1),  # 1 Hz
    ):
        await hall.started()
        await hall.frame(frame)
        assert await hall.error() == "audio"
        assert await hall.text() == ""
    await hall.say(tone(1.0))
    assert await hall.text() == "1.0 seconds"
    await until(lambda: server.memory.used == 0)


async def test_a_header_that_lies_about_its_size_does_no_harm(
    serve: Serve, broker: Broker, join: Join
) -> None:
    await connected(await serve(mqtt_url=broker.url()))
    hall = await join(broker, "hall")
    await hall.started()
    wav = bytearray(write_wav(PCM, pcm16(tone(0.5))))
    for size in (0, 2**32 - 1):
        wav[40:44] = size.to_bytes(4, "little")
        await hall.frame(bytes(wav))
    await hall.stop()
    assert await hall.text() == "1.0 seconds"


async def test_a_frame_of_a_megabyte_is_dropped(
    serve: Serve, broker: Broker, join: Join, caplog: pytest.LogCaptureFixture
) -> None:
    """With MQTT 5 the broker drops what is larger than the server takes."""
    await connected(await serve(mqtt_url=broker.url()))
    hall = await join(broker, "hall")
    await hall.started()
    await hall.frame(write_wav(PCM, bytes(1_000_000)))
    await hall.frame(write_wav(PCM, bytes(100_000)))
    await hall.hear(tone(1.0))
    await hall.stop()
    assert await hall.text() == "1.0 seconds"
    assert any("bytes; the limit is" in each for each in warnings(caplog))


WRONG = (
    *(b"garbage", b"[1]", b'{"siteId": "hall", "siteId": "kitchen"}'),
    *(b'{"siteId": "hall", "x": NaN}', b'{"siteId": 5}', b'{"siteId": "\\ud800"}'),
    *(b'{"siteId": "+"}', b'{"siteId": "#"}', b'{"siteId": "../hall"}'),
    b'{"siteId": "hall", "sessionId": "a/+/b"}',
    b'{"siteId": "' + b"x" * 10_000 + b'"}',
    b'{"siteId": "hall", "x": "' + b"x" * 100_000 + b'"}',
)


async def test_a_wrong_start_begins_nothing(
    serve: Serve, broker: Broker, join: Join, caplog: pytest.LogCaptureFixture
) -> None:
    """The unit tests of json_object.py and hermes.py have the reasons."""
    server = await connected(await serve(mqtt_url=broker.url()))
    hall = await join(broker, "hall")
    for payload in WRONG:
        await hall.client.publish("hermes/asr/startListening", payload, qos=1)
    await hall.say(tone(1.0))
    assert await hall.text() == "1.0 seconds"
    assert "'garbage' is not JSON" in warnings(caplog)[0]
    await until(lambda: not server.mqtt.clients)
    texts = [topic for topic in hall.unread if topic.endswith("/textCaptured")]
    assert texts == []


async def test_a_start_with_a_wrong_field_is_answered_with_an_error(
    serve: Serve, broker: Broker, join: Join
) -> None:
    await connected(await serve(mqtt_url=broker.url()))
    hall = await join(broker, "hall")
    await hall.send("startListening", sessionId="7", stopOnSilence="maybe")
    error = await hall.receive("error/asr")
    assert (error["context"], error["sessionId"]) == ("protocol", "7")
    assert await hall.text() == ""


async def test_json_of_a_megabyte_does_no_harm(serve: Serve, broker: Broker, join: Join) -> None:
    await connected(await serve(mqtt_url=broker.url()))
    hall = await join(broker, "hall")
    payload = b'{"siteId": "hall", "x": "' + b"x" * 1_000_000 + b'"}'
    await hall.client.publish("hermes/asr/startListening", payload, qos=1)
    await hall.say(tone(1.0))
    assert await hall.text() == "1.0 seconds"


async def test_a_retained_start_is_ignored(
    serve: Serve, broker: Broker, join: Join, caplog: pytest.LogCaptureFixture
) -> None:
    """It may be from last year, and would begin anew after each restart of the server."""
    hall = await join(broker, "hall")
    await hall.client.publish(
        "hermes/asr/startListening", b'{"siteId": "hall"}', qos=1, retain=True
    )
    server = await connected(await serve(mqtt_url=broker.url()))
    await until(lambda: bool(warnings(caplog)))
    assert "retained" in warnings(caplog)[0]
    assert not server.mqtt.clients
    await hall.say(tone(1.0))
    assert await hall.text() == "1.0 seconds"


async def test_a_silent_satellite_gets_a_timeout(
    serve: Serve, broker: Broker, join: Join
) -> None:
    server = await connected(
        await serve(mqtt_url=broker.url(), limits=ClientLimits(inside_utterance=0.1))
    )
    hall = await join(broker, "hall")
    await hall.started()
    assert await hall.error() == "timeout"
    await until(lambda: not server.mqtt.clients)


async def test_a_flood_of_audio_mutes_its_site_only(
    serve: Serve, broker: Broker, join: Join, caplog: pytest.LogCaptureFixture
) -> None:
    server = await connected(await serve(mqtt_url=broker.url()))
    hall, flooder = await join(broker, "hall"), await join(broker, "flooder")
    await flooder.started(sessionId="7")
    wav = write_wav(PCM, bytes(64_000))
    for _ in range(80):  # at once: over the broker they may take a while
        topic = "hermes/audioServer/flooder/7/audioSessionFrame"
        server.mqtt.sites.take(topic, wav, False)
    assert await flooder.error() == "busy"
    assert await flooder.text() == ""
    await flooder.start(sessionId="8")
    assert await flooder.error() == "busy"
    await hall.say(tone(1.0))
    assert await hall.text() == "1.0 seconds"
    assert any("sends too much audio" in each for each in warnings(caplog))
    await until(lambda: not server.mqtt.clients)


async def test_a_flood_on_hermes_topics_does_not_mute_a_site_on_its_own_topics(
    serve: Serve, broker: Broker, join: Join
) -> None:
    server = await connected(await serve(mqtt_url=broker.url()))
    hall = await join(broker, "hall", own_topics=True)
    await hall.started()
    await hall.hear(tone(0.5))
    take, wav = server.mqtt.sites.take, write_wav(PCM, bytes(64_000))
    take("hermes/asr/startListening", b'{"siteId": "hall"}', False)
    for _ in range(80):
        take("hermes/audioServer/hall/audioFrame", wav, False)
    await hall.hear(tone(0.5))
    await hall.stop()
    assert await hall.text() == "1.0 seconds"
    await until(lambda: not server.mqtt.clients)


async def test_sites_that_are_switched_off_do_not_keep_others_away(
    serve: Serve, broker: Broker, join: Join
) -> None:
    server = await connected(await serve(mqtt_url=broker.url()))
    for number in range(300):
        payload = json.dumps({"siteId": f"site {number}", "reason": "ttsSay"})
        server.mqtt.sites.take("hermes/asr/toggleOff", payload.encode(), False)
    hall = await join(broker, "hall")
    await hall.say(tone(1.0))
    assert await hall.text() == "1.0 seconds"


async def test_a_satellite_that_leaves_at_once_leaves_nothing(
    serve: Serve, broker: Broker
) -> None:
    server = await connected(await serve(mqtt_url=broker.url()))
    take = server.mqtt.sites.take
    for _ in range(3):
        take("hermes/asr/startListening", b'{"siteId": "hall"}', False)
        take(f"{PREFIX}/hall/status", b"offline", False)
        await until(lambda: not server.mqtt.clients)
    assert server.memory.used == 0


async def test_audio_that_is_too_large_for_the_broker_is_not_sent_back(
    serve: Serve, tmp_path: Path, join: Join, caplog: pytest.LogCaptureFixture
) -> None:
    """The broker would close the connection of all sites."""
    small = plain_broker(tmp_path, "max_packet_size 20000", kinds=("tcp",))
    async with in_thread(small) as broker:
        await connected(await serve(mqtt_url=broker.url()))
        hall = await join(broker, "hall")
        for seconds in (1.0, 0.5):
            await hall.say(tone(seconds), sendAudioCaptured=True)
            assert await hall.text() == f"{seconds} seconds"
        assert len(await hall.receive("audioCaptured")) == 44 + 16_000
        assert any("takes packets of 20000" in each for each in warnings(caplog))
        assert not any("Lost the connection" in each for each in warnings(caplog))


def connection_to(broker: FakeBroker) -> Connection:
    return Connection(
        BrokerOptions(BrokerUrl.parse(f"mqtt://127.0.0.1:{broker.port}"), "server"),
        filters=["hermes/asr/#"],
        greeting=lambda: (),
        will=Message("status", b"offline"),
        on_message=lambda *_: None,
        on_lost=lambda: None,
    )


async def test_a_broker_gets_no_more_messages_at_once_than_it_takes() -> None:
    async with fake_broker(receives=2) as broker:
        connection = connection_to(broker)
        running = asyncio.create_task(connection.run())
        await until(lambda: connection.connected)
        broker.acknowledges.clear()
        answers = [
            asyncio.create_task(connection.publish(Message("text", b""), DEADLINE))
            for _ in range(5)
        ]
        await until(lambda: len(broker.published) >= 2)
        await connection.subscribe(["hall"])  # everything sent before it has arrived
        assert len(broker.published) == 2
        broker.acknowledges.set()
        await asyncio.gather(*answers)
        assert len(broker.published) == 5
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_message_with_which_the_connection_is_lost_is_given_up(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """With MQTT 3.1.1 a broker cannot say how large a packet may be."""
    async with fake_broker(most=20_000) as broker:
        connection = connection_to(broker)
        running = asyncio.create_task(connection.run())
        await asyncio.gather(
            connection.publish(Message("audio", bytes(30_000)), DEADLINE),
            connection.publish(Message("text", bytes(10_000)), DEADLINE),
        )
        assert broker.connections == 3
        await connection.publish(Message("audio", bytes(30_001)), DEADLINE)
        await connection.publish(Message("audio", bytes(15_000)), DEADLINE)
        assert connection.connected
        assert broker.connections == 3
        assert 15_000 < broker.published[-1] < 30_000
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        # The next connection may be to a broker with another limit.
        broker.most = 40_000
        running = asyncio.create_task(connection.run())
        await connection.publish(Message("audio", bytes(30_001)), DEADLINE)
        assert broker.published[-1] > 30_000
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert any("2 times during a message of 30000 bytes" in each for each in warnings(caplog))


async def test_a_flood_of_control_messages_is_ignored(
    serve: Serve, broker: Broker, join: Join
) -> None:
    server = await connected(await serve(mqtt_url=broker.url()))
    hall, flooder = await join(broker, "hall"), await join(broker, "flooder")
    for number in range(120):
        await flooder.client.publish(
            "hermes/asr/startListening",
            json.dumps({"siteId": "flooder", "sessionId": str(number)}),
        )
    await hall.say(tone(1.0))
    assert await hall.text() == "1.0 seconds"
    assert len([each for each in server.mqtt.clients if each.site == "flooder"]) <= 5
    await leave(flooder)


async def test_a_satellite_that_does_not_read_does_not_delay_others(
    serve: Serve, broker: Broker, join: Join
) -> None:
    """The broker keeps its messages, up to a limit."""
    await connected(await serve(mqtt_url=broker.url()))
    hall, slow = await join(broker, "hall"), await join(broker, "slow")
    connection = slow.client._client.socket()
    assert connection is not None
    asyncio.get_running_loop().remove_reader(connection.fileno())
    for _ in range(3):
        await slow.client.publish("hermes/asr/startListening", b'{"siteId": "slow"}')
        await hall.say(tone(1.0))
        assert await hall.text() == "1.0 seconds"
    await leave(slow)


# The broker


async def test_a_broker_that_restarts_costs_one_utterance(
    serve: Serve, broker: Broker, join: Join, caplog: pytest.LogCaptureFixture
) -> None:
    server = await connected(await serve(mqtt_url=broker.url()))
    async with satellite(broker.url(), "hall") as hall:
        await hall.started(sessionId="7")
        await hall.hear(tone(1.0))
        await until(lambda: server.memory.used > 0)
        await asyncio.to_thread(broker.stop)
        await until(lambda: not server.mqtt.connection.connected)
    await asyncio.to_thread(broker.start)
    hall = await join(broker, "hall")
    # The satellite may be back before the server or after it.
    await connected(server)
    await hall.say(tone(2.0), "8")
    while (answer := await hall.receive("/textCaptured"))["sessionId"] == "7":
        assert answer["text"] == ""
    assert answer["text"] == "2.0 seconds"
    assert any("Lost the connection" in each for each in warnings(caplog))
    await until(lambda: server.memory.used == 0)


async def test_the_error_of_a_lost_utterance_is_sent_after_the_reconnection(
    serve: Serve, broker: Broker
) -> None:
    server = await connected(await serve(mqtt_url=broker.url()))
    async with satellite(broker.url(), "hall") as hall:
        await hall.started(sessionId="7")
        await hall.hear(tone(1.0))
        await until(lambda: server.memory.used > 0)
        _drop(server)
        error = await hall.receive("error/asr")
        assert (error["context"], error["sessionId"]) == ("timeout", "7")
        assert await hall.text() == ""
        await hall.say(tone(2.0))
        assert await hall.text() == "2.0 seconds"


async def test_an_utterance_that_was_complete_is_answered_after_the_reconnection(
    serve: Serve, broker: Broker
) -> None:
    engine = FakeEngine(held=True)
    server = await connected(await serve(engine, mqtt_url=broker.url()))
    async with satellite(broker.url(), "hall") as hall:
        await hall.say(tone(1.0), "7")
        await hall.receive("recordingFinished")
        _drop(server)
        await until(lambda: not server.mqtt.connection.connected)
        engine.release()
        assert await hall.text() == "1.0 seconds"


def _drop(server: Server) -> None:
    """Cut the server's connection to the broker."""
    client: Any = server.mqtt.connection._client
    client._client.socket().shutdown(socket.SHUT_RDWR)


async def test_the_status_says_whether_the_server_is_there(serve: Serve, broker: Broker) -> None:
    status = f"{PREFIX}/status"
    async with listener(broker, status) as messages:
        server = await connected(await serve(mqtt_url=broker.url()))
        await received(messages, status, b"online")
        server.service.stop()
        await server.running
        await server.service.close()
        await received(messages, status, b"offline")
    async with listener(broker, status) as messages:
        assert await received(messages, status) == (b"offline", True)


async def test_the_broker_says_offline_when_the_server_is_killed(
    start_process: StartProcess, broker: Broker
) -> None:
    status = f"{PREFIX}/status"
    async with listener(broker, status) as messages:
        process = await start_process(
            *("--uri", "tcp://127.0.0.1:0", "--model", "tiny.en", "--mqtt-url", broker.url())
        )
        await received(messages, status, b"online")
        process.process.kill()
        await received(messages, status, b"offline")


async def test_the_server_waits_for_a_broker_that_is_not_there(
    serve: Serve, broker: Broker, join: Join, caplog: pytest.LogCaptureFixture
) -> None:
    await asyncio.to_thread(broker.stop)
    server = await serve(mqtt_url=broker.url())
    await until(lambda: bool(warnings(caplog)))
    assert "Cannot use the MQTT broker" in warnings(caplog)[0]
    await server.serves()  # Wyoming clients do not wait for it
    await asyncio.to_thread(broker.start)
    await connected(server)
    hall = await join(broker, "hall")
    await hall.say(tone(1.0))
    assert await hall.text() == "1.0 seconds"


async def test_the_reason_why_there_is_no_broker_is_in_plain_words(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    async with fake_broker() as broker:
        url = f"mqtt://127.0.0.1:{broker.port}"
    await serve(mqtt_url=url)
    await until(lambda: bool(warnings(caplog)))
    assert warnings(caplog) == [
        f"Cannot use the MQTT broker at {url}: Connection refused; trying again"
    ]


async def test_a_broker_that_denies_subscriptions_is_tried_again(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    async with fake_broker() as broker:
        server = await serve(mqtt_url=f"mqtt://127.0.0.1:{broker.port}")
        await until(lambda: broker.connections >= 3)
        assert not server.mqtt.connection.connected
        found = warnings(caplog)
        assert len(found) == 1  # not one for each attempt
        assert "denies the subscription to hermes/asr/startListening" in found[0]
        await server.serves()


async def test_a_broker_that_closes_connections_at_once_is_tried_again(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    async with fake_broker(closes=True) as broker:
        server = await serve(mqtt_url=f"mqtt://127.0.0.1:{broker.port}")
        await until(lambda: broker.connections >= 3)
        assert "Cannot use the MQTT broker" in warnings(caplog)[0]
        await server.serves()


async def test_a_frozen_broker_is_noticed_within_two_keepalives(
    server: Server, broker: Broker, join: Join
) -> None:
    """Nothing is closed, and nothing more arrives."""
    shared = server.listener
    url = BrokerUrl.parse(broker.url())
    mqtt = MqttServer(
        shared._context,
        shared._limits,
        shared._admission,
        MqttOptions(BrokerOptions(url, "server", keepalive=1, timeout=1.0), PREFIX),
    )
    mqtt.start()
    await until(lambda: mqtt.connection.connected)
    hall = await join(broker, "hall", keepalive=60)
    await hall.started(sessionId="7")
    await hall.hear(tone(1.0))
    await until(lambda: server.memory.used > 0)
    broker.freeze()
    began = asyncio.get_running_loop().time()
    await until(lambda: not mqtt.connection.connected)
    # paho looks once a second.
    assert asyncio.get_running_loop().time() - began < 2 * 1 + 2
    broker.thaw()
    assert await hall.error() == "timeout"
    assert await hall.text() == ""
    await hall.say(tone(2.0))
    assert await hall.text() == "2.0 seconds"
    await mqtt.stop(0)


@pytest.mark.parametrize("kind", ["tcp", "ws"])
async def test_tcp_and_websocket(serve: Serve, broker: Broker, join: Join, kind: str) -> None:
    await connected(await serve(mqtt_url=broker.url(kind)))
    hall = await join(broker, "hall", url=broker.url(kind))
    await hall.say(tone(1.0))
    assert await hall.text() == "1.0 seconds"


async def test_a_broker_with_mqtt_3_only(
    serve: Serve, tmp_path: Path, join: Join, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with in_thread(amqtt_broker(tmp_path)) as broker:
        await connected(await serve(mqtt_url=broker.url()))
        assert "(MQTT 3.1.1)" in caplog.text
        hall = await join(broker, "hall")
        await hall.say(tone(1.0))
        assert await hall.text() == "1.0 seconds"


# Home Assistant


async def test_home_assistant_is_told_about_sites_and_what_they_say(
    serve: Serve, broker: Broker, join: Join
) -> None:
    async with listener(broker, "homeassistant/#", f"{PREFIX}/#") as messages:
        await connected(
            await serve(mqtt_url=broker.url(), mqtt_discovery="homeassistant", mqtt_sites="hall")
        )
        topic = f"homeassistant/event/{PREFIX}/site_hall/config"
        config = json.loads((await received(messages, topic))[0])
        hall = await join(broker, "hall")
        await hall.say(tone(1.0), "7")
        event = json.loads((await received(messages, config["state_topic"]))[0])
        assert event["event_type"] in config["event_types"]
        assert (event["text"], event["session_id"]) == ("1.0 seconds", "7")
    async with listener(broker, "homeassistant/#") as messages:
        assert (await received(messages, topic))[1], "it is not retained"


async def test_discovery_is_renewed_at_the_birth_of_home_assistant(
    serve: Serve, broker: Broker, join: Join
) -> None:
    await connected(await serve(mqtt_url=broker.url(), mqtt_discovery=True))
    hall = await join(broker, "hall")
    await hall.say(tone(1.0))
    assert await hall.text() == "1.0 seconds"
    async with listener(broker, "homeassistant/#") as messages:
        topic = f"homeassistant/event/{PREFIX}/site_hall/config"
        assert (await received(messages, topic))[1]  # retained
        await hall.client.publish("homeassistant/status", b"online", qos=1)
        assert not (await received(messages, topic))[1]  # sent again


# Options


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"mqtt_url": "http://broker"}, "--mqtt-url is"),
        ({"mqtt_sites": "hall"}, "--mqtt-sites requires --mqtt-url"),
        ({"mqtt_url": "mqtt://b", "mqtt_password": "x"}, "needs a user"),
        ({"mqtt_url": "mqtt://b", "mqtt_sites": "hall,#"}, "--mqtt-sites"),
        ({"mqtt_url": "mqtt://b", "mqtt_prefix": "a/+"}, "--mqtt-prefix"),
        ({"mqtt_url": "mqtt://b", "mqtt_ca": "ca.pem"}, "--mqtt-ca works with mqtts"),
        ({"mqtt_url": "mqtts://b", "mqtt_ca": "/missing"}, "--mqtt-ca /missing cannot be used"),
        ({"mqtt_url": "mqtts://b", "mqtt_key": "x"}, "--mqtt-key requires --mqtt-cert"),
    ],
)
async def test_options_that_cannot_be_used_are_refused(
    serve: Serve, options: dict[str, Any], why: str
) -> None:
    with pytest.raises(SettingError, match=why):
        await serve(**options)


async def test_a_missing_extra_is_named_in_the_error(tmp_path: Path) -> None:
    ended = await serve_without("aiomqtt", "--mqtt-url", "mqtt://b", folder=tmp_path)
    assert ended.status == 2
    assert "--mqtt-url needs aiomqtt" in ended.err
    assert "wyoming-faster-whisper[mqtt]" in ended.err


# Transport security and access control, as in deploy/mosquitto


@pytest.mark.parametrize("kind", ["tcp", "tls", "wss"])
async def test_a_deployed_broker_over_each_listener(
    serve: Serve, deployed: Broker, join: Join, certificates: Path, kind: str
) -> None:
    """The satellite's user is its site, and it uses its own topics only."""
    options: dict[str, Any] = {"mqtt_url": deployed.url(kind, user="whisper")}
    options["mqtt_password"] = PASSWORDS["whisper"]
    tls = None
    if kind != "tcp":
        options["mqtt_ca"] = certificates / "ca.pem"
        tls = await asyncio.to_thread(_trusting, certificates)
    await connected(await serve(**options))
    kitchen = await join(
        deployed,
        "kitchen",
        url=deployed.url(kind, user="kitchen"),
        password=PASSWORDS["kitchen"],
        tls=tls,
        own_topics=True,
    )
    await kitchen.say(tone(1.0), "7")
    assert await kitchen.text() == "1.0 seconds"


def _trusting(certificates: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificates / "ca.pem"))


# paho leaves a socket whose certificate it does not accept to the garbage collector.
@pytest.mark.filterwarnings("ignore:Exception ignored in.*SSLSocket")
@pytest.mark.filterwarnings("ignore:unclosed .*SSLSocket:ResourceWarning")
async def test_a_broker_with_another_certificate_is_not_used(
    serve: Serve, deployed: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    server = await serve(
        mqtt_url=deployed.url("tls", user="whisper"), mqtt_password=PASSWORDS["whisper"]
    )
    await until(lambda: bool(warnings(caplog)))
    assert "certificate verify failed" in warnings(caplog)[0]
    assert not server.mqtt.connection.connected


async def test_client_certificates(
    serve: Serve, tmp_path: Path, certificates: Path, authority: Any, join: Join
) -> None:
    certificate = authority.issue_cert(common_name="whisper")
    pem = tmp_path / "whisper.pem"
    for part in (*certificate.cert_chain_pems, certificate.private_key_pem):
        part.write_to_path(str(pem), append=True)
    folder = tmp_path / "mutual"
    folder.mkdir()
    mutual = deployed_broker(folder, certificates, client_certificates=True)
    async with in_thread(mutual) as broker:
        await connected(
            await serve(
                mqtt_url=broker.url("tls"), mqtt_ca=certificates / "ca.pem", mqtt_cert=pem
            )
        )
        kitchen = await join(
            broker,
            "kitchen",
            url=broker.url("tcp", user="kitchen"),
            password=PASSWORDS["kitchen"],
            own_topics=True,
        )
        await kitchen.say(tone(1.0))
        assert await kitchen.text() == "1.0 seconds"


async def test_renewed_certificates_count_from_the_next_connection_on(
    serve: Serve,
    tmp_path: Path,
    certificates: Path,
    authority: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pem, trusted = tmp_path / "whisper.pem", tmp_path / "trusted.pem"

    def write(issuer: Any) -> None:
        made = issuer.issue_cert(common_name="whisper")
        pem.write_bytes(b"".join(each.bytes() for each in made.cert_chain_pems))
        made.private_key_pem.write_to_path(str(pem), append=True)
        issuer.cert_pem.write_to_path(str(trusted))

    folder = tmp_path / "mutual"
    folder.mkdir()
    mutual = deployed_broker(folder, certificates, client_certificates=True)
    async with in_thread(mutual) as broker:
        await asyncio.to_thread(broker.stop)
        await asyncio.to_thread(write, trustme.CA())
        server = await serve(mqtt_url=broker.url("tls"), mqtt_ca=trusted, mqtt_cert=pem)
        await until(lambda: "Connection refused" in caplog.text)
        await asyncio.to_thread(trusted.write_bytes, b"not written yet")
        await until(lambda: f"--mqtt-ca {trusted} cannot be used" in caplog.text)
        await asyncio.to_thread(write, authority)
        await asyncio.to_thread(broker.start)
        await connected(server)


async def test_a_satellite_can_neither_speak_nor_listen_for_another_site(
    serve: Serve, deployed: Broker, join: Join
) -> None:
    server = await connected(
        await serve(
            mqtt_url=deployed.url("tcp", user="whisper"), mqtt_password=PASSWORDS["whisper"]
        )
    )
    kitchen, hall = [
        await join(
            deployed,
            site,
            url=deployed.url("tcp", user=site),
            password=PASSWORDS[site],
            own_topics=True,
        )
        for site in ("kitchen", "hall")
    ]
    spy: list[str] = []
    # As if the kitchen were the hall.
    forged = Satellite(kitchen.client, "hall", prefix=PREFIX, own_topics=True)
    await kitchen.client.subscribe(f"{PREFIX}/hall/#")
    await kitchen.client.subscribe("hermes/#")
    await forged.start()
    await hall.started()
    await forged.hear(tone(2.0))
    await hall.hear(tone(1.0))
    await forged.stop()
    await hall.stop()
    assert await hall.text() == "1.0 seconds"
    await kitchen.say(tone(0.5))
    assert await kitchen.text() == "0.5 seconds"
    spy += [topic for topic in kitchen.unread if "/hall/" in topic]
    assert spy == []
    await until(lambda: not server.mqtt.clients)


async def test_a_wrong_password_is_logged(
    serve: Serve, deployed: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    server = await serve(
        mqtt_url=deployed.url("tcp", user="whisper"), mqtt_password="something else"
    )
    await until(lambda: bool(warnings(caplog)))
    assert "Not authorized" in warnings(caplog)[0]
    assert "something else" not in caplog.text
    await server.serves()
