"""The page in a real Firefox, before a server whose engine the test holds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.firefox import Page, firefox
from tests.support.web import address

from .conftest import Serve

LONG = "Nothing of it is so long that the button leaves the window. " * 20
_KIND = "document.querySelector('#text').dataset.kind"


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    async with firefox(tmp_path / "browser") as opened:
        yield opened


async def test_what_is_said_into_firefox_is_answered(serve: Serve, page: Page) -> None:
    server = await serve(web_port=0)
    await page.open(f"http://{address(server)}")
    for _ in range(2):
        await page.click("#speak")
        await page.until("document.querySelector('#elapsed').textContent >= '0:01'")
        await page.click("#speak")
        await page.until(f"{_KIND} === 'final'")
        assert "seconds" in await page.text("#text")
    assert "text after you pressed stop" in await page.text("#timings")
    # However long a text is, who speaks next need not look for the button.
    await page.evaluate(f"document.querySelector('#text').textContent = {LONG!r}")
    await page.click("#speak")
    await page.until("document.body.dataset.state === 'listening'")
    assert page.problems == []
