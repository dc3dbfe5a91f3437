"""Collects facts about the machine: processor, memory, inference libraries, model files."""

from __future__ import annotations

import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ... import hardware
from ...app import probe
from ...app.choosing import choose_models
from ...config.libraries import BUILT_IN, REMOTE, measured_device
from ...config.settings import Settings
from ...errors import ModelError
from ...models import AUTO, Measurements, SttLibrary, size_of
from .facts import Libraries, MachineFacts, ModelFiles

_CPUINFO = Path("/proc/cpuinfo")

# The CPU features that CTranslate2's kernels use (its docs/hardware_support.md), and those that
# matter on ARM: SIMD and its dot product.
_FEATURES = ("sse4_1", "avx", "avx2", "avx512f", "avx512_vnni", "avx_vnni", "asimd", "asimddp")

_TRIAL = """
import json, ctranslate2
from wyoming_faster_whisper.app.probe import use_libraries
use_libraries()
print(json.dumps([sorted(ctranslate2.get_supported_compute_types("cpu")),
                  ctranslate2.get_cuda_device_count()]))
"""


def inspect_machine() -> MachineFacts:
    """Collect the facts about this machine. Blocking."""
    try:
        cpuinfo = _CPUINFO.read_text()
    except OSError:
        cpuinfo = ""  # not Linux
    return MachineFacts(
        machine=platform.machine(),
        processor=_processor(cpuinfo),
        features=_features(cpuinfo),
        cores=hardware.cores(),
        load=os.getloadavg()[0],
        memory=hardware.available_memory(),
    )


def _processor(cpuinfo: str) -> str:
    # On ARM, /proc/cpuinfo names the board but not the processor.
    for key in ("model name", "Model"):
        if found := re.search(rf"^{key}\s*:\s*(.+?)\s*$", cpuinfo, re.MULTILINE):
            return found[1]
    return ""


def _features(cpuinfo: str) -> tuple[str, ...]:
    found = re.search(r"^(?:flags|Features)\s*:(.*)$", cpuinfo, re.MULTILINE)
    has = set(found[1].split()) if found else set()
    return tuple(feature for feature in _FEATURES if feature in has)


def try_libraries(code: str = _TRIAL) -> Libraries:
    """Use the inference libraries in a child process. Blocking.

    On a CPU that they do not support, the process dies.

    Args:
        code: Python that prints the compute types and the number of GPUs as JSON.
    """
    try:
        output = probe.attempt([sys.executable, "-c", code])
    except ModelError as error:
        return Libraries(trouble=str(error))
    except subprocess.TimeoutExpired as error:
        return Libraries(trouble=f"the libraries took longer than {error.timeout:g} s")
    compute_types, gpus = json.loads(output)
    return Libraries(tuple(compute_types), gpus)


def inspect_models(settings: Settings, folders: Sequence[Path]) -> list[ModelFiles]:
    """Return the models that a server with these settings would load. Blocking, no network.

    There are none if the server uses the library of another package, or only decode servers.

    Args:
        folders: the folders of models; downloads go to the first.

    Raises:
        ServerError: there is no model of that name.
    """
    if settings.stt_library not in BUILT_IN:
        return []
    if settings.stt_library == REMOTE:
        if settings.model == (AUTO,):
            return []
        settings = replace(settings, stt_library=SttLibrary.AUTO)
    folder = folders[0]
    there = _nearest(folder)
    device = measured_device(settings.stt_library, settings.device)
    figures = Measurements(folder, device).read()
    seen = []
    for chosen in choose_models(settings, folders):
        model = chosen.model
        figure = figures.get(size_of(model.name) or model.name)
        seen.append(
            ModelFiles(
                name=model.name,
                at_hand=chosen.at_hand,
                may_download=not settings.local_files_only,
                seconds=figure.seconds if figure else None,
                folder=str(folder),
                writable=os.access(there, os.W_OK),
                free=shutil.disk_usage(there).free / 1e6,
            )
        )
    return seen


def _nearest(folder: Path) -> Path:
    """Return the folder or, if it does not exist, its nearest parent that does."""
    for one in (folder, *folder.parents):
        if os.path.exists(one):  # Path.exists() raises if this user has no permission
            return one
    return Path("/")
