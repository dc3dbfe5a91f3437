"""Styling of the final text, and committed text while it grows."""

from __future__ import annotations

import pytest

from wyoming_faster_whisper.session.opening import Opening
from wyoming_faster_whisper.session.text import (
    GrowingText,
    Style,
    local_agreement,
    text_after,
)


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("Turn off, kitchen sink.", "Turn off kitchen sink"),
        ("Set it to 21.5 degrees.", "Set it to 21.5 degrees"),
        ("Set it to 21.5.", "Set it to 21.5"),
        ("Add 1,000 steps, please.", "Add 1,000 steps please"),
        ("What time is it?", "What time is it?"),
        ("Wake me at 7 a.m.", "Wake me at 7 a.m."),
        ("Wake me at 7 a.m. tomorrow.", "Wake me at 7 a.m. tomorrow"),
        ("Set a timer for. 10 minutes.", "Set a timer for 10 minutes"),
        ("Set a timer for... 10 minutes.", "Set a timer for 10 minutes"),
        ("Turn on. the light.", "Turn on the light"),
        ("Lights off. Doors shut.", "Lights off. Doors shut"),
        ("", ""),
    ],
)
def test_command_style(said: str, written: str) -> None:
    assert Style(command=True).write(said, "en") == written


@pytest.mark.parametrize(
    ("language", "said", "written"),
    [
        ("ja", "今、何時ですか。", "今何時ですか"),
        ("zh", "打开，灯．", "打开灯"),
        ("ja", "３，０００円、ください", "３，０００円ください"),
        ("ar", "شغل، الضوء.", "شغل الضوء"),
        ("ar", "كم الساعة؟", "كم الساعة؟"),
        ("hi", "बत्ती जलाओ।", "बत्ती जलाओ"),
        ("ur", "بتی جلاؤ۔", "بتی جلاؤ"),
        ("am", "መብራቱን አብራ።", "መብራቱን አብራ"),
        ("hy", "Միացրու լույսը։", "Միացրու լույսը"),
    ],
)
def test_command_style_in_other_scripts(language: str, said: str, written: str) -> None:
    assert Style(command=True).write(said, language) == written
    assert "".join(grown(said, language=language, style="command")) == written


def test_plain_style_changes_nothing() -> None:
    said = "Uh, turn off, twenty one kitchen sinks."
    assert Style().write(said, "en") == said


# Text that is sent in pieces.


def grown(
    *texts: str, language: str = "en", style: str = "plain", opening: Opening | None = None
) -> list[str]:
    """Return the pieces that are sent when these texts are committed one after the other."""
    growing = GrowingText(Style(style == "command", opening))
    pieces = []
    for text in texts:
        growing.append(text, language)
        pieces.append(growing.take_committed())
    pieces.append(growing.end())
    assert "".join(pieces) == growing.sent
    return pieces


def test_the_punctuation_at_the_end_of_a_piece_is_sent_with_the_next_one() -> None:
    assert grown("Turn it on.", "Now!") == ["Turn it on", ". Now", "!"]


def test_a_command_sent_in_pieces_ends_without_a_full_stop() -> None:
    assert grown("Turn it on.", style="command") == ["Turn it on", ""]
    assert grown("Turn it on.", "Now.", style="command") == ["Turn it on", " Now", ""]


def test_a_removed_comma_leaves_a_space() -> None:
    assert grown("Stop,", "please.", style="command") == ["Stop", " please", ""]


@pytest.mark.parametrize("style", ["plain", "command"])
@pytest.mark.parametrize("mark", [".", ",", "...", "…"])
def test_a_pause_inside_a_command_does_not_end_the_sentence(style: str, mark: str) -> None:
    pieces = grown(f"Set a timer for{mark}", "10 minutes", style=style)
    assert "".join(pieces) == "Set a timer for 10 minutes"
    assert "".join(grown(f"Turn on{mark}", "the light", style=style)) == "Turn on the light"


