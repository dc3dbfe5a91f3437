"""A finding of the doctor: one sentence about what it saw, one of advice. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class Level(IntEnum):
    """The severity of a finding. The worst one decides the exit status."""

    OK = 0
    NOTE = 1  # worth knowing
    WARNING = 2  # works, but could be better
    PROBLEM = 3  # Home Assistant cannot use the server as it is


@dataclass(frozen=True, slots=True)
class Finding:
    """One observation, and what to do about it."""

    level: Level
    saw: str
    advice: str = ""  # "" = nothing to do


def worst(findings: Iterable[Finding]) -> Level:
    """Return the worst level; OK if there are no findings."""
    return max((finding.level for finding in findings), default=Level.OK)
