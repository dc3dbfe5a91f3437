"""Cores and memory of the machine, within the limits of the cgroup."""

from __future__ import annotations

from pathlib import Path

import pytest

from wyoming_faster_whisper import hardware


@pytest.fixture
def cgroup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "meminfo").write_text("MemTotal: 8000000 kB\nMemAvailable: 4000000 kB\n")
    monkeypatch.setattr(hardware, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(hardware, "_CGROUP", tmp_path)
    return tmp_path


def limit(cgroup: Path, most: str) -> None:
    (cgroup / "memory.max").write_text(most + "\n")
    (cgroup / "memory.current").write_text("900000000\n")
    (cgroup / "memory.stat").write_text("anon 100000000\ninactive_file 700000000\n")


def test_the_file_cache_counts_as_available_memory(cgroup: Path) -> None:
    limit(cgroup, "1000000000")
    assert hardware.available_memory() == 800


def test_available_memory_never_exceeds_that_of_the_machine(cgroup: Path) -> None:
    assert hardware.available_memory() == 4000
    limit(cgroup, "max")
    assert hardware.available_memory() == 4000
    limit(cgroup, "64000000000")
    assert hardware.available_memory() == 4000


def test_the_limits_of_a_systemd_unit_and_of_its_slice_hold(
    cgroup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.sched_getaffinity", lambda process: set(range(100, 108)))
    monkeypatch.setattr(hardware, "_CPUS", cgroup)
    monkeypatch.setattr(hardware, "_OWN_CGROUP", cgroup / "own")
    (cgroup / "own").write_text("0::/system.slice/stt.service\n")
    unit = cgroup / "system.slice" / "stt.service"
    unit.mkdir(parents=True)
    assert (hardware.cores(), hardware.available_memory()) == (8, 4000)
    (unit / "cpu.max").write_text("400000 100000\n")
    limit(unit, "2000000000")
    assert hardware.cores() == 4
    assert (hardware.available_memory(), hardware.total_memory()) == (1800, 2000)
    (unit.parent / "cpu.max").write_text("200000 100000\n")
    limit(unit.parent, "1000000000")
    assert hardware.cores() == 2
    assert (hardware.available_memory(), hardware.total_memory()) == (800, 1000)


def test_a_cgroup_outside_the_containers_view_is_ignored(
    cgroup: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "_OWN_CGROUP", cgroup / "own")
    limit(cgroup, "1000000000")
    for own in ("0::/../elsewhere", "0::/", "4:memory:/other", ""):
        (cgroup / "own").write_text(own + "\n")
        assert hardware.available_memory() == 800


def test_two_threads_of_one_core_count_as_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hardware, "_CPUS", tmp_path)
    monkeypatch.setattr(hardware, "_CGROUP", tmp_path)
    monkeypatch.setattr("os.sched_getaffinity", lambda process: {0, 1, 2, 3, 9})
    for thread, siblings in enumerate(("0,2", "1,3", "0,2", "1,3")):
        topology = tmp_path / f"cpu{thread}" / "topology"
        topology.mkdir(parents=True)
        (topology / "thread_siblings_list").write_text(siblings + "\n")
    assert hardware.cores() == 3  # two physical cores, and CPU 9 without topology
    (tmp_path / "cpu.max").write_text("200000 100000\n")
    assert hardware.cores() == 2


def test_there_are_never_more_threads_than_cores() -> None:
    cores = hardware.cores()
    for wanted in ("auto", 0, cores, cores + 1):
        assert hardware.threads_to_use(wanted) == cores
    assert hardware.threads_to_use(1) == 1
