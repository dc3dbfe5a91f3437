"""The real Triton of NVIDIA's wheel, with a model repository."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from bench.support.servers import free_port

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".venv-triton" / "bin" / "python"
DEADLINE = 240.0  # seconds; only a failing test waits this long


class Triton:
    """A running server. Its Python models run in PYTHON."""

    def __init__(self, repository: Path, folder: Path) -> None:
        self.repository = repository
        self.http, self.metrics_port, self.grpc = free_port(), free_port(), free_port()
        self._log = folder / "triton.log"
        self._process = self._start(repository, _backends(folder))

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http}"

    def log(self) -> str:
        return self._log.read_text(errors="replace")

    def status(self, path: str, body: bytes | None = None, **headers: str) -> int:
        """Return the status of a response; 0 = no connection."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(self.url + path, body, named)
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code
        except OSError:
            return 0

    def ready(self, model: str, version: int) -> bool:
        return self.status(f"/v2/models/{model}/versions/{version}/ready") == 200

    def wait(self, model: str, *versions: int) -> None:
        """Wait until these versions of a model are ready, and no others up to 4."""
        wanted = [version in versions for version in range(1, 5)]
        self.until(lambda: [self.ready(model, at) for at in range(1, 5)] == wanted)

    def until(self, condition: Callable[[], bool]) -> None:
        end = time.monotonic() + DEADLINE
        while not condition():
            assert self._process.poll() is None, f"Triton has ended\n{self.log()}"
            assert time.monotonic() < end, f"it took too long\n{self.log()[-3000:]}"
            time.sleep(0.2)

    def metric(self, name: str, model: str) -> float:
        """Return a counter of a model, summed over its versions and other labels."""
        where = f"http://127.0.0.1:{self.metrics_port}/metrics"
        with urllib.request.urlopen(where, timeout=DEADLINE) as answer:
            text = str(answer.read(), "utf-8")
        pattern = rf'^{name}\{{[^}}]*model="{model}"[^}}]*\}} (\S+)'
        return sum(map(float, re.findall(pattern, text, re.MULTILINE)))

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(30)
        except subprocess.TimeoutExpired:
            self.kill()

    def _start(self, repository: Path, backends: Path) -> subprocess.Popen[bytes]:
        packages = _packages()
        environ = {
            **os.environ,
            "PATH": f"{PYTHON.parent}:{os.environ['PATH']}",
            "PYTHONPATH": f"{ROOT}:{packages}",
            # The stub is linked with libpython.
            "LD_LIBRARY_PATH": f"{_ask('LIBDIR')}:{packages / 'nvidia_pytriton.libs'}",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        command = [
            str(packages / "pytriton" / "tritonserver" / "bin" / "tritonserver"),
            f"--model-repository={repository}",
            f"--backend-directory={backends}",
            *("--model-control-mode=poll", "--repository-poll-secs=1"),
            *("--http-address=127.0.0.1", f"--http-port={self.http}"),
            *("--grpc-address=127.0.0.1", f"--grpc-port={self.grpc}"),
            *("--metrics-address=127.0.0.1", f"--metrics-port={self.metrics_port}"),
        ]
        with self._log.open("wb") as log:
            return subprocess.Popen(command, env=environ, stdout=log, stderr=subprocess.STDOUT)


@contextmanager
def running(repository: Path, folder: Path) -> Iterator[Triton]:
    server = Triton(repository, folder)
    try:
        yield server
    finally:
        server.stop()


def _backends(folder: Path) -> Path:
    """Link the Python backend and its stub for PYTHON's version, which Triton wants together."""
    wheel = _packages() / "pytriton" / "tritonserver"
    version = _ask("py_version_short")
    made = folder / "backends" / "python"
    made.mkdir(parents=True)
    files = [
        *(wheel / "backends" / "python").iterdir(),
        *(wheel / "python_backend_stubs" / version).iterdir(),
    ]
    for path in files:
        (made / path.name).symlink_to(path)
    return made.parent


def _packages() -> Path:
    return next((PYTHON.parent.parent / "lib").glob("python3*")) / "site-packages"


def _ask(variable: str) -> str:
    """Return a variable of PYTHON's sysconfig."""
    code = f"import sysconfig; print(sysconfig.get_config_var({variable!r}))"
    run = subprocess.run([PYTHON, "-c", code], capture_output=True, text=True, check=True)
    return run.stdout.strip()


def export(repository: Path, model: str, version: int, *flags: str) -> Path:
    """Export a model as "stt", with one thread and a short warm-up; return its folder."""
    run = subprocess.run(
        [
            *(sys.executable, "-m", "wyoming_faster_whisper", "export-triton", repository),
            *("--model", model, "--as-version", str(version), "--name", "stt"),
            *("--cpu-threads=1", "--max-batch=4", "--beam-size=1", *flags),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    return Path(run.stdout.strip())
