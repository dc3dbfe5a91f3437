"""What the page computes itself when it recognises speech, in Chromium, without a model."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.chromium import Page, hearing
from tests.support.clips import CLIPS
from tests.support.web import address
from wyoming_faster_whisper.engine.whisper.spectrogram import Spectrogram, to_features
from wyoming_faster_whisper.testing import silence

from .conftest import Serve

FLOATS = """const floats = (text) =>
    new Float32Array(Uint8Array.from(atob(text), (one) => one.charCodeAt(0)).buffer);"""


@pytest.fixture
async def page(tmp_path: Path, serve: Serve) -> AsyncIterator[Page]:
    server = await serve(http_port=0)
    async with hearing(silence(1.0), tmp_path) as opened:
        await opened.open(f"http://{address(server)}")
        yield opened


async def call(page: Page, module: str, expression: str) -> Any:
    """Evaluate an expression with everything that a module of the page exports."""
    script = f"""(async () => {{
        {FLOATS}
        const {{ Spectrogram, Resampler, loop, stretches, clips, Ending }} =
            await import("/{module}");
        return JSON.stringify({expression});
    }})()"""
    return json.loads(await page.evaluate(script))


def encoded(array: np.ndarray) -> str:
    return base64.b64encode(array.astype("<f4").tobytes()).decode()


async def test_the_page_computes_what_the_server_computes(page: Page) -> None:
    spectrogram, samples = Spectrogram(80), CLIPS["stop"].samples
    filters, sound = encoded(spectrogram.filters), encoded(samples)
    ours = await call(
        page,
        "mel.js",
        f'Array.from(new Spectrogram(floats("{filters}")).features(floats("{sound}")).data)',
    )
    theirs = to_features(spectrogram.power(samples))
    assert np.array(ours).reshape(80, -1) == pytest.approx(theirs, abs=1e-4)

    for rate in (48_000, 44_100, 8_000):
        wave = np.sin(2 * np.pi * 440 * np.arange(rate) / rate).astype(np.float32) / 2
        pcm = encoded(np.round(wave * 32767))
        found = await call(
            page,
            "resample.js",
            f"""(() => {{
                const resampler = new Resampler({rate}), all = [];
                const pcm = Int16Array.from(floats("{pcm}"));
                for (let at = 0; at < pcm.length; at += 1000) {{
                    all.push(...resampler.push(pcm.subarray(at, at + 1000)));
                }}
                return all;
            }})()""",
        )
        assert len(found) == pytest.approx(16_000, abs=50)
        wanted = np.sin(2 * np.pi * 440 * np.arange(len(found)) / 16_000) / 2
        assert np.array(found[200:-50]) == pytest.approx(wanted[200:-50], abs=1e-3)

    loops = "[[1,2,3,1,2,3,1,2,3], [9,5,5,5,5,5,5], [1,2,1,2], [5,5,5], [7,1,2,3,1,2,3,1,2,3]]"
    assert await call(page, "whisper.js", f"{loops}.map(loop)") == [3, 2, 0, 0, 4]

    # Half a second of speech, a pause of 0.3 s, more speech, 1 s of silence, a click, speech.
    heard = [0] * 5 + [1] * 16 + [0] * 9 + [1] * 16 + [0] * 31 + [1] * 2 + [0] * 31 + [1] * 20
    spans = await call(page, "silero.js", f"stretches({heard})")
    assert [(span["start"] // 512, span["end"] // 512) for span in spans] == [(5, 46), (110, 130)]
    cut = await call(
        page, "silero.js", "clips([{start:100,end:900},{start:950,end:2500}], 3000, 1000, 50)"
    )
    assert [(one["start"], one["end"]) for one in cut] == [(50, 950), (950, 1950), (1950, 2550)]
    marks = await call(
        page,
        "silero.js",
        f"(() => {{ const e = new Ending(0.8); return {heard}.map((p) => e.add(p)); }})()",
    )
    assert [(at, mark) for at, mark in enumerate(marks) if mark] == [
        (7, "begun"),
        (70, "ended"),
        (103, "ended"),
    ]
