"""What the Dockerfile installs, and no more: a virtual environment without pip or an index.

The wheel is built from the files that the Dockerfile copies. The packages that it asks for, and
those that they ask for, are the ones the tests run with, linked one by one: what else is
installed beside the tests is not there.
"""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import Distribution, PathDistribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

from tests.image import copy

from .dockerfile import ROOT, Stage

OURS = "wyoming_faster_whisper"


def install(build: Stage, scratch: Path) -> Path:
    """Carry out the stage of a Dockerfile that installs; return the environment.

    Args:
        build: copies the sources, and has the extras to install in its ARG EXTRAS.
        scratch: a folder to be made; the environment is in it.
    """
    source = scratch / "source"
    source.mkdir(parents=True)
    for instruction in build.instructions:
        if instruction.name == "COPY":
            copy(instruction, scratch, "/source", ROOT, {})
    pip = [sys.executable, "-m", "pip", "wheel", "--quiet", "--disable-pip-version-check"]
    offline = ["--no-index", "--no-build-isolation", "--no-deps"]
    subprocess.run([*pip, *offline, "--wheel-dir", scratch, source], check=True)
    [wheel] = scratch.glob("*.whl")

    environment = scratch / "server"
    python = "python{}.{}".format(*sys.version_info)
    packages = environment / "lib" / python / "site-packages"
    packages.mkdir(parents=True)
    (environment / "bin").mkdir()
    base = Path(sys.executable).resolve()
    (environment / "bin" / "python3").symlink_to(base)
    (environment / "pyvenv.cfg").write_text(f"home = {base.parent}\n")
    with zipfile.ZipFile(wheel) as file:
        file.extractall(packages)
    [ours] = packages.glob(f"{OURS}-*.dist-info")
    extras = build.last("ARG").text.partition("=")[2].split(",")
    for package in _needed(PathDistribution(ours), frozenset(extras)):
        for name in _top_level(package):
            if not (packages / name).exists():
                (packages / name).symlink_to(Path(str(package.locate_file(name))))
    return environment


def _needed(root: Distribution, extras: frozenset[str]) -> Iterator[Distribution]:
    """What a package with some extras asks for, and what that asks for; each once."""
    waiting = [(root, extras)]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        package, wanted = waiting.pop()
        for requirement in map(Requirement, package.requires or ()):
            marker = requirement.marker
            if marker and not any(marker.evaluate({"extra": extra}) for extra in {"", *wanted}):
                continue
            also = frozenset(requirement.extras)
            if (requirement.name, also) not in seen:
                seen.add((requirement.name, also))
                needed = distribution(requirement.name)
                waiting.append((needed, also))
                yield needed


def _top_level(package: Distribution) -> set[str]:
    """Its folders and modules beside other packages; scripts are elsewhere."""
    files = package.files
    assert files, f"{package.name} does not say what it consists of"
    return {file.parts[0] for file in files} - {"..", "__pycache__"}
