"""Mapping of language tags to Whisper's language codes."""

from __future__ import annotations

import pytest

from wyoming_faster_whisper.models.languages import (
    ENGLISH,
    MULTILINGUAL,
    MULTILINGUAL_V3,
    means_detect,
    normalise,
)


def test_there_are_99_languages_and_cantonese() -> None:
    assert len(set(MULTILINGUAL)) == len(MULTILINGUAL) == 99
    assert set(MULTILINGUAL_V3) - set(MULTILINGUAL) == {"yue"}


@pytest.mark.parametrize("code", MULTILINGUAL_V3)
def test_a_code_means_itself(code: str) -> None:
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
    ],
)
def test_what_others_call_it(tag: str, code: str) -> None:
    assert normalise(tag, MULTILINGUAL_V3) == code


def test_without_cantonese_hong_kong_speaks_chinese() -> None:
    assert normalise("zh-HK", MULTILINGUAL) == "zh"
    assert normalise("yue", MULTILINGUAL) is None


@pytest.mark.parametrize("tag", ["tlh", "", "-", "en2", "e", "x" * 10_000, "\ud800"])
def test_no_language_of_whispers(tag: str) -> None:
    assert normalise(tag, MULTILINGUAL_V3) is None


def test_an_english_model_hears_english_only() -> None:
    assert normalise("en-GB", ENGLISH) == "en"
    assert normalise("de", ENGLISH) is None


@pytest.mark.parametrize("tag", [None, "", " ", "auto", "AUTO", "null", "none", "und"])
def test_these_ask_us_to_find_out(tag: str | None) -> None:
    assert means_detect(tag)


@pytest.mark.parametrize("tag", ["en", "no", "automatic"])
def test_these_do_not(tag: str) -> None:
    assert not means_detect(tag)
