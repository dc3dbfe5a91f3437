"""Folders that may hold models: in the layout of the hub's cache, or plain."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from ..errors import SettingError
from .languages import ENGLISH, MULTILINGUAL, MULTILINGUAL_V3
from .names import is_distilled

# Whatever reading JSON that somebody else wrote can raise.
UNREADABLE = (
    *(OSError, ValueError, TypeError, AttributeError, KeyError),
    *(OverflowError, RecursionError),
)


def is_model(path: Path) -> bool:
    """True if a folder holds a model; False also where this user may not look."""
    return os.path.isfile(path / "model.bin") and os.path.isfile(path / "config.json")


def fault(path: Path) -> str | None:
    """Say what is there instead of a model's file; None if it may be the file.

    What is only cut off shows when it is loaded.
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
            f"{path} is a Git LFS pointer and not the file itself; run `git lfs pull` in "
            f"{path.parent}, or download the file"
        )
    if start.lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype", b"<html")):
        return (
            f"{path} is a web page and not the file itself; download it again, by the link "
            "to the raw file"
        )
    return None


def data_folders(data_dirs: Sequence[str], download_dir: str | None) -> Iterator[Path]:
    """The folders that may hold models, the one to download into first."""
    seen = dict.fromkeys([*([download_dir] if download_dir else []), *data_dirs])
    yield from map(expanded, seen)


def expanded(path: str) -> Path:
    """Return a path with the home directory in place of `~`.

    Raises:
        SettingError: the user has none, or `~name` is not a user here.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        raise SettingError(
            f"{path} cannot be used: there is no such home directory; give the whole path"
        ) from None


def find_model(name: str, repository: str, folders: Sequence[Path]) -> Path | None:
    """Where a model lies, under its name or as the hub's cache has it; None = nowhere."""
    for folder in folders:
        cache = folder / ("models--" + repository.replace("/", "--"))
        candidates = [folder / name, folder / repository.split("/")[-1]]
        with contextlib.suppress(OSError):
            revision = (cache / "refs" / "main").read_text().strip()
            candidates.insert(0, cache / "snapshots" / revision)
        with contextlib.suppress(OSError):
            candidates += sorted((cache / "snapshots").iterdir())
        for candidate in candidates:
            if is_model(candidate):
                return candidate
    return None


def languages_of(name: str, directory: Path | None) -> tuple[str, ...]:
    """Which languages a model hears, by its files if they are here, else by its name."""
    lowered = name.lower()
    if lowered.endswith(".en") or ".en-" in lowered or is_distilled(lowered):
        return ENGLISH
    if directory is not None:
        with contextlib.suppress(*UNREADABLE):
            ids = json.loads((directory / "config.json").read_text()).get("lang_ids")
            # 99 languages, 100 with Cantonese; the English-only models list 98,
            # one less than their tokenizer has ids for.
            if ids is not None:
                return {98: ENGLISH, 100: MULTILINGUAL_V3}.get(len(ids), MULTILINGUAL)
    if "large-v3" in lowered or "turbo" in lowered or lowered == "large":
        return MULTILINGUAL_V3
    return MULTILINGUAL
