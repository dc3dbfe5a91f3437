"""Encoder window: the number of frames that a clip needs. Pure.

Whisper was trained on windows of 30 s and pads every clip to that length. A command lasts about
three seconds, so most of the work is spent on padding. CTranslate2 takes shorter windows. The
model stays accurate down to a minimum length; in shorter windows it loops or hallucinates. The
minimum depends on the size of the model and on the language: calibration/ has the measured ones,
and a cautious window for the others (docs/performance.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from ...audio.pcm import SAMPLE_RATE
from .spectrogram import HOP

FRAMES_PER_SECOND = SAMPLE_RATE // HOP
FULL_SECONDS = 30.0
FULL_FRAMES = 3000


@dataclass(frozen=True, slots=True)
class Window:
    """Shortest window that is as accurate as the full one."""

    floor: float  # minimum length in seconds
    margin: float  # seconds of padding after the clip, at least
    second: float  # minimum length of a second pass in seconds


FULL_WINDOW = Window(FULL_SECONDS, 0.0, FULL_SECONDS)
"""The window that Whisper was trained on."""


def window_frames(seconds: float, window: Window, *, second: bool = False) -> int:
    """Return the number of encoder frames for a clip, including padding.

    Args:
        seconds: length of the clip, 0 to 30.
        window: shortest window for the model and the language.
        second: use the window of a second pass, for a text that a short window may have got
            wrong.

    Returns:
        At most FULL_FRAMES, and a whole number of seconds, so that clips of similar length can
        share a batch.
    """
    wanted = max(window.second if second else window.floor, seconds + window.margin)
    return min(FULL_FRAMES, ceil(wanted) * FRAMES_PER_SECOND)
