"""The last word on a text."""

from __future__ import annotations

import pytest

from wyoming_faster_whisper.text import style


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("Turn off, kitchen sink.", "Turn off kitchen sink"),
        ("Set it to 21.5 degrees.", "Set it to 21.5 degrees"),
        ("Add 1,000 steps, please.", "Add 1,000 steps please"),
        ("What time is it?", "What time is it?"),
        ("Wake me at 7 a.m.", "Wake me at 7 a.m."),
        ("Lights off. Doors shut.", "Lights off. Doors shut"),
        ("", ""),
    ],
)
def test_command_style(said: str, written: str) -> None:
    assert style("command", said) == written


def test_plain_style_changes_nothing() -> None:
    assert style("plain", "Turn off, kitchen sink.") == "Turn off, kitchen sink."
