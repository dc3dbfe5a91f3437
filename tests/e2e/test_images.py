"""What the images start, in a container without Docker: a sentence in, its text out.

Every test runs in a process of its own in a container, see tests/support/container.py.
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

AUDIOOP = "ignore:'audioop' is deprecated:DeprecationWarning"  # the wyoming library's
TOKEN = "of the supervisor"

Scenario = Callable[[], Coroutine[None, None, None]]
Test = Callable[[Path, pytest.TempPathFactory], None]
SCENARIOS: dict[str, Scenario] = {}


def in_container(
    *, user: int, prepare: Callable[[Path], None], volume: str = "/data"
) -> Callable[[Scenario], Test]:
    """Make a test that runs a scenario in a container.

    Args:
        prepare: fills the folders "data" and "etc" of the folder it is given.
        volume: where the folder "data" is seen in the container.
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
    """What the image has in /opt/server."""
    return install(read(ROOT / "Dockerfile")[0], scratch)


def tiny_en_in_the_volume(folder: Path) -> None:
    """The model as the reference server left it in its volume: in the hub's cache."""
    repository = "models--Systran--faster-whisper-tiny.en"
    snapshot = folder / "data" / repository / "snapshots" / "0d3d19a3"
    snapshot.mkdir(parents=True)
    (folder / "data" / repository / "refs").mkdir()
    (folder / "data" / repository / "refs" / "main").write_text(snapshot.name)
    for file in locate(choose("tiny.en", []), folder).iterdir():
        (snapshot / file.name).symlink_to(file)


def as_the_supervisor_does(folder: Path) -> None:
    """The options file, with the add-on's own defaults and what a user changed.

    The model is there from an earlier start: no hub can be reached.
    """
    tiny_en_in_the_volume(folder)
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
    # A container's own name and that of the Supervisor are known to all add-ons.
    (folder / "etc" / "hosts").write_text(
        f"127.0.0.1 localhost supervisor {HOST_NAME}\n", encoding="ascii"
    )


@asynccontextmanager
async def started(image: Stage, command: list[str], **environ: str) -> AsyncIterator[Process]:
    """Run a command as Docker would, with the environment of the image."""
    environ = {**image.environment, **environ, **of_the_image()}
    async with Process.started(
        folder=Path("/nowhere"), command=command, HF_ENDPOINT=NO_HUB, **environ
    ) as process:
        yield process


def of_the_image() -> dict[str, str]:
    """Where its Python finds what it runs: nothing of the tests'."""
    return {"PATH": f"/opt/server/bin:{os.environ['PATH']}", "PYTHONPATH": ""}


async def transcribes(process: Process, uri: str) -> str:
    """Assert that the sentence comes back, and that the image's health check is content."""
    async with speaker(uri) as client:
        await client.say(CLIPS["kitchen"].samples)
        text = await client.transcript()
    assert CLIPS["kitchen"].heard_in(text), process.log
    return text


async def is_healthy(image: Stage) -> None:
    ran = await run("env", *image.health_check, folder=Path("/nowhere"), **of_the_image())
    assert (ran.status, ran.err) == (0, "")


def nothing_else_can_be_written() -> None:
    for folder in ("/", "/tmp", "/usr", str(ROOT)):
        with pytest.raises(OSError, match="Read-only file system"):
            Path(folder, "written").touch()


@in_container(user=UNPRIVILEGED, prepare=tiny_en_in_the_volume)
async def test_the_image_serves_the_reference_servers_volume_and_writes_nowhere_else() -> None:
    image = read(ROOT / "Dockerfile")[-1]
    assert image.last("USER").text == f"{UNPRIVILEGED}:{UNPRIVILEGED}"
    assert os.getuid() == UNPRIVILEGED
    nothing_else_can_be_written()
    # docker run IMAGE --model tiny.en --language en
    entry = [*image.last("ENTRYPOINT").arguments, "--model", "tiny.en", "--language", "en"]
    async with started(image, entry) as process:
        assert await process.uri() == "tcp://0.0.0.0:10300"
        await transcribes(process, "tcp://127.0.0.1:10300")
        await is_healthy(image)
        process.signal(signal.SIGTERM)
        assert await process.ended() == 0
    assert "Loaded /data/models--Systran--faster-whisper-tiny.en/snapshots" in process.log
    assert "WARNING" not in process.log


@in_container(user=911, prepare=tiny_en_in_the_volume, volume="/config")
async def test_the_linuxserver_containers_command_line_starts_it() -> None:
    nothing_else_can_be_written()
    image = read(ROOT / "Dockerfile")[-1]
    command = [
        *("python3", "-m", "wyoming_faster_whisper", "--uri", "tcp://0.0.0.0:10300"),
        *("--model", "tiny.en", "--beam-size", "1", "--language", "en"),
        *("--data-dir", "/config", "--download-dir", "/config", "--local-files-only", "--debug"),
    ]
    async with started(Stage("", ""), command, TMPDIR="/run/whisper-temp") as process:
        assert await process.uri() == "tcp://0.0.0.0:10300"
        # Is the port open? That is how it waits for the server.
        _, writer = await asyncio.open_connection("localhost", 10300)
        writer.close()
        await writer.wait_closed()
        await transcribes(process, "tcp://localhost:10300")
        await is_healthy(image)
        process.signal(signal.SIGTERM)
        assert await process.ended() == 0
    assert "Loaded /config/models--Systran--faster-whisper-tiny.en/snapshots" in process.log


@in_container(user=0, prepare=as_the_supervisor_does)
async def test_the_add_on_serves_what_its_options_say_and_home_assistant_is_told() -> None:
    nothing_else_can_be_written()
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
        text = await transcribes(process, uri)
        assert not text.endswith("."), "the text style is not the chosen one"
        await is_healthy(image)
        await process.logged("announced this server to Home Assistant")
        await process.logged("Names from Home Assistant: 1")
        process.signal(signal.SIGTERM)
        assert await process.ended() == 0
    assert "DEBUG:" in process.log
    assert "WARNING" not in process.log
    assert "mDNS" not in process.log, "it would be found twice"
    assert TOKEN not in process.log
    assert "of the hub" not in process.log


class Supervisor:
    """The part of the Supervisor's API that add-ons use, on http://supervisor.

    Discovery, and the way to Home Assistant's names.
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
            return 503, {"result": "error"}  # it is starting itself
        if headers.get("authorization") != f"Bearer {TOKEN}":
            return 401, {"result": "error"}
        if set(body) != {"service", "config"}:
            return 400, {"result": "error"}
        if body["service"] != "wyoming":
            return 403, {"result": "error"}  # not in the add-on's config
        self._found.set_result(body["config"]["uri"])
        return 200, {"result": "ok", "data": {"uuid": "1f2e"}}


if __name__ == "__main__":
    asyncio.run(SCENARIOS[sys.argv[1]]())
