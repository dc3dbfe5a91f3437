"""End-of-turn classifier: is the sentence before a silence finished? Pure.

A logistic regression over scores of the decoder and the prosody of the voice. It uses no word
lists and so depends on no language. Whisper itself models the ends of sentences: it puts a full
stop after a finished one, a dash or an ellipsis after an unfinished one, and gives a low
probability to half a word. In the voice, the last syllable of a sentence is lengthened and fades;
that of an interrupted sentence is as short and as loud as the others.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .endpointing import EndOfTurn
from .prosody import Prosody

_BREAKS_OFF = ("...", "…", "-", ",")


@dataclass(frozen=True, slots=True)
class EndOfTextScores:
    """Decoder scores at the end of a text; natural log-probabilities except text_end."""

    full_stop: float  # final punctuation mark of the text; "." if it has none
    dash: float  # "-" after the last word: the sentence breaks off
    ellipsis: float  # "..." after the last word: more follows
    last_word: float  # last token of the last word
    text_end: float  # second of the audio at which the decoder places the end of the text


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
"""Names of the values that features() returns."""

# Weights of the logistic regression, as "python -m bench.end_of_turn --recordings DIR" prints
# them. Fitted on decodes by the model base of 160 whole and 600 cut English commands: three
# quarters are recorded commands by many speakers, the rest smart-home commands by six voices of
# espeak-ng. These features added little or nothing: pitch, rate of spectral change, the room's
# level while the text is decoded, a comma or another word after the text, avg_logprob, the other
# hypotheses of the beam, products of features, and a second decode after more silence.
_INTERCEPT = -20.826
_WEIGHTS = (1.015, -0.944, -0.543, -1.025, 19.536, -0.259, 4.684, 0.108, -0.059)
_FLOOR = -12.0  # natural log-probability; anything less likely counts as this
_NEARLY_CERTAIN = 0.02  # negative log-probability; differences below it hardly count
_LENGTHENING = (-0.1, 0.4)  # seconds; more is noise mistaken for the voice

# In cross-validation over speakers, 78% of the whole and 0.3% of the cut commands exceed the
# first threshold, 92% and 4% the second, 99% and 16% the third. endpointing.py defines how much
# silence ends the turn in each class.
THRESHOLDS = {EndOfTurn.COMPLETE: 2.4, EndOfTurn.LIKELY: 0.6, EndOfTurn.UNSURE: -2.0}
"""Minimum log_odds() of each class, in descending order; below the last: INCOMPLETE."""


def classify_text(text: str) -> EndOfTurn:
    """Classify a decoded text without scores: none counts as finished.

    Args:
        text: "" = no speech.
    """
    if not text:
        return EndOfTurn.NO_SPEECH
    return EndOfTurn.INCOMPLETE if text.endswith(_BREAKS_OFF) else EndOfTurn.UNSURE


def classify_end_of_turn(scores: EndOfTextScores, prosody: Prosody) -> EndOfTurn:
    """Classify a decoded text by how finished its sentence is.

    Args:
        scores: of the text, which is not empty.
        prosody: of the voice before the silence.
    """
    found = log_odds(scores, prosody)
    over = (each for each, least in THRESHOLDS.items() if found >= least)
    return next(over, EndOfTurn.INCOMPLETE)


def log_odds(scores: EndOfTextScores, prosody: Prosody) -> float:
    """Return the log-odds (natural) that a text is finished; 0 = as likely as not."""
    return _INTERCEPT + float(np.dot(_WEIGHTS, features(scores, prosody)))


def features(scores: EndOfTextScores, prosody: Prosody) -> tuple[float, ...]:
    """Return the regression's inputs, in the order of FEATURES."""
    return (
        max(_FLOOR, scores.full_stop),
        max(_FLOOR, scores.dash),
        max(_FLOOR, scores.ellipsis),
        # The log spreads the probabilities near 1, where differences matter most.
        float(np.log(_NEARLY_CERTAIN + min(-scores.last_word, -_FLOOR))),
        # Final lengthening: the voice outlasts the text by more if the last syllable is drawn
        # out.
        float(np.clip(prosody.end - scores.text_end, *_LENGTHENING)),
        prosody.loudness,
        prosody.harmonicity,
        prosody.spectral_tilt,
        prosody.final_loudness,
    )
