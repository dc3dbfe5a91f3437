"""Virtual environment with exactly what the Dockerfile installs, built without a package index.

The wheel is built from the files that the Dockerfile copies. Its dependencies, direct and
indirect, are links to the packages that the tests run with. Other packages installed for the
tests are missing from it.
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
    """Execute the installing stage of a Dockerfile; return the environment's directory.

    Args:
        build: the stage that copies the sources; its ARG EXTRAS names the extras to install.
        scratch: a folder that does not exist yet; the environment is created in it.
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
    """Yield the dependencies of a package with some extras, direct and indirect, once each."""
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
    """Return the package's entries in site-packages, without scripts."""
    files = package.files
    assert files, f"{package.name} has no list of its files"
    return {file.parts[0] for file in files} - {"..", "__pycache__"}
