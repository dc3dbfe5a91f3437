"""Configuration of a replica of a decode server: its models. Pure.

model: base                 # name in URLs; loaded from the start
version: "2"                # in URLs; default "1"
options: {device: cuda}     # of the server, without the dashes; default: --model is the name
max_waiting: 64             # jobs that may wait for a model
token_file: /secrets/token  # requests need one of its tokens; default: no token is needed
models:                     # loaded when they are asked for, such as those of tenants
  acme: {version: "1", options: {model: /models/acme}}
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import SettingError, printable

# Options of the server that are read when a model is loaded. All others, and with them all
# secrets, concern the server's clients, of whom a decode server knows nothing.
LOADING = frozenset(
    "model stt_library model_budget data_dir download_dir local_files_only language device "
    "compute_type onnx_provider onnx_quantization cpu_threads max_batch max_batch_seconds "
    "gpu_memory_pool beam_size audio_context max_memory vad_endpointing".split()
)


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """Name and version of a model in URLs, and the options to load it with."""

    name: str
    version: str
    options: tuple[str, ...] = ()  # flags of the server, like --model=base

    def __str__(self) -> str:
        return f"{self.name}:{self.version}"


@dataclass(frozen=True, slots=True)
class ReplicaConfig:
    """The models of a replica."""

    model: ModelSpec
    others: Mapping[str, ModelSpec]  # by name
    max_waiting: int = 64
    token_file: Path | None = None


def parse_config(given: object) -> ReplicaConfig:
    """Check a configuration.

    Raises:
        SettingError: it is malformed; the sentence says where.
    """
    members = _object(given, "the configuration", _OF_REPLICA | _OF_MODEL)
    max_waiting = members.get("max_waiting", 64)
    if type(max_waiting) is not int or not 1 <= max_waiting <= 65535:
        raise SettingError(f"max_waiting is {max_waiting!r}; it must be from 1 to 65535")
    token_file = members.get("token_file")
    if token_file is not None and not (isinstance(token_file, str) and token_file):
        raise SettingError(f"token_file is {printable(token_file, 40)!r}; it must be a path")
    model = _spec(members.get("model"), members)
    others = {
        name: _spec(name, _object(about, f"model {printable(name)}", _OF_MODEL))
        for name, about in _object(members.get("models", {}), "models").items()
    }
    if model.name in others:
        raise SettingError(f"model {model.name} is given twice")
    return ReplicaConfig(model, others, max_waiting, Path(token_file) if token_file else None)


_OF_REPLICA = {"model", "models", "max_waiting", "token_file"}
_OF_MODEL = {"version", "options"}


def _spec(name: object, members: Mapping[str, Any]) -> ModelSpec:
    version = members.get("version", "1")
    for value, what in ((name, "name"), (version, "version")):
        if not isinstance(value, str) or not re.fullmatch(r"[\w.-]+", value, re.ASCII):
            raise SettingError(
                f"the {what} of a model is {printable(value)!r}; it must be a string of letters, "
                "digits, _, - and ."
            )
    options = _object(members.get("options", {}), f"options of model {name}")
    flags = [flag for option, value in options.items() for flag in _flags(option, value)]
    if "model" not in options:
        flags.insert(0, f"--model={name}")
    return ModelSpec(str(name), version, tuple(flags))


def _flags(option: str, value: object) -> list[str]:
    flag = f"--{option.replace('_', '-')}"
    values = value if isinstance(value, list) else [value]
    return [flag if each is True else f"{flag}={each}" for each in values if each is not False]


def _object(given: object, what: str, known: set[str] | None = None) -> dict[str, Any]:
    if not isinstance(given, dict) or not all(isinstance(name, str) for name in given):
        raise SettingError(f"{what} is {printable(given, 40)!r}; it must be an object")
    if known is not None and (unknown := given.keys() - known):
        raise SettingError(
            f"{what} has {printable(min(unknown), 40)!r}; it may have {', '.join(sorted(known))}"
        )
    return given
