"""Times of words with the real base."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from tests.support.clips import CLIPS
from wyoming_faster_whisper.audio.pcm import SAMPLE_RATE
from wyoming_faster_whisper.engine.protocol import DecodeOptions, Job
from wyoming_faster_whisper.engine.whisper.engine import WhisperEngine
from wyoming_faster_whisper.testing import silence

pytestmark = pytest.mark.model

TIMED = DecodeOptions(language="en", word_times=True)


def test_words_follow_each_other_within_the_speech(engine: WhisperEngine) -> None:
    samples = CLIPS["kitchen"].samples
    sound = np.concatenate([silence(1.5), samples, silence(1.0)])
    speech = ((round(1.5 * SAMPLE_RATE), round(1.5 * SAMPLE_RATE) + len(samples)),)
    [transcript] = engine.decode([Job(sound, TIMED, speech=speech)])
    words = transcript.words
    assert " ".join(word.text for word in words) == transcript.text
    assert tuple(token for word in words for token in word.tokens) == transcript.tokens
    assert all(word.start <= word.end for word in words)
    assert all(one.start <= other.start for one, other in pairwise(words))
    assert 1.4 < words[0].start < 2.2
    assert words[-1].end <= 1.5 + len(samples) / SAMPLE_RATE


def test_likely_words_are_probable_and_the_tokens_are_the_text(engine: WhisperEngine) -> None:
    samples = CLIPS["kitchen"].samples
    options = DecodeOptions(language="en", word_times=True, token_logprobs=True)
    speech = ((0, len(samples)),)
    [transcript] = engine.decode([Job(samples, options, speech=speech)])
    assert all(0.0 < word.probability <= 1.0 for word in transcript.words)
    assert {word.text: word.probability for word in transcript.words}["kitchen"] > 0.8
    tokens = transcript.token_logprobs
    assert b"".join(token.bytes for token in tokens).decode() == f" {transcript.text}"
    assert all(token.logprob <= 0.0 for token in tokens)


def test_another_word_than_the_spoken_one_is_improbable(engine: WhisperEngine) -> None:
    model, samples = engine.model, CLIPS["kitchen"].samples
    encoding = model.encode([model.features(samples)], 1000)
    prompt = model.tokenizer.prompt(TIMED, "en")

    def last_word(text: str) -> float:
        aligned = model.align(encoding, prompt, text, len(samples) / SAMPLE_RATE)
        assert aligned is not None
        return aligned.logprobs[-1]

    assert last_word("Turn off the kitchen") > -0.5
    assert last_word("Turn off the elephant") < -5.0


def test_the_bytes_of_an_incomplete_character_are_kept(engine: WhisperEngine) -> None:
    text = "Grüße 🎉"
    pieces = engine.model.tokenizer.pieces(text)
    assert b"".join(pieces).decode() == f" {text}"
    assert any("\ufffd" in piece.decode(errors="replace") for piece in pieces)


def test_an_unspaced_text_is_split_into_short_words(engine: WhisperEngine) -> None:
    tokenizer = engine.model.tokenizer
    text = "今日は、いい天気です。"
    words = tokenizer.words(text, spaced=False)
    assert "".join(word for word, _ in words).strip() == text
    assert len(words) > 3
    assert sum(count for _, count in words) == len(tokenizer.encode(text))


def test_punctuation_belongs_to_the_word_before_it(engine: WhisperEngine) -> None:
    words = engine.model.tokenizer.words("Well, it's 21.5 degrees!", spaced=True)
    assert [word.strip() for word, _ in words] == ["Well,", "it's", "21.5", "degrees!"]
