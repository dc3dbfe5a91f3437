"""Scores for the end of a text, and decodes that continue a given text, with the real base."""

from __future__ import annotations

import re
from dataclasses import astuple

import numpy as np
import pytest

from tests.support.clips import CLIPS
from wyoming_faster_whisper.audio.pcm import SAMPLE_RATE, Samples
from wyoming_faster_whisper.engine.protocol import DecodeKind, DecodeOptions, Job, Transcript
from wyoming_faster_whisper.engine.whisper.engine import WhisperEngine
from wyoming_faster_whisper.speech.prosody import measure_prosody
from wyoming_faster_whisper.testing import silence

pytestmark = pytest.mark.model

LONG = ("lights", "thermostat", "timer", "blinds", "weather", "kitchen")
FRAME = SAMPLE_RATE // 100
ENGLISH = DecodeOptions(language="en")


def half(samples: Samples) -> Samples:
    """Return the audio up to the quietest 10 ms in its middle fifth."""
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    first, last = 2 * len(frames) // 5, 3 * len(frames) // 5
    quietest = first + int(np.mean(frames[first:last] ** 2, axis=1).argmin())
    return samples[: quietest * FRAME]


def end_of_turn_log_odds(engine: WhisperEngine, samples: Samples) -> float:
    sound = np.concatenate([samples, silence(0.2)])
    # As sessions guess.
    job = Job(sound, ENGLISH, score_end=True, kind=DecodeKind.GUESS, quick=True)
    [said] = engine.decode([job])
    assert said.end_scores is not None
    assert said.turn_classifier is not None
    return said.turn_classifier.log_odds(said.end_scores, measure_prosody(sound, len(samples)))


@pytest.mark.parametrize("clip", LONG)
def test_a_whole_command_has_a_higher_end_of_turn_confidence_than_half_of_it(
    engine: WhisperEngine, clip: str
) -> None:
    samples = CLIPS[clip].samples
    assert end_of_turn_log_odds(engine, samples) > end_of_turn_log_odds(engine, half(samples))


def test_a_question_is_scored_with_its_own_punctuation(engine: WhisperEngine) -> None:
    samples, model = CLIPS["weather"].samples, engine.model
    encoding = model.encode([model.features(samples)], 1000)
    prompt = model.tokenizer.prompt(DecodeOptions(), "en")
    [alone] = engine.decode([Job(samples, ENGLISH)])

    def stop(mark: str) -> float:
        text = alone.text.rstrip(".?!") + mark
        [closing] = model.score_end_of_text(
            encoding, prompt, [text], [len(samples) / SAMPLE_RATE]
        )
        assert closing is not None
        return closing.full_stop

    assert stop("?") > stop(".") == stop("")


def test_the_texts_of_a_batch_are_scored_like_each_alone(engine: WhisperEngine) -> None:
    model, prompt = engine.model, engine.model.tokenizer.prompt(DecodeOptions(), "en")
    sounds = [CLIPS[name].samples for name in ("weather", "lights", "timer")]
    texts = ["What's the weather tomorrow?", "", "Set a timer."]
    seconds = [len(samples) / SAMPLE_RATE for samples in sounds]
    features = [model.features(samples) for samples in sounds]
    together = model.score_end_of_text(model.encode(features, 1000), prompt, texts, seconds)
    for batched, some, text, length in zip(together, features, texts, seconds, strict=True):
        [alone] = model.score_end_of_text(model.encode([some], 1000), prompt, [text], [length])
        assert (batched is None) == (alone is None) == (not text)
        if batched is not None and alone is not None:
            assert astuple(batched) == pytest.approx(astuple(alone), abs=0.05)


def test_the_decoder_writes_allowed_words_only(engine: WhisperEngine) -> None:
    model = engine.model
    encoding = model.encode([model.features(CLIPS["lights"].samples)], 1000)
    prompt = model.tokenizer.prompt(DecodeOptions(), "en")
    allowed = model.tokenizer.spellings(["open", "the", "blinds"])
    [free] = model.generate(encoding, [prompt], 1, [20])
    [bound] = model.generate(encoding, [prompt], 1, [20], allowed=allowed)
    assert CLIPS["lights"].heard_in(free.text)
    assert set(re.findall("[a-z]+", bound.text.lower())) <= {"open", "the", "blinds"}


@pytest.mark.parametrize("count", [440, 441, 442, 443, 447])
def test_a_text_too_long_for_the_decoder_is_not_scored(engine: WhisperEngine, count: int) -> None:
    model = engine.model
    encoding = model.encode([model.features(silence(1.0))], 100)
    prompt, text = model.tokenizer.prompt(DecodeOptions(), "en"), "no " * count
    [scores] = model.score_end_of_text(encoding, prompt, [text], [1.0])
    assert (scores is None) == (count > 442)
    [[likely]] = model.score([encoding], prompt, [text]).values()
    # One token less than above: the end of the text is scored too.
    assert np.isfinite(likely) == (count <= 441)


def words(said: Transcript) -> list[str]:
    return re.findall(r"\w+", said.text.lower())


@pytest.mark.parametrize("clip", LONG)
def test_a_decode_continues_the_text_already_sent_without_repeating_it(
    engine: WhisperEngine, clip: str
) -> None:
    samples = CLIPS[clip].samples
    [alone] = engine.decode([Job(samples, ENGLISH)])
    sent = " ".join(alone.text.split()[:3])
    [went_on] = engine.decode([Job(samples, ENGLISH, prefix=sent, score_end=True)])
    assert went_on.text.startswith(f"{sent} ")
    assert words(went_on) == words(alone)
