"""Data folders with models, in the layout of the hub's cache or as plain directories."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from ..errors import SettingError
from .languages import ENGLISH, MULTILINGUAL, MULTILINGUAL_V3
from .names import Model, is_distilled

# Exceptions that reading and parsing an untrusted JSON file can raise.
UNREADABLE = (
    *(OSError, ValueError, TypeError, AttributeError, KeyError),
    *(OverflowError, RecursionError),
)

VOCABULARIES = ("vocabulary.json", "vocabulary.txt")
"""Names of CTranslate2's vocabulary file, by the version of its converter."""


def is_model(path: Path) -> bool:
    """Return True if a folder contains a model that this user can access."""
    return os.path.isfile(path / "model.bin") and os.path.isfile(path / "config.json")


def is_whole_model(path: Path) -> bool:
    """Return True if a folder contains a model and its vocabulary.

    A download of several files at a time may break off after the weights have arrived.
    """
    return is_model(path) and any(os.path.isfile(path / name) for name in VOCABULARIES)


def _is_found(path: Path) -> bool:
    # The operator's own folder is taken as it is, and the error names what it lacks.
    return is_whole_model(path) if path.parent.name == "snapshots" else is_model(path)


def fault(path: Path) -> str | None:
    """Describe why a file cannot be part of a model; None if it looks like one.

    Reads only the first 512 bytes. A truncated file is detected when it is loaded.
    """
    try:
        with path.open("rb") as file:
            start = file.read(512)
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    if not start:
        return f"{path} is empty; copy or download it again"
    if start.startswith(b"version https://git-lfs."):
        return (
            f"{path} is a Git LFS pointer instead of the file itself; run `git lfs pull` in "
            f"{path.parent}, or download the file"
        )
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype", b"<html")):
        return (
            f"{path} is a web page instead of the file itself; download it again from the "
            "link to the raw file"
        )
    return None


def model_fault(directory: Path) -> str | None:
    """Describe why the weights or the configuration in a folder cannot be used.

    None if they look right; damage inside the weights is detected when they are loaded.
    """
    config = directory / "config.json"
    if what := fault(directory / "model.bin") or fault(config):
        return what
    try:
        if isinstance(json.loads(config.read_bytes()), dict):
            return None
        why = "it is not a JSON object"
    except UNREADABLE as error:
        why = str(error)
    return f"{config} is damaged ({why}); copy or download it again"


def data_folders(data_dirs: Sequence[str], download_dir: str | None) -> Iterator[Path]:
    """Yield the folders to search for models; downloads go to the first one."""
    seen = dict.fromkeys([*([download_dir] if download_dir else []), *data_dirs])
    yield from map(expanded, seen)


def expanded(path: str) -> Path:
    """Replace `~` at the start of a path with the home directory.

    Raises:
        SettingError: the user has no home directory, or `~name` is not a user of this machine.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise SettingError(
            f"{path} cannot be used: that home directory does not exist; give the full path"
        ) from None


def find_model(name: str, repository: str, folders: Sequence[Path]) -> Path | None:
    """Find the directory of a Whisper model, by its name or in the hub's cache."""
    return find_folder(name, repository, folders, _is_found)


def find_folder(
    name: str, repository: str, folders: Sequence[Path], complete: Callable[[Path], bool]
) -> Path | None:
    """Find the directory of a model, by its name or in the hub's cache; None = not found.

    Args:
        name: the model's name.
        repository: hub id.
        folders: data folders.
        complete: tells whether a directory has all files of the model.
    """
    for folder in folders:
        cache = folder / ("models--" + repository.replace("/", "--"))
        candidates = [folder / name, folder / repository.split("/")[-1]]
        with contextlib.suppress(OSError, UnicodeDecodeError):
            revision = (cache / "refs" / "main").read_text().strip()
            candidates.insert(0, cache / "snapshots" / revision)
        with contextlib.suppress(OSError):
            # The newest first: while `main` is being downloaded, the one before serves.
            candidates += sorted((cache / "snapshots").iterdir(), key=_modified, reverse=True)
        for candidate in candidates:
            if complete(candidate):
                return candidate
    return None


def _modified(path: Path) -> int:
    return path.stat().st_mtime_ns


def refreshed(
    model: Model, folders: Sequence[Path], complete: Callable[[Path], bool] = _is_found
) -> Model:
    """Return a model with the directory that has its files now.

    That changes when the model, or a newer snapshot of it, is downloaded into the hub's cache.
    The cache refers to a snapshot before its files are there, so only complete directories count.
    The directory of a model without a repository was named by the operator, and stays.

    Args:
        folders, complete: as for find_folder().
    """
    if model.repository is None:
        return model
    return replace(model, directory=find_folder(model.name, model.repository, folders, complete))


def folder_version(directory: Path) -> Hashable:
    """Return a value that changes when files of a directory are replaced; None = no directory.

    Blocking, quick. It covers the path of the directory, and the files in it and in its
    subfolders.
    """
    found: list[tuple[str, int, int, int]] = []
    try:
        for folder in (directory, *sorted(directory.iterdir())):
            if not os.path.isdir(folder):
                continue
            with os.scandir(folder) as entries:
                for entry in entries:
                    stat = entry.stat()
                    if entry.is_file() and not entry.name.startswith("."):
                        found.append((entry.path, stat.st_mtime_ns, stat.st_size, stat.st_ino))
    except OSError:
        return None
    return tuple(sorted(found)) or None


def languages_of(name: str, directory: Path | None) -> tuple[str, ...]:
    """Return the Whisper codes of a model's languages, from its config.json or else its name.

    Args:
        directory: directory with the model's files; None = not downloaded yet.
    """
    lowered = name.lower()
    if lowered.endswith(".en") or ".en-" in lowered or is_distilled(lowered):
        return ENGLISH
    if directory is not None:
        with contextlib.suppress(*UNREADABLE):
            ids = json.loads((directory / "config.json").read_text()).get("lang_ids")
            # Multilingual models list 99 languages, or 100 with Cantonese. English-only models
            # list 98, one fewer than their tokenizer has ids for.
            if ids is not None:
                return {98: ENGLISH, 100: MULTILINGUAL_V3}.get(len(ids), MULTILINGUAL)
    if "large-v3" in lowered or "turbo" in lowered or lowered == "large":
        return MULTILINGUAL_V3
    return MULTILINGUAL
