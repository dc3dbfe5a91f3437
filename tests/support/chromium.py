"""Headless Chromium with a WAV file as its microphone, driven over the DevTools protocol."""

from __future__ import annotations

import asyncio
import base64
import json
import shutil
import wave
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect

from wyoming_faster_whisper.audio.pcm import SAMPLE_RATE, Samples
from wyoming_faster_whisper.testing import pcm16

DEADLINE = 30.0  # seconds; only a failing test waits this long
ELSEWHERE = "box.lan"  # host name that the browser resolves to us, as if we were another machine
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def find(names: Sequence[str] = NAMES) -> str:
    """Return the path of a program, by default the browser, or skip the test."""
    for name in names:
        if path := shutil.which(name):
            return path
    pytest.skip(f"not installed: {' or '.join(names)}")


def until_it_holds(condition: str) -> str:
    """Return a promise in JavaScript that waits for a condition.

    The condition is checked whenever the page changes.
    """
    return f"""new Promise((resolve) => {{
        const look = () => ({condition}) && resolve(true);
        new MutationObserver(look).observe(document,
            {{ subtree: true, childList: true, attributes: true, characterData: true }});
        addEventListener("load", look);
        look();
    }})"""


def write_microphone(path: Path, samples: Samples) -> Path:
    """Write the WAV file that the browser uses as its microphone; return its path."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(pcm16(samples))
    return path


class Page:
    """One page of the browser."""

    def __init__(self, connection: ClientConnection, endpoint: str) -> None:
        self._connection = connection
        self._endpoint = endpoint
        self.deadline = DEADLINE
        self._number = 0
        self._session: str | None = None  # None = the browser itself, not a page
        self.problems: list[str] = []  # uncaught exceptions and errors in the console

    async def attach(self) -> None:
        target = (await self.call("Target.createTarget", url="about:blank"))["targetId"]
        attached = await self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            await self.call(f"{domain}.enable")

    @asynccontextmanager
    async def tab(self) -> AsyncIterator[Page]:
        """Open another tab of the same browser."""
        async with connect(self._endpoint, max_size=None) as connection:
            page = Page(connection, self._endpoint)
            await page.attach()
            yield page

    async def processes(self) -> list[dict[str, Any]]:
        """Return the browser's processes, each with its id and type."""
        async with connect(self._endpoint, max_size=None) as connection:
            found = await Page(connection, self._endpoint).call("SystemInfo.getProcessInfo")
        processes: list[dict[str, Any]] = found["processInfo"]
        return processes

    async def prepare(self, script: str) -> None:
        """Run JavaScript in each page before its own scripts."""
        await self.call("Page.addScriptToEvaluateOnNewDocument", source=script)

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a DevTools method; return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        async with asyncio.timeout(self.deadline):
            await self._connection.send(json.dumps(message))
            while True:
                answer = json.loads(await self._connection.recv())
                self._notice(answer)
                if answer.get("id") == self._number:
                    assert "error" not in answer, answer
                    result: dict[str, Any] = answer["result"]
                    return result

    async def open(self, url: str, **media: str) -> None:
        """Open a page; media are CSS media features such as prefers_color_scheme."""
        features = [{"name": n.replace("_", "-"), "value": v} for n, v in media.items()]
        await self.call("Emulation.setEmulatedMedia", features=features)
        await self.call("Page.navigate", url=url)
        await self.until("document.readyState === 'complete'")

    async def size(self, width: int, height: int) -> None:
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            **{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
        )

    async def evaluate(self, script: str) -> Any:
        """Run JavaScript in the page; return its value, awaited if it is a promise."""
        result = await self.call(
            "Runtime.evaluate",
            expression=script,
            awaitPromise=True,
            returnByValue=True,
            userGesture=True,
        )
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    async def until(self, condition: str) -> None:
        """Wait until a JavaScript condition holds."""
        await self.evaluate(until_it_holds(condition))

    async def press(self, key: str) -> None:
        """Press and release a key: Enter, Escape or Tab."""
        codes = {"Enter": (13, "\r"), "Escape": (27, ""), "Tab": (9, "")}
        code, text = codes[key]
        shape = {"key": key, "code": key, "windowsVirtualKeyCode": code}
        await self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **shape)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **shape)

    async def text(self, selector: str) -> str:
        return str(await self.evaluate(f"document.querySelector('{selector}').textContent"))

    async def screenshot(self, path: Path) -> None:
        picture = await self.call("Page.captureScreenshot", format="png")
        await asyncio.to_thread(path.write_bytes, base64.b64decode(picture["data"]))

    def _notice(self, event: dict[str, Any]) -> None:
        about = event.get("params", {})
        if event.get("method") == "Runtime.exceptionThrown":
            self.problems.append(json.dumps(about["exceptionDetails"]))
        if event.get("method") == "Log.entryAdded" and about["entry"]["level"] == "error":
            self.problems.append(json.dumps(about["entry"]))


@asynccontextmanager
async def chromium(
    microphone: Path, folder: Path, log: Path | None = None
) -> AsyncIterator[Page]:
    """Start a browser and open an empty page.

    Args:
        microphone: WAV file that the microphone plays once.
        folder: profile directory of the browser.
        log: file that gets a log of all requests, complete when the browser has ended.
    """
    process = await asyncio.create_subprocess_exec(
        find(),
        "--headless=new",
        "--no-sandbox",  # the sandbox refuses to run as root, as in a container
        "--disable-gpu",
        "--no-first-run",
        "--disable-background-networking",
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={microphone}%noloop",
        f"--host-resolver-rules=MAP {ELSEWHERE} 127.0.0.1, MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
        f"--user-data-dir={folder}",
        *([f"--log-net-log={log}"] if log else []),
        "--remote-debugging-port=0",
        "about:blank",
        stdout=DEVNULL,
        stderr=PIPE,
    )
    assert process.stderr is not None
    reading: asyncio.Task[bytes] | None = None
    try:
        async with asyncio.timeout(DEADLINE):
            while not (line := await process.stderr.readline()).startswith(b"DevTools listening"):
                assert line, "the browser ended"
        reading = asyncio.create_task(process.stderr.read())
        url = line.decode().split()[-1]
        async with connect(url, max_size=None) as connection:
            page = Page(connection, url)
            await page.attach()
            yield page
            await Page(connection, url).call("Browser.close")
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        if reading is not None:
            await reading


@asynccontextmanager
async def hearing(samples: Samples, folder: Path) -> AsyncIterator[Page]:
    """Start a browser whose microphone plays samples once, and open an empty page.

    Args:
        folder: for the WAV file and the profile of the browser.
    """
    microphone = folder / "microphone.wav"
    await asyncio.to_thread(write_microphone, microphone, samples)
    async with chromium(microphone, folder / "browser") as page:
        yield page
