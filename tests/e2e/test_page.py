"""The web page in Chromium, with a fake engine."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.support.auth import KEY, KEYS, write_keys
from tests.support.chromium import ELSEWHERE, Page
from tests.support.serving import until
from tests.support.web import address, browser
from wyoming_faster_whisper.testing import FakeEngine, tone

from .conftest import Serve

LISTENING = "document.body.dataset.state === 'listening'"
IDLE = "document.body.dataset.state === 'idle'"
PROBLEM = "!document.querySelector('#problem').hidden"


async def test_escape_discards_the_utterance(serve: Serve, page: Page) -> None:
    engine = FakeEngine()
    server = await serve(engine, http_port=0, partials="off")
    await page.open(f"http://{address(server)}")
    await page.press("Enter")
    await page.until(LISTENING)
    await page.press("Escape")
    await page.until(IDLE)
    await until(lambda: server.browsers == 0)
    assert server.memory.used == 0
    assert await page.text("#problem") == ""


async def test_a_page_opened_from_another_machine_explains_the_missing_microphone(
    serve: Serve, page: Page
) -> None:
    server = await serve(http_port=0, http_names=ELSEWHERE)
    port = address(server).rpartition(":")[2]
    await page.open(f"http://{ELSEWHERE}:{port}")
    await page.until(PROBLEM)
    problem = await page.text("#problem")
    assert "--tls-cert" in problem
    assert f"ssh -L {port}:localhost:{port} {ELSEWHERE}" in problem
    assert await page.evaluate("document.querySelector('#speak').disabled")


async def test_a_server_error_is_shown_and_the_next_utterance_works(
    serve: Serve, page: Page
) -> None:
    server = await serve(http_port=0, max_connections=1)
    await page.open(f"http://{address(server)}")
    async with browser(server) as other:
        await other.start()
        await other.hear(tone(0.1))
        await until(lambda: server.memory.used > 0)
        await page.press("Enter")
        await page.until(PROBLEM)
        assert "too many connections (1 client)" in await page.text("#problem")
    await until(lambda: server.browsers == 0)
    await page.press("Enter")
    await page.until("document.querySelector('#elapsed').textContent >= '0:01'")
    await page.press("Enter")
    await page.until("document.querySelector('#text').dataset.kind === 'final'")
    assert "seconds" in await page.text("#text")


async def test_the_page_asks_for_the_key_and_uses_it(
    serve: Serve, page: Page, tmp_path: Path
) -> None:
    keys = await asyncio.to_thread(write_keys, tmp_path / "keys")
    server = await serve(http_port=0, api_keys=keys)
    await server.serves()
    await page.open(f"http://{address(server)}")
    await page.until("!document.querySelector('#lock').hidden")
    assert await page.evaluate("document.querySelector('#speak').disabled")
    await enter_key(page, "wrong")
    await page.until(PROBLEM)
    assert "does not accept this key" in await page.text("#problem")
    await enter_key(page, "with space")
    await page.until("document.querySelector('#problem').textContent.includes('cannot send')")
    await enter_key(page, KEY)
    await page.until("document.querySelector('#lock').hidden")
    await page.press("Enter")
    await page.until("document.querySelector('#elapsed').textContent >= '0:01'")
    await page.press("Enter")
    await page.until("document.querySelector('#text').dataset.kind === 'final'")
    assert "seconds" in await page.text("#text")
    await page.open(f"http://{address(server)}")
    await page.until("document.querySelector('#server').dataset.state === 'ready'")
    assert await page.evaluate("document.querySelector('#lock').hidden"), "until the tab closes"
    assert await page.evaluate("localStorage.length") == 0
    page.problems.clear()  # the browser reports each 401


async def test_the_page_says_that_its_key_has_been_deleted(
    serve: Serve, page: Page, tmp_path: Path
) -> None:
    keys = await asyncio.to_thread(write_keys, tmp_path / "keys")
    server = await serve(http_port=0, api_keys=keys)
    await page.open(f"http://{address(server)}")
    await page.until("!document.querySelector('#lock').hidden")
    await enter_key(page, KEY)
    await page.until("document.querySelector('#lock').hidden")
    await page.press("Enter")
    await page.until(LISTENING)
    await asyncio.to_thread(write_keys, keys, KEYS.replace("alice", "#alice"))
    await page.until("!document.querySelector('#lock').hidden")
    assert await page.evaluate("document.querySelector('#speak').disabled")
    page.problems.clear()


async def enter_key(page: Page, key: str) -> None:
    await page.evaluate(f"document.querySelector('#key').value = '{key}'")
    await page.evaluate("document.querySelector('#lock').requestSubmit()")
