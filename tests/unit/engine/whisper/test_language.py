"""The language of a clip: given, or the most probable candidate."""

from __future__ import annotations

import pytest

from wyoming_faster_whisper.engine.protocol import DecodeOptions
from wyoming_faster_whisper.engine.whisper.language import Detection, choose_language

FOUND = {"nl": 0.5, "de": 0.2, "en": 0.3}


def chosen(odds: float = 1.0, **options: object) -> tuple[str, float]:
    return choose_language(FOUND, DecodeOptions(**options), Detection(odds, 10.0, 1.0, 1.0, 0.7))  # type: ignore[arg-type]


def test_the_most_probable_language_of_all_is_chosen() -> None:
    assert chosen() == ("nl", 0.5)


def test_among_candidates_their_probabilities_sum_to_1() -> None:
    language, probability = chosen(candidate_languages=("de", "en"))
    assert language == "en"
    assert probability == pytest.approx(0.6)


def test_the_expected_language_wins_unless_another_is_far_more_probable() -> None:
    home = {"candidate_languages": ("de", "en"), "expected_language": "de"}
    language, probability = chosen(2.0, **home)
    assert language == "de"
    assert probability == pytest.approx(4 / 7)
    assert chosen(1.4, **home)[0] == "en"


def test_candidates_that_the_model_does_not_know_are_ignored() -> None:
    assert chosen(candidate_languages=("yue",)) == ("nl", 0.5)
