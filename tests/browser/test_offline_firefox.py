"""The page without the server in Firefox, whose fake microphone plays no speech."""

from __future__ import annotations

import base64
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.clips import CLIPS
from tests.support.firefox import Page, firefox
from tests.support.offline import MARKS, keep, real_server
from wyoming_faster_whisper.testing import pcm16

pytestmark = MARKS

_DECODE = """(async () => {
  const bytes = Uint8Array.from(atob("%s"), (letter) => letter.charCodeAt(0));
  const samples = Float32Array.from(new Int16Array(bytes.buffer), (sample) => sample / 32768);
  const { Offline } = await import("/offline.js");
  const offline = new Offline();
  await offline.find();
  return (await offline.decode(samples, null)).text;
})()"""


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    async with firefox(tmp_path / "browser") as opened:
        opened.deadline = 120.0  # the server converts a model, the browser loads one
        yield opened


async def test_firefox_recognises_speech_without_the_server(page: Page, tmp_path: Path) -> None:
    async with real_server(tmp_path / "data") as (server, url):
        await page.open(url)
        await keep(page)
        server.signal(signal.SIGTERM)
        await server.ended()
    await page.open(url)  # from the browser's storage
    await page.until("document.querySelector('#server').dataset.state === 'away'")
    said = CLIPS["weather"]
    audio = base64.b64encode(pcm16(said.samples)).decode()
    assert said.heard_in(await page.evaluate(_DECODE % audio))
