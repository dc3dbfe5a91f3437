"""Limits that the operating system keeps for this process: cores, and its priority.

They hold for threads that are started later, so set them first.
"""

from __future__ import annotations

import os

from .errors import SettingError


def parse_cores(text: str) -> frozenset[int]:
    """Return the cores of a list like 0-3,6.

    Raises:
        ValueError: the text is not such a list.
    """
    cores: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ValueError(part)
        if len(first) > 4 or len(last) > 4 or int(last or first) < int(first):
            raise ValueError(part)
        cores |= set(range(int(first), int(last or first) + 1))
    return frozenset(cores)


def use_cores(cores: frozenset[int]) -> None:
    """Run this process on some cores only.

    Raises:
        SettingError: it may not use one of them, or there is no such core.
    """
    allowed = os.sched_getaffinity(0)
    if missing := cores - allowed:
        raise SettingError(
            f"--cpu-affinity has core {min(missing)}; this process may use "
            f"{','.join(map(str, sorted(allowed)))}"
        )
    os.sched_setaffinity(0, cores)


def be_nice(level: int) -> None:
    """Set the nice level of this process.

    Raises:
        SettingError: this user may not set it.
    """
    try:
        os.setpriority(os.PRIO_PROCESS, 0, level)
    except PermissionError:
        raise SettingError(
            f"--nice is {level}; only root, or a process with CAP_SYS_NICE, may lower its level "
            f"from {os.getpriority(os.PRIO_PROCESS, 0)}"
        ) from None
