"""Runs this server and the reference server as child processes; measures CPU and memory."""

import asyncio
import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

ROOT = Path(__file__).resolve().parent.parent.parent

REFERENCE = "wyoming-faster-whisper"
REFERENCE_VERSION = "3.8.1"
REFERENCE_VENV = ROOT / ".venv-reference"

START_TIMEOUT = 120  # seconds; enough for a cold disk and a large model
STOP_TIMEOUT = 10  # seconds between SIGTERM and SIGKILL
_IDLE_CPU = 0.02  # maximum CPU seconds per half second of an idle server

DECODES = re.compile(r", (\d+) decodes?, ")  # in a log line of record.py

CLOCK_TICKS = os.sysconf("SC_CLK_TCK")


class ServerDied(Exception):
    """A server exited or never listened; the message ends with its log."""


@dataclass(frozen=True, slots=True)
class Options:
    """Options of a server."""

    model: Path
    language: str = "en"
    compute_type: str = "int8"
    beam_size: int = 5
    cpu_threads: int = 2
    extra: tuple[str, ...] = ()  # extra flags
    tree: Path | None = None  # checkout whose code runs; None = this one, or the reference


def this_python() -> Path:
    """Return the Python in which this server is installed: the benchmark's own."""
    return Path(sys.executable)


def reference_python() -> Path:
    """Return the Python of the reference server's environment, which is created if missing."""
    return python_with(REFERENCE_VENV, REFERENCE, REFERENCE_VERSION, extra="hass")


def python_with(folder: Path, package: str, version: str, extra: str = "") -> Path:
    """Return the Python of an environment with one package; create it if missing."""
    python = folder / "bin" / "python"
    if _version(python, package) != version:
        print(f"installing {package} {version}", file=sys.stderr)
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        requirement = f"{package}[{extra}]=={version}" if extra else f"{package}=={version}"
        subprocess.run([python, "-m", "pip", "install", "--quiet", requirement], check=True)
    return python


PYTHONS: dict[str, Callable[[], Path]] = {
    "this server": this_python,
    "reference": reference_python,
}
"""The servers that a benchmark can run: by name, a function that returns its Python."""


def _version(python: Path, package: str) -> str | None:
    if not python.exists():
        return None
    code = f"from importlib.metadata import version; print(version({package!r}))"
    # Not in this directory: the repository holds a package of the same name.
    found = subprocess.run(
        [python, "-c", code], capture_output=True, text=True, cwd="/", check=False
    )
    return found.stdout.strip() if found.returncode == 0 else None


