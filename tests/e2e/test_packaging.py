"""Packaging, checked with the tools that read it: git, systemd and AppArmor."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
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


def test_setup_keeps_the_environment_if_the_wanted_python_is_missing(tmp_path: Path) -> None:
    (tmp_path / "script").mkdir()
    (tmp_path / "pyproject.toml").touch()
    setup = Path(shutil.copy(ROOT / "script" / "setup", tmp_path / "script"))
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    ran = subprocess.run(
        [setup],
        env={**os.environ, "PYTHON": "python9.9"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 2
    assert ran.stderr.startswith("python9.9 is not installed; ")
    assert python.exists()


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
