"""Names in a job, and the prompt and biasing derived from them."""

from __future__ import annotations

from tests.support.calibration import ENGLISH
from wyoming_faster_whisper.engine.protocol import DecodeOptions, Job
from wyoming_faster_whisper.engine.whisper.prompting import JobBiasing, build_prompt, oov_counter
from wyoming_faster_whisper.tenant import HOUSE
from wyoming_faster_whisper.testing import silence

NAMES = ("Ecobee", "Vaillant")


def expected(*, said: str = "", task: str = "transcribe") -> JobBiasing:
    return JobBiasing(
        Job(silence(1.0), DecodeOptions(task=task, hotwords=NAMES), prefix=said),
        "en",
        ENGLISH.names,
    )


def test_the_prompt_ends_with_as_many_names_as_fit() -> None:
    assert build_prompt("Home", NAMES, lambda text: len(text) < 14) == "Home, Ecobee"
    assert build_prompt("Home", NAMES, lambda text: False) == "Home"
    assert build_prompt(None, NAMES, lambda text: True) == "Ecobee, Vaillant"


def test_misspelt_names_are_corrected() -> None:
    assert expected().correct("Set the eco bee to 20.") == "Set the Ecobee to 20."


def test_text_already_sent_is_not_corrected() -> None:
    names = expected(said="Set the eco")
    assert (
        names.correct("Set the eco bee, then the valant.")
        == "Set the eco bee, then the Vaillant."
    )


def test_text_already_sent_is_not_rewritten() -> None:
    text = "Set the incubi to 20"
    assert expected().rewrites([text])
    assert expected(said=text).rewrites([f"{text} degrees."]) == ()


def test_every_rewrite_starts_with_the_text_already_sent() -> None:
    found = expected(said="Set the incubi,").rewrites(
        ["Set the incubi, switch the mail and top.", "Set the mail and top."]
    )
    assert found
    assert all(rewrite.text.startswith("Set the incubi, ") for rewrite in found)


def test_a_constrained_decode_may_use_words_of_names_and_commands() -> None:
    words = expected().allowed_words(["Set the incubi to the curtains."], ["Ecobee"])
    assert {"Ecobee", "Vaillant", "turn", "percent", "curtains"} <= words
    assert "incubi" not in words


def test_only_a_short_command_or_question_gets_a_constrained_decode() -> None:
    names = ["Ecobee"]
    assert expected().allowed_words(["I see the incubi.", "Is the incubi open?"], names)
    assert not expected().allowed_words(["I see the incubi."], names)
    assert not expected().allowed_words([f"Is the incubi open{' and so on' * 9}?"], names)
    assert not expected(said="Set the incubi").allowed_words(["Set the incubi to 20."], names)


def test_names_that_resemble_only_text_already_sent_are_left_out() -> None:
    text = "Set the incubi to 20"
    assert expected().similar_names([text]) == ("Ecobee",)
    assert expected(said=text).similar_names([f"{text} degrees."]) == ()


def test_names_are_not_applied_to_a_translation() -> None:
    names = expected(task="translate")
    assert names.similar_names(["Set the incubi to 20."]) == ()
    assert names.allowed_words(["Set the incubi to 20."], []) == frozenset()
    assert names.rewrites(["Set the incubi to 20."]) == ()
    assert names.correct("Set the eco bee to 20.") == "Set the eco bee to 20."


def test_words_of_the_language_the_prompt_and_the_names_are_not_oov() -> None:
    options = DecodeOptions(prompt="At Krabat’s.", hotwords=("Vrbata",))
    strange = oov_counter(HOUSE.name, options, "en")
    assert strange("Krabat") == 0
    assert strange("Set Krabat's thermostat to 20, and the vrbata's to 21.") == 0
    assert oov_counter(HOUSE.name, DecodeOptions(), "en")("Set Krabat's vrbata") == 2


def test_no_word_is_oov_in_a_language_without_a_vocabulary() -> None:
    assert oov_counter(HOUSE.name, DecodeOptions(), "de")("Schalte die Wohnzimmerlampe ein") == 0
    translated = DecodeOptions(task="translate")  # translates to English from any language
    assert oov_counter(HOUSE.name, translated, "de")("Turn on the Wohnzimmerlampe") == 1
