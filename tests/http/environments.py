"""Environments of the clients: virtual environments and node_modules in .venv-http.

`python -m tests.http.environments` installs all that are missing; script/test-http does that.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.support.interpreters import Version, interpreters

FOLDER = Path(__file__).resolve().parents[2] / ".venv-http"


class Missing(Exception):
    """An environment is not installed, or cannot be; the message is the reason."""


@dataclass(frozen=True)
class Environment:
    """Packages of one client. Each client has its own, because their requirements conflict."""

    name: str
    packages: tuple[str, ...]
    least: Version = (3, 11)  # version of Python
    node: bool = False

    @property
    def folder(self) -> Path:
        return FOLDER / self.name

    @property
    def installed(self) -> bool:
        mark = self.folder / "installed"
        return mark.exists() and mark.read_text() == self._wanted

    @property
    def _wanted(self) -> str:
        return hashlib.sha256("\n".join(self.packages).encode()).hexdigest()

    def install(self) -> None:
        """Install the packages if they are missing. Blocking.

        Raises:
            Missing: there is no suitable Python or no Node.
            subprocess.CalledProcessError: a package cannot be installed.
        """
        if self.installed:
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        if self.node:
            npm = _program("npm")
            quiet = ("--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error")
            _run(npm, "install", "--prefix", self.folder, *quiet, *self.packages)
        else:
            # Without a pip of its own and compiled files: that halves the time.
            _run(self._interpreter(), "-m", "venv", "--without-pip", self.folder)
            python = self.folder / "bin" / "python"
            pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python)
            _run(*pip, "install", "--quiet", "--no-compile", *self.packages)
        (self.folder / "installed").write_text(self._wanted)

    def command(self, program: Path) -> list[str]:
        """Return the command that runs a program in this environment.

        Raises:
            Missing: the environment is not installed, or there is no Node.
        """
        if self.node:
            node = _program("node")
            return [node, str(program)]
        if not self.installed:
            raise Missing(f"{self.name} is not installed; script/test-http installs it")
        return [str(self.folder / "bin" / "python"), str(program)]

    def _interpreter(self) -> str:
        found = interpreters()
        fitting = [version for version in found if version >= self.least]
        if not fitting:
            least = ".".join(map(str, self.least))
            raise Missing(f"{self.name} needs Python {least}; see script/python3.14")
        return found[min(fitting)]


ENVIRONMENTS = {
    one.name: one
    for one in (
        Environment("openai-1", ("openai[realtime]>=1.109,<2",)),
        Environment("openai-2", ("openai[realtime]==2.54.*",)),
        Environment("groq", ("groq==1.7.0",)),
        Environment("litellm", ("litellm==1.110.2",)),
        Environment("speech-recognition", ("SpeechRecognition==3.17.0", "openai==3.57.0")),
        Environment(
            "langchain",
            # imageio-ffmpeg carries the ffmpeg that pydub runs.
            ("langchain-community==0.4.2", "openai==3.57.0", "pydub", "imageio-ffmpeg"),
        ),
        Environment("agents", ("openai-agents[voice]==0.24.0",)),
        Environment("livekit", ("livekit-plugins-openai==1.8.9",)),
        Environment("pipecat", ("pipecat-ai[openai]==1.14.0",)),
        Environment("wyoming-openai", ("wyoming-openai==0.8.*",), least=(3, 12)),
        Environment("schemathesis", ("schemathesis==4.32.5",)),
        Environment(
            "node", ("openai@6.49.0", "ai@6.0.326", "@ai-sdk/openai@3.0.141", "ws@8"), node=True
        ),
    )
}


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise Missing(f"{name} is not installed")
    return path


def _run(*command: str | Path) -> None:
    subprocess.run(command, check=True)


def main() -> int:
    """Install all environments; return 1 if one cannot be."""
    status = 0
    for environment in ENVIRONMENTS.values():
        if not environment.installed:
            print(f"Installing {environment.name} into {FOLDER.name} ...", file=sys.stderr)
        try:
            environment.install()
        except (Missing, subprocess.CalledProcessError) as error:
            print(error, file=sys.stderr)
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
