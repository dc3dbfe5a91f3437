"""Packaging, checked with the tools that read it: git, systemd and AppArmor."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from pathlib import Path

import pytest
import yaml

from tests.support.dockerfile import ROOT

ADDON = ROOT / "addon"
UNIT = ROOT / "deploy" / "wyoming-faster-whisper.service"


def test_the_repository_can_be_added_to_home_assistant() -> None:
    repository = yaml.safe_load((ROOT / "repository.yaml").read_text())
    assert set(repository) <= {"name", "url", "maintainer"}
    assert repository["name"]
    # The Supervisor treats every config.yaml, .yml and .json in a repository as an add-on.
    tracked = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*config.*"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if tracked.returncode:
        pytest.skip("not in a git repository")
    configs = [line for line in tracked.stdout.split() if re.search(r"(^|/)config\.", line)]
    assert configs == ["addon/config.yaml"]


def test_apparmor_accepts_the_profile() -> None:
    if (parser := shutil.which("apparmor_parser")) is None:
        pytest.skip("apparmor_parser is not installed (Debian: apparmor)")
    command = [parser, "--skip-kernel-load", "--skip-cache", str(ADDON / "apparmor.txt")]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr


@pytest.fixture
def installed(tmp_path: Path) -> Path:
    """A folder with script/setup and a .venv whose packages are those of pyproject.toml."""
    (tmp_path / "script").mkdir()
    (tmp_path / "pyproject.toml").touch()
    shutil.copy(ROOT / "script" / "setup", tmp_path / "script")
    venv.create(tmp_path / ".venv", symlinks=True)
    pip = Path(sysconfig.get_path("purelib", vars={"base": str(tmp_path / ".venv")})) / "pip"
    pip.mkdir()
    (pip / "__init__.py").touch()
    sums = subprocess.check_output(["cksum"], stdin=subprocess.DEVNULL)
    for extras in re.findall(r"extras=([\w,]+)", (ROOT / "script" / "setup").read_text()):
        (tmp_path / ".venv" / f"installed-{extras}").write_bytes(sums)
    return tmp_path


def setup(folder: Path, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [folder / "script" / "setup"],
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def test_setup_does_nothing_if_all_is_installed(installed: Path) -> None:
    ran = setup(installed)
    assert (ran.returncode, ran.stderr) == (0, "")


def test_setup_keeps_the_environment_if_the_wanted_python_is_missing(installed: Path) -> None:
    ran = setup(installed, PYTHON="python9.9")
    assert ran.returncode == 2
    assert ran.stderr.startswith("python9.9 is not installed; ")
    assert (installed / ".venv" / "bin" / "python").exists()


def test_setup_notices_that_the_system_has_another_python_now(installed: Path) -> None:
    [packages] = (installed / ".venv" / "lib").glob("python3.*")
    packages.rename(packages.with_name("python3.0"))
    (installed / "python3").write_text("#!/bin/sh\nexit 1\n")
    (installed / "python3").chmod(0o755)
    ran = setup(installed, PATH=f"{installed}:{os.environ['PATH']}")
    assert ran.returncode == 2
    assert ran.stderr.startswith("python3 is not installed; ")


def test_the_systemd_unit_is_valid_and_sandboxed(tmp_path: Path) -> None:
    if (analyze := shutil.which("systemd-analyze")) is None:
        pytest.skip("systemd-analyze is not installed")
    # Use the Python of the tests: the path in the unit need not exist on this machine.
    text = UNIT.read_text()
    installed = "/opt/wyoming-faster-whisper/bin/python"
    assert installed in text
    unit = tmp_path / UNIT.name
    unit.write_text(text.replace(installed, sys.executable))
    verify = subprocess.run(
        [analyze, "verify", str(unit)], capture_output=True, text=True, check=False
    )
    assert (verify.returncode, verify.stderr) == (0, "")
    exposure = subprocess.run(
        [analyze, "security", "--offline=true", "--threshold=15", "--json=short", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert exposure.returncode == 0, exposure.stdout
    assert json.loads(exposure.stdout), "systemd-analyze checked nothing"


def test_the_wheel_contains_every_file_of_the_package() -> None:
    """setuptools includes modules by itself, but other files only if package-data lists them."""
    package = ROOT / "wyoming_faster_whisper"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"][package.name]
    told = {path for pattern in patterns for path in package.glob(pattern)}
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    tracked = subprocess.run(listing, cwd=package, capture_output=True, text=True, check=True)
    files = {package / name for name in tracked.stdout.split("\0") if name}
    assert {path for path in files if path.suffix != ".py"} <= told
