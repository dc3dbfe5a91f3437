"""Correction of misrecognised names; words of the language stay."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.calibration import ENGLISH
from wyoming_faster_whisper.biasing import correct
from wyoming_faster_whisper.biasing.carrier_phrases import carrier_words, follows_carrier
from wyoming_faster_whisper.biasing.carrier_words import NAME, START, CarrierWords
from wyoming_faster_whisper.biasing.hypotheses import (
    Rewrite,
    choose_rewrite,
    rewrites,
    similar_names,
    words_unlike,
)
from wyoming_faster_whisper.biasing.lexicon import LANGUAGES, zipf_frequencies

NAMES = (
    "Ecobee", "Nanit", "Roborock", "Sonos", "Vaillant", "Netatmo", "Florbix", "Aqara Hub",
    "Monika's Lamp", "Kitchen Light", "Living Room", "Fluxor", "Flexor", "Worx", "Larder",
    "Wi-Fi Plug", "Nespresso", "Sonoff", "Käthe Lampe", "Lamp 2", "Downstairs",
)  # fmt: skip


def Corrector(names: Sequence[str], language: str = "en") -> correct.Corrector:
    return correct.Corrector(names, language, ENGLISH.names)


HOME = Corrector(NAMES)


MARKED = ("Disney+", "Kitchen (main)", "A.C.", "(old) Vaillant", "$Lampo")


@pytest.mark.parametrize("name", MARKED)
@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("text", ["turn on {}", "Turn on {}.", "{}!", "start {} now"])
def test_a_name_keeps_its_own_marks(text: str, language: str, name: str) -> None:
    home = Corrector(MARKED, language)
    for spelled in (name, name.lower()):
        heard = text.format(spelled)
        assert home.correct(heard) == heard


@pytest.mark.parametrize(
    ("heard", "written"),
    [
        ("turn on disney", "turn on Disney+"),
        ("turn on the kitchen main", "turn on the Kitchen (main)"),
        ("turn on the (old) vailant", "turn on the (old) Vaillant"),
    ],
)
def test_the_marks_of_a_name_are_written_once(heard: str, written: str) -> None:
    assert Corrector(MARKED).correct(heard) == written


def test_a_rewrite_has_the_marks_of_a_name_once() -> None:
    found = rewrites(Corrector(MARKED), ["turn on kitchen (main)"])
    assert "turn on Kitchen (main)" in [each.text for each in found]


@pytest.mark.parametrize(
    ("heard", "right"),
    [
        ("Set the ecobe to 20 degrees.", "Set the Ecobee to 20 degrees."),
        ("Turn on the eco bee.", "Turn on the Ecobee."),
        ("Start the robo rock.", "Start the Roborock."),
        ("Please switch the valant off.", "Please switch the Vaillant off."),
        ("Set the net atmo to 30%.", "Set the Netatmo to 30%."),
        ("Set the florbicks to 30%.", "Set the Florbix to 30%."),
        ("Turn on the Akara hub, please.", "Turn on the Aqara Hub, please."),
        ("Please switch the Monica's lamp off.", "Please switch the Monika's Lamp off."),
        ("Turn off the wifi plug.", "Turn off the Wi-Fi Plug."),
    ],
)
def test_a_near_miss_becomes_the_name(heard: str, right: str) -> None:
    assert HOME.correct(heard) == right


@pytest.mark.parametrize(
    "text",
    [
        "The alarm works.",  # sounds exactly like Worx
        "Turn on the light in the kitchen.",
        "How much room is left?",
        "It is larger than I thought.",
        "Turn off the lamp.",  # not "Monika's lamp"
        "Close everything downstairs.",
        "Set a timer for 10 minutes.",
        "Make me an espresso.",
        "Make me an Expresso.",  # a misspelt "espresso", not a Nespresso
        "Is there fan noise in the living room?",
        "",
        "...",
    ],
)
def test_ordinary_words_are_not_changed(text: str) -> None:
    assert HOME.correct(text) == text


def test_a_short_word_is_not_merged_with_a_barely_similar_one() -> None:
    home = Corrector(("Sparkles",))
    text = "Remember that the starkey is with Martin."
    assert home.correct(text) == text


def test_the_more_similar_of_two_names_wins() -> None:
    assert HOME.correct("Set the flexer to 30%.") == "Set the Flexor to 30%."
    assert HOME.correct("Set the fluxer to 30%.") == "Set the Fluxor to 30%."


def test_a_correct_name_is_not_changed() -> None:
    for name in NAMES:
        text = f"Turn on the {name}, then stop."
        assert HOME.correct(text) == text


def test_another_number_is_not_a_misrecognition() -> None:
    assert HOME.correct("Turn on lamp 3.") == "Turn on lamp 3."


def test_nothing_is_changed_in_a_language_without_a_vocabulary() -> None:
    assert "ja" not in LANGUAGES
    assert Corrector(NAMES, "ja").correct("Set the incubi to 20.") == "Set the incubi to 20."


@pytest.mark.parametrize(
    ("language", "name", "text", "right"),
    [
        ("sv", "Wi-Fi Plug", "Stäng av wifi plug.", "Stäng av Wi-Fi Plug."),
        ("sv", "Wi-Fi", "Stäng av wifi.", "Stäng av Wi-Fi."),
        ("sv", "Far Lampa", "Vi får lampa.", "Vi får lampa."),  # "we get a lamp"
        ("ru", "Мой зал", "Мои зал.", "Мои зал."),
        ("hi", "बड़ा कमरा", "बड़े कमरे की बत्ती", "बड़े कमरे की बत्ती"),  # inflected
        ("ja", "かき ライト", "がき ライト", "がき ライト"),
    ],
)
def test_only_punctuation_is_corrected_in_a_language_without_a_word_list(
    language: str, name: str, text: str, right: str
) -> None:
    assert language not in LANGUAGES
    assert Corrector([name], language).correct(text) == right


@pytest.mark.parametrize(
    ("name", "text", "right"),
    [
        ("Wi-Fi", "Turn off the wifi.", "Turn off the Wi-Fi."),
        ("Käthe", "Is Kathe at home?", "Is Käthe at home?"),
        ("Wi-Fi", "Turn off the Wi-fi.", "Turn off the Wi-fi."),  # differs only in case
        ("Öven", "Turn off the oven.", "Turn off the oven."),  # an everyday word
    ],
)
def test_a_name_of_one_word_gets_its_punctuation_and_accents(
    name: str, text: str, right: str
) -> None:
    assert Corrector([name]).correct(text) == right


def test_words_of_german_are_not_changed() -> None:
    german = Corrector(("Lichterkette", "Netatmo"), "de")
    assert german.correct("Schalte das Licht ein.") == "Schalte das Licht ein."
    assert german.correct("Stell die Netatmu auf 20 Grad.") == "Stell die Netatmo auf 20 Grad."


@settings(deadline=None)  # the first example loads the word list
@given(st.text(max_size=80), st.lists(st.text(max_size=20), max_size=8))
def test_any_text_and_any_names_are_accepted(text: str, names: list[str]) -> None:
    home = Corrector(names)
    assert home.correct("") == ""
    home.correct(text)
    rewrites(home, [text, text])


def test_a_word_too_unlike_to_be_corrected_is_offered_for_scoring() -> None:
    assert HOME.correct("Set the incubi to 20 degrees.") == "Set the incubi to 20 degrees."
    [first, *_] = rewrites(HOME, ["Set the incubi to 20 degrees."])
    assert first.name == "Ecobee"
    assert first.text == "Set the Ecobee to 20 degrees."


def test_a_name_is_placed_in_the_hypothesis_it_resembles_most() -> None:
    texts = ["Set the thing to 20.", "Set the incubi to 20.", "Set the ecobe to 20."]
    names = [found.name for found in rewrites(HOME, texts)]
    assert names[0] == "Ecobee"
    assert "Set the Ecobee to 20." in [found.text for found in rewrites(HOME, texts)]


def test_a_rewrite_keeps_the_spelling_of_the_likeliest_hypothesis_with_the_same_words() -> None:
    texts = ["Set the thing to 20.", "set the akobi to 20"]
    written = [found.text for found in rewrites(HOME, texts) if found.name == "Ecobee"]
    assert "Set the Ecobee to 20." in written
    assert "set the Ecobee to 20" not in written


def test_a_second_place_for_a_name_comes_after_all_other_names() -> None:
    home = Corrector(("Florbix", "Nanit"))
    texts = ["Start the florbicks.", "Start the flor picks.", "Start the nannit."]
    names = [found.name for found in rewrites(home, texts)]
    assert names == ["Florbix", "Nanit", "Florbix", "Nanit"]


def test_only_commands_offer_a_second_place_for_a_name() -> None:
    def count(text: str) -> int:
        return [found.name for found in rewrites(HOME, [text])].count("Ecobee")

    assert count("When was the ekobi moved?") == 1
    assert count("Turn on the ekobi.") > 1


def test_at_most_six_rewrites_are_offered() -> None:
    found = rewrites(HOME, ["Please switch the mail and top."])
    assert "Vaillant" in [rewrite.name for rewrite in found]
    assert len(found) <= 6


def test_a_text_that_resembles_no_name_gives_no_rewrites() -> None:
    assert rewrites(HOME, ["Ouagadougou"]) == ()
    assert rewrites(HOME, ["Turn on the Ecobee."]) == ()
    assert rewrites(HOME, []) == ()


def test_the_likeliest_rewrite_is_chosen_if_it_is_likely_enough() -> None:
    near, far = Rewrite("Ecobee", "The Ecobee.", -3.0), Rewrite("Nanit", "The Nanit.", -3.0)
    assert choose_rewrite([far, near], [-9.0, -6.0], unbiased_score=-4.0) is near
    assert choose_rewrite([far, near], [-9.0, -8.0], unbiased_score=-4.0) is None
    assert choose_rewrite([], [], unbiased_score=-4.0) is None


def test_a_name_is_accepted_more_easily_after_a_carrier_phrase() -> None:
    def least(text: str) -> float:
        return next(found.min_gain for found in rewrites(HOME, [text]) if found.name == "Worx")

    assert least("Please start the works in 10 minutes.") < 0
    assert least("When did the works begin?") > 0


@pytest.mark.parametrize(
    ("before", "language"),
    [
        ("Could you please turn off the", "en"),
        ("Is the", "en"),
        ("Set the brightness of the", "en"),
        ("How warm is it at the", "en"),
        ("Schalte die", "de"),
        ("Wie warm ist es in der", "de"),
        ("Enciende la", "es"),
        ("Allume la lumière de", "fr"),
        ("Spegni la luce del", "it"),
        ("Zet de", "nl"),
        ("Ligar a", "pt"),
    ],
)
def test_a_command_or_question_may_end_with_a_name(before: str, language: str) -> None:
    assert follows_carrier(before.split(), language)


@pytest.mark.parametrize(
    ("before", "language"),
    [
        ("turn the", "de"),
        ("Close the windows before", "en"),
        ("The works will start on the", "en"),
        ("The", "en"),
        ("Some of it is at", "en"),
        ("Is", "haw"),
        ("What is the capital", "en"),
        ("What a", "en"),
        ("", "en"),
    ],
)
def test_other_phrases_are_not_expected_to_end_with_a_name(before: str, language: str) -> None:
    assert not follows_carrier(before.split(), language)


def test_carrier_words_are_those_of_home_assistants_templates() -> None:
    english = carrier_words("en")
    assert {"turn", "the", "percent", "is"} <= english.around
    assert "please" in english.polite
    assert "curtains" not in english.around
    assert {(START, "schalte"), ("die", NAME)} <= carrier_words("de").pairs
    assert carrier_words("haw") == CarrierWords()


def test_the_most_similar_names_come_first() -> None:
    texts = ["Set the incubi to 20.", "Set the akobi to 20."]
    assert similar_names(HOME, texts, 3)[0] == "Ecobee"
    assert len(similar_names(HOME, texts, 3)) <= 3
    assert similar_names(HOME, ["Ouagadougou"], 3) == ()
    assert similar_names(HOME, [], 3) == ()


def test_a_faint_resemblance_is_enough_after_a_command_verb() -> None:
    """After the command "Set", a faint resemblance to the name is enough."""
    home = Corrector(["Vortigern"])
    assert similar_names(home, ["Set the four to get in to 30%."], 3) == ("Vortigern",)
    assert similar_names(home, ["And the four to get in to 30%."], 3) == ()


def test_words_that_resemble_no_name_are_kept() -> None:
    text = "Set the incubi behind the curtains."
    assert {"Set", "the", "behind", "curtains"} <= words_unlike(HOME, text, ["Ecobee"])
    assert "incubi" not in words_unlike(HOME, text, ["Ecobee"])
    assert "incubi" in words_unlike(HOME, text, ["Worx"])


def test_texts_of_the_biased_decode_become_rewrites() -> None:
    heard, asked = ["Set the more I get to 30%."], ["Set the Vaillant to 30%.", "Set Worx to 30%"]
    texts = [found.text for found in rewrites(HOME, heard, asked)]
    assert asked[0] in texts
    assert asked[0] not in [found.text for found in rewrites(HOME, heard)]


def test_a_rewrite_keeps_the_words_after_the_name() -> None:
    heard = ["Switch on the mixing and close the curtains."]
    asked = ["Switch on the Vaillant, and close the kritin's."]
    texts = [found.text for found in rewrites(HOME, heard, asked)]
    assert "Switch on the Vaillant and close the curtains." in texts
    assert asked[0] in texts  # the end may have been misrecognised in the first hypothesis


def test_texts_of_the_biased_decode_count_only_in_commands_and_questions() -> None:
    """The biased decode puts names into any sound."""
    assert rewrites(HOME, ["I see the tower."], ["Sonos, the Ecobee."]) == ()


def test_a_name_already_in_the_text_is_kept() -> None:
    heard = ["Turn on the Ecobee, the robber lock."]
    found = rewrites(HOME, heard, ["Turn on the Aqara Hub, the Roborock."])
    assert found
    assert all("Ecobee" in rewrite.text for rewrite in found)


def test_the_rewrite_that_exceeds_its_required_gain_most_is_chosen() -> None:
    alike, unlike = Rewrite("Ecobee", "The Ecobee.", -5.0), Rewrite("Nanit", "The Nanit.", 1.0)
    assert choose_rewrite([unlike, alike], [-6.0, -7.0], unbiased_score=-6.5) is alike
    verb = Rewrite("Nuki", "Nuki the sound.", math.inf)
    assert choose_rewrite([verb, alike], [-6.0, -7.0], unbiased_score=-6.5) is None


def test_a_name_does_not_replace_the_verb() -> None:
    assert math.inf in [found.min_gain for found in rewrites(HOME, ["Larger is the room."])]
    anchored = rewrites(HOME, ["Akara hub on."])
    assert next(found.min_gain for found in anchored if found.name == "Aqara Hub") < math.inf


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_its_word_frequencies(language: str) -> None:
    assert len(zipf_frequencies(language)) > 5000
    assert max(zipf_frequencies(language).values()) < 9
