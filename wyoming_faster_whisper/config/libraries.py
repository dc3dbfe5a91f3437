"""Speech-to-text libraries: the built-in ones, and those that installed packages offer.

A package offers a library by an entry point in the group GROUP. The entry point has the library's
name and refers to a RecognizerFactory (engine/recognizer.py).
"""

from __future__ import annotations

import importlib.util
from importlib.metadata import EntryPoint, entry_points

from ..models import SttLibrary

GROUP = "wyoming_faster_whisper.recognizers"

MOONSHINE = "moonshine"
ONNX_WHISPER = "onnx-whisper"

REMOTE = "remote"
"""Value of --stt-library for decode servers."""

WHISPER = frozenset({SttLibrary.FASTER_WHISPER, ONNX_WHISPER})
"""Values of --stt-library for Whisper, on CTranslate2 and on ONNX Runtime."""

BUILT_IN = frozenset({SttLibrary.AUTO, SttLibrary.ONNX_ASR, MOONSHINE, REMOTE}) | WHISPER
"""Values of --stt-library that need no plug-in."""


def measured_device(library: str, device: str) -> str:
    """Return the device under which Whisper's decode times are stored: each library has its own.

    Args:
        library: as in --stt-library.
        device: as in --device.
    """
    return f"onnx-{device}" if library == ONNX_WHISPER else device


def is_installed(name: str) -> bool:
    """Return True if a library can be used. Imports nothing."""
    if name == SttLibrary.ONNX_ASR:
        return importlib.util.find_spec("onnx_asr") is not None
    return name in BUILT_IN or find_library(name) is not None


def find_library(name: str) -> EntryPoint | None:
    """Return the entry point of an installed library, without importing it; None = not installed.

    Reads the metadata of all installed packages.
    """
    return next(iter(entry_points(group=GROUP, name=name)), None)
