"""Voice activity detection with the real model."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.clips import CLIPS
from wyoming_faster_whisper.audio.pcm import Samples
from wyoming_faster_whisper.speech.vad import Vad


def without_room(name: str) -> Samples:
    """Return a recording from its first sample that is clearly louder than the room."""
    samples = CLIPS[name].samples
    return samples[int(np.argmax(np.abs(samples) > 0.02)) :]


@pytest.mark.parametrize("name", ["blinds", "time"])
def test_a_word_at_the_first_sample_is_speech_from_its_first_window(name: str) -> None:
    assert Vad().probabilities(without_room(name))[0] > 0.5


def test_each_stream_begins_anew() -> None:
    vad, samples = Vad(), without_room("time")
    first, second = vad.stream(), vad.stream()
    heard = first.feed(samples)
    assert np.array_equal(second.feed(samples), heard)
