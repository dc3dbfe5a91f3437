"""Word errors, independent of how a number or a spelled word is written."""

from __future__ import annotations

import pytest

from bench.support.scoring import Errors, comparable, word_errors


@pytest.mark.parametrize(
    "written",
    [
        "The alarm code is 1234.",
        "the alarm code is 1 2 3 4",
        "The alarm code is 1-2-3-4.",
        "The alarm code is 12-34.",
        "The alarm code is 1, 2, 3, 4",
        "The alarm code is one, two, three, four.",
    ],
)
def test_a_code_counts_as_one_word_however_it_is_written(written: str) -> None:
    assert word_errors("The alarm code is one two three four.", written) == Errors(0, 5)


@pytest.mark.parametrize("written", ["0007", "0 0 0 7", "0-0-0-7", "00-07", "zero, zero, 0, 7"])
def test_leading_zeros_are_part_of_a_code(written: str) -> None:
    assert word_errors("zero zero zero seven", written) == Errors(0, 1)
    assert word_errors("zero zero zero seven", "007") == Errors(1, 1)


@pytest.mark.parametrize("written", ["ANNA", "Anna", "A-N-N-A", "A. N. N. A.", "a n n a"])
def test_a_spelled_name_counts_as_one_word(written: str) -> None:
    assert word_errors("Spell my name, A, N, N, A.", f"Spell my name, {written}") == Errors(0, 4)


@pytest.mark.parametrize("written", ["6:45", "6.45", "645", "6 45", "six forty-five"])
def test_a_time_is_the_same_however_it_is_written(written: str) -> None:
    said = "Set an alarm for six forty five."
    assert word_errors(said, f"Set an alarm for {written}.") == Errors(0, 5)


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("Set a 5 minute timer.", "set a 5 minute timer"),
        ("Repeat 1, 2, 3, 1, 2, 3.", "repeat 123123"),
        ("Turn it to 22.5 degrees", "turn it to 22.5 degrees"),
        ("Turn it to 22.5°", "turn it to 22.5 degrees"),
        ("What is 17 x 24?", "what is 17 times 24"),
        ("I want a B side", "i want ab side"),
        ("thirty five percent", "35%"),
        ("on channel one hundred and four", "on channel 104"),
        ("One lamp", "1 lamp"),
    ],
)
def test_other_words_are_not_joined(text: str, normal: str) -> None:
    assert comparable(text) == normal


@pytest.mark.parametrize(
    ("heard", "errors"),
    [
        ("", Errors(4, 4)),
        ("Turn off the light, turn off the light", Errors(4, 4)),
        ("Turn the light", Errors(1, 4)),
        ("Turn on the light", Errors(1, 4)),
    ],
)
def test_missing_added_and_wrong_words_count_as_errors(heard: str, errors: Errors) -> None:
    assert word_errors("Turn off the light.", heard) == errors


def test_an_interjection_before_a_german_command_does_not_count() -> None:
    said = "Hm. Schalte das Licht ein."
    assert word_errors(said, "schalte das Licht ein", "de") == Errors(0, 4)
    assert word_errors(said, "Hmm, schalte das Licht aus.", "de") == Errors(1, 4)


def test_errors_add_up() -> None:
    assert Errors(1, 4) + Errors(2, 5) == Errors(3, 9)
