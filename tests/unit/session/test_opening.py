"""What is left out at the beginning of a text: wake words, greetings, fillers."""

from __future__ import annotations

import pytest

from wyoming_faster_whisper.session.opening import Opening

PHRASES = Opening(("okay nabu", "hey jarvis"))


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("Okay Nabu, turn on the light.", "Turn on the light."),
        ("okay nabu turn on the light", "turn on the light"),
        ("OK, Naboo. Turn on the light.", "Turn on the light."),
        ("Okay now, boo. Stop.", "Stop."),
        ("Nabu, stop.", "Stop."),
        ("Jarvis. What time is it?", "What time is it?"),
        ("Hey Jarvis. Uh, stop.", "Stop."),
        ("Okay Nabu.", ""),
        ("- Okay Nabu, turn on the light.", "Turn on the light."),
        ("...Okay Nabu — turn on the light.", "Turn on the light."),
        ("Okay, turn on the light.", "Okay, turn on the light."),
        ("Tell Jarvis to stop.", "Tell Jarvis to stop."),
        ("Hey, Travis is here.", "Hey, Travis is here."),
        ("21 degrees", "21 degrees"),
        ("", ""),
    ],
)
def test_wake_words_and_their_ends_are_left_out(said: str, written: str) -> None:
    assert PHRASES.strip(said, "en") == written


@pytest.mark.parametrize(
    ("language", "said", "written"),
    [
        ("en", "Uh, hmm... turn it off.", "Turn it off."),
        ("en", "Ummm, stop!", "Stop!"),
        ("en", "Hmm.", ""),
        ("en", "Oh, stop it.", "Oh, stop it."),
        ("en", "No.", "No."),
        ("en", "Mm-hmm.", "Mm-hmm."),
        ("en", "M, like Mike", "M, like Mike"),
        ("de", "Ähm, mach das Licht an.", "Mach das Licht an."),
        ("de", "Um acht Uhr.", "Um acht Uhr."),
        ("de", "Er ist da.", "Er ist da."),
        ("fr", "Euh, allume la lampe.", "Allume la lampe."),
        ("es", "Eh, ¿qué hora es?", "¿Qué hora es?"),
        ("es", "¿Eh, qué hora es?", "Qué hora es?"),
        ("ru", "Эээ — включи свет.", "Включи свет."),
        ("ru", "Эээ, включи свет.", "Включи свет."),
        (None, "Uh, stop", "Uh, stop"),
        (None, "Hmm, stop", "Stop"),
    ],
)
def test_fillers_are_those_of_the_language(language: str | None, said: str, written: str) -> None:
    assert Opening().strip(said, language) == written


@pytest.mark.parametrize(
    ("text", "grows"),
    [("Okay", True), ("Okay turn", True), ("Okay turn on the", False), ("", True)],
)
def test_a_short_text_may_still_be_an_opening(text: str, grows: bool) -> None:
    assert PHRASES.may_grow(text, "en") is grows


def test_without_phrases_only_fillers_may_grow() -> None:
    assert Opening().may_grow("Uh", "en")
    assert not Opening().may_grow("Stop", "en")


def test_marks_of_other_scripts_end_a_phrase() -> None:
    opening = Opening(("أوكي نابو",))
    assert opening.strip("أوكي نابو، شغل الضوء", "ar") == "شغل الضوء"
