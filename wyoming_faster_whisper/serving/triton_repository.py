"""Model repositories for Triton: DIR/NAME/config.pbtxt and DIR/NAME/VERSION/.

The folder of a version has model.py, the flags of the server (OPTIONS_FILE) and the weights, as
hard links where possible, otherwise as copies. It appears at once and does not change afterwards,
so Triton may watch DIR (--model-control-mode=poll) while a version is exported.

Source: triton-inference-server/server: docs/user_guide/model_repository.md and
model_configuration.md.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path

from ..engine.remote.contract import jobs, transcripts
from ..engine.remote.contract.tensors import BYTES, FP32
from ..errors import SettingError

OPTIONS_FILE = "options.json"
"""File in the folder of a version: the name of its weights' folder, and flags of the server."""

CONFIG_FILE = "config.pbtxt"

_MODEL = '''\
"""The model of this version. Written by wyoming-faster-whisper export-triton."""

from wyoming_faster_whisper.serving.triton import TritonPythonModel

__all__ = ["TritonPythonModel"]
'''
_POLICY = re.compile(r"all|latest(:[1-9]\d{0,3})?|specific:\d+(,\d+)*", re.ASCII)


def version_policy(text: str) -> str:
    """Return Triton's version policy.

    Args:
        text: all, latest, latest:NUMBER, or specific:VERSION,VERSION.

    Raises:
        SettingError: the text has none of these forms.
    """
    if not _POLICY.fullmatch(text):
        raise SettingError(
            f"--policy is {text!r}; it must be all, latest, latest:NUMBER or specific:VERSION,..."
        )
    kind, _, given = text.partition(":")
    inner = {
        "all": "",
        "latest": f" num_versions: {given or 1} ",
        "specific": f" versions: [ {given.replace(',', ', ')} ] ",
    }
    return f"version_policy: {{ {kind} {{{inner[kind]}}} }}"


def config(name: str, policy: str, *, max_batch: int, max_waiting: int) -> str:
    """Return config.pbtxt.

    Args:
        name: the model's name in URLs.
        policy: a line of version_policy().
        max_batch: maximum number of requests that the model gets together; it may split them.
        max_waiting: maximum number of requests that wait; others get status 503.
    """
    kinds = {FP32: "TYPE_FP32", BYTES: "TYPE_STRING"}
    tensors = [
        # Requests of different lengths share a batch.
        f'input [ {{ name: "{jobs.AUDIO}" data_type: {kinds[jobs.INPUTS[jobs.AUDIO]]} '
        "dims: [ -1 ] allow_ragged_batch: true } ]",
        f'input [ {{ name: "{jobs.OPTIONS}" data_type: {kinds[jobs.INPUTS[jobs.OPTIONS]]} '
        "dims: [ 1 ] optional: true } ]",
        *(
            f'output [ {{ name: "{output}" data_type: {kinds[datatype]} dims: [ 1 ] }} ]'
            for output, datatype in transcripts.OUTPUTS.items()
        ),
    ]
    lines = [
        f'name: "{name}"',
        'backend: "python"',
        f"max_batch_size: {max_batch}",
        *tensors,
        # The device is an option of the server; Triton need not choose one.
        "instance_group [ { kind: KIND_CPU count: 1 } ]",
        # What has arrived during a decode is the next batch, so no request waits for others.
        "dynamic_batching { max_queue_delay_microseconds: 0 "
        f"default_queue_policy {{ max_queue_size: {max_waiting} }} }}",
        policy,
    ]
    return "\n".join(lines) + "\n"


def export(
    model: Path,
    version: int,
    weights: Path,
    *,
    called: str,
    flags: Sequence[str],
    config: str | None,
) -> Path:
    """Add a version to a model repository. Blocking.

    Args:
        model: folder of the model; it is made if it does not exist.
        weights: folder with the files of the model.
        called: name of the folder with the weights.
        flags: of the server, without --model.
        config: content of config.pbtxt; None = keep it.

    Returns:
        The folder of the version.

    Raises:
        SettingError: the version exists, or the folder cannot be written.
    """
    made, target = model / f".{version}.part", model / str(version)
    if target.exists():
        raise SettingError(f"{target} exists; versions do not change, so choose another number")
    try:
        shutil.rmtree(made, ignore_errors=True)
        _link(weights, made / called)
        (made / "model.py").write_text(_MODEL, encoding="utf-8")
        options = {"model": called, "flags": list(flags)}
        (made / OPTIONS_FILE).write_text(json.dumps(options, indent=1), encoding="utf-8")
        if config is not None:
            part = model / f".{CONFIG_FILE}.part"
            part.write_text(config, encoding="utf-8")
            part.replace(model / CONFIG_FILE)
        made.rename(target)
    except OSError as error:
        # A copy of the weights would keep a full disk full.
        shutil.rmtree(made, ignore_errors=True)
        raise SettingError(f"{model} cannot be written: {error.strerror}") from None
    return target


def _link(weights: Path, target: Path) -> None:
    """Link the files of a model, or copy what the system does not link.

    A symbolic link would lead nowhere in Triton's container, and when the source is removed.
    """
    target.mkdir(parents=True)
    for path in weights.iterdir():
        source = path.resolve()  # in the hub's cache, files are links into another folder
        if not source.is_file():
            continue
        try:
            os.link(source, target / path.name)
        except OSError:
            shutil.copyfile(source, target / path.name)
