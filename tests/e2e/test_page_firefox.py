"""The web page in Firefox, with a fake engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.firefox import FAKE_MICROPHONE, Page, firefox
from tests.support.web import address

from .conftest import Serve

LONG = "This sentence is repeated until the text is longer than the window. " * 20
_KIND = "document.querySelector('#text').dataset.kind"


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    async with firefox(tmp_path / "browser") as opened:
        yield opened


async def test_speech_in_firefox_is_transcribed(serve: Serve, page: Page) -> None:
    server = await serve(http_port=0)
    await page.open(f"http://{address(server)}")
    for _ in range(2):
        await page.click("#speak")
        await page.until("document.querySelector('#elapsed').textContent >= '0:01'")
        await page.click("#speak")
        await page.until(f"{_KIND} === 'final'")
        assert "seconds" in await page.text("#text")
    assert "text after you pressed stop" in await page.text("#timings")
    # A long text must not push the button out of the window.
    await page.evaluate(f"document.querySelector('#text').textContent = {LONG!r}")
    await page.click("#speak")
    await page.until("document.body.dataset.state === 'listening'")
    assert page.problems == []


async def test_firefox_that_blocks_storage_is_served(serve: Serve, tmp_path: Path) -> None:
    blocked = {**FAKE_MICROPHONE, "network.cookie.cookieBehavior": 2}
    server = await serve(http_port=0)
    async with firefox(tmp_path / "browser", blocked) as page:
        await page.open(f"http://{address(server)}")
        await page.until("document.querySelector('#server').dataset.state === 'ready'")
        await page.click("#speak")
        await page.until("document.querySelector('#elapsed').textContent >= '0:01'")
        await page.click("#speak")
        await page.until(f"{_KIND} === 'final'")
        assert page.problems == []
