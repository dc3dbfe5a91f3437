"""Speech-to-text libraries: the built-in one, and those that installed packages offer.

A package offers a library by an entry point in the group GROUP. The entry point has the library's
name and refers to a RecognizerFactory (engine/recognizer.py).
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points

from ..models import SttLibrary

GROUP = "wyoming_faster_whisper.recognizers"

BUILT_IN = frozenset({SttLibrary.AUTO, SttLibrary.FASTER_WHISPER})
"""Values of --stt-library that mean faster-whisper."""


def find_library(name: str) -> EntryPoint | None:
    """Return the entry point of an installed library, without importing it; None = not installed.

    Reads the metadata of all installed packages.
    """
    return next(iter(entry_points(group=GROUP, name=name)), None)
