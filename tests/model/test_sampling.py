"""Sampling at a temperature with the real base."""

from __future__ import annotations

import pytest

from tests.support.clips import CLIPS
from wyoming_faster_whisper.engine.protocol import DecodeOptions, Job
from wyoming_faster_whisper.engine.whisper.engine import WhisperEngine
from wyoming_faster_whisper.engine.whisper.hallucination import Decoded

pytestmark = pytest.mark.model

SAMPLES = CLIPS["kitchen"].samples
ENGLISH = DecodeOptions(language="en")


def generated(engine: WhisperEngine, temperature: float) -> Decoded:
    model = engine.model
    encoding = model.encode([model.features(SAMPLES)], 1000)
    prompt = model.tokenizer.prompt(ENGLISH, "en")
    [found] = model.generate(encoding, [prompt], 5, [60], temperature=temperature)
    return found


def test_a_high_temperature_gives_other_texts_each_time_and_the_beam_search_the_same(
    engine: WhisperEngine,
) -> None:
    # Two draws are the same now and then.
    assert len({generated(engine, 1.0).alternatives for _ in range(5)}) > 1
    assert generated(engine, 0.0) == generated(engine, 0.0)


def test_the_first_of_the_sampled_texts_has_the_highest_mean_log_probability(
    engine: WhisperEngine,
) -> None:
    found = generated(engine, 1.0)
    texts = (found.text, *found.alternatives)
    means = [
        score / len(engine.model.tokenizer.encode(text))
        for score, text in zip(found.scores, texts, strict=True)
    ]
    assert len(means) == 5
    assert means[0] == pytest.approx(max(means), abs=0.02)


def test_a_low_temperature_hears_the_words(engine: WhisperEngine) -> None:
    options = DecodeOptions(language="en", temperature=0.2)
    [found] = engine.decode([Job(SAMPLES, options)])
    assert CLIPS["kitchen"].heard_in(found.text)
    assert found.temperature == 0.2
