"""Does what was said before a silence sound finished? Pure.

No list of words, so no language. The decoder knows which word can end a sentence: it
puts a full stop behind one that does, breaks the text off where more should come, and
is surprised by half a word. And a voice tells: at the end of a sentence the last
syllable is drawn out and fades, while one that is only interrupted is as short and as
loud as before.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from .endpointing import Reading
from .prosody import Voice

_BROKEN = ("...", "…", "-", ",")


class Closing(Protocol):
    """What the decoder thought of the end of a text: probabilities, as natural logs."""

    @property
    def stop(self) -> float: ...
    @property
    def cut(self) -> float: ...
    @property
    def trail(self) -> float: ...
    @property
    def word(self) -> float: ...
    @property
    def end(self) -> float: ...


SIGNS = ("stop", "cut", "trail", "surprise", "left", "loudness", "tone", "dullness", "ebb")
"""What signs() returns, by name."""

# A logistic regression of them, as "python -m bench.end_of_turn --recordings DIR" prints it: over
# decodes with base of 160 whole commands and 600 cut ones; three of four are recorded orders by
# many speakers, the others commands of the house by six voices of espeak-ng. The pitch, how fast
# the sound changes, the room that is heard while the text is decoded, a comma or another word
# behind the text, the mean log-probability, what else a beam found, products of signs and a
# second decode after more silence told little or no more.
_BASE = -20.826
_WEIGHTS = (1.015, -0.944, -0.543, -1.025, 19.536, -0.259, 4.684, 0.108, -0.059)
_FLOOR = -12.0  # natural log; less likely is all the same
_SURE = 0.02  # natural log; a token that is likelier than that is all the same
_LEFT = (-0.1, 0.4)  # seconds; more is noise that passes for the voice

# With speakers left out in turn, 78 of 100 whole ones and 0.3 of what was cut are over the first,
# 92 and 4 over the second, 99 and 16 over the third. Behind what is over the first line a pause
# of half a second is the end, over the second one of 0.9 s, over the third one of 1.2 s.
LINES = {Reading.FINISHED: 2.4, Reading.LIKELY: 0.6, Reading.UNSURE: -2.0}
"""odds() of what reads like that, at least; in falling order."""


def reading(text: str, closing: Closing | None, voice: Voice) -> Reading:
    """Judge a decoded text.

    Args:
        closing: None where the engine does not say; no text is judged finished then.
    """
    if not text:
        return Reading.NOTHING
    if closing is None:
        return Reading.UNFINISHED if text.endswith(_BROKEN) else Reading.UNSURE
    found = odds(closing, voice)
    over = (each for each, least in LINES.items() if found >= least)
    return next(over, Reading.UNFINISHED)


def odds(closing: Closing, voice: Voice) -> float:
    """Whether a text is finished, by the regression: log-odds, 0 = as likely as not."""
    return _BASE + float(np.dot(_WEIGHTS, signs(closing, voice)))


def signs(closing: Closing, voice: Voice) -> tuple[float, ...]:
    """What tells a finished sentence, each as a number, in the order of SIGNS."""
    return (
        max(_FLOOR, closing.stop),
        max(_FLOOR, closing.cut),
        max(_FLOOR, closing.trail),
        # Between sure and nearly sure lies more than between unlikely and very unlikely.
        float(np.log(_SURE + min(-closing.word, -_FLOOR))),
        # What of the voice comes after the decoder has heard all of the text: long, where the
        # last syllable is drawn out.
        float(np.clip(voice.end - closing.end, *_LEFT)),
        voice.loudness,
        voice.tone,
        voice.dullness,
        voice.ebb,
    )
