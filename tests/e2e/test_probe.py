"""Probe of the backend on this CPU: it runs in a child process, and only once."""

from __future__ import annotations

import platform
import sys
from pathlib import Path

import pytest

from wyoming_faster_whisper.app.probe import check_backend, is_ordinary
from wyoming_faster_whisper.errors import ModelError


def command(code: str) -> tuple[str, ...]:
    return sys.executable, "-c", code


ILLEGAL = command("import os, signal; os.kill(os.getpid(), signal.SIGILL)")


def counted(folder: Path) -> tuple[str, ...]:
    """Return a probe that succeeds and appends a dot to a file."""
    return command(f"open({str(folder / 'runs')!r}, 'a').write('.')")


def test_a_successful_probe_is_not_repeated(tmp_path: Path) -> None:
    check_backend(tmp_path)
    check_backend(tmp_path, ILLEGAL)  # the earlier success is remembered


def test_an_illegal_instruction_becomes_an_error_message(tmp_path: Path) -> None:
    for _ in range(2):  # a failed probe is repeated
        with pytest.raises(ModelError) as caught:
            check_backend(tmp_path / "data", ILLEGAL)
        assert str(caught.value).startswith(f"this CPU ({platform.machine()}) cannot run ctr")
        assert "a trial ended with SIGILL" in str(caught.value)


def test_a_missing_library_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        ModelError, match=r"do not run on this machine: ImportError: libfoo\.so\.1$"
    ):
        check_backend(tmp_path, command("raise ImportError('libfoo.so.1')"))


def test_the_probe_is_repeated_for_another_library_version(tmp_path: Path) -> None:
    for _ in range(2):
        check_backend(tmp_path, counted(tmp_path))
    assert (tmp_path / "runs").read_text() == "."
    kept = tmp_path / "backend-works"
    kept.write_text(kept.read_text().replace("ctranslate2 ", "ctranslate2 0."))
    check_backend(tmp_path, counted(tmp_path))
    assert (tmp_path / "runs").read_text() == ".."


def test_without_a_writable_folder_the_probe_runs_each_time(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for _ in range(2):
        check_backend(tmp_path / "file" / "data", counted(tmp_path))
    assert (tmp_path / "runs").read_text() == ".."


def test_a_probe_that_cannot_run_causes_only_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    check_backend(tmp_path, (str(tmp_path / "no-such-python"),))
    assert "Could not check whether this CPU" in caplog.text


@pytest.mark.parametrize(
    ("machine", "cpuinfo", "ordinary"),
    [
        ("x86_64", "processor\t: 0\nflags\t\t: fpu sse4_1 fma avx2 bmi2 sha_ni\n", True),
        ("x86_64", "flags\t\t: fpu sse4_1 avx\n", False),
        ("aarch64", "Features\t: fp asimd evtstrm\n", False),
        ("x86_64", "nothing of use", False),
    ],
)
def test_only_a_cpu_that_may_be_too_old_is_probed(
    machine: str, cpuinfo: str, ordinary: bool
) -> None:
    assert is_ordinary(machine, cpuinfo) is ordinary
