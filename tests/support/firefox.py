"""Headless Firefox, driven over WebDriver BiDi. Its fake microphone plays a tone.

Without a sound card, Web Audio of Firefox runs only beside a PulseAudio server, which is started
with it.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from .chromium import DEADLINE, find, until_it_holds

NAMES = ("firefox-esr", "firefox")
FAKE_MICROPHONE = {
    "media.navigator.permission.disabled": True,  # no permission prompt
    "media.navigator.streams.fake": True,  # a continuous tone of 1 kHz
}
_QUIET = {
    # No requests other than those of the test: there may be no network, and a test must not wait
    # for one.
    "network.proxy.type": 0,
    "app.normandy.enabled": False,
    "app.update.disabledForTesting": True,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,",
    "toolkit.telemetry.enabled": False,
}


class Page:
    """The only open page of the browser."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self.deadline = DEADLINE
        self._number = 0
        self._context = ""
        self.problems: list[str] = []  # errors in the console

    async def begin(self) -> None:
        await self.call("session.new", capabilities={})
        await self.call("session.subscribe", events=["log.entryAdded"])
        tree = await self.call("browsingContext.getTree")
        self._context = tree["contexts"][0]["context"]

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a WebDriver BiDi method; return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        async with asyncio.timeout(self.deadline):
            await self._connection.send(json.dumps(message))
            while True:
                answer = json.loads(await self._connection.recv())
                if answer.get("method") == "log.entryAdded":
                    entry = answer["params"]
                    if entry["level"] == "error":
                        self.problems.append(str(entry["text"]))
                if answer.get("id") == self._number:
                    assert answer["type"] == "success", answer
                    result: dict[str, Any] = answer["result"]
                    return result

    async def open(self, url: str) -> None:
        await self.call(
            "browsingContext.navigate", context=self._context, url=url, wait="complete"
        )

    async def evaluate(self, script: str) -> Any:
        """Run JavaScript in the page; return its value (str, number or bool), awaited."""
        result = await self.call(
            "script.evaluate",
            expression=script,
            target={"context": self._context},
            awaitPromise=True,
            userActivation=True,
        )
        assert result["type"] == "success", result
        return result["result"].get("value")

    async def until(self, condition: str) -> None:
        """Wait until a JavaScript condition holds."""
        await self.evaluate(until_it_holds(condition))

    async def click(self, selector: str) -> None:
        """Click in the middle of an element with the mouse."""
        found = await self.call(
            "browsingContext.locateNodes",
            context=self._context,
            locator={"type": "css", "value": selector},
        )
        middle = {"type": "element", "element": {"sharedId": found["nodes"][0]["sharedId"]}}
        strokes = [
            {"type": "pointerMove", "x": 0, "y": 0, "origin": middle},
            {"type": "pointerDown", "button": 0},
            {"type": "pointerUp", "button": 0},
        ]
        mouse = {"type": "pointer", "id": "mouse", "actions": strokes}
        await self.call("input.performActions", context=self._context, actions=[mouse])

    async def text(self, selector: str) -> str:
        return str(await self.evaluate(f"document.querySelector('{selector}').textContent"))

    async def screenshot(self, path: Path) -> None:
        picture = await self.call("browsingContext.captureScreenshot", context=self._context)
        await asyncio.to_thread(path.write_bytes, base64.b64decode(picture["data"]))


@asynccontextmanager
async def firefox(
    folder: Path, preferences: Mapping[str, object] = FAKE_MICROPHONE
) -> AsyncIterator[Page]:
    """Start a browser and open an empty page.

    Args:
        folder: profile directory, created here.
        preferences: Firefox preferences; by default a fake microphone.
    """
    lines = [
        f"user_pref({json.dumps(name)}, {json.dumps(value)});\n"
        for name, value in {**_QUIET, **preferences}.items()
    ]
    browser = (find(NAMES), "--headless", "--no-remote", "--profile", str(folder))
    await asyncio.to_thread(folder.mkdir)
    await asyncio.to_thread((folder / "user.js").write_text, "".join(lines))
    async with (
        _sound_server(folder) as sound,
        _process(
            *(*browser, "--remote-debugging-port=0", "about:blank"),
            ready=rb"WebDriver BiDi listening on (\S+)",
            PULSE_SERVER=sound,
        ) as listening,
        connect(f"{listening[1].decode()}/session", max_size=None) as connection,
    ):
        page = Page(connection)
        await page.begin()
        yield page
        await page.call("browser.close")


@asynccontextmanager
async def _sound_server(folder: Path) -> AsyncIterator[str]:
    """Start a sound server without a sound card; yield its address."""
    socket = folder / "sound"
    async with _process(
        *(find(("pulseaudio",)), "-n", "--daemonize=no", "--use-pid-file=no", "-v"),
        "--load=module-null-sink",
        f"--load=module-native-protocol-unix socket={socket} auth-anonymous=1",
        ready=rb"Daemon startup complete",
        HOME=str(folder),
        XDG_RUNTIME_DIR=str(folder),
    ):
        yield f"unix:{socket}"


@asynccontextmanager
async def _process(*command: str, ready: bytes, **environ: str) -> AsyncIterator[re.Match[bytes]]:
    """Run a process; yield what matched in the line of its log that says that it is ready."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=DEVNULL, stderr=PIPE, env={**os.environ, **environ}
    )
    assert process.stderr is not None
    reading: asyncio.Task[bytes] | None = None
    try:
        async with asyncio.timeout(DEADLINE):
            while not (found := re.search(ready, line := await process.stderr.readline())):
                assert line, f"{command[0]} ended"
        reading = asyncio.create_task(process.stderr.read())
        yield found
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        if reading is not None:
            await reading
