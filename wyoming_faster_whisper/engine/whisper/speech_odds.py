"""Speech odds: whether words were spoken, or made up over a sneeze, a bark or noise. Pure.

The decoder hallucinates a text over any sound that the VAD takes for speech: "Yeah!" over a
sneeze, "No! No!" over a dog. Such a text is less likely than a spoken one, its no-speech
probability is higher, and often it is one word or one syllable over and over. The VAD's
probability also stays below that of the loudest vowel of a spoken word; where it does, a voiced
sound is more likely an animal, a baby or a machine than a whisper, which has no voice. Each sign
alone also occurs with whispered or distant words; together they separate most texts. They are the
inputs of a logistic regression (python -m bench.calibration.non_speech). English has weights of
its own: in other languages spoken words are as unlikely as hallucinated ones, but their no-speech
probability is far lower.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from .hallucination import Decoded
from .repetition import is_one_sound

FEATURES = ("peak", "avg_logprob", "no_speech_prob", "repeated", "voiced")
"""Names of the values that features() returns, and of the weights."""

# Probabilities of the VAD between which a higher one means more speech. Below this range
# whispered words and sneezes look alike; above it is nearly every order, even in noise.
_PEAKS = (0.8, 0.98)


@dataclass(frozen=True, slots=True)
class SpeechClassifier:
    """Fitted logistic regression: its weights, and a threshold; calibration/ has their data."""

    intercept: float
    peak: float  # weight of the VAD's highest probability, as log-odds
    avg_logprob: float
    no_speech_prob: float
    repeated: float  # weight of a text that is one word or syllable over and over
    voiced: float  # weight of a voice that the VAD doubts
    sure: float  # size of the log-odds below which the text gets a second pass

    def log_odds(self, decoded: Decoded, peak: float, harmonicity: float) -> float:
        """Return the log-odds (natural) that words were spoken; below 0 they were made up.

        Args:
            peak: the VAD's highest probability of speech, 0 to 1.
            harmonicity: mean periodicity of what the VAD takes for speech, 0 to 1. Of no account
                where is_sure(peak).
        """
        found = zip(FEATURES, features(decoded, peak, harmonicity), strict=True)
        return self.intercept + sum(float(getattr(self, name)) * value for name, value in found)


def is_sure(peak: float) -> bool:
    """Return True if the VAD is so sure of speech that harmonicity is of no account."""
    return peak >= _PEAKS[1]


def features(decoded: Decoded, peak: float, harmonicity: float) -> tuple[float, ...]:
    """Return the regression's inputs, in the order of FEATURES."""
    capped = min(max(peak, _PEAKS[0]), _PEAKS[1])
    low, peak_odds, high = map(_log_odds, (_PEAKS[0], capped, _PEAKS[1]))
    return (
        peak_odds,
        decoded.avg_logprob,
        decoded.no_speech_prob,
        float(is_one_sound(decoded.text)),
        harmonicity * (high - peak_odds) / (high - low),  # 0 where is_sure(peak)
    )


def _log_odds(probability: float) -> float:
    return math.log(probability / (1 - probability))
