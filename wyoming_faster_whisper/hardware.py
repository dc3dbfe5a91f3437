"""What this machine has for us: cores and memory, limits of a container included."""

from __future__ import annotations

import ctypes
import os
import platform
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_CPUS = Path("/sys/devices/system/cpu")
_DEVICES = Path("/dev")
_MEMINFO = Path("/proc/meminfo")
_STATM = Path("/proc/self/statm")
_IO = Path("/proc/self/io")


def cores() -> int:
    """Cores that we may use, at least 1: by affinity, and by the cgroup's quota.

    Two threads of one core count as one: they share what a decode waits for.
    """
    count = len({_core(thread) for thread in os.sched_getaffinity(0)})
    try:
        quota, period = (_CGROUP / "cpu.max").read_text().split()
        if quota != "max":
            count = min(count, max(1, round(int(quota) / int(period))))
    except (OSError, ValueError):
        pass  # no cgroup v2, no quota
    return count


def _core(thread: int) -> str:
    """What tells the core of a hardware thread: the threads that are on it."""
    path = _CPUS / f"cpu{thread}" / "topology" / "thread_siblings_list"
    try:
        return path.read_text().strip()
    except OSError:
        return str(thread)


def threads_to_use(wanted: int | str) -> int:
    """Never more threads than cores: they would only wait for each other.

    Args:
        wanted: as in --cpu-threads; 0 and "auto" = all cores.
    """
    return min(wanted, cores()) if isinstance(wanted, int) and wanted > 0 else cores()


def available_memory() -> float:
    """MB that can be taken without swapping, at most what the cgroup leaves."""
    available = float("inf")
    try:
        for line in _MEMINFO.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                available = int(line.split()[1]) / 1000
        limit = (_CGROUP / "memory.max").read_text().strip()
        if limit != "max":
            used = int((_CGROUP / "memory.current").read_text()) - _reclaimable()
            available = min(available, (int(limit) - used) / 1e6)
    except (OSError, ValueError, IndexError):
        pass  # no Linux, no cgroup v2
    return available


def resident_memory() -> int:
    """Bytes of this process in memory; 0 where the system does not say."""
    try:
        return int(_STATM.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def bytes_moved() -> int:
    """Bytes that this process has read and written so far; 0 where the system does not say."""
    try:
        told = dict(line.split(": ") for line in _IO.read_text().splitlines())
        # What is mapped into memory, and not read, counts only where it comes from a disk.
        return sum(int(told[name]) for name in ("rchar", "wchar", "read_bytes"))
    except (OSError, ValueError, KeyError):
        return 0


def _reclaimable() -> int:
    """Bytes of files in the cgroup's memory that the kernel gives up for whoever needs them."""
    for line in (_CGROUP / "memory.stat").read_text().splitlines():
        name, value = line.split()
        if name == "inactive_file":
            return int(value)
    return 0


def may_have_gpu() -> bool:
    """A driver of NVIDIA's has been loaded; Windows's has another device."""
    return any(_DEVICES.glob("nvidia[0-9]*")) or (_DEVICES / "dxg").exists()


def is_arm() -> bool:
    return platform.machine().lower().startswith(("arm", "aarch"))


def release_memory() -> None:
    """Give freed memory back to the system, where the C library can (glibc)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def share_one_heap() -> None:
    """Let all threads take memory from one heap, where the C library is glibc.

    Each thread's own would keep what one decode needs, 60 MB with base, long after it.
    Threads that decode ask for memory too rarely to get into each other's way.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(-8, 1)  # M_ARENA_MAX (malloc.h)
