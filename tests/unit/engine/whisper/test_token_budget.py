"""Token budget of a clip, per language."""

from __future__ import annotations

import pytest

from wyoming_faster_whisper.engine.whisper.repetition import has_loop
from wyoming_faster_whisper.engine.whisper.token_budget import token_budget
from wyoming_faster_whisper.models.languages import MULTILINGUAL_V3

from .results import decoded

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
