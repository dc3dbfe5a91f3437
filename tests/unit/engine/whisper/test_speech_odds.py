"""Speech odds: texts that were made up over sounds, and words that people said."""

from __future__ import annotations

import pytest

from tests.support.calibration import ENGLISH
from wyoming_faster_whisper.engine.whisper.calibration.values import Calibrations
from wyoming_faster_whisper.engine.whisper.speech_odds import (
    FEATURES,
    SpeechClassifier,
    features,
)

from .results import decoded

OTHERS = Calibrations("base").of("fi")

# Measured: (text, avg_logprob, no-speech probability, the VAD's highest probability,
# harmonicity). The harmonicity of recordings that are no longer at hand is that of their kind.
SOUNDS = [
    ("You're", -2.40, 0.78, 0.3, 0.47),  # hum
    ("Thank you.", -1.16, 0.69, 0.4, 0.46),  # kitchen
    ("No! No!", -1.06, 0.55, 0.4, 0.45),  # kitchen, loud
    ("Okay!", -1.47, 0.18, 0.82, 0.62),  # sneezes
    ("He's here!", -1.70, 0.40, 0.63, 0.60),
    ("Hit. Hit. Hit.", -0.73, 0.61, 0.65, 0.67),
    ("Help! Help! Help! Help!", -0.75, 0.55, 0.41, 0.60),  # dogs
    ("No, no, no, no, no", -0.85, 0.38, 0.32, 0.72),
    ("Yeah!", -1.52, 0.63, 0.18, 0.69),  # babies
    ("Ha ha ha ha", -1.25, 0.52, 0.44, 0.73),
    ("Ugh!", -1.39, 0.56, 0.76, 0.50),  # a gasp
]
SPEECH = [
    ("Stop!", -0.72, 0.51, 0.4, 0.34),  # whispers
    ("Yes.", -0.61, 0.60, 0.52, 0.21),
    ("No!", -0.85, 0.28, 0.27, 0.33),
    ("Stop!", -0.62, 0.13, 0.97, 0.70),  # words
    ("No.", -0.60, 0.15, 0.92, 0.70),
    ("Oh.", -0.70, 0.20, 0.95, 0.70),
    ("Lights off.", -1.07, 0.01, 0.99, 0.66),
    ("Yes.", -0.94, 0.56, 0.93, 0.46),  # from afar
    ("Get me a 16 ounce cappuccino with almond", -0.18, 0.03, 0.99, 0.60),  # an order at 5 dB
    ("Like a large single-shot light-roast espresso", -0.55, 0.07, 0.98, 0.60),
    ("a small latte", -1.1, 0.3, 0.98, 0.60),
    ("Zet de lampen in de keuken aan.", -1.2, 0.2, 0.99, 0.60),
]

# The same in other languages, decoded as such.
OTHER_SOUNDS = [
    ("Ja!", -1.03, 0.63, 0.79, 0.60),  # a sneeze
    ("Ach! Ach! Ach! Ach!", -0.66, 0.52, 0.43, 0.60),
    ("А-а-а-а-а!", -0.80, 0.36, 0.90, 0.60),
    ("Aaaaah!", -0.96, 0.56, 0.46, 0.70),  # babies
    ("Ха-ха-ха-ха!", -0.76, 0.59, 0.36, 0.70),
    ("О-о-о-о", -1.05, 0.65, 0.88, 0.60),  # a chainsaw
    ("Katsotaan.", -1.36, 0.79, 0.72, 0.50),  # a fire
]
OTHER_SPEECH = [
    ("Par...", -1.60, 0.43, 0.94, 0.60),  # "păr"
    ("Nelís.", -1.54, 0.28, 0.83, 0.70),  # "nariz"
    ("Ah, Battle !", -1.60, 0.30, 0.96, 0.70),  # "ballon"
    ("Wenkbrauw.", -1.39, 0.18, 0.42, 0.57),  # at 5 dB
    ("Muito ótimo!", -1.29, 0.34, 0.71, 0.70),
    ("Ok.", -1.60, 0.08, 0.83, 0.44),  # "occhio", whispered
]


@pytest.mark.parametrize(
    ("spoken", "speech", "text", "logprob", "no_speech", "peak", "harmonicity"),
    [
        *((False, ENGLISH.speech, *each) for each in SOUNDS),
        *((False, OTHERS.speech, *each) for each in OTHER_SOUNDS),
        *((True, ENGLISH.speech, *each) for each in SPEECH),
        *((True, OTHERS.speech, *each) for each in OTHER_SPEECH),
    ],
)
def test_words_were_spoken_and_texts_over_sounds_were_made_up(
    spoken: bool,
    speech: SpeechClassifier,
    text: str,
    logprob: float,
    no_speech: float,
    peak: float,
    harmonicity: float,
) -> None:
    one = decoded(text, logprob=logprob, no_speech=no_speech)
    assert (speech.log_odds(one, peak, harmonicity) > 0) == spoken


def test_a_loud_sneeze_gets_a_second_pass() -> None:
    sneeze = decoded("I'm not sure!", logprob=-1.37, no_speech=0.32)
    assert abs(ENGLISH.speech.log_odds(sneeze, 0.91, 0.76)) < ENGLISH.speech.sure


def test_each_feature_has_a_weight_of_the_right_sign() -> None:
    signs = {"peak": 1, "avg_logprob": 1, "no_speech_prob": -1, "repeated": -1, "voiced": -1}
    assert signs.keys() == set(FEATURES)
    for name, sign in signs.items():
        assert getattr(ENGLISH.speech, name) * sign > 0
        if name != "voiced":
            assert getattr(OTHERS.speech, name) * sign > 0
    assert OTHERS.speech.voiced == 0.0  # people have a voice that the VAD doubts, too


def test_a_voice_counts_the_more_the_vad_doubts_it() -> None:
    at = FEATURES.index("voiced")
    found = [features(decoded("Stop."), peak, 0.7)[at] for peak in (0.3, 0.8, 0.9, 0.98, 1.0)]
    assert found[:2] == pytest.approx([0.7, 0.7])
    assert 0.0 < found[2] < 0.7
    assert found[3:] == pytest.approx([0.0, 0.0])


@pytest.mark.parametrize(
    ("text", "repeated"),
    [
        ("No, no! No.", True),
        ("Ha ha", True),
        ("Hahaha!", True),
        ("Puhuhuhuhuh", True),
        ("Аааа!", True),
        ("哈哈哈哈", True),
        ("No.", False),
        ("No, stop.", False),
        ("Mama.", False),
        ("1111", False),
        ("Banana.", False),
    ],
)
def test_one_word_or_syllable_over_and_over_is_repeated(text: str, repeated: bool) -> None:
    assert features(decoded(text), 0.9, 0.5)[FEATURES.index("repeated")] == repeated
