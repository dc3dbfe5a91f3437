"""Model names, and the directory with the model that each of them means.

Offline first. In this order: a local directory, the data folders (the layout of
the hub's own cache, as the reference server leaves it), installed packages that
carry a model, and only then the hub.

choose() is quick and never goes out, so that clients can be told at once which
model and languages they will get; locate() may download, for minutes.
"""

from __future__ import annotations

import difflib
import logging
import os
import re
from collections.abc import Sequence
from pathlib import Path

from ..errors import ModelError
from . import auto
from .folders import expanded, find_model, is_model, languages_of
from .hub import STALL_SECONDS, download
from .measurements import Measurements
from .names import AUTO, REPOSITORIES, Model, canonical
from .packages import from_packages, packaged_files

_LOGGER = logging.getLogger(__name__)


def choose(name: str, folders: Sequence[Path]) -> Model:
    """Say which model a name means. Reads folders, never the network.

    Args:
        name: a name or alias of REPOSITORIES in any case, a hub id, a directory, or the
            model.bin in one. A directory that happens to have a model's name, and holds no
            model, is not meant.
        folders: data folders that may hold models already.

    Raises:
        ModelError: the name means nothing, or its directory holds no model.
        SettingError: it begins with a home directory that does not exist.
    """
    path = expanded(name)
    if os.path.isfile(path):
        if path.name != "model.bin":
            raise ModelError(
                f"{path} is a file; give the directory with model.bin and config.json"
            )
        path = path.parent
    if os.path.isdir(path):
        if is_model(path):
            called = path.name or path.resolve().name or name
            return Model(called, languages_of(called, path), directory=path)
        if canonical(name) not in REPOSITORIES:
            raise ModelError(f"{path} holds no model: model.bin or config.json is missing")
    elif name.startswith(("/", "./", "../", "~")):
        raise ModelError(f"there is no directory {path} that this user can read")
    return _choose_named(name, folders)


def _choose_named(name: str, folders: Sequence[Path]) -> Model:
    name = canonical(name)
    repository = REPOSITORIES.get(name, name)
    if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", repository, re.ASCII):
        near = difflib.get_close_matches(name.lower(), (AUTO, *REPOSITORIES), n=1)
        raise ModelError(
            f"there is no model {name!r}; {f'did you mean {near[0]}? ' if near else ''}"
            "give a directory, a hub id (owner/name) "
            f"or one of auto, {', '.join(sorted(REPOSITORIES))}"
        )
    directory = find_model(name, repository, folders)
    return Model(name, languages_of(name, directory), repository, directory)


def choose_auto(
    folders: Sequence[Path],
    machine: auto.Machine,
    *,
    device: str = "cpu",
    language: str | None = None,
    download_budget: float = 300,
) -> Model:
    """Choose the best model that the machine can afford; auto.py says how.

    Args:
        folders: data folders; the first holds what was measured here before.
        device: whose figures count, as in --device.
        language: the default language, as Whisper's code; None = any.
        download_budget: MB that a download may have.
    """

    def at_hand(name: str) -> bool:
        return is_at_hand(_choose_named(name, folders))

    choice = auto.choose(
        machine,
        english=language == "en",
        figures=Measurements(folders[0], device).read() if folders else {},
        at_hand=at_hand,
        download_budget=download_budget,
    )
    _LOGGER.info("auto chose %s (%s)", choice.name, choice.reason)
    return _choose_named(choice.name, folders)


def is_at_hand(model: Model) -> bool:
    """Say whether a model is here, in a folder or in packages that carry it."""
    return model.directory is not None or packaged_files(model.repository) is not None


def locate(
    model: Model,
    download_dir: Path,
    *,
    local_files_only: bool = False,
    hub: str | None = None,
    stall: float = STALL_SECONDS,
) -> Path:
    """Return a directory with the model's files, downloading them if need be.

    Blocking, for as long as a download takes.

    Args:
        stall: seconds that the hub may be silent.

    Raises:
        ModelError: it is not to be had; the sentence says what was tried.
    """
    if model.repository is not None and (files := packaged_files(model.repository)):
        return from_packages(model.repository, files, download_dir, found=model.directory)
    if model.directory is not None:
        return model.directory
    if local_files_only:
        raise ModelError(
            f"model {model.name!r} is not in the data folders and no installed package "
            "carries it; --local-files-only forbids to download it"
        )
    return download(model, download_dir, hub=hub, stall=stall)
