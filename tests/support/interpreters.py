"""Python interpreters on this machine, for environments that need another version than ours."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[2]
_UNPACKED = _ROOT / ".venv-python3.14" / "usr" / "bin" / "python3.14"  # by script/python3.14
_NAMES = ("python3.14", "python3.13", "python3.12", "python3.11", "python3")

Version = tuple[int, ...]


def interpreters() -> dict[Version, str]:
    """Return the paths of the interpreters that can create virtual environments, by version."""
    found: dict[Version, str] = {}
    pyenv = sorted((Path.home() / ".pyenv" / "versions").glob("*/bin/python"))
    names = [os.environ.get("PYTHON", ""), *_NAMES, str(_UNPACKED), *map(str, pyenv)]
    for name in filter(None, names):
        try:
            code = "import ensurepip, sys; print(*sys.version_info[:3])"
            ran = subprocess.run([name, "-c", code], capture_output=True, text=True, check=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        path = shutil.which(name)
        assert path is not None
        found.setdefault(tuple(map(int, ran.stdout.split())), path)
    return found
