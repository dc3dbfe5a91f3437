"""Resolve a model name to a directory with the model's files.

Local copies come first. The order is: a local directory, the data folders (in the layout of
the hub's cache, which the reference server uses too), installed packages that contain the
model, and last the hub.

choose() is quick and never uses the network, so that the server can tell clients its model
and languages at once. locate() may download for minutes.
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
from .moonshine import choose_moonshine, is_moonshine_at_hand
from .names import AUTO, REPOSITORIES, Model, canonical
from .packages import from_packages, packaged_files

_LOGGER = logging.getLogger(__name__)


def choose(name: str, folders: Sequence[Path]) -> Model:
    """Resolve a name to a model. Reads folders, never the network.

    Args:
        name: a name or alias from REPOSITORIES in any case, a hub id, a directory with a
            model, or the model.bin in it. A directory that has the name of a model but
            contains no model is ignored.
        folders: data folders to search for the model.

    Raises:
        ModelError: the name is unknown, or its directory contains no model.
        SettingError: the name begins with a home directory that does not exist.
    """
    path = expanded(name)
    if os.path.isfile(path):
        if path.name != "model.bin":
            raise ModelError(
                f"{path} is a file; give the directory that contains model.bin and config.json"
            )
        path = path.parent
    if os.path.isdir(path):
        if is_model(path):
            called = path.name or path.resolve().name or name
            return Model(called, languages_of(called, path), directory=path)
        if canonical(name) not in REPOSITORIES:
            raise ModelError(f"{path} contains no model: model.bin or config.json is missing")
    elif name.startswith(("/", "./", "../", "~")):
        raise ModelError(f"directory {path} does not exist, or this user cannot read it")
    return _choose_named(name, folders)


def _choose_named(name: str, folders: Sequence[Path]) -> Model:
    name = canonical(name)
    repository = REPOSITORIES.get(name, name)
    if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", repository, re.ASCII):
        near = difflib.get_close_matches(name.lower(), (AUTO, *REPOSITORIES), n=1)
        raise ModelError(
            f"model {name!r} is unknown; {f'did you mean {near[0]}? ' if near else ''}"
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
    moonshine: bool = False,
) -> Model:
    """Choose the largest model that the machine can run fast enough, as auto.py describes.

    Args:
        folders: data folders; the first one holds the decode times measured on this machine.
        machine: memory and kind of the machine.
        device: device whose decode times count, as in --device.
        language: Whisper code of the default language; None = any.
        download_budget: size limit of a download in MB.
        moonshine: a Moonshine model may be chosen too.
    """

    def at_hand(name: str) -> bool:
        model = choose_moonshine(name, folders)
        return is_moonshine_at_hand(model) if model else is_at_hand(_choose_named(name, folders))

    choice = auto.choose(
        machine,
        english=language == "en",
        figures=Measurements(folders[0], device).read() if folders else {},
        at_hand=at_hand,
        download_budget=download_budget,
        sizes=auto.SIZES if moonshine else auto.WHISPER,
    )
    _LOGGER.info("auto chose %s (%s)", choice.name, choice.reason)
    return choose_moonshine(choice.name, folders) or _choose_named(choice.name, folders)


def is_at_hand(model: Model) -> bool:
    """Return True if a model is on this machine, in a folder or in installed packages."""
    return model.directory is not None or packaged_files(model.repository) is not None


def locate(
    model: Model,
    download_dir: Path,
    *,
    local_files_only: bool = False,
    hub: str | None = None,
    stall: float = STALL_SECONDS,
) -> Path:
    """Return a directory with the model's files; download them if necessary.

    Blocking; a download can take minutes.

    Args:
        model: the model, from choose() or choose_auto().
        download_dir: folder to download into.
        local_files_only: never download.
        hub: URL of the hub; None = HF_ENDPOINT from the environment, or DEFAULT_HUB.
        stall: seconds without data from the hub after which a request fails.

    Raises:
        ModelError: the model is not available; the message lists the places that were tried.
    """
    if model.repository is not None and (files := packaged_files(model.repository)):
        return from_packages(model.repository, files, download_dir, found=model.directory)
    if model.directory is not None:
        return model.directory
    if local_files_only:
        raise ModelError(
            f"model {model.name!r} is neither in the data folders nor in an installed package, "
            "and --local-files-only forbids downloading it"
        )
    return download(model, download_dir, hub=hub, stall=stall)
