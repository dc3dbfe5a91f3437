"""Mapping of language tags to Whisper's language codes."""

from __future__ import annotations

import pytest

from wyoming_faster_whisper.models.languages import (
    ENGLISH,
    MULTILINGUAL,
    MULTILINGUAL_V3,
    NAMES,
    means_detect,
    normalise,
)


def test_there_are_99_languages_and_cantonese() -> None:
    assert len(set(MULTILINGUAL)) == len(MULTILINGUAL) == 99
    assert set(MULTILINGUAL_V3) - set(MULTILINGUAL) == {"yue"}


@pytest.mark.parametrize("code", MULTILINGUAL_V3)
def test_every_code_is_its_own_normal_form(code: str) -> None:
    assert normalise(code, MULTILINGUAL_V3) == code


@pytest.mark.parametrize(
    ("tag", "code"),
    [
        ("en-US", "en"),
        ("EN_gb", "en"),
        (" de ", "de"),
        ("zh-Hant-TW", "zh"),
        ("zh-HK", "yue"),
        ("zh-yue", "yue"),
        ("cmn-Hans-CN", "zh"),
        ("nb", "no"),
        ("nb-NO", "no"),
        ("iw", "he"),
        ("jv", "jw"),
        ("fil-PH", "tl"),
        ("haw", "haw"),
        ("English", "en"),
        ("Haitian Creole", "ht"),
        ("castilian", "es"),
    ],
)
def test_other_tags_of_a_language_are_normalised(tag: str, code: str) -> None:
    assert normalise(tag, MULTILINGUAL_V3) == code


def test_every_language_has_a_name_that_stands_for_it() -> None:
    assert list(NAMES) == list(MULTILINGUAL_V3)
    # From both ends and the middle of Whisper's table: no name has slipped.
    ends = {"en": "english", "fa": "persian", "ht": "haitian creole", "yue": "cantonese"}
    assert {code: NAMES[code] for code in ends} == ends
    for code, name in NAMES.items():
        assert normalise(name.title(), MULTILINGUAL_V3) == code


def test_zh_hk_is_chinese_for_a_model_without_cantonese() -> None:
    assert normalise("zh-HK", MULTILINGUAL) == "zh"
    assert normalise("yue", MULTILINGUAL) is None


@pytest.mark.parametrize("tag", ["tlh", "", "-", "en2", "e", "x" * 10_000, "\ud800"])
def test_a_tag_that_is_not_a_language_of_whisper_is_rejected(tag: str) -> None:
    assert normalise(tag, MULTILINGUAL_V3) is None


def test_an_english_only_model_supports_only_english() -> None:
    assert normalise("en-GB", ENGLISH) == "en"
    assert normalise("de", ENGLISH) is None


@pytest.mark.parametrize("tag", [None, "", " ", "auto", "AUTO", "null", "none", "und"])
def test_an_empty_or_unknown_language_means_detect(tag: str | None) -> None:
    assert means_detect(tag)


@pytest.mark.parametrize("tag", ["en", "no", "automatic"])
def test_a_language_code_does_not_mean_detect(tag: str) -> None:
    assert not means_detect(tag)
