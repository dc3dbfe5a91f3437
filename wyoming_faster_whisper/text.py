"""The last word on a text: how it is written. Pure."""

from __future__ import annotations

import re

STYLES = ("plain", "command")


def command_style(text: str) -> str:
    """Write a text the way commands are matched: no final period, no stray commas.

    "Turn off, kitchen sink." becomes "Turn off kitchen sink". Numbers keep
    their points and commas, questions their mark, abbreviations their dots.
    """
    text = re.sub(r",(?!\d)|(?<!\d),", "", text)
    # Several sentences stay sentences; only the very last period goes.
    if not re.search(r"\.\w\.$|\.\.$", text):
        text = text.removesuffix(".").removesuffix("。")
    return " ".join(text.split())


def style(name: str, text: str) -> str:
    """Write a text in one of the STYLES."""
    return command_style(text) if name == "command" else text
