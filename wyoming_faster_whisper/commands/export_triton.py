"""wyoming-faster-whisper export-triton: a model as a version in a model repository of Triton."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..app.choosing import choose_models
from ..config.load import command_line, default_data_dir, read_settings
from ..config.options import Arity, options
from ..config.settings import Settings
from ..errors import ModelError, SettingError
from ..models import SttLibrary, data_folders, locate, standard_name
from ..process import tell
from ..serving.configuration import LOADING
from ..serving.triton_repository import CONFIG_FILE, config, export, version_policy

_NAME = re.compile(r"\w[\w.-]*", re.ASCII)  # as --remote-model takes it

# Requests that Triton hands over together; the engine makes its own batches of them.
_TOGETHER = {"cpu": 8, "cuda": 32}


def main(argv: Sequence[str], environ: Mapping[str, str]) -> Path:
    """Export a model; return the folder of the version. Blocking; it may download the model.

    Raises:
        ServerError: an option is wrong, or there is no such model.
        SystemExit: by argparse, for --help and wrong arguments.
    """
    given, flags = _parser().parse_known_args(argv)
    if given.as_version < 1:
        raise SettingError(f"--as-version is {given.as_version}; it must be at least 1")
    stored = _stored(flags)
    read = read_settings([f"--model={given.model}", *flags], environ)
    settings = read.settings
    for warning in read.warnings:
        tell(f"warning: {warning}")
    folders = list(
        data_folders(settings.data_dir or [str(default_data_dir(environ))], settings.download_dir)
    )
    [chosen] = choose_models(settings, folders)
    if chosen.library not in (SttLibrary.AUTO, SttLibrary.FASTER_WHISPER):
        raise ModelError(f"export-triton cannot export models of {chosen.library}")
    weights = locate(chosen.model, folders[0], local_files_only=settings.local_files_only)
    called = chosen.model.name.rpartition("/")[2]
    name = given.name or standard_name(called) or called
    if not _NAME.fullmatch(name):
        raise SettingError(
            f"the name of the model in URLs is {name!r}; choose one with letters, digits, _, - "
            "and . only: --name"
        )
    keep = given.policy is None and (given.folder / name / CONFIG_FILE).exists()
    return export(
        given.folder / name,
        given.as_version,
        weights,
        # The engine knows by its name how to use a model.
        called=called,
        flags=stored,
        config=None if keep else _config(name, given.policy or "latest", settings),
    )


def _stored(flags: Sequence[str]) -> list[str]:
    """Return the flags to store with a version: those with which its model is loaded.

    Raises:
        SettingError: a flag does not concern loading, such as one with a secret.
    """
    stored: list[str] = []
    known = {opt.name: opt for opt in options(Settings)}
    for name, value in command_line(flags).items():
        flag = known[name].flag
        if name in LOADING:
            values = [value] if isinstance(value, str) else value
            stored += (
                [flag]
                if known[name].arity is Arity.FLAG
                else [f"{flag}={each}" for each in values]
            )
        elif name != "max_waiting":  # which the configuration of the model has
            raise SettingError(
                f"{flag} does nothing on a decode server and is not stored with the model; give "
                "it to the servers that name the decode server in --remote-url"
            )
    return stored


def _config(name: str, policy: str, settings: Settings) -> str:
    together = _TOGETHER["cpu" if settings.device == "cpu" else "cuda"]
    if isinstance(settings.max_batch, int):
        together = settings.max_batch
    return config(
        name, version_policy(policy), max_batch=together, max_waiting=settings.max_waiting
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="wyoming-faster-whisper export-triton",
        description="Add a Whisper model to a model repository of NVIDIA Triton.",
        epilog="Other options are those of the server; the model is loaded with them, like "
        "--device cuda --compute-type float16.",
        allow_abbrev=False,
    )
    parser.add_argument("folder", type=Path, metavar="DIR", help="the model repository")
    parser.add_argument("--model", default="auto", help="as for the server (default: auto)")
    parser.add_argument(
        "--as-version", type=int, required=True, metavar="N", help="number of the version"
    )
    parser.add_argument(
        "--name", help="name of the model in URLs (default: base for base-int8, and so on)"
    )
    parser.add_argument(
        "--policy",
        help="versions to serve: latest[:NUMBER], all or specific:N,N (default: what the "
        "repository has, or latest)",
    )
    return parser
