"""The window in which an unknown language is detected, and the one in which it is decoded."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from wyoming_faster_whisper.engine.protocol import DecodeOptions, Job
from wyoming_faster_whisper.engine.whisper.calibration.values import Calibrations
from wyoming_faster_whisper.engine.whisper.pipeline import WhisperPipeline
from wyoming_faster_whisper.engine.whisper.window import FULL_FRAMES
from wyoming_faster_whisper.testing.acoustic_model import FakeAcousticModel, heard

from .jobs import decode, spoken

LIGHTS = "Turn on the lights."
UNKNOWN = DecodeOptions()
DETECTION = Calibrations("base").of("").detection
LEAST = DETECTION.least_probability


def detecting(language: str, probability: float = 0.99) -> FakeAcousticModel:
    """Return a model that detects a language."""
    found = [{language: probability, "cy": 1 - probability}]
    return FakeAcousticModel(heard(LIGHTS), languages=found, multilingual=True)


def clip(seconds: float = 2.0, options: DecodeOptions = UNKNOWN) -> Job:
    """Return a job with enough speech to detect its language in a short window."""
    return spoken(seconds, (0.2, 0.2 + DETECTION.least_speech), options=options)


def windows(
    model: FakeAcousticModel, options: DecodeOptions = UNKNOWN, seconds: float = 2.0
) -> Sequence[int]:
    """Decode a clip; return the frames of the windows in which it was encoded."""
    decode(model, clip(seconds, options))
    frames = [each.frames for each in model.encoded]
    assert model.generated[0].encoded.frames == frames[-1]
    return frames


@pytest.mark.parametrize(
    ("language", "frames"),
    [("en", [1000]), ("es", [1000, 1500]), ("de", [1000, 2000]), ("da", [1000, FULL_FRAMES])],
)
def test_a_clip_is_encoded_again_if_its_language_needs_a_longer_window(
    language: str, frames: list[int]
) -> None:
    assert windows(detecting(language)) == frames


@pytest.mark.parametrize(
    ("seconds", "frames"), [(12.0, [1300]), (19.0, [2000]), (19.1, [FULL_FRAMES])]
)
def test_the_language_of_a_long_clip_is_detected_in_the_full_window(
    seconds: float, frames: list[int]
) -> None:
    assert windows(detecting("en"), seconds=seconds) == frames


def test_the_language_of_a_single_word_is_detected_in_the_full_window() -> None:
    model = detecting("en")
    word = 0.2, 0.2 + DETECTION.least_speech - 0.1
    [found] = decode(model, spoken(2.0, word, options=UNKNOWN))
    assert found.language == "en"
    assert [each.frames for each in model.encoded] == [FULL_FRAMES]


def test_a_doubtful_language_is_detected_again_in_the_full_window() -> None:
    doubtful = [{"en": LEAST - 0.01, "de": LEAST - 0.02}]
    model = FakeAcousticModel(
        heard(LIGHTS), languages=doubtful, longer={FULL_FRAMES: [{"de": 0.8}]}, multilingual=True
    )
    [found] = decode(model, clip())
    assert [each.frames for each in model.encoded] == [1000, FULL_FRAMES]
    assert (found.language, found.language_probability) == ("de", 0.8)
    assert model.generated[0].prompts == ("<|de|> <|transcribe|>",)
    assert model.generated[0].encoded.frames == FULL_FRAMES


@pytest.mark.parametrize("size", ["tiny", "small"])
def test_a_model_without_a_measured_window_detects_in_the_full_one(size: str) -> None:
    model = detecting("en", LEAST - 0.01)
    decode(model, clip(), size=size)
    assert [each.frames for each in model.encoded] == [FULL_FRAMES]


def test_a_full_window_may_be_asked_for() -> None:
    model = detecting("en")
    WhisperPipeline(model, Calibrations("base"), full_window=True).decode([clip()], 5)
    assert [each.frames for each in model.encoded] == [FULL_FRAMES]


@pytest.mark.parametrize(
    ("candidates", "detected", "frames"),
    [
        (("en", "es"), "en", [1000]),
        (("en", "es"), "es", [1000, 1500]),
        (("es", "de"), "es", [1500]),
        (("de", "da"), "da", [2000, FULL_FRAMES]),
        (("de", "fr"), "de", [2000]),
        (("da", "sv"), "da", [FULL_FRAMES]),
    ],
)
def test_among_candidates_the_shortest_of_their_windows_comes_first(
    candidates: tuple[str, ...], detected: str, frames: list[int]
) -> None:
    home = DecodeOptions(candidate_languages=candidates)
    assert windows(detecting(detected), home) == frames


@pytest.mark.parametrize(
    ("expected", "detected", "frames"),
    [
        ("en", "en", [1000]),
        ("en", "de", [1000, 2000]),
        ("de", "en", [2000]),
        ("de", "de", [2000]),
    ],
)
def test_the_window_of_the_expected_language_comes_first(
    expected: str, detected: str, frames: list[int]
) -> None:
    home = DecodeOptions(candidate_languages=("en", "de"), expected_language=expected)
    assert windows(detecting(detected), home) == frames


def test_a_doubtful_candidate_is_detected_again_in_the_longest_of_the_windows() -> None:
    doubtful = [{"en": LEAST - 0.01, "es": LEAST - 0.02, "de": LEAST - 0.02}]
    model = FakeAcousticModel(heard(LIGHTS), languages=doubtful, multilingual=True)
    home = DecodeOptions(candidate_languages=("en", "es", "de"))
    assert windows(model, home) == [1000, 2000]


def test_the_candidates_of_a_long_clip_never_need_more_than_the_longest_window() -> None:
    home = DecodeOptions(candidate_languages=("en", "es"))
    assert windows(detecting("es"), home, seconds=25.0) == [2600]


def test_a_batch_is_encoded_again_in_the_longest_window_that_its_languages_need() -> None:
    model = FakeAcousticModel(
        heard(LIGHTS), languages=[{"en": 0.9}, {"de": 0.9}], multilingual=True
    )
    found = decode(model, clip(), clip(3.0))
    assert [each.language for each in found] == ["en", "de"]
    assert [(len(each.features), each.frames) for each in model.encoded] == [(2, 1000), (2, 2000)]


def test_only_the_doubtful_clips_of_a_batch_change_their_language() -> None:
    model = FakeAcousticModel(
        heard(LIGHTS),
        languages=[{"en": 0.9}, {"en": LEAST - 0.01}],
        longer={FULL_FRAMES: [{"fr": 0.8}, {"de": 0.8}]},
        multilingual=True,
    )
    found = decode(model, clip(), clip(3.0))
    assert [each.language for each in found] == ["en", "de"]


def test_a_second_pass_uses_the_window_of_the_detected_language() -> None:
    doubtful = heard("Turn on the light.", avg_logprob=-1.0)
    model = FakeAcousticModel(
        doubtful, heard(LIGHTS), likely=[LIGHTS], languages=[{"en": 0.9}], multilingual=True
    )
    [found] = decode(model, spoken(2.0, (0.4, 1.9), options=UNKNOWN))
    assert found.passes == 2
    assert [each.frames for each in model.encoded] == [1000, 1000]


def test_a_second_pass_in_the_full_window_follows_a_shorter_one() -> None:
    model = FakeAcousticModel(heard("Yes."), languages=[{"en": 0.9}], multilingual=True)
    decode(model, spoken(2.0, (0.4, 1.9), options=UNKNOWN))
    assert [each.frames for each in model.encoded] == [1000, FULL_FRAMES]


@pytest.mark.parametrize(("within", "passes"), [(3.9, 1), (4.1, 2)])
def test_the_time_of_a_second_pass_is_known_from_both_encodings(
    within: float, passes: int
) -> None:
    """Every 10 s of an encoder window take one second."""
    model = FakeAcousticModel(
        heard("Licht an bitte.", avg_logprob=-0.6),
        heard("Licht an bitte."),
        languages=[{"es": 0.9}],
        multilingual=True,
    )
    pipeline = WhisperPipeline(
        model,
        Calibrations("base"),
        clock=lambda: sum(each.frames for each in model.encoded) / 1000,
    )
    job = spoken(2.0, (0.4, 1.9), options=UNKNOWN, answer_within=within)
    [found] = pipeline.decode([job], 5)
    assert found.passes == passes  # 1 s and 1.5 s for the first, 1.5 s for the second


def test_jobs_of_unknown_language_share_a_batch() -> None:
    pipeline = WhisperPipeline(detecting("en"), Calibrations("base"))
    assert pipeline.batch_key(clip()) == pipeline.batch_key(clip(5.0))
