"""Scenarios with Home Assistant and this server, as their user experiences them.

Every scenario gets its own Home Assistant and starts its own servers. The audio is that of the
recordings in tests/data, sent in real time.
"""

from __future__ import annotations

import asyncio
import io
import json
import socket
import tempfile
import unittest
import wave
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.broker import plain_broker

from .house import (
    HAS_FLOORS,
    LETS_THE_SERVER_END,
    READS_WHILE_SENDING,
    House,
    Microphone,
    Run,
)
from .server import Command, Server

DATA = Path(__file__).parent.parent / "data"
CAP = 15.0  # seconds after which Home Assistant's VAD gives up
LEAD = 0.2  # seconds of silence at the start of every clip in DATA

TINY = ("--model", "tiny.en")


class Skipped(Exception):
    """This machine cannot run the scenario; the message says what is missing."""


@dataclass(frozen=True)
class Stage:
    """Home Assistant and everything else that a scenario uses."""

    house: House
    command: Command
    discovers: bool
    show: Callable[[str], None]  # prints a line of detail

    @property
    def address(self) -> str:
        return self.command.address

    @asynccontextmanager
    async def served(self, *options: str) -> AsyncIterator[tuple[Server, str]]:
        """Run a server and add it to Home Assistant; yield the server and its entity."""
        async with self.command.started(*options) as server:
            outcome = await self.house.add_manually(self.address, server.port)
            assert outcome["type"] == "create_entry", outcome
            try:
                yield server, self.house.entity_of(outcome["result"])
            finally:
                await self.house.remove(outcome["result"])

    async def say(self, entity: str, name: str, *, lead: bool = True) -> Run:
        """Play a clip and then silence until Home Assistant has an answer.

        Args:
            lead: whether to keep the silence before the first word.
        """
        with wave.open(str(DATA / name), "rb") as file:
            pcm = file.readframes(file.getnframes())
        run = await self.house.listen(
            entity, Microphone(pcm if lead else pcm[round(LEAD * 32_000) :])
        )
        for at, kind, data in run.events:
            said = data.get("stt_output", {}).get("text", data.get("code", ""))
            self.show(f"{at:6.2f} s  {kind}" + (f"  {json.dumps(said)}" if said else ""))
        return run


async def added_manually(stage: Stage) -> None:
    """The form accepts host and port; the stt entity has the languages of the model."""
    async with stage.command.started(*TINY) as server:
        outcome = await stage.house.add_manually(stage.address, server.port)
        assert outcome["type"] == "create_entry", outcome
        assert outcome["title"] == "faster-whisper"
        entity = stage.house.entity_of(outcome["result"])
        languages = stage.house.languages(entity)
        stage.show(f"entity {entity}, languages {', '.join(languages)}")
        assert entity == "stt.faster_whisper"
        assert languages == ["en"]


async def no_server(stage: Stage) -> None:
    """Without a server, the form shows an error and can be filled in again."""
    with socket.socket() as closed:
        closed.bind((stage.address, 0))
        outcome = await stage.house.add_manually(stage.address, closed.getsockname()[1])
    assert outcome["type"] == "form", outcome
    assert outcome["errors"] == {"base": "cannot_connect"}


async def commands(stage: Stage) -> None:
    """Commands in real time, ended by Home Assistant's VAD, are transcribed."""
    clips = json.loads((DATA / "clips.json").read_text())
    async with stage.served(*TINY) as (_, entity):
        for name in ("lights.wav", "kitchen.wav", "timer.wav"):
            run = await stage.say(entity, name)
            heard = set(run.text.lower().strip(".").split())
            assert set(clips[name]["words"]) <= heard, run.text
            started, ended, answered = map(run.at, ("stt-vad-start", "stt-vad-end", "stt-end"))
            assert started < ended < answered < CAP


async def silence(stage: Stage) -> None:
    """Silence gives no hallucinated text, and Home Assistant reports that there was no text."""
    async with stage.served(*TINY) as (_, entity):
        run = await stage.house.listen(entity, Microphone(b"", then=3.0))
    assert run.error == "stt-no-text-recognized"


