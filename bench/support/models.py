"""Finds the model directory that both servers are started with, and loads a model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from wyoming_faster_whisper.models import choose, locate
from wyoming_faster_whisper.models.moonshine import choose_moonshine

if TYPE_CHECKING:
    from wyoming_faster_whisper.engine.onnx.moonshine.engine import MoonshineEngine
    from wyoming_faster_whisper.engine.onnx.whisper.acoustic_model import OnnxWhisper
    from wyoming_faster_whisper.engine.whisper.ctranslate2 import CTranslate2Whisper


def cache_directory() -> Path:
    """Return the directory in which the benchmarks cache what they generate."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return home / "wyoming-faster-whisper-bench"


def model_directory(name: str) -> Path:
    """Return the directory of a model, which both servers accept as --model.

    Nothing is downloaded: the name is that of a directory, of a model in an installed package, or
    of one that is already in the cache.
    """
    cache = cache_directory()
    if choose_moonshine(name, [cache]) is not None:
        return Path(name)  # only this server knows the name
    return locate(choose(name, [cache]), cache, local_files_only=True)


def load_whisper(directory: Path, threads: int) -> CTranslate2Whisper:
    """Load a model on the CPU, as int8."""
    # Imported here because some benchmarks measure the memory of processes without a model.
    from wyoming_faster_whisper.engine.whisper.ctranslate2 import CTranslate2Whisper
    from wyoming_faster_whisper.engine.whisper.weights import load_model

    weights = load_model(directory, device="cpu", compute_type="int8", threads=threads)
    return CTranslate2Whisper(weights, directory / "tokenizer.json")


def load_onnx_whisper(directory: Path, threads: int) -> OnnxWhisper:
    """Load a model on the CPU over ONNX Runtime; convert it on first use."""
    from wyoming_faster_whisper.engine.onnx.whisper.acoustic_model import OnnxWhisper
    from wyoming_faster_whisper.engine.onnx.whisper.graphs import load_graphs

    graphs = load_graphs(
        directory,
        folder=cache_directory(),
        device="cpu",
        compute_type="int8",
        threads=threads,
    )
    return OnnxWhisper(graphs, directory / "tokenizer.json")


def load_moonshine(model: str, threads: int) -> MoonshineEngine:
    """Load a Moonshine model as the server does."""
    from wyoming_faster_whisper.app.recognizers import choose_recognizer, load_default
    from wyoming_faster_whisper.config.settings import Settings
    from wyoming_faster_whisper.engine.onnx.moonshine.engine import MoonshineEngine

    settings = Settings(model=(model,), cpu_threads=threads, local_files_only=True)
    recognizer = choose_recognizer(settings, [cache_directory()], loaded=lambda: None)
    engine = load_default(recognizer)
    assert isinstance(engine, MoonshineEngine)
    return engine
