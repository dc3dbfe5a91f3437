"""Repetition in a text: loops of the decoder, and repetition by the speaker."""

from __future__ import annotations

import pytest

from wyoming_faster_whisper.engine.whisper.repetition import (
    Repeat,
    has_loop,
    has_repeat,
    repeated_tail,
    shortened,
)


@pytest.mark.parametrize(
    "text",
    [
        "Star, Star, Star, Star",
        "turn on turn on turn on",
        "Can I have an iced mocha? Can I have an iced mocha?",
        "la" * 60,
        "ты ты ты ты",
        "Во-в-в-в-в-в-в-в-в-в.",
        "turn-on-turn-on-turn-on",
        "Wo\u2011wo\u2011wo\u2011wo",  # non-breaking hyphens
        "and\u2014and\u2014and\u2014and",  # em dashes
        "I...I...I...I",
        "I…I…I…I",
        "बत्ती जला दो। बत्ती जला दो।",
        "打开客厅的灯打开客厅的灯",
        "好的,好的,好的,好的。",
        "关灯 关灯 关灯 关灯",
        "電気をつけてください。電気をつけてください。",
        "เปิดไฟในห้องครัว เปิดไฟในห้องครัว",
        "เปิดไฟหน่อยเปิดไฟหน่อยเปิดไฟหน่อย",
        "ເປີດໄຟໃນເຮືອນຄົວເປີດໄຟໃນເຮືອນຄົວ",
        "បើកភ្លើងនៅផ្ទះបាយបើកភ្លើងនៅផ្ទះបាយ",
        "မီးဖိုချောင်မီးဖွင့်ပါ။ မီးဖိုချောင်မီးဖွင့်ပါ။",
        "ཐབ་ཚང་ནང་སྒྲོན་མེ་སྤར་རོགས། ཐབ་ཚང་ནང་སྒྲོན་མེ་སྤར་རོགས།",
        "開埋客廳盞燈開埋客廳盞燈",
        "哈" * 20,
    ],
)
def test_loops_are_found(text: str) -> None:
    assert has_loop(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "No, no, no.",
        "No-no-no.",
        "No...no...no.",
        "Version 1.1.1.1 of 2020\u20132021",
        "a step-by-step, day-to-day, face-to-face guide",
        "Stop it, stop it!",
        "Turn on the lights in the kitchen and the lights in the hall.",
        "Set a timer for ten minutes and another timer for twenty minutes.",
        "Нет, нет, нет!",
        "नहीं, नहीं, नहीं!",
        "不要,不要,不要!",
        "对对对对",
        "关灯,关灯!",
        "はい、はい、はい。",
        "ちょっと待って、ちょっと待って",
        "わくわくどきどき",
        "ไม่ ไม่ ไม่",
        "หยุด หยุด หยุด",
        "ມາ ມາ ມາ",
        "မဟုတ်ဘူး မဟုတ်ဘူး",
        "Take it from one room to another, from one room to another, and back.",
    ],
)
def test_what_people_say_is_not_a_loop(text: str) -> None:
    assert not has_loop(text)


@pytest.mark.parametrize(
    ("text", "repeat"),
    [
        ("Turn off the light.", None),
        ("Lights off in the hall and lights off in the bath.", None),
        ("", None),
        ("Stop it, stop it!", Repeat(0, 2, 2)),
        ("No, no, no, no", Repeat(0, 1, 4)),
        # The repeated part may begin at any word ...
        ("Set a timer. Turn off the light. Turn off the light.", Repeat(3, 4, 2)),
        # ... and the last repetition may be incomplete.
        ("Set a timer. Turn off the light. Turn off the light. Turn off", Repeat(3, 4, 2)),
        # Of several periods, the one that covers most words is chosen.
        ("Very, very good. Very, very good.", Repeat(0, 3, 2)),
    ],
)
def test_a_repetition_at_the_end_of_a_text_is_found(text: str, repeat: Repeat | None) -> None:
    assert repeated_tail(text) == repeat


def test_a_text_is_shortened_to_a_number_of_repetitions() -> None:
    text = "Set a timer. Turn off the light, turn off the light, turn off"
    repeat = repeated_tail(text)
    assert repeat is not None
    assert shortened(text, repeat, 1) == "Set a timer. Turn off the light"
    assert shortened(text, repeat, 2) == "Set a timer. Turn off the light, turn off the light"


@pytest.mark.parametrize(
    ("text", "yes"),
    [
        ("No, no.", True),
        ("Turn off, turn off the light.", True),
        ("It was very, very good.", True),
        ("Turn off the light and the lamp.", False),
        ("Light the light.", False),
        ("", False),
    ],
)
def test_a_word_or_phrase_directly_followed_by_itself_is_a_repetition(
    text: str, yes: bool
) -> None:
    assert has_repeat(text) is yes