@asynccontextmanager
async def other_client(host: str, port: int) -> AsyncIterator[None]:
    """Hold a connection to a server, after waiting for a free one."""
    async with asyncio.timeout(CAP):
        answer = b""
        while b"pong" not in answer:
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(b'{"type": "ping"}\n')
            answer = await reader.readline()
            if b"pong" not in answer:
                writer.close()
    try:
        yield
    finally:
        writer.close()


async def busy(stage: Stage) -> None:
    """A server that rejects the connection causes an immediate error, not a timeout."""
    async with stage.served(*TINY, "--max-connections", "1") as (server, entity):
        async with other_client(stage.address, server.port):
            run = await stage.say(entity, "lights.wav")
            assert run.error == "stt-stream-failed"
            assert run.events[-1][0] < CAP
        async with other_client(stage.address, server.port):
            pass  # the connection is free again


async def restart(stage: Stage) -> None:
    """A server that was stopped is used again after its restart, without any action."""
    async with stage.served(*TINY) as (server, entity):
        assert "lights" in (await stage.say(entity, "lights.wav")).text
        await server.stop()
        assert (await stage.say(entity, "lights.wav")).error == "stt-stream-failed"
        async with stage.command.started(*TINY, port=server.port):
            assert "lights" in (await stage.say(entity, "lights.wav")).text


async def server_stops_during_speech(stage: Stage) -> None:
    """An utterance during which the server stops ends with a text or an error, not a timeout."""
    async with stage.served(*TINY) as (server, entity):
        stops: list[asyncio.Task[None]] = []

        def on_event(kind: str) -> None:
            if kind == "stt-vad-start":
                stops.append(asyncio.create_task(server.stop()))

        microphone = Microphone((DATA / "lights.wav").read_bytes()[44:])
        run = await stage.house.listen(entity, microphone, during=on_event)
        await asyncio.gather(*stops)
        assert stops
        assert run.kinds[-1] == "run-end" or run.error == "stt-stream-failed", run.kinds


async def early_answer(stage: Stage) -> None:
    """A short command right at the start, which Home Assistant's VAD may miss, is answered.

    From 2026.10 on, Home Assistant reads the answer while it sends audio, so the user does not
    wait for the 15 s after which the VAD gives up.
    """
    async with stage.served(*TINY) as (_, entity):
        run = await stage.say(entity, "stop.wav", lead=False)
    assert "stop" in run.text.lower(), run.text
    if READS_WHILE_SENDING:
        assert "stt-vad-end" not in run.kinds
        assert run.at("stt-end") < CAP / 2


async def endpointing(stage: Stage) -> None:
    """The server ends the turn; from 2026.10 on, Home Assistant then runs no VAD of its own."""
    async with stage.served(*TINY, "--vad-endpointing", "0.5") as (_, entity):
        run = await stage.say(entity, "lights.wav")
        assert "lights" in run.text, run.text
        if LETS_THE_SERVER_END:
            assert not {"stt-vad-start", "stt-vad-end"} & set(run.kinds)
        run = await stage.house.listen(entity, Microphone(b""))
        assert run.error == "stt-no-text-recognized"


async def names(stage: Stage) -> None:
    """Names exposed to Assist are recognised, also while Home Assistant is not running.

    They are set through the same API as in the settings pages. After Home Assistant has
    restarted, the next fetch brings new names.
    """
    house = stage.house
    owner = await house.owner()
    floor = {"floor_id": await owner.add_floor("Downstairs")} if HAS_FLOORS else {}
    room = await owner.add_area("Lyving Room", aliases=["The Lounge"], **floor)
    lamp, cellar = house.add_light("Reading Lamp"), house.add_light("Cellar")
    await owner.change(lamp, area_id=room, aliases=["Old Faithful"])
    await owner.expose(lamp)
    await owner.expose(cellar, to_assist=False)
    known = await stage.command.names(owner.api, owner.token)
    stage.show(f"names {', '.join(known)}")
    in_use = ["Lyving Room", "The Lounge", *(["Downstairs"] if HAS_FLOORS else [])]
    assert known == [*in_use, "Reading Lamp", "Old Faithful"]

    options = (*TINY, "--hass-api", owner.api, "--hass-token", owner.token)
    async with stage.served(*options) as (server, entity):
        await server.logged(f"Names from Home Assistant: {len(known)}\n")
        assert "Lyving Room" in (await stage.say(entity, "lights.wav")).text
        await house.stop()
        heard = await stage.command.transcribed(server.port, DATA / "lights.wav")
        stage.show(f"without Home Assistant: {heard}")
        assert "Lyving Room" in heard
        await server.logged("No names from Home Assistant: ")
        await house.start()
        door = house.add_light("Front Dore")
        await owner.expose(door)
        # The integration still works, and the next utterance triggers a fetch of the new name.
        await stage.say(entity, "lights.wav")
        await server.logged(f"Names from Home Assistant: {len(known) + 1}\n")
        assert "Front Dore" in (await stage.say(entity, "kitchen.wav")).text


