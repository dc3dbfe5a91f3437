"""End-of-turn classifier: is the sentence before a silence finished? Pure.

A logistic regression over scores of the decoder and the prosody of the voice. It uses no word
lists and so depends on no language. Whisper itself models the ends of sentences: it puts a full
stop after a finished one, a dash or an ellipsis after an unfinished one, and gives a low
probability to half a word. In the voice, the last syllable of a sentence is lengthened and fades;
that of an interrupted sentence is as short and as loud as the others. Noise hides the fading, so
the regression has other weights in noise, and a mean of both in between.
"""

from __future__ import annotations

from collections.abc import Mapping
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
"""Names of the values that features() returns, and of the weights."""

_FLOOR = -12.0  # natural log-probability; anything less likely counts as this
_NEARLY_CERTAIN = 0.02  # negative log-probability; differences below it hardly count
_LENGTHENING = (-0.1, 0.4)  # seconds; more is noise mistaken for the voice


# Signal-to-noise ratios, dB, of Prosody: below the first the weights for noise count alone, above
# the second those for quiet rooms. Speech that is 20 dB louder than noise has 20 to 28 dB by this
# measure, which compares its louder parts; recordings of voices in quiet rooms 45 dB and more
# (40 English commands, clean and in kitchen noise, 2026-12-01). The limits are set by hand.
_NOISY, _QUIET = 20.0, 35.0


@dataclass(frozen=True, slots=True)
class LogisticRegression:
    """Fitted weights of the features."""

    intercept: float
    weights: Mapping[str, float]  # by the names in FEATURES

    def log_odds(self, found: tuple[float, ...]) -> float:
        """Return the log-odds (natural) for the values of features()."""
        return self.intercept + float(np.dot([self.weights[name] for name in FEATURES], found))


@dataclass(frozen=True, slots=True)
class TurnClassifier:
    """Fitted regressions, and the thresholds of the classes.

    endpointing.py says how much silence ends the turn in each class.
    """

    quiet: LogisticRegression  # for quiet rooms
    noisy: LogisticRegression  # for noise
    # Least log_odds() of each class; below the last, INCOMPLETE:
    complete: float
    likely: float
    unsure: float

    def classify(self, scores: EndOfTextScores, prosody: Prosody) -> EndOfTurn:
        """Classify a decoded text by how finished its sentence is.

        Args:
            scores: of the text, which is not empty.
            prosody: of the voice before the silence.
        """
        found = self.log_odds(scores, prosody)
        over = (each for each, least in self.thresholds if found >= least)
        return next(over, EndOfTurn.INCOMPLETE)

    def log_odds(self, scores: EndOfTextScores, prosody: Prosody) -> float:
        """Return the log-odds (natural) that a text is finished; 0 = as likely as not."""
        found = features(scores, prosody)
        quiet = float(np.clip((prosody.snr - _NOISY) / (_QUIET - _NOISY), 0, 1))
        return quiet * self.quiet.log_odds(found) + (1 - quiet) * self.noisy.log_odds(found)

    @property
    def thresholds(self) -> tuple[tuple[EndOfTurn, float], ...]:
        """Least log_odds() of each class, in falling order."""
        return (
            (EndOfTurn.COMPLETE, self.complete),
            (EndOfTurn.LIKELY, self.likely),
            (EndOfTurn.UNSURE, self.unsure),
        )


def classify_text(text: str) -> EndOfTurn:
    """Classify a decoded text without scores: none counts as finished.

    Args:
        text: "" = no speech.
    """
    if not text:
        return EndOfTurn.NO_SPEECH
    return EndOfTurn.INCOMPLETE if text.endswith(_BREAKS_OFF) else EndOfTurn.UNSURE


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
