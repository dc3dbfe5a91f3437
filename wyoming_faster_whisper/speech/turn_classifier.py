"""Does what was said before a silence sound finished? Pure.

No list of words, so no language. The decoder knows which word can end a sentence: it
puts a full stop behind one that does, breaks the text off where more should come, and
is surprised by half a word. And a voice tells: at the end of a sentence the last
syllable is drawn out and fades, while one that is only interrupted is as short and as
loud as before.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .endpointing import EndOfTurn
from .prosody import Prosody

_BREAKS_OFF = ("...", "…", "-", ",")


@dataclass(frozen=True, slots=True)
class EndOfTextScores:
    """The decoder's log-probabilities (natural) at the end of a text."""

    full_stop: float  # the mark that ends the sentence, after the last word; "." if none does
    dash: float  # the one that breaks it off: "-"
    ellipsis: float  # the one that says there is more: "..."
    last_word: float  # the last token of that word
    text_end: float  # second of the sound by which the decoder had heard all of the text


FEATURES = (
    "full stop",
    "dash",
    "ellipsis",
    "last word",
    "final lengthening",
    "loudness",
    "harmonicity",
    "spectral tilt",
    "final loudness",
)
"""What features() returns, by name."""

# A logistic regression of them, as "python -m bench.end_of_turn --recordings DIR" prints it: over
# decodes with base of 160 whole commands and 600 cut ones; three of four are recorded orders by
# many speakers, the others commands of the house by six voices of espeak-ng. The pitch, how fast
# the sound changes, the room that is heard while the text is decoded, a comma or another word
# behind the text, the mean log-probability, what else a beam found, products of signs and a
# second decode after more silence told little or no more.
_INTERCEPT = -20.826
_WEIGHTS = (1.015, -0.944, -0.543, -1.025, 19.536, -0.259, 4.684, 0.108, -0.059)
_FLOOR = -12.0  # natural log; less likely is all the same
_NEARLY_CERTAIN = 0.02  # natural log; a token that is likelier than that is all the same
_LENGTHENING = (-0.1, 0.4)  # seconds; more is noise that passes for the voice

# With speakers left out in turn, 78 of 100 whole ones and 0.3 of what was cut are over the first,
# 92 and 4 over the second, 99 and 16 over the third. Behind what is over the first line a pause
# of half a second is the end, over the second one of 0.9 s, over the third one of 1.2 s.
THRESHOLDS = {EndOfTurn.COMPLETE: 2.4, EndOfTurn.LIKELY: 0.6, EndOfTurn.UNSURE: -2.0}
"""log_odds() of what reads like that, at least; in falling order."""


def classify_end_of_turn(
    text: str, scores: EndOfTextScores | None, prosody: Prosody
) -> EndOfTurn:
    """Judge a decoded text.

    Args:
        scores: None where the engine does not say; no text is judged finished then.
    """
    if not text:
        return EndOfTurn.NO_SPEECH
    if scores is None:
        return EndOfTurn.INCOMPLETE if text.endswith(_BREAKS_OFF) else EndOfTurn.UNSURE
    found = log_odds(scores, prosody)
    over = (each for each, least in THRESHOLDS.items() if found >= least)
    return next(over, EndOfTurn.INCOMPLETE)


def log_odds(scores: EndOfTextScores, prosody: Prosody) -> float:
    """Whether a text is finished, by the regression: log-odds, 0 = as likely as not."""
    return _INTERCEPT + float(np.dot(_WEIGHTS, features(scores, prosody)))


def features(scores: EndOfTextScores, prosody: Prosody) -> tuple[float, ...]:
    """What tells a finished sentence, each as a number, in the order of FEATURES."""
    return (
        max(_FLOOR, scores.full_stop),
        max(_FLOOR, scores.dash),
        max(_FLOOR, scores.ellipsis),
        # Between sure and nearly sure lies more than between unlikely and very unlikely.
        float(np.log(_NEARLY_CERTAIN + min(-scores.last_word, -_FLOOR))),
        # What of the voice comes after the decoder has heard all of the text: long, where the
        # last syllable is drawn out.
        float(np.clip(prosody.end - scores.text_end, *_LENGTHENING)),
        prosody.loudness,
        prosody.harmonicity,
        prosody.spectral_tilt,
        prosody.final_loudness,
    )
