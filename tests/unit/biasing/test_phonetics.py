"""Words that sound alike have the same code; letters and digits are read aloud."""

from __future__ import annotations

import pytest

from wyoming_faster_whisper.biasing.phonetics import (
    letters,
    phonetic_code,
    sounds,
)


@pytest.mark.parametrize(
    ("one", "other"),
    [("aqara", "akara"), ("monika", "monica"), ("phone", "fone"), ("worx", "works")],
)
def test_spellings_that_sound_alike_have_the_same_code(one: str, other: str) -> None:
    assert sounds(one) == sounds(other)


@pytest.mark.parametrize(
    ("written", "said"),
    [("b", "bee"), ("c", "see"), ("x", "ex"), ("2", "two"), ("30", "threezero")],
)
def test_letters_and_digits_are_read_aloud(written: str, said: str) -> None:
    assert sounds(written) == sounds(said)


@pytest.mark.parametrize(("one", "other"), [("мой", "зал"), ("oo", "ee"), ("कमरा", "बत")])
def test_words_without_a_metaphone_code_differ(one: str, other: str) -> None:
    assert sounds(one) != sounds(other)


@pytest.mark.parametrize(
    ("split", "name"),
    [("eco bee", "ecobee"), ("robo rock", "roborock")],
)
def test_a_name_sounds_the_same_when_it_is_split_before_a_consonant(
    split: str, name: str
) -> None:
    assert phonetic_code(split.split()) == phonetic_code([name])


def test_no_words_have_no_sounds() -> None:
    assert phonetic_code([]) == ""


def test_letters_omit_accents_and_punctuation() -> None:
    assert letters("Käthe's Wi-Fi") == "katheswifi"
