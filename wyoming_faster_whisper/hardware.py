"""Cores, memory and GPU of this machine, within the limits of a container."""

from __future__ import annotations

import ctypes
import os
import platform
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")
_CPUS = Path("/sys/devices/system/cpu")
_DEVICES = Path("/dev")
_MEMINFO = Path("/proc/meminfo")
_STATM = Path("/proc/self/statm")
_IO = Path("/proc/self/io")


def cores() -> int:
    """Return the number of cores that this process may use, at least 1.

    CPU affinity and the cgroup's quota limit it. Hyperthreads of one core count once, because
    they share the units that limit a decode.
    """
    count = len({_core(thread) for thread in os.sched_getaffinity(0)})
    for folder in _cgroups():
        try:
            quota, period = (folder / "cpu.max").read_text().split()
            if quota != "max":
                count = min(count, max(1, round(int(quota) / int(period))))
        except (OSError, ValueError):
            pass  # no cgroup v2, no quota
    return count


def _cgroups() -> list[Path]:
    """Return the folders of this process's cgroup and of those above it, whose limits hold too.

    In a container its own cgroup is the root; that of a systemd unit is below the root.
    """
    try:
        lines = _OWN_CGROUP.read_text().splitlines()
    except (OSError, ValueError):
        lines = []
    name = next((line[4:] for line in lines if line.startswith("0::/")), "")
    own = _CGROUP / name
    return [folder for folder in (own, *own.parents) if folder.is_relative_to(_CGROUP)]


def _core(thread: int) -> str:
    """Return an identifier of a hardware thread's core: the list of its threads."""
    path = _CPUS / f"cpu{thread}" / "topology" / "thread_siblings_list"
    try:
        return path.read_text().strip()
    except OSError:
        return str(thread)


def threads_to_use(wanted: int | str) -> int:
    """Return the number of threads to decode with, at most one per core.

    More threads than cores would only wait for each other.

    Args:
        wanted: value of --cpu-threads; 0 and "auto" = all cores.
    """
    return min(wanted, cores()) if isinstance(wanted, int) and wanted > 0 else cores()


def available_memory() -> float:
    """Return the MB that can be allocated without swapping, within the cgroup's limit.

    Infinite where the system does not report it.
    """
    available = _meminfo("MemAvailable")
    for folder in _cgroups():
        try:
            if (limit := _memory_limit(folder)) is not None:
                used = int((folder / "memory.current").read_text()) - _reclaimable(folder)
                available = min(available, limit - used / 1e6)
        except (OSError, ValueError):
            pass  # no cgroup v2
    return available


def total_memory() -> float:
    """Return the MB of memory of this machine, or the cgroup's limit.

    Infinite where the system does not report it.
    """
    limits = [_memory_limit(folder) or float("inf") for folder in _cgroups()]
    return min(_meminfo("MemTotal"), *limits)


def _meminfo(name: str) -> float:
    """Return a line of /proc/meminfo in MB; infinite where there is none."""
    try:
        for line in _MEMINFO.read_text().splitlines():
            if line.startswith(f"{name}:"):
                return int(line.split()[1]) / 1000
    except (OSError, ValueError, IndexError):
        pass  # not Linux
    return float("inf")


def _memory_limit(folder: Path) -> float | None:
    """Return a cgroup's limit in MB; None if there is none."""
    try:
        limit = (folder / "memory.max").read_text().strip()
        return None if limit == "max" else int(limit) / 1e6
    except (OSError, ValueError):
        return None  # no cgroup v2


def memory_left(most: int | None) -> float:
    """Return the MB that can be allocated, also within a limit of this process.

    Args:
        most: MB that this process may use; None = no limit of its own.
    """
    available = available_memory()
    return available if most is None else min(available, most - resident_memory() / 1e6)


def resident_memory() -> int:
    """Return the resident memory of this process in bytes; 0 where it is not reported."""
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def bytes_moved() -> int:
    """Return the bytes this process has read and written so far; 0 where that is not reported."""
    try:
        counters = dict(line.split(": ") for line in _IO.read_text().splitlines())
        # Reads through a memory map are only in read_bytes, and only if they reach the disk.
        return sum(int(counters[name]) for name in ("rchar", "wchar", "read_bytes"))
    except (OSError, ValueError, KeyError):
        return 0


def _reclaimable(folder: Path) -> int:
    """Return the bytes of page cache in a cgroup that the kernel can reclaim at any time."""
    for line in (folder / "memory.stat").read_text().splitlines():
        name, value = line.split()
        if name == "inactive_file":
            return int(value)
    return 0


def may_have_gpu() -> bool:
    """Return whether an NVIDIA driver is loaded; in WSL its device is /dev/dxg."""
    return any(_DEVICES.glob("nvidia[0-9]*")) or (_DEVICES / "dxg").exists()


def is_arm() -> bool:
    return platform.machine().lower().startswith(("arm", "aarch"))


def release_memory() -> None:
    """Return freed heap memory to the system, if the C library supports it (glibc)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def share_one_heap() -> None:
    """Make all threads allocate from one heap (arena), if the C library is glibc.

    With an arena per thread, each would retain the memory of a decode, 60 MB with base, long
    after it. Decode threads allocate too rarely to contend for one arena.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(-8, 1)  # M_ARENA_MAX (malloc.h)
