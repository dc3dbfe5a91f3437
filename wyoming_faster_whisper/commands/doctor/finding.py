"""What the doctor says: one sentence about what was seen, one about what to do. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    """How bad it is. The worst decides the exit status."""

    OK = 0
    NOTE = 1  # good to know
    WARNING = 2  # it works, and could be better
    PROBLEM = 3  # Home Assistant cannot use the server as it is


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was seen."""

    level: Level
    saw: str
    advice: str = ""  # what to do about it


def worst(findings: Iterable[Finding]) -> Level:
    return max((finding.level for finding in findings), default=Level.OK)
