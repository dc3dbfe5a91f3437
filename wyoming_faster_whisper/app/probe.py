"""Can this CPU run the backend? Asked in a child process, for the answer may be a signal.

A library built for newer CPUs ends the process that uses it, without a word. So, where the
CPU does not say that it is new enough, the first start lets a child use every library once;
the next starts believe what was found, until a library or the CPU is another.
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
_ORDINARY = {"avx2", "bmi2", "fma"}  # x86-64-v3: Intel since 2013, AMD since 2015
_PATIENCE = 120.0  # seconds; it takes one, and more on a small machine from a cold disk
_COMMAND = (sys.executable, "-m", __name__)


def is_ordinary(machine: str = "", cpuinfo: str = "") -> bool:
    """A CPU with all that any of the libraries is built for: not worth a second of the start.

    Args:
        machine: as platform.machine() says; this one's unless given.
        cpuinfo: the text of /proc/cpuinfo; likewise.
    """
    if not cpuinfo:
        with contextlib.suppress(OSError):
            machine, cpuinfo = platform.machine(), _CPUINFO.read_text()
    return machine == "x86_64" and any(
        line.startswith("flags") and set(line.split()) >= _ORDINARY
        for line in cpuinfo.splitlines()
    )


def check_backend(folder: Path, command: Sequence[str] = _COMMAND) -> None:
    """Make sure, once for each machine and version, that the libraries run here. Blocking.

    Args:
        folder: that remembers what worked.
        command: uses the libraries.

    Raises:
        ModelError: they do not run; the sentence says what happened.
    """
    file = folder / _FILE
    identity = _identity()
    with contextlib.suppress(OSError, UnicodeDecodeError):
        if file.read_text() == identity:
            return
    try:
        attempt(command)
    except (OSError, subprocess.TimeoutExpired) as error:
        _LOGGER.warning("whether this CPU runs the backend could not be tried: %s", error)
        return
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        file.write_text(identity)


def attempt(command: Sequence[str]) -> str:
    """Let a child use the libraries; return what it prints. Blocking.

    Raises:
        ModelError: they do not run; the sentence says what happened.
        OSError: there was no child.
        subprocess.TimeoutExpired: it did not end.
    """
    ran = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=_PATIENCE,
    )
    if ran.returncode < 0:
        raise ModelError(
            f"this CPU ({platform.machine()}) cannot run {_versions()}: a trial ended with "
            f"{_name(-ran.returncode)}; they are built for newer CPUs, or damaged"
        )
    if ran.returncode:
        said = ran.stderr.strip().splitlines() or ["no reason was given"]
        raise ModelError(f"{_versions()} do not run here: {printable(said[-1], 300)}")
    return ran.stdout


def _versions() -> str:
    return ", ".join(f"{name} {importlib.metadata.version(name)}" for name in _LIBRARIES[:2])


def _identity() -> str:
    """What the answer depends on: libraries, Python and CPU."""
    lines = [f"{name} {importlib.metadata.version(name)}" for name in _LIBRARIES]
    cpu = b""
    with contextlib.suppress(OSError):
        # The instructions that it knows: "flags" on x86, "Features" on ARM.
        told = _CPUINFO.read_bytes().splitlines()
        cpu = b"\n".join(sorted({one for one in told if one.startswith((b"flags", b"Feat"))}))
    digest = hashlib.sha256(cpu).hexdigest()[:16]
    return "\n".join([*lines, f"python {platform.python_version()}", f"cpu {digest}", ""])


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def use_libraries() -> None:
    """Use every library once. In a child: this may be the end of the process."""
    import numpy as np

    from ..audio.pcm import PcmFormat, PcmStream
    from ..engine.whisper import ctranslate2
    from ..engine.whisper.spectrogram import Spectrogram, to_features
    from ..speech.hysteresis import WINDOW
    from ..speech.vad import Vad

    Vad().stream().feed(np.zeros(WINDOW, np.float32))
    to_features(Spectrogram(80).power(np.zeros(16_000, np.float32)))
    PcmStream(PcmFormat(rate=44_100)).feed(bytes(8_820))
    ctranslate2.use_backend()


if __name__ == "__main__":
    use_libraries()
