"""Recognition in the page when the server is away: real models, Chromium, a fake microphone."""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
import pytest

from tests.support.chromium import Page, chromium, write_microphone
from tests.support.clips import CLIPS
from tests.support.offline import MARKS, keep, real_server
from tests.support.processes import Process
from wyoming_faster_whisper.testing import silence

pytestmark = MARKS

SAID = CLIPS["weather"]
# Hosts that Chromium contacts on its own; it fails, because its resolver knows only 127.0.0.1.
BROWSERS_OWN = re.compile(r"(^|\.)(google|googleapis|gvt1|gstatic)\.com$")
_LEAD = 2.0  # seconds; a browser loses the first hundredths of a second
_STATE = "document.querySelector('#server').dataset.state"


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    sound = np.concatenate([silence(_LEAD), SAID.samples, silence(3.0)])
    microphone = await asyncio.to_thread(write_microphone, tmp_path / "microphone.wav", sound)
    log = tmp_path / "requests.json"
    async with chromium(microphone, tmp_path / "browser", log) as opened:
        opened.deadline = 120.0  # the server converts a model, the browser loads one
        yield opened
    requests = await asyncio.to_thread(log.read_text)
    hosts = set(re.findall(r'"url":"\w+://([^/:"]+)', requests))
    others = {host for host in hosts if not BROWSERS_OWN.search(host)}
    assert others == {"127.0.0.1"}


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Folder for screenshots: $WYO_PICTURES, or a temporary one."""
    return Path(os.environ.get("WYO_PICTURES", tmp_path))


async def record(page: Page) -> str:
    """Record what the microphone plays; return the text."""
    await page.evaluate("document.querySelector('#speak').click()")
    await page.until("document.querySelector('#elapsed').textContent >= '0:05'")
    await page.evaluate("document.querySelector('#speak').click()")
    await page.until("document.body.dataset.state === 'idle'")
    assert await page.text("#problem") == ""
    return await page.text("#text")


def words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


@pytest.mark.parametrize("model", ["tiny.en", "base"])
async def test_the_page_goes_on_when_the_server_is_away(
    page: Page, tmp_path: Path, pictures: Path, model: str
) -> None:
    async def start(servers: AsyncExitStack, port: str) -> tuple[Process, str]:
        options = (
            *("--uri", "tcp://127.0.0.1:0", "--model", model, "--http-port", port),
            *("--offline-model", model),
        )
        process = await servers.enter_async_context(
            Process.started(*options, folder=tmp_path / "data")
        )
        await process.ready(120.0)
        return process, (await process.logged(r"try the server at (\S+)"))[1]

    async with AsyncExitStack() as servers:
        server, url = await start(servers, "0")
        await page.size(900, 1000)
        await page.open(url, prefers_color_scheme="light")
        assert await page.evaluate("crossOriginIsolated")
        await keep(page)
        await page.screenshot(pictures / f"offline-kept-{model}.png")
        online = await record(page)
        assert SAID.heard_in(online)
        assert "on the server in" in await page.text("#badge")

        server.signal(signal.SIGTERM)
        await server.ended()
        alone = await record(page)
        assert words(alone) == words(online)
        assert "on this device in" in await page.text("#badge")
        await page.screenshot(pictures / f"offline-alone-{model}.png")

        await page.open(url)  # a second visit, without the server
        await page.until(f"{_STATE} === 'away'")
        assert words(await record(page)) == words(online)
        await page.size(400, 900)
        await page.screenshot(pictures / f"offline-narrow-{model}.png")

        await start(servers, url.rpartition(":")[2])
        await page.until(f"{_STATE} === 'ready'")
        assert words(await record(page)) == words(online)
        assert "on the server in" in await page.text("#badge")
        earlier = await page.text("#history")
        assert words(online) == words(earlier)[: len(words(online))]
        assert "on this device" in earlier
    assert not [problem for problem in page.problems if "NAME_NOT_RESOLVED" in problem]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_an_utterance_survives_a_server_that_dies_or_hangs_meanwhile(
    page: Page, tmp_path: Path, how: signal.Signals
) -> None:
    async with real_server(tmp_path / "data") as (server, url):
        await page.open(url)
        await keep(page)
        await page.evaluate("document.querySelector('#speak').click()")
        await page.until("document.querySelector('#elapsed').textContent >= '0:02'")
        server.signal(how)
        await page.until("document.querySelector('#elapsed').textContent >= '0:05'")
        await page.evaluate("document.querySelector('#speak').click()")
        await page.until("document.body.dataset.state === 'idle'")
        assert SAID.heard_in(await page.text("#text"))
        assert "on this device in" in await page.text("#badge")


async def test_hands_free_ends_by_itself_and_sends_nothing_before_speech(
    page: Page, tmp_path: Path
) -> None:
    await page.prepare(
        "globalThis.sockets = 0; WebSocket = class extends WebSocket {"
        " constructor(...given) { super(...given); sockets++; } }"
    )
    async with real_server(tmp_path / "data") as (server, url):
        await page.open(url)
        await keep(page)
        await page.evaluate("document.querySelector('#handsfree').click()")
        await page.evaluate("document.querySelector('#speak').click()")
        await page.until("document.body.dataset.state === 'listening'")
        assert await page.evaluate("sockets") == 0, "before the first word"
        await page.until("document.querySelector('#text').dataset.kind === 'final'")
        assert SAID.heard_in(await page.text("#text"))
        await page.until("document.body.dataset.state === 'listening'")  # again, by itself
        assert await page.evaluate("sockets") == 1
        assert SAID.heard_in(await page.text("#text")), "the text stays until the next words"
        server.signal(signal.SIGTERM)
        await server.ended()
        await page.until("document.querySelector('#history').textContent !== ''")
        await page.until("document.querySelector('#badge').dataset.where === 'device'")
        assert SAID.heard_in(await page.text("#text"))
        await page.press("Escape")
        await page.until("document.body.dataset.state === 'idle'")
