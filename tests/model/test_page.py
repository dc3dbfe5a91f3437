"""The web page in Chromium with a real model: audio of a microphone becomes text."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest

from tests.support.chromium import Page, chromium, write_microphone
from tests.support.clips import CLIPS
from tests.support.processes import BASE, Process
from wyoming_faster_whisper.testing import silence

pytestmark = pytest.mark.model

SAID = [CLIPS[name] for name in ("kitchen", "thermostat")]
_LEAD = 1.0  # seconds; a browser loses the first hundredths of a second


@pytest.fixture
def microphone(tmp_path: Path) -> Path:
    """Create a WAV file with a second of silence and the clips."""
    sound = [silence(_LEAD)]
    for said in SAID:
        sound += [said.samples, silence(0.4)]
    sound.append(silence(3.0))
    return write_microphone(tmp_path / "microphone.wav", np.concatenate(sound))


@pytest.fixture
async def page(microphone: Path, tmp_path: Path) -> AsyncIterator[Page]:
    async with chromium(microphone, tmp_path / "browser") as opened:
        yield opened


@pytest.fixture
async def url(tmp_path: Path) -> AsyncIterator[str]:
    options = (
        *("--uri", "tcp://127.0.0.1:0", *BASE),
        *("--http-port", "0", "--partials", "on"),
    )
    async with Process.started(*options, folder=tmp_path / "data") as server:
        await server.ready()
        yield (await server.logged(r"try the server at (\S+)"))[1]


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Folder for screenshots: $WYO_PICTURES, or a temporary one."""
    return Path(os.environ.get("WYO_PICTURES", tmp_path))


async def test_the_page_shows_partial_text_the_answer_and_timings(
    page: Page, url: str, pictures: Path
) -> None:
    await page.size(900, 900)
    await page.open(url, prefers_color_scheme="light")
    await page.until("document.querySelector('#server').dataset.state === 'ready'")
    await page.screenshot(pictures / "page-idle.png")
    await page.press("Enter")  # the button has the focus
    await page.until("document.querySelector('#elapsed').textContent >= '0:02'")
    await page.screenshot(pictures / "page-listening.png")
    await page.until("document.querySelector('#text').dataset.kind === 'partial'")
    await page.screenshot(pictures / "page-partial.png")
    begun = await page.text("#text")
    await page.until("document.querySelector('#elapsed').textContent >= '0:08'")
    await page.press("Enter")
    await page.until("document.querySelector('#text').dataset.kind === 'final'")
    await page.screenshot(pictures / "page.png")
    text, timings = await page.text("#text"), await page.text("#timings")
    assert all(said.heard_in(text) for said in SAID), text
    assert text.startswith(begun)
    for what in ("text after you pressed stop", "text after your last word", "heard"):
        assert what in timings
    assert await page.text("#status") == f"Recognised: {text}"
    await page.open(url, prefers_color_scheme="dark")
    await page.size(400, 800)
    await page.screenshot(pictures / "page-dark.png")
    assert page.problems == []
    assert await asyncio.to_thread((pictures / "page.png").stat)
