"""Terminal output while a user is speaking."""

from __future__ import annotations

import pytest
from rich.console import Console

from wyoming_faster_whisper.client.rich_screen import level_bar, meter_lines

WORDS = [f"word{n}" for n in range(60)]


def shown(text: str, *, width: int = 40, height: int = 10) -> list[str]:
    lines = meter_lines("listening", 0.5, text, "any key ends it", width, height)
    console = Console(width=width, height=height)
    return [line.plain.rstrip() for line in lines.wrap(console, width)]


def test_the_key_hint_is_shown_until_there_is_text() -> None:
    assert shown("") == [f"listening {level_bar(0.5)} any key ends it".rstrip()]
    assert shown("turn on") == [f"listening {level_bar(0.5)} turn on"]


@pytest.mark.parametrize(("width", "height"), [(80, 24), (40, 10), (24, 4), (24, 1)])
def test_the_newest_words_of_a_long_text_are_shown(width: int, height: int) -> None:
    lines = shown(" ".join(WORDS), width=width, height=height)
    assert len(lines) <= max(2, height - 1)
    assert lines[0].startswith("listening")
    assert lines[-1].endswith(WORDS[-1])


def test_the_level_bar_fills_from_the_left() -> None:
    assert level_bar(0.0) == " " * 10
    assert level_bar(0.5) == "█" * 5 + " " * 5
    assert level_bar(1.0) == "█" * 10
