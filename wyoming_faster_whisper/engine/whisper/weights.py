"""Loads the weights of CTranslate2's Whisper models."""

from __future__ import annotations

import logging
import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeAlias

import ctranslate2
import numpy as np

from ...errors import ModelError

_LOGGER = logging.getLogger(__name__)

_LAST_VERSION = 255  # highest plausible version of CTranslate2's file format, now at 6

Weights: TypeAlias = ctranslate2.models.Whisper


def load_model(
    directory: Path, *, device: str, compute_type: str, threads: int, workers: int = 1
) -> Weights:
    """Load the weights of a model.

    For base this takes half a second, and for a moment twice the model's size in memory.

    A thread of its own loads the model and then ends. The threads that CTranslate2 gets from
    libgomp for loading live as long as the thread that loads. If there are more of them than
    cores, libgomp lets each of them sleep whenever it waits for another, and a step of the
    decoder takes up to three times as long.

    If the GPU cannot be used, the model is loaded on the CPU, and a warning says why.

    Args:
        directory: folder with model.bin and the other files of the model.
        device: cpu, cuda, cuda:N or auto.
        compute_type: CTranslate2's name; "default" is int8 on a CPU, float16 on a GPU.
        threads: number of threads that decode one batch.
        workers: number of batches that are decoded at the same time, with the same weights.

    Raises:
        ModelError: the model cannot be loaded.
    """
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(_load, directory, device, compute_type, threads, workers).result()


def _load(directory: Path, device: str, compute_type: str, threads: int, workers: int) -> Weights:
    name, _, index = device.partition(":")

    def load(name: str, compute_type: str) -> Weights:
        if compute_type == "default":
            # CTranslate2's own default is the type of the file. That is usually float16, which
            # a CPU would convert to float32.
            compute_type = "float16" if name == "cuda" else "int8"
        model = ctranslate2.models.Whisper(
            str(directory),
            device=name,
            device_index=int(index or 0) if name == "cuda" else 0,
            compute_type=compute_type,
            intra_threads=threads,
            inter_threads=workers,
        )
        if name == "cuda":
            # Some CUDA libraries are loaded only at their first use, so use them now.
            model.encode(_nothing_heard(model))
        _LOGGER.info("Loaded %s on %s as %s", directory, name, model.compute_type)
        return model

    if name == "cuda" or (name == "auto" and ctranslate2.get_cuda_device_count()):
        try:
            return load("cuda", compute_type)
        except (RuntimeError, ValueError) as error:
            _LOGGER.warning("--device %s cannot be used, using the CPU: %s", device, error)
            if compute_type not in ctranslate2.get_supported_compute_types("cpu"):
                compute_type = "default"
    try:
        return load("cpu", compute_type)
    except (RuntimeError, ValueError) as error:
        raise ModelError(_why(error, directory, compute_type)) from error


def _why(error: Exception, directory: Path, compute_type: str) -> str:
    """Explain why a model does not load, from CTranslate2's error message."""
    said, file = str(error), directory / "model.bin"
    if "is incomplete" in said or "invalid payload size" in said:
        return f"{file} is cut off or damaged; copy or download it again ({said})"
    version = re.search(r"model has binary version v(\d+)", said)
    if version and int(version[1]) > _LAST_VERSION:
        return (
            f"{file} is not a CTranslate2 model; give --model a name, or a directory with a "
            "model that ct2-transformers-converter has written"
        )
    return f"the model in {directory} does not load as {compute_type}: {said}"


def _nothing_heard(model: Weights) -> ctranslate2.StorageView:
    return ctranslate2.StorageView.from_array(np.zeros((1, model.n_mels, 100), np.float32))


def use_backend() -> None:
    """Call ctranslate2 and tokenizers without a model, to find out if they run on this CPU."""
    import tokenizers

    ctranslate2.get_supported_compute_types("cpu")
    ctranslate2.StorageView.from_array(np.zeros((4, 4), np.float32))
    tokenizers.Tokenizer(tokenizers.models.BPE())