async def discovery(stage: Stage) -> None:
    """Home Assistant discovers the server on the network; one click adds it."""
    if not stage.discovers:
        raise Skipped("there is no network namespace")
    # As in a container: the server listens on all addresses and announces the reachable ones.
    options = ("--model", "base", "--uri", "tcp://0.0.0.0:10300", "--zeroconf")
    async with stage.command.started(*options):
        found = await stage.house.discovered()
        outcome = await stage.house.confirm(found)
        assert outcome["type"] == "create_entry", outcome
        entry = outcome["result"]
        stage.show(f"found as {entry.unique_id!r} at {entry.data['host']}:{entry.data['port']}")
        assert (entry.data["host"], entry.data["port"]) == (stage.address, 10300)
        languages = stage.house.languages(stage.house.entity_of(entry))
        stage.show(f"{len(languages)} languages")
        assert {"de", "en", "nl"} <= set(languages)


async def mqtt_events(stage: Stage) -> None:
    """What a satellite says over MQTT is an event, before and after restarts."""
    house = stage.house
    with ExitStack() as stack:
        try:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            broker = await asyncio.to_thread(stack.enter_context, plain_broker(folder))
        except unittest.SkipTest as reason:
            raise Skipped(str(reason)) from None
        options = (*TINY, "--mqtt-url", broker.url(), "--mqtt-discovery", "--mqtt-sites", "hall")
        await house.add_broker(broker.ports["tcp"])
        async with stage.command.started(*options):
            await house.state("binary_sensor", lambda state: state.state == "on")
            await house.state("event", lambda state: state.state == "unknown")
            said = await say_over_mqtt(house, "lights.wav")
            stage.show(f"{said.entity_id} {dict(said.attributes)}")
            assert "lights" in said.attributes["text"]
            assert said.attributes["event_type"] == "transcript"
            assert said.attributes["language"] == "en"
            assert 0 < said.attributes["likelihood"] <= 1
            assert 2 < said.attributes["seconds"] < 10
            # The discovery messages are sent again when Home Assistant has restarted.
            await house.stop()
            await house.start()
            said = await say_over_mqtt(house, "timer.wav")
            assert "timer" in said.attributes["text"]
        await house.state("binary_sensor", lambda state: state.state == "off")
        await house.state("event", lambda state: state.state == "unavailable")
        async with stage.command.started(*options):
            await house.state("binary_sensor", lambda state: state.state == "on")


async def say_over_mqtt(house: House, name: str) -> Any:
    """Play a clip as the satellite of the hall; return the state of its event entity."""
    before = await house.state("event", lambda state: state.state != "unavailable")
    with wave.open(str(DATA / name), "rb") as file:
        pcm = file.readframes(file.getnframes())
    await house.publish("hermes/asr/startListening", '{"siteId": "hall"}', qos=1)
    for at in range(0, len(pcm) + 64_000, 2048):  # then two seconds of silence
        frame = io.BytesIO()
        with wave.open(frame, "wb") as file:
            file.setparams((1, 2, 16_000, 0, "NONE", ""))
            file.writeframes(pcm[at : at + 2048] or bytes(2048))
        await house.publish("hermes/audioServer/hall/audioFrame", frame.getvalue())
        await asyncio.sleep(0.064)
    return await house.state(
        "event", lambda state: state.state != before.state and state.attributes.get("text")
    )


SCENARIOS: tuple[Callable[[Stage], Awaitable[None]], ...] = (
    added_manually,
    no_server,
    commands,
    silence,
    busy,
    restart,
    server_stops_during_speech,
    early_answer,
    endpointing,
    names,
    mqtt_events,
    discovery,
)