class Server:
    """A server process for the length of an `async with`; it listens once entered."""

    def __init__(self, python: Path, options: Options) -> None:
        self.port = free_port()
        self.launched = 0.0  # seconds, monotonic
        self.listening_after = 0.0  # seconds from launch until a connection was accepted
        self._python = python
        self._options = options
        self._process: asyncio.subprocess.Process | None = None
        self._directory = Path(tempfile.mkdtemp(prefix="bench-server-"))

    def __repr__(self) -> str:
        state = "stopped" if self._process is None else f"pid {self._process.pid}"
        return f"<Server {self._python} port {self.port} {state}>"

    async def __aenter__(self) -> Self:
        try:
            await self._start()
        except BaseException:
            await self._stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    @property
    def pid(self) -> int:
        assert self._process is not None
        if self._process.returncode is not None:
            raise ServerDied(f"exit status {self._process.returncode}\n{self.log()}")
        return self._process.pid

    def cpu_seconds(self) -> float:
        """Return the user and system time of the process tree so far."""
        return sum(_cpu_seconds(pid) for pid in _tree(self.pid))

    async def wait_until_idle(self) -> None:
        """Wait until the server is idle, after its warm-up."""
        before = -1.0
        while (now := self.cpu_seconds()) - before > _IDLE_CPU:
            before = now
            await asyncio.sleep(0.5)

    def peak_memory(self) -> int:
        """Return the peak resident memory in bytes, summed over the process tree."""
        return sum(_memory(pid, "VmHWM") for pid in _tree(self.pid))

    def memory(self) -> int:
        """Return the resident memory in bytes, summed over the process tree."""
        return sum(_memory(pid, "VmRSS") for pid in _tree(self.pid))

    def left_on_disk(self, folder: str) -> int:
        """Return the bytes of files in a folder of the data folder, and of unnamed files there.

        A file without a name exists as long as a process has it open.
        """
        root = self._directory / folder
        left = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
        for pid in _tree(self.pid):
            for descriptor in Path(f"/proc/{pid}/fd").iterdir():
                # A descriptor may be closed meanwhile.
                with contextlib.suppress(OSError):
                    if os.readlink(descriptor).startswith(f"{root}/"):
                        left += descriptor.stat().st_size
        return left

    def decodes(self) -> int | None:
        """Return the decodes begun for all utterances answered so far; None if none is logged.

        This server logs their number with each utterance, dropped guesses included; the reference
        logs none. A second pass within a decode is not counted, but shows in the CPU time.
        """
        counts = DECODES.findall(self.log())
        return sum(map(int, counts)) if counts else None

    def log(self) -> str:
        """Return what the server has written to stdout and stderr."""
        return self._log_file.read_text(errors="replace")

    @property
    def _log_file(self) -> Path:
        return self._directory / "server.log"

    async def _start(self) -> None:
        with self._log_file.open("wb") as log:
            self.launched = time.perf_counter()
            self._process = await asyncio.create_subprocess_exec(
                self._python,
                *self._arguments(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # Not the repository: each Python must find its own installed package.
                cwd=self._directory,
                env=_environment(self._checkout()),
                start_new_session=True,
            )
        while not await self._accepts():
            if self._process.returncode is not None:
                raise ServerDied(f"exit status {self._process.returncode}\n{self.log()}")
            if time.perf_counter() - self.launched > START_TIMEOUT:
                raise ServerDied(f"not listening after {START_TIMEOUT} s\n{self.log()}")
            await asyncio.sleep(0.01)
        self.listening_after = time.perf_counter() - self.launched

    def _checkout(self) -> Path | None:
        """Return the checkout that runs: this benchmark's own, whatever tree is installed."""
        ours = self._python == this_python()
        return self._options.tree or (ROOT if ours else None)

    def _arguments(self) -> list[str]:
        options = self._options
        return [
            "-m",
            "wyoming_faster_whisper",
            f"--uri=tcp://127.0.0.1:{self.port}",
            f"--data-dir={self._directory}",
            f"--model={options.model}",
            f"--language={options.language}",
            f"--compute-type={options.compute_type}",
            f"--beam-size={options.beam_size}",
            f"--cpu-threads={options.cpu_threads}",
            *options.extra,
        ]

    async def _accepts(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return True

    async def _stop(self) -> None:
        process = self._process
        if process is not None and process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            try:
                await asyncio.wait_for(process.wait(), STOP_TIMEOUT)
            except TimeoutError:
                os.killpg(process.pid, signal.SIGKILL)
                await process.wait()
        self._process = None
        shutil.rmtree(self._directory, ignore_errors=True)


def _environment(tree: Path | None) -> dict[str, str]:
    """Return our environment without variables that affect a server, and with the hub offline.

    Args:
        tree: checkout that Python imports from first.
    """
    ours = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("WYO_WHISPER_", "PYTHON"))
    }
    first = {} if tree is None else {"PYTHONPATH": str(tree.resolve())}
    return ours | {"HF_HUB_OFFLINE": "1"} | first


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _tree(root: int) -> set[int]:
    """Return a process and its descendants."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            # A process may end before its file is read.
            with contextlib.suppress(OSError):
                parents[int(entry.name)] = int(_stat(int(entry.name))[1])
    tree = {root}
    while grown := {pid for pid, parent in parents.items() if parent in tree} - tree:
        tree |= grown
    return tree


def _cpu_seconds(pid: int) -> float:
    # utime and stime, of the process and of its children that have ended.
    return sum(int(field) for field in _stat(pid)[11:15]) / CLOCK_TICKS


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat from the third (state) on; see proc(5)."""
    # The second field, the name in brackets, may contain spaces and brackets.
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _memory(pid: int, field: str) -> int:
    """Return a field of /proc/PID/status in bytes; 0 if the process has ended."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    return 0
