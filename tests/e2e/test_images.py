"""The images' commands in containers without Docker: speech is sent, its text comes back.

Every test runs in a child process in a container, see tests/support/container.py.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from tests.support.broker import Broker, plain_broker
from tests.support.clips import CLIPS
from tests.support.container import HOST_NAME, UNPRIVILEGED
from tests.support.dockerfile import ROOT, Stage, read
from tests.support.processes import DEADLINE, Process, run
from tests.support.scenarios import (
    image_paths,
    in_container,
    put_tiny_en_in_volume,
    run_scenario,
    started,
)
from tests.support.serving import speaker
from wyoming_faster_whisper.testing.home_assistant import FakeHome, FakeHomeAssistant

pytestmark = pytest.mark.model

TOKEN = "of the supervisor"
ADD_ON: dict[str, Any] = yaml.safe_load((ROOT / "addon" / "config.yaml").read_text())


def write_add_on_options(folder: Path, **more: Any) -> None:
    """Write the options file: the add-on's defaults and some changes of a user.

    No hub can be reached, so the model is already in the volume.
    """
    put_tiny_en_in_volume(folder)
    chosen = {
        **ADD_ON["options"],
        "model": "tiny.en",
        "language": "en",
        "text_style": "command",
        "hf_token": "of the hub",
        "debug_logging": True,
        **more,
    }
    options = folder / "data" / "options.json"
    options.write_text(json.dumps(chosen))
    options.chmod(0o600)
    # Every add-on can resolve its own host name and that of the Supervisor.
    (folder / "etc" / "hosts").write_text(
        f"127.0.0.1 localhost supervisor {HOST_NAME}\n", encoding="ascii"
    )


async def assert_transcribes(process: Process, uri: str) -> str:
    """Assert that a recording is transcribed; return the text."""
    async with speaker(uri) as client:
        await client.say(CLIPS["kitchen"].samples)
        text = await client.transcript()
    assert CLIPS["kitchen"].heard_in(text), process.log
    return text


async def assert_healthy(image: Stage) -> None:
    ran = await run("env", *image.health_check, folder=Path("/nowhere"), **image_paths())
    assert (ran.status, ran.err) == (0, "")


def assert_everything_else_is_read_only() -> None:
    for folder in ("/", "/tmp", "/usr", str(ROOT)):
        with pytest.raises(OSError, match="Read-only file system"):
            Path(folder, "written").touch()


@in_container(user=UNPRIVILEGED, prepare=put_tiny_en_in_volume)
async def test_the_image_uses_the_reference_servers_volume_and_writes_nowhere_else() -> None:
    image = read(ROOT / "Dockerfile")[-1]
    assert image.last("USER").text == f"{UNPRIVILEGED}:{UNPRIVILEGED}"
    assert os.getuid() == UNPRIVILEGED
    assert_everything_else_is_read_only()
    # docker run IMAGE --model tiny.en --language en
    entry = [*image.last("ENTRYPOINT").arguments, "--model", "tiny.en", "--language", "en"]
    async with started(image, entry) as process:
        assert await process.uri() == "tcp://0.0.0.0:10300"
        await assert_transcribes(process, "tcp://127.0.0.1:10300")
        await assert_healthy(image)
        process.signal(signal.SIGTERM)
        assert await process.ended() == 0
    assert "Loaded /data/models--Systran--faster-whisper-tiny.en/snapshots" in process.log
    assert "WARNING" not in process.log


@in_container(user=911, prepare=put_tiny_en_in_volume, volume="/config")
async def test_the_command_line_of_the_linuxserver_container_works() -> None:
    assert_everything_else_is_read_only()
    image = read(ROOT / "Dockerfile")[-1]
    command = [
        *("python3", "-m", "wyoming_faster_whisper", "--uri", "tcp://0.0.0.0:10300"),
        *("--model", "tiny.en", "--beam-size", "1", "--language", "en"),
        *("--data-dir", "/config", "--download-dir", "/config", "--local-files-only", "--debug"),
    ]
    async with started(Stage("", ""), command, TMPDIR="/run/whisper-temp") as process:
        assert await process.uri() == "tcp://0.0.0.0:10300"
        # The linuxserver container waits for the server until its port is open.
        _, writer = await asyncio.open_connection("localhost", 10300)
        writer.close()
        await writer.wait_closed()
        await assert_transcribes(process, "tcp://localhost:10300")
        await assert_healthy(image)
        process.signal(signal.SIGTERM)
        assert await process.ended() == 0
    assert "Loaded /config/models--Systran--faster-whisper-tiny.en/snapshots" in process.log


@in_container(user=0, prepare=write_add_on_options)
async def test_the_add_on_applies_its_options_and_announces_itself() -> None:
    assert_everything_else_is_read_only()
    image = read(ROOT / "addon" / "Dockerfile")[-1]
    home = FakeHome()
    home.add("light.kitchen", "Kitchen Light")
    async with (
        Supervisor.started(home) as supervisor,
        started(image, image.last("CMD").arguments, SUPERVISOR_TOKEN=TOKEN) as process,
    ):
        uri = await supervisor.discovered()
        assert uri == f"tcp://{HOST_NAME}:10300"
        async with speaker(uri) as client:
            [program] = (await client.describe()).asr
        assert [model.name for model in program.models] == ["tiny.en"]
        text = await assert_transcribes(process, uri)
        assert not text.endswith("."), "the text style 'command' was not applied"
        await assert_healthy(image)
        await process.logged("announced this server to Home Assistant")
        await process.logged("Names from Home Assistant: 1")
        process.signal(signal.SIGTERM)
        assert await process.ended() == 0
    assert "DEBUG:" in process.log
    assert "WARNING" not in process.log
    assert "mDNS" not in process.log, "Home Assistant would discover the server twice"
    assert TOKEN not in process.log
    assert "of the hub" not in process.log


def turn_mqtt_on(folder: Path) -> None:
    write_add_on_options(folder, mqtt=True, debug_logging=False)


@in_container(user=0, prepare=turn_mqtt_on)
async def test_the_add_on_uses_the_broker_of_home_assistant_if_its_user_wants_mqtt() -> None:
    image = read(ROOT / "addon" / "Dockerfile")[-1]
    context = plain_broker(new_folder("/data/broker"), users={"addons": "of the broker"})
    broker = await asyncio.to_thread(context.__enter__)
    try:
        async with (
            Supervisor.started(FakeHome(), broker) as supervisor,
            started(image, image.last("CMD").arguments, SUPERVISOR_TOKEN=TOKEN) as process,
        ):
            await process.logged("Connected to the MQTT broker")
            await supervisor.discovered()
        assert "of the broker" not in process.log
    finally:
        await asyncio.to_thread(context.__exit__, None, None, None)


@in_container(user=0, prepare=turn_mqtt_on)
async def test_without_a_broker_the_add_on_works_for_home_assistant() -> None:
    image = read(ROOT / "addon" / "Dockerfile")[-1]
    async with (
        Supervisor.started(FakeHome()) as supervisor,
        started(image, image.last("CMD").arguments, SUPERVISOR_TOKEN=TOKEN) as process,
    ):
        await process.logged("no MQTT: the Supervisor does not name a broker")
        await assert_transcribes(process, await supervisor.discovered())


def new_folder(path: str) -> Path:
    folder = Path(path)
    folder.mkdir()
    return folder


class Supervisor:
    """The part of the Supervisor's API that the add-on uses, on http://supervisor.

    It has the discovery API, the MQTT service and the websocket proxy to Home Assistant.

    Args:
        broker: what is offered as the MQTT service; None = nothing.
    """

    def __init__(self, broker: Broker | None = None) -> None:
        self._found: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._asked = 0
        self._broker = broker

    @staticmethod
    @asynccontextmanager
    async def started(home: FakeHome, broker: Broker | None = None) -> AsyncIterator[Supervisor]:
        supervisor = Supervisor(broker)
        app = web.Application()
        app.router.add_get("/services/mqtt", supervisor._mqtt)
        app.router.add_post("/discovery", supervisor._discovery)
        app.router.add_get("/core/api/websocket", FakeHomeAssistant(home, token=TOKEN).talk)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 80).start()
            yield supervisor
        finally:
            await runner.cleanup()

    async def discovered(self) -> str:
        """Wait until an add-on has announced a Wyoming server; return its address."""
        async with asyncio.timeout(DEADLINE):
            return await self._found

    async def _mqtt(self, request: web.Request) -> web.Response:
        """Answer as home-assistant/supervisor's api/services.py and services/modules/mqtt.py."""
        if request.headers.get("authorization") != f"Bearer {TOKEN}":
            return web.json_response({"result": "error"}, status=401)
        if "mqtt:want" not in ADD_ON["services"]:
            return web.json_response({"result": "error"}, status=403)
        if self._broker is None:
            answer: dict[str, Any] = {"result": "error", "message": "Service not enabled"}
            return web.json_response(answer, status=400)
        service = {
            **{"addon": "core_mosquitto", "host": "127.0.0.1", "port": self._broker.ports["tcp"]},
            **{"username": "addons", "password": "of the broker"},
            **{"ssl": False, "protocol": "3.1.1"},
        }
        return web.json_response({"result": "ok", "data": service})

    async def _discovery(self, request: web.Request) -> web.Response:
        self._asked += 1
        status, answer = self._answer(request.headers, await request.json())
        return web.json_response(answer, status=status)

    def _answer(
        self, headers: Mapping[str, str], body: dict[str, Any]
    ) -> tuple[int, dict[str, Any]]:
        if self._asked == 1:
            return 503, {"result": "error"}  # as while the Supervisor starts
        if headers.get("authorization") != f"Bearer {TOKEN}":
            return 401, {"result": "error"}
        if set(body) != {"service", "config"}:
            return 400, {"result": "error"}
        if body["service"] != "wyoming":
            return 403, {"result": "error"}  # a service that is not in the add-on's config
        self._found.set_result(body["config"]["uri"])
        return 200, {"result": "ok", "data": {"uuid": "1f2e"}}


if __name__ == "__main__":
    run_scenario()
