"""Check in a child process that this CPU can run the libraries.

A library built for newer CPUs kills the process with SIGILL, without an error message. Unless
the CPU's flags show that it is new enough, the first start lets a child process use every
library once. The result is stored and holds until a library, Python or the CPU changes.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
import logging
import platform
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from ..errors import ModelError, printable

_LOGGER = logging.getLogger(__name__)

_FILE = "backend-works"
_LIBRARIES = ("ctranslate2", "onnxruntime", "numpy", "soxr", "tokenizers")
_CPUINFO = Path("/proc/cpuinfo")
_ORDINARY = {"avx2", "bmi2", "fma"}  # of x86-64-v3: Intel since 2013, AMD since 2015
_TIMEOUT = 120.0  # seconds; usually 1 s, more on a small machine with a cold disk cache
_COMMAND = (sys.executable, "-m", __name__)


def is_ordinary(machine: str = "", cpuinfo: str = "") -> bool:
    """Return True if the CPU has all instructions that the libraries use, so no check is needed.

    Args:
        machine: architecture, as from platform.machine(); "" = this machine's.
        cpuinfo: content of /proc/cpuinfo; "" = this machine's.
    """
    if not cpuinfo:
        with contextlib.suppress(OSError):
            machine, cpuinfo = platform.machine(), _CPUINFO.read_text()
    return machine == "x86_64" and any(
        line.startswith("flags") and set(line.split()) >= _ORDINARY
        for line in cpuinfo.splitlines()
    )


def check_backend(folder: Path, command: Sequence[str] = _COMMAND) -> None:
    """Check that the libraries run on this CPU, once per machine and versions. Blocking.

    Args:
        folder: folder of the file that stores a successful check.
        command: command that uses the libraries.

    Raises:
        ModelError: the libraries do not run; the message says what happened.
    """
    file = folder / _FILE
    identity = _identity()
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if file.read_text() == identity:
            return
    try:
        attempt(command)
    except (OSError, subprocess.TimeoutExpired) as error:
        _LOGGER.warning("Could not check whether this CPU runs the backend: %s", error)
        return
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(identity)


def attempt(command: Sequence[str]) -> str:
    """Run a command that uses the libraries; return its standard output. Blocking.

    Raises:
        ModelError: the libraries do not run; the message says what happened.
        OSError: the command could not be started.
        subprocess.TimeoutExpired: the command did not end within 120 s.
    """
    ran = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_TIMEOUT,
    )
    if ran.returncode < 0:
        raise ModelError(
            f"this CPU ({platform.machine()}) cannot run {_versions()}: a trial ended with "
            f"{_name(-ran.returncode)}; the libraries are built for newer CPUs, or damaged"
        )
    if ran.returncode:
        errors = ran.stderr.strip().splitlines() or ["no reason given"]
        raise ModelError(
            f"{_versions()} do not run on this machine: {printable(errors[-1], 300)}"
        )
    return ran.stdout


def _versions() -> str:
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _LIBRARIES[:2])


def _identity() -> str:
    """Return what the result depends on: versions of the libraries and Python, and CPU flags."""
    lines = [f"{name} {importlib.metadata.version(name)}" for name in _LIBRARIES]
    cpu = b""
    with contextlib.suppress(OSError):
        # The line with the instruction sets is "flags" on x86 and "Features" on ARM.
        cpuinfo = _CPUINFO.read_bytes().splitlines()
        cpu = b"\n".join(sorted({one for one in cpuinfo if one.startswith((b"flags", b"Feat"))}))
    digest = hashlib.sha256(cpu).hexdigest()[:16]
    return "\n".join([*lines, f"python {platform.python_version()}", f"cpu {digest}", ""])


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def use_libraries() -> None:
    """Use every library once. Run it in a child process: a signal may end it."""
    import numpy as np

    from ..audio.pcm import PcmFormat, PcmStream
    from ..engine.whisper import weights
    from ..engine.whisper.spectrogram import Spectrogram, to_features
    from ..speech.hysteresis import WINDOW
    from ..speech.vad import Vad

    Vad().stream().feed(np.zeros(WINDOW, np.float32))
    to_features(Spectrogram(80).power(np.zeros(16_000, np.float32)))
    PcmStream(PcmFormat(rate=44_100)).feed(bytes(8_820))
    weights.use_backend()


if __name__ == "__main__":
    use_libraries()
