"""The page without the server: stand-ins for its files, and a server that has the real ones."""

from __future__ import annotations

import hashlib
import json
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from wyoming_faster_whisper.app import web_export
from wyoming_faster_whisper.engine.onnx.whisper.layout import identity

from . import chromium, firefox
from .processes import Process

MODEL = "tiny.en"
MARKS = [
    pytest.mark.browser,
    pytest.mark.timeout(300),
    pytest.mark.skipif(
        web_export.runtime_folder() is None,
        reason="onnxruntime-web is not here; script/onnxruntime-web fetches it",
    ),
]
"""Marks of tests in which a browser decodes."""

SIZES = {"encoder.weights": 3_000_000, "ort.wasm.min.mjs": 1_000, "ort.webgpu.min.mjs": 1_000}


@asynccontextmanager
async def real_server(folder: Path) -> AsyncIterator[tuple[Process, str]]:
    """Start a server process; yield it with the URL of its page when the model is loaded."""
    options = ("--uri", "tcp://127.0.0.1:0", "--model", MODEL, "--http-port", "0")
    async with Process.started(*options, folder=folder) as server:
        await server.ready(120.0)
        yield server, (await server.logged(r"try the server at (\S+)"))[1]


async def keep(page: chromium.Page | firefox.Page) -> None:
    """Store the files for the page in the browser."""
    await page.until("!document.querySelector('#offline').hidden")
    for done in (".includes('MB.')", ".startsWith('Works without the server')"):
        await page.evaluate("document.querySelector('#keep').click()")
        await page.until(f"document.querySelector('#offline-text').textContent{done}")


def put_files(data: Path, *, seed: int = 0) -> Path:
    """Make a data folder with stand-ins for a model and the page's files; return their folder.

    Args:
        seed: files of different seeds differ.
    """
    if web_export.runtime_folder() is None:
        pytest.skip("onnxruntime-web is not here; script/onnxruntime-web fetches it")
    model = data / MODEL
    model.mkdir(exist_ok=True)
    (model / "model.bin").write_bytes(bytes([seed]))
    (model / "config.json").write_text("{}")
    folder = data / "offline" / MODEL
    folder.mkdir(parents=True, exist_ok=True)
    numbers = random.Random(seed)
    for name, size in SIZES.items():
        (folder / name).write_bytes(numbers.randbytes(size))
    manifest = {
        "version": web_export._VERSION,
        "source": identity(model / "model.bin"),
        "model": MODEL,
        "files": [
            {
                "name": name,
                "bytes": size,
                "sha256": hashlib.sha256((folder / name).read_bytes()).hexdigest(),
                "for": ["cpu", "gpu"],
            }
            for name, size in SIZES.items()
        ],
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder
