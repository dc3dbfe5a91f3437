"""Moonshine models: names, languages, and where their files are."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import ModelError
from .folders import expanded, find_folder, refreshed
from .hub import download
from .names import Model, is_moonshine
from .packages import packaged_files, verified

_PACKAGED = "UsefulSensors/moonshine-base-en"
# The models for English; those for other languages have a licence of their own.
NAMES = {
    "moonshine-base-en": "onnx-community/moonshine-base-ONNX",
    "moonshine-tiny-en": "onnx-community/moonshine-tiny-ONNX",
}
_ALIASES = {"moonshine-base": "moonshine-base-en", "moonshine-tiny": "moonshine-tiny-en"}

# A model for another language has its code at the end of the name: moonshine-tiny-ja.
_OTHER_LANGUAGES = ("ar", "es", "ja", "ko", "uk", "vi", "zh")

_ENCODER, _DECODER = "encoder_model", "decoder_model_merged"
_TOKENIZERS = ("tokenizer.bin", "tokenizer.json")
# The quantised forms come after the original, which is what a folder usually has.
_FORMS = ("", "_quantized", "_int8", "_uint8", "_fp16", "_q4", "_bnb4")
_HUB_FILES = (
    "config.json",
    "tokenizer.json",
    f"onnx/{_ENCODER}.onnx",
    f"onnx/{_DECODER}.onnx",
)


@dataclass(frozen=True, slots=True)
class MoonshineFiles:
    """The files of a Moonshine model."""

    encoder: Path  # .onnx or .ort
    decoder: Path  # with a key-value cache
    tokenizer: Path  # tokenizer.bin or tokenizer.json


def find_files(directory: Path) -> MoonshineFiles | None:
    """Find the files of a model in a directory in one of Moonshine's layouts; None = incomplete.

    The graphs are in the directory itself or in its subfolder onnx, in ONNX or ORT format.
    """
    tokenizer = _first(directory / name for name in _TOKENIZERS)
    if tokenizer is None:
        return None
    for folder in (directory, directory / "onnx"):
        for form in _FORMS:
            encoder, decoder = (
                _first(folder / f"{name}{form}.{kind}" for kind in ("onnx", "ort"))
                for name in (_ENCODER, _DECODER)
            )
            if encoder is not None and decoder is not None:
                return MoonshineFiles(encoder, decoder, tokenizer)
    return None


def choose_moonshine(name: str, folders: Sequence[Path]) -> Model | None:
    """Resolve a name to a Moonshine model; None if it names none. Never uses the network.

    Args:
        name: a name in NAMES in any case, a hub id, or a directory with a model whose name
            contains "moonshine".
        folders: data folders to search for the model.

    Raises:
        ModelError: the directory lacks a file of the model.
        SettingError: the name begins with a home directory that does not exist.
    """
    if not is_moonshine(name):
        return None
    path = expanded(name)
    if os.path.isdir(path):
        called = path.name or path.resolve().name
        if find_files(path) is None:
            raise ModelError(f"{path} contains no Moonshine model: {_lacking(path)}")
        return Model(called, _languages(called), directory=path)
    known = _ALIASES.get(name.lower(), name.lower())
    repository = NAMES.get(known, name)
    if known not in NAMES and "/" not in name:
        raise ModelError(
            f"model {name!r} is unknown; give a directory, a hub id (owner/name), or one of "
            f"{', '.join(NAMES)}"
        )
    called = known if known in NAMES else name
    directory = find_folder(called, repository, folders, _is_complete)
    return Model(called, _languages(called), repository, directory)


def refreshed_moonshine(model: Model, folders: Sequence[Path]) -> Model:
    """See refreshed()."""
    return refreshed(model, folders, _is_complete)


def packaged_moonshine(model: Model) -> dict[str, list[Path]] | None:
    """Return the files of a model in an installed package, as packaged_files() does."""
    return packaged_files(_PACKAGED) if model.name == "moonshine-base-en" else None


def is_moonshine_at_hand(model: Model) -> bool:
    """Return True if a model is on this machine, in a folder or in an installed package.

    The graphs of a package have to be converted, which needs the package onnx.
    """
    if model.directory is not None:
        return True
    convertible = importlib.util.find_spec("onnx") is not None
    return convertible and packaged_moonshine(model) is not None


def locate_moonshine(
    model: Model, download_dir: Path, *, local_files_only: bool
) -> MoonshineFiles:
    """Return the files of a model; download them if necessary. Blocking.

    Files in an installed package are verified.

    Args:
        model: from choose_moonshine().
        download_dir: folder to download into.
        local_files_only: never download.

    Raises:
        ModelError: the model is not available, or is damaged.
    """
    directory = model.directory
    if directory is None and (files := packaged_moonshine(model)):
        directory = verified(_PACKAGED, files)
    if directory is None and local_files_only:
        raise ModelError(
            f"model {model.name!r} is neither in the data folders nor in an installed package, "
            "and --local-files-only forbids downloading it"
        )
    if directory is None:
        directory = download(model, download_dir, files=_HUB_FILES, lacks=_not_moonshine)
    found = find_files(directory)
    if found is None:
        raise ModelError(f"{directory} contains no Moonshine model: {_lacking(directory)}")
    return found


def _is_complete(directory: Path) -> bool:
    return find_files(directory) is not None


def _languages(name: str) -> tuple[str, ...]:
    code = name.lower().removesuffix("-onnx").rpartition("-")[2]
    return (code,) if code in _OTHER_LANGUAGES else ("en",)


def _not_moonshine(directory: Path) -> str | None:
    return f"not a Moonshine model: {_lacking(directory)}" if not find_files(directory) else None


def _lacking(directory: Path) -> str:
    for names in ((f"{_ENCODER}.onnx",), (f"{_DECODER}.onnx",), _TOKENIZERS):
        stem = names[0].partition(".")[0]
        if not any(directory.glob(f"**/{stem}*.*")):
            return f"{' or '.join(names)} is missing"
    return "encoder_model.onnx and decoder_model_merged.onnx must be in the same folder"


def _first(paths: Iterable[Path]) -> Path | None:
    return next((path for path in paths if os.path.isfile(path)), None)
