"""Detection of hallucinated text, and rescoring of hypotheses."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wyoming_faster_whisper.engine.whisper.hallucination import (
    Decoded,
    Verdict,
    fragile,
    judge_hypothesis,
    unfinished,
)
from wyoming_faster_whisper.engine.whisper.repetition import (
    Repeat,
    has_loop,
    has_repeat,
    repeated_tail,
    shortened,
)
from wyoming_faster_whisper.engine.whisper.rescoring import (
    hypotheses_of,
    prefer_in_vocabulary,
    rescore,
)
from wyoming_faster_whisper.engine.whisper.token_budget import token_budget
from wyoming_faster_whisper.models.languages import MULTILINGUAL_V3


def decoded(
    text: str = "turn on the light",
    *,
    tokens: int = 5,
    logprob: float = -0.3,
    no_speech: float = 0.05,
    budget: int = 30,
) -> Decoded:
    return Decoded(text, tokens, logprob, no_speech, budget)


def test_a_likely_text_is_accepted() -> None:
    assert judge_hypothesis(decoded(), certain_speech=True) is Verdict.ACCEPT
    assert judge_hypothesis(decoded(), certain_speech=False) is Verdict.ACCEPT


def test_an_unlikely_text_is_decoded_again() -> None:
    assert judge_hypothesis(decoded(logprob=-0.45), certain_speech=True) is Verdict.SECOND_PASS
    assert judge_hypothesis(decoded(logprob=-0.35), certain_speech=True) is Verdict.ACCEPT


def test_a_text_that_did_not_end_is_decoded_again() -> None:
    assert judge_hypothesis(decoded(tokens=30), certain_speech=True) is Verdict.SECOND_PASS
    assert judge_hypothesis(decoded(tokens=30), certain_speech=False) is Verdict.NO_SPEECH


def test_a_loop_is_decoded_again() -> None:
    loop = "turn on the light turn on the light"
    assert judge_hypothesis(decoded(loop), certain_speech=True) is Verdict.SECOND_PASS
    assert judge_hypothesis(decoded(loop), certain_speech=False) is Verdict.NO_SPEECH


def test_a_text_without_words_counts_as_no_speech() -> None:
    for text in ("", "...", " ♪ ", "!"):
        assert judge_hypothesis(decoded(text), certain_speech=True) is Verdict.NO_SPEECH


# Measured: (text, avg_logprob, no-speech probability).
NOISE = [
    ("You're", -2.40, 0.78),  # hum
    ("So.", -1.91, 0.76),  # chirp
    ("Thank you.", -1.16, 0.69),  # kitchen
    ("All right, four rounds.", -1.02, 0.63),  # kitchen, loud
    ("No! No!", -1.06, 0.55),  # kitchen, loud
]
WHISPERS = [
    ("Stop!", -0.72, 0.51),
    ("Yes.", -0.89, 0.55),
    ("No!", -1.07, 0.50),
    ("Lights off!", -1.03, 0.36),
]


@pytest.mark.parametrize(("text", "logprob", "no_speech"), NOISE)
def test_an_unlikely_text_from_uncertain_speech_counts_as_no_speech(
    text: str, logprob: float, no_speech: float
) -> None:
    heard = decoded(text, tokens=3, logprob=logprob, no_speech=no_speech)
    assert judge_hypothesis(heard, certain_speech=False) is Verdict.NO_SPEECH


@pytest.mark.parametrize(("text", "logprob", "no_speech"), WHISPERS)
def test_whispered_speech_is_accepted(text: str, logprob: float, no_speech: float) -> None:
    heard = decoded(text, tokens=3, logprob=logprob, no_speech=no_speech)
    assert judge_hypothesis(heard, certain_speech=False) is Verdict.ACCEPT


def test_noise_that_the_vad_took_for_speech_counts_as_no_speech() -> None:
    kitchen = decoded("Oh no, what's that?", logprob=-1.21, no_speech=0.51)
    assert judge_hypothesis(kitchen, certain_speech=True) is Verdict.NO_SPEECH


def test_speech_in_noise_is_not_lost() -> None:
    order = decoded("a small latte", logprob=-1.3, no_speech=0.4)
    assert judge_hypothesis(order, certain_speech=True) is Verdict.SECOND_PASS


@pytest.mark.parametrize(
    "text",
    [
        "Call 1234.",
        "Wake me at 7:45 please.",
        "Yes.",
        "Lights off!",
        "关灯。",
        "Turn it off, turn it off in the hall.",
        "No, no, never mind.",
    ],
)
def test_digits_repetitions_and_one_word_texts_are_decoded_again(text: str) -> None:
    assert fragile(text)
    assert judge_hypothesis(decoded(text), certain_speech=True) is Verdict.SECOND_PASS
    assert judge_hypothesis(decoded(text), certain_speech=False) is Verdict.ACCEPT


@pytest.mark.parametrize(
    "text", ["Turn off the light.", "打开客厅的灯。", "電気をつけてください。", "เปิดไฟในห้องครัว"]
)
def test_words_are_counted_in_every_script(text: str) -> None:
    assert not fragile(text)
    assert judge_hypothesis(decoded(text), certain_speech=True) is Verdict.ACCEPT


def test_a_close_hypothesis_with_other_words_causes_a_second_pass() -> None:
    first = heard(("Turn on the lamp.", -1.0), ("Turn on the ramp.", -1.03))
    assert judge_hypothesis(first, certain_speech=True) is Verdict.SECOND_PASS
    apart = heard(("Turn on the lamp.", -1.0), ("Turn on the ramp.", -1.4))
    assert judge_hypothesis(apart, certain_speech=True) is Verdict.ACCEPT


def test_a_close_hypothesis_that_differs_only_in_punctuation_does_not() -> None:
    first = heard(("Turn on the lamp.", -1.0), ("turn on the lamp", -1.0))
    assert judge_hypothesis(first, certain_speech=True) is Verdict.ACCEPT


def test_long_certain_speech_is_decoded_again_before_it_counts_as_no_speech() -> None:
    nothing = decoded("")
    noise = decoded("Oh no, what's that?", logprob=-1.21, no_speech=0.51)
    for first in (nothing, noise):
        assert (
            judge_hypothesis(first, certain_speech=True, speech_seconds=3.1)
            is Verdict.SECOND_PASS
        )
        assert (
            judge_hypothesis(first, certain_speech=True, speech_seconds=2.9) is Verdict.NO_SPEECH
        )
        assert (
            judge_hypothesis(first, certain_speech=False, speech_seconds=3.1) is Verdict.NO_SPEECH
        )


def test_the_text_that_is_likely_in_both_passes_wins() -> None:
    first = decoded("cut the lights", logprob=-0.5)
    likely = {
        "cut the lights": [-2.0, -9.0],
        "put the lights": [-8.0, -1.5],
        "turn the lights": [-3.0, -2.5],
    }
    chosen = rescore(first, likely, no_word_is_strange)
    assert chosen.text == "turn the lights"
    assert chosen.alternatives == ("put the lights", "cut the lights")


def test_hypotheses_of_both_passes_that_differ_in_their_words_are_rescored() -> None:
    first = replace(decoded("Cut it."), alternatives=("cut it", "Put it.", "Shut it."))
    second = replace(decoded("Put it!"), alternatives=("", "Cut 8."))
    assert hypotheses_of(first, second) == ["Cut it.", "Put it.", "Cut 8."]


def test_a_hypothesis_cut_off_from_another_is_not_rescored() -> None:
    first = replace(decoded("Stop."), alternatives=("Stop the music now.", "Stop the"))
    assert hypotheses_of(first) == ["Stop the music now."]
    # One more word does not make the shorter text cut off: it may not have been spoken.
    second = replace(decoded("Stop it."), alternatives=("Stop it now.",))
    assert hypotheses_of(second) == ["Stop it.", "Stop it now."]


def test_a_repetition_of_a_hypothesis_does_not_make_it_count_as_cut_off() -> None:
    first = replace(decoded("Turn it off."), alternatives=("Turn it off. Turn it off.",))
    assert hypotheses_of(first) == ["Turn it off.", "Turn it off. Turn it off."]


def test_the_first_pass_wins_if_neither_has_words() -> None:
    first = decoded("", logprob=-0.5)
    assert rescore(first, {}, no_word_is_strange) is first


def no_word_is_strange(text: str) -> int:
    return 0


def mocos(text: str) -> int:
    return text.count("moco")


def heard(*texts: tuple[str, float]) -> Decoded:
    (text, _), *others = texts
    likely = tuple(likely for _, likely in texts)
    return replace(decoded(text), alternatives=tuple(other for other, _ in others), scores=likely)


def test_a_text_with_fewer_oov_words_wins_if_it_is_nearly_as_likely() -> None:
    first = heard(("a moco", -1.0), ("a mock", -5.0), ("a mocha", -2.5))
    found = prefer_in_vocabulary(first, mocos)
    assert (found.text, found.alternatives) == ("a mocha", ("a moco", "a mock"))
    assert found.scores == (-2.5, -1.0, -5.0)
    assert found.avg_logprob == first.avg_logprob


@pytest.mark.parametrize(
    "texts",
    [
        (("a moco", -1.0), ("a mocha", -3.5)),  # much less likely
        (("a moco", -1.0), ("the moco", -1.1)),  # as many OOV words
        (("a mock", -1.0), ("a mocha", -1.1)),
        (("a moco", -1.0), ("", -1.1)),  # no words at all
        (("a moco", -1.0),),
    ],
)
def test_the_first_text_wins_if_no_alternative_is_better(
    texts: tuple[tuple[str, float], ...],
) -> None:
    assert prefer_in_vocabulary(heard(*texts), mocos) == heard(*texts)


def test_a_text_with_fewer_oov_words_also_wins_after_two_passes() -> None:
    likely = {"a moco": [-1.0, -1.0], "a mocha": [-2.5, -2.5], "a mock": [-3.5, -3.5]}
    assert rescore(decoded(), likely, mocos).text == "a mocha"
    assert rescore(decoded(), likely, no_word_is_strange).text == "a moco"


@pytest.mark.parametrize(
    "text",
    [
        "Star, Star, Star, Star",
        "turn on turn on turn on",
        "Can I have an iced mocha? Can I have an iced mocha?",
        "la" * 60,
        "ты ты ты ты",
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


# Per language: the seconds that espeak-ng takes for a long sentence, its tokens, the sentence.
LONG = {
    "vi": (
        11.7,
        92,
        "Tối nay khi tôi đi làm về thì hãy bật đèn phòng khách, mở rèm cửa sổ, chỉnh máy "
        "lạnh xuống hai mươi bốn độ, phát nhạc nhẹ trong nhà bếp, rồi nhắc tôi gọi điện "
        "cho mẹ trước chín giờ và đặt báo thức lúc sáu giờ sáng mai.",
    ),
    "hi": (
        13.7,
        209,
        "कृपया शाम को सात बजे रसोई और बैठक की बत्तियाँ जला देना, परदे बंद कर देना, पंखे "
        "की गति थोड़ी कम कर देना, और मुझे याद दिलाना कि सोने से पहले दरवाज़े पर ताला "
        "लगाना है और सुबह छह बजे का अलार्म भी लगाना है।",
    ),
    "ta": (
        14.3,
        207,
        "சமையலறையில் உள்ள விளக்குகளை அணைத்துவிட்டு, வரவேற்பறையில் உள்ள மின்விசிறியை "
        "இயக்கிவிட்டு, படுக்கையறையின் கதவுகளைப் பூட்டிவிட்டு, நாளைக் காலையில் ஆறு மணிக்கு "
        "என்னை எழுப்பிவிடுங்கள், பிறகு தோட்டத்தில் உள்ள செடிகளுக்குத் தண்ணீர் ஊற்றுங்கள்.",
    ),
    "ru": (
        10.9,
        72,
        "Пожалуйста, выключи свет на кухне и в коридоре, закрой шторы в спальне, поставь "
        "отопление в гостиной на двадцать один градус, добавь молоко и масло в список "
        "покупок и разбуди меня завтра в половине седьмого утра.",
    ),
}


@pytest.mark.parametrize("language", LONG)
def test_a_long_sentence_fits_the_budget_and_is_not_a_loop(language: str) -> None:
    seconds, tokens, text = LONG[language]
    budget = token_budget(seconds, language)
    assert not decoded(text, tokens=tokens, budget=budget).repetitive
    assert has_loop(f"{text} {text}")


def test_the_budget_grows_with_the_clip_and_the_language() -> None:
    assert token_budget(3.0, "en") == 29
    assert token_budget(3.0, "ko") == 36
    assert token_budget(3.0, "hi") == 87
    assert token_budget(30.0, "hi") == 400


@pytest.mark.parametrize("language", MULTILINGUAL_V3)
def test_every_language_of_whisper_has_a_budget_of_its_own(language: str) -> None:
    assert 28 < token_budget(3.0, language) <= token_budget(3.0, "my")


def test_an_unknown_language_gets_the_largest_budget() -> None:
    assert token_budget(2.0, "tlh") == token_budget(2.0, "my")


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


@pytest.mark.parametrize(
    ("text", "yes"),
    [
        ("Turn off the light.", False),
        ("What time is it?", False),
        ("打开灯。", False),
        ("Turn off the", True),
        ("Turn off the,", True),
        ("", True),
    ],
)
def test_a_text_without_a_final_mark_is_unfinished(text: str, yes: bool) -> None:
    assert unfinished(decoded(text)) is yes


def test_an_unlikely_or_overlong_text_is_unfinished() -> None:
    assert unfinished(decoded("Turn off the light.", logprob=-0.45))
    assert unfinished(decoded("Turn off the light.", tokens=30))
