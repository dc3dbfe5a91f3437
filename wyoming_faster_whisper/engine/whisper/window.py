"""Encoder window: the number of frames that a clip needs. Pure.

Whisper was trained on windows of 30 s and pads every clip to that length. A command lasts about
three seconds, so most of the work is spent on padding. CTranslate2 takes shorter windows. The
model stays accurate down to a minimum length; in shorter windows it loops or hallucinates. The
minimum depends on the size of the model and on the language, so this file has a table of
measured windows. Other sizes and languages get a cautious window (docs/performance.md).
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
    second: float = FULL_SECONDS  # minimum length of a second pass in seconds


_FULL = Window(FULL_SECONDS, 0.0)
_CAUTIOUS = Window(20.0, 2.0)

# A text that a short window gave a low log-probability comes out as well over 20 s as over 30 s,
# in 40% of the time.
_SHORT = Window(10.0, 1.0, second=10.0)

# Measured with python -m bench.encoder_window; the tables are in docs/performance.md. The data is
# recorded orders for English, clean and with kitchen noise, and sentences of espeak-ng for the
# other languages.
_MEASURED = {("base", language): _SHORT for language in ("en", "de", "fr", "es", "it", "nl")}

# In the same measurement tiny.en is less accurate the shorter its window is, so tiny gets the
# full window.
_NEEDS_ALL = frozenset({"tiny"})


def window_frames(
    seconds: float, *, size: str, language: str, full: bool = False, second: bool = False
) -> int:
    """Return the number of encoder frames for a clip, including padding.

    Args:
        seconds: length of the clip, 0 to 30.
        size: size of the model, from models.size_of().
        language: Whisper's code; "" = not detected yet.
        full: use the 30 s window that Whisper was trained on.
        second: use the window of a second pass, for a text that a short window may have got
            wrong.

    Returns:
        At most FULL_FRAMES, and a whole number of seconds, so that clips of similar length can
        share a batch.
    """
    window = _MEASURED.get((size, language), _CAUTIOUS)
    if full or size in _NEEDS_ALL:
        window = _FULL
    wanted = max(window.second if second else window.floor, seconds + window.margin)
    return min(FULL_FRAMES, ceil(wanted) * FRAMES_PER_SECOND)
