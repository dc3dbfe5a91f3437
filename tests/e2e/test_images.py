"""The images' commands in containers without Docker: speech is sent, its text comes back.

Every test runs in a child process in a container, see tests/support/container.py.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web

from tests.support.clips import CLIPS
from tests.support.container import HOST_NAME, UNPRIVILEGED, enter, why_not
from tests.support.dockerfile import ROOT, Stage, read
from tests.support.installed_image import install
from tests.support.processes import DEADLINE, NO_HUB, Process, run
from tests.support.serving import speaker
from wyoming_faster_whisper.models import choose, locate
from wyoming_faster_whisper.testing.home_assistant import FakeHome, FakeHomeAssistant

pytestmark = pytest.mark.model

AUDIOOP = "ignore:'audioop' is deprecated:DeprecationWarning"  # from the wyoming library
TOKEN = "of the supervisor"

Scenario = Callable[[], Coroutine[None, None, None]]
Test = Callable[[Path, pytest.TempPathFactory], None]
SCENARIOS: dict[str, Scenario] = {}


def in_container(
    *, user: int, prepare: Callable[[Path], None], volume: str = "/data"
) -> Callable[[Scenario], Test]:
    """Make a test that runs a scenario in a container.

    Args:
        prepare: fills the folders "data" and "etc" of a given folder.
        volume: where the folder "data" is mounted in the container.
    """

    def decorate(scenario: Scenario) -> Test:
        SCENARIOS[scenario.__name__] = scenario

        def test(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
            if reason := why_not(tmp_path_factory.getbasetemp() / "trial"):
                pytest.skip(reason)
            for folder in ("data", "etc"):
                (tmp_path / folder).mkdir()
            prepare(tmp_path)
            result = enter(
                *("env", f"PYTHONPATH={ROOT}", sys.executable, "-W", "error", "-W", AUDIOOP),
                *("-m", "tests.e2e.test_images", scenario.__name__),
                scratch=tmp_path,
                user=user,
                volume=volume,
                server=installed(tmp_path_factory.getbasetemp() / "image"),
            )
            assert result.returncode == 0, result.stdout + result.stderr

        return test

    return decorate


@cache
def installed(scratch: Path) -> Path:
    """Install what the image has in /opt/server; return the folder."""
    return install(read(ROOT / "Dockerfile")[0], scratch)


def put_tiny_en_in_volume(folder: Path) -> None:
    """Create the model in the Hugging Face cache layout, as the reference server stores it."""
    repository = "models--Systran--faster-whisper-tiny.en"
    snapshot = folder / "data" / repository / "snapshots" / "0d3d19a3"
    snapshot.mkdir(parents=True)
    (folder / "data" / repository / "refs").mkdir()
    (folder / "data" / repository / "refs" / "main").write_text(snapshot.name)
    for file in locate(choose("tiny.en", []), folder).iterdir():
        (snapshot / file.name).symlink_to(file)


def write_add_on_options(folder: Path) -> None:
    """Write the options file: the add-on's defaults and some changes of a user.

    No hub can be reached, so the model is already in the volume.
    """
    put_tiny_en_in_volume(folder)
    config = yaml.safe_load((ROOT / "addon" / "config.yaml").read_text())
    chosen = {
        **config["options"],
        "model": "tiny.en",
        "language": "en",
        "text_style": "command",
        "hf_token": "of the hub",
        "debug_logging": True,
    }
    options = folder / "data" / "options.json"
    options.write_text(json.dumps(chosen))
    options.chmod(0o600)
    # Every add-on can resolve its own host name and that of the Supervisor.
    (folder / "etc" / "hosts").write_text(
        f"127.0.0.1 localhost supervisor {HOST_NAME}\n", encoding="ascii"
    )


@asynccontextmanager
async def started(image: Stage, command: list[str], **environ: str) -> AsyncIterator[Process]:
    """Run a command as Docker would, with the environment of the image."""
    environ = {**image.environment, **environ, **image_paths()}
    async with Process.started(
        folder=Path("/nowhere"), command=command, HF_ENDPOINT=NO_HUB, **environ
    ) as process:
        yield process


def image_paths() -> dict[str, str]:
    """Return the search paths of the image, without those of the tests."""
    return {"PATH": f"/opt/server/bin:{os.environ['PATH']}", "PYTHONPATH": ""}


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


class Supervisor:
    """The part of the Supervisor's API that the add-on uses, on http://supervisor.

    It has the discovery API and the websocket proxy to Home Assistant.
    """

    def __init__(self) -> None:
        self._found: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._asked = 0

    @staticmethod
    @asynccontextmanager
    async def started(home: FakeHome) -> AsyncIterator[Supervisor]:
        supervisor = Supervisor()
        app = web.Application()
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
    asyncio.run(SCENARIOS[sys.argv[1]]())
