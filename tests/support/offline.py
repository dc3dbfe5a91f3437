"""Files for the page to work without the server, made for tests: a recogniser that is none."""

from __future__ import annotations

import hashlib
import json
import random
from pathlib import Path

import pytest

from wyoming_faster_whisper.app import web_export
from wyoming_faster_whisper.engine.onnx.whisper.layout import identity

MODEL = "tiny.en"
SIZES = {"encoder.weights": 3_000_000, "ort.wasm.min.mjs": 1_000, "ort.webgpu.min.mjs": 1_000}


def put_files(data: Path, *, seed: int = 0) -> Path:
    """Make a data folder with a model, and with its files for the page; return their folder.

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
