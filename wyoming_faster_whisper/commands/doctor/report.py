"""Formats the doctor's findings as text and as JSON. Pure."""

from __future__ import annotations

import dataclasses
import json
import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from ... import __version__
from ...errors import visible
from .finding import Finding, worst

_WIDTH = 96
_INDENT = " " * 11  # the width of the column of levels


def heading(area: str, findings: Sequence[Finding]) -> str:
    """Return an area's name and its findings as text, each with its advice below it."""
    lines = [area]
    for finding in findings:
        level = f"  {finding.level.name.lower():<9}"
        saw = visible(finding.saw)
        lines += textwrap.wrap(saw, _WIDTH, initial_indent=level, subsequent_indent=_INDENT)
        if finding.advice:
            first = f"{_INDENT}-> "
            rest = " " * len(first)
            lines += textwrap.wrap(
                visible(finding.advice), _WIDTH, initial_indent=first, subsequent_indent=rest
            )
    return "\n".join(lines) + "\n"


def as_json(uri: str, findings: Mapping[str, Sequence[Finding]], facts: Mapping[str, Any]) -> str:
    """Return all findings, and the facts they are based on, as one JSON object.

    Args:
        facts: dataclasses of facts.py, or lists of them.
    """
    everything = [finding for some in findings.values() for finding in some]
    report = {
        "version": __version__,
        "uri": uri,
        "level": worst(everything).name.lower(),
        "findings": [
            {
                "area": area,
                "level": finding.level.name.lower(),
                "saw": finding.saw,
                "advice": finding.advice or None,
            }
            for area, some in findings.items()
            for finding in some
        ],
        "facts": _plain(facts),
    }
    return json.dumps(report, indent=1, ensure_ascii=False) + "\n"


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)
        }
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, frozenset):
        return sorted(value)
    if isinstance(value, float):
        return round(value, 3) if math.isfinite(value) else None  # JSON has no infinity
    return value