def test_plain_style_keeps_two_sentences_apart() -> None:
    assert "".join(grown("Turn it on.", "Close the door.")) == "Turn it on. Close the door."
    one = "".join(grown("Turn it on.", "Close the door.", style="command"))
    assert one == "Turn it on Close the door"


@pytest.mark.parametrize("style", ["plain", "command"])
def test_a_question_keeps_its_question_mark(style: str) -> None:
    text = "".join(grown("What time is it?", "and the date", style=style))
    assert text == "What time is it? and the date"


@pytest.mark.parametrize("style", ["plain", "command"])
def test_an_abbreviation_keeps_its_full_stops_before_a_pause(style: str) -> None:
    pieces = grown("Wake me at 7 a.m.", "tomorrow", style=style)
    assert "".join(pieces) == "Wake me at 7 a.m. tomorrow"


@pytest.mark.parametrize("style", [Style(), Style(command=True)])
@pytest.mark.parametrize("mark", ["؟", "—", " —", " -"])
def test_pieces_keep_the_spaces_around_a_mark(mark: str, style: Style) -> None:
    said = f"one{mark} two"
    growing = GrowingText(style)
    growing.append(f"one{mark}", "ur")
    growing.take_committed()
    growing.extend(" two")
    growing.end()
    assert growing.sent == said


@pytest.mark.parametrize("style", ["plain", "command"])
def test_an_abbreviation_is_sent_with_its_last_period(style: str) -> None:
    assert grown("Wake me at 7 a.m.", style=style) == ["Wake me at 7 a.m.", ""]
    assert grown("Is it 7 a.m.?", style=style) == ["Is it 7 a.m.", "?"]
    assert grown("Set it to 21.5.", style=style)[0] == "Set it to 21.5"


def test_languages_written_without_spaces_are_joined_without_spaces() -> None:
    assert grown("打开灯。", "关上门。", language="zh") == ["打开灯", "。关上门", "。"]


def test_a_number_in_pieces_is_sent_when_it_is_whole() -> None:
    pieces = grown("Set it to twenty", "one percent", style="command")
    assert pieces == ["Set it to", " 21 percent", ""]
    assert grown("Set it to twenty", style="command") == ["Set it to", " 20"]


def test_the_opening_of_a_text_in_pieces_is_not_sent() -> None:
    opening = Opening(("okay nabu",))
    assert grown("Okay", "Nabu.", "Turn on the light.", opening=opening) == [
        *("", "", "Turn on the light"),
        ".",
    ]
    assert grown("Okay", "turn on the light", opening=opening)[1] == "Okay turn on the light"
    assert grown("Okay Nabu.", "Uh.", opening=opening) == ["", "", ""]


def test_only_the_beginning_of_a_text_is_stripped() -> None:
    said = "".join(grown("Turn on the light.", "Uh, no.", opening=Opening()))
    assert said == "Turn on the light. Uh, no."


def test_empty_texts_give_empty_pieces() -> None:
    assert grown() == [""]
    assert grown("", "") == ["", "", ""]


@pytest.mark.parametrize("rest", ["s", ", please", " please"])
def test_an_exact_continuation_is_appended_unchanged(rest: str) -> None:
    growing = GrowingText()
    growing.append("the light", "en")
    assert growing.take_committed() == "the light"
    growing.extend(rest)
    growing.take_committed()
    growing.end()
    assert growing.sent == f"the light{rest}"


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        ("", "turn on", ""),
        ("turn on", "turn on the light", "turn on"),
        ("Turn on, the", "turn on the light in", "turn on the"),
        ("turn off the light", "turn on the light in", "turn"),
        ("turn on", "turn on", "turn"),  # the last word may be cut off
        ("a b.", "a b. c", "a b"),
    ],
)
def test_local_agreement_is_the_common_prefix_without_a_last_word_that_may_be_cut_off(
    before: str, after: str, words: str
) -> None:
    assert local_agreement(before, after) == words


def test_a_text_that_differs_from_what_was_sent_continues_after_as_many_words() -> None:
    assert text_after("turn on the light", "turn on") == " the light"
    assert text_after("Turn up the light", "turn on") == " the light"
