"""Vocabulary and count of out-of-vocabulary words."""

from __future__ import annotations

from importlib import resources

import pytest

from wyoming_faster_whisper.biasing.lexicon import count_oov, split_words, vocabulary


def test_punctuation_and_numbers_are_not_words() -> None:
    assert split_words("Can I get a medium-ro, 2 o’clock?") == [
        *("Can", "I", "get", "a", "medium", "ro", "o’clock")
    ]


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Turn on the kitchen lights.", 0),
        ("Isn't the kettle's lid who'd've thought o’clock", 0),
        ("Turn on the TV at 7:30 in Room 2B", 0),
        ("Is the Wi-Fi off on the 5th at 7pm, or at 8 p.m.?", 0),
        ("Turn the Roomba's light off in the mudroom", 0),
        ("A double-shot moco with creem", 2),
        ("", 0),
    ],
)
def test_out_of_vocabulary_words_are_counted(text: str, count: int) -> None:
    assert count_oov(text, vocabulary("en")) == count


@pytest.mark.parametrize(
    ("language", "right", "wrong"),
    [
        ("es", "Para activar o desactivar el modo", "Para activar odese activar el modo"),
        ("fr", "Veuillez entrer le mot de passe", "Veuillez entrer le moude passe"),
        ("it", "Prego digitare il numero", "Prego digitare il numerò"),
        ("ru", "Буква из фамилии вашего абонента", "Вуква из фамилии вашего абонента"),
    ],
)
def test_other_languages_have_a_vocabulary(language: str, right: str, wrong: str) -> None:
    assert count_oov(right, vocabulary(language)) < count_oov(wrong, vocabulary(language))


def test_a_word_in_any_of_several_vocabularies_is_known() -> None:
    assert count_oov("An Ecobee moco", vocabulary("en"), {"ecobee"}) == 1


def test_brand_names_are_in_the_vocabulary() -> None:
    file = resources.files("wyoming_faster_whisper.biasing") / "brands.txt"
    brands = [line for line in file.read_text("utf-8").splitlines() if line[0] != "#"]
    assert brands == sorted(set(brands))
    assert all(split_words(brand) == [brand.lower()] for brand in brands)
    assert [brand for brand in brands if brand not in vocabulary("en")] == []
    assert "#" not in vocabulary("en")
