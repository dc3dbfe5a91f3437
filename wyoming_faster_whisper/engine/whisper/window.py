"""How much encoder a clip needs. Pure.

Whisper was trained on windows of 30 s, and pads everything to that. A command
lasts three seconds; most of the work goes into nothing. CTranslate2 takes
shorter windows, and the model bears with them down to a floor: below it, it
loops or invents. The floor depends on the model's size and on the language, so
this is a table of what was measured; whatever was not gets a cautious window
(docs/performance.md).
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
    """The shortest window that was as right as the full one."""

    floor: float  # seconds, at least
    margin: float  # seconds behind the speech
    second: float = FULL_SECONDS  # seconds, at least, of a second pass over slower sound


_FULL = Window(FULL_SECONDS, 0.0)
_CAUTIOUS = Window(20.0, 2.0)

_SHORT = Window(10.0, 1.0, second=10.0)

# python -m bench.encoder_window; docs/performance.md has its tables. English by recorded orders,
# clean and with kitchen noise, the others by sentences of espeak-ng.
_MEASURED = {("base", language): _SHORT for language in ("en", "de", "fr", "es", "it", "nl")}

# By the same trial tiny.en hears the worse the shorter its window is: tiny gets the full one.
_NEEDS_ALL = frozenset({"tiny"})


def window_frames(
    seconds: float, *, size: str, language: str, full: bool = False, second: bool = False
) -> int:
    """Frames that the encoder is given for a clip; the rest of them is padding.

    Args:
        seconds: of the clip, 0 to 30.
        size: of the model, as models.size_of() says.
        language: Whisper's code.
        full: always the window that Whisper was trained on.
        second: for a second pass over an unlikely text; the clip is slower then.

    Returns:
        A multiple of a second, so that clips of about the same length can be decoded
        together, at most FULL_FRAMES.
    """
    window = _MEASURED.get((size, language), _CAUTIOUS)
    if full or size in _NEEDS_ALL:
        window = _FULL
    wanted = max(window.second if second else window.floor, seconds + window.margin)
    return min(FULL_FRAMES, ceil(wanted) * FRAMES_PER_SECOND)
