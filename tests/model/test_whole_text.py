"""Completeness with the real base: nothing is missing and nothing is repeated."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tests.support.clips import CLIPS
from wyoming_faster_whisper.audio.pcm import Samples
from wyoming_faster_whisper.engine.protocol import DecodeOptions, Job, Transcript
from wyoming_faster_whisper.engine.whisper.calibration.values import Calibrations
from wyoming_faster_whisper.engine.whisper.engine import WhisperEngine
from wyoming_faster_whisper.speech.segmenter import SpeechRules, segments
from wyoming_faster_whisper.speech.vad import Vad
from wyoming_faster_whisper.testing import silence

pytestmark = pytest.mark.model


def said(*names: str, pause: float = 0.6) -> Samples:
    """Return these recordings one after the other."""
    parts = [part for name in names for part in (CLIPS[name].samples, silence(pause))]
    return np.concatenate(parts)


def heard(engine: WhisperEngine, sound: Samples) -> Transcript:
    """Decode audio that forms a single segment."""
    probabilities = Vad().probabilities(sound).tolist()
    [segment] = segments(probabilities, SpeechRules(), len(sound))
    samples = sound[segment.start : segment.end]
    options = DecodeOptions(language="en")
    job = Job(
        samples, options, speech=segment.speech_samples, leading_silence=segment.leading_silence
    )
    [transcript] = engine.decode([job])
    return transcript


@pytest.mark.parametrize("full", [False, True], ids=["short window", "full window"])
@pytest.mark.parametrize("times", [2, 3])
@pytest.mark.parametrize(
    ("name", "order"), [("lights", "turn on the lights"), ("blinds", "close the blinds")]
)
def test_a_repeated_command_is_transcribed_as_often_as_it_was_spoken(
    engine: WhisperEngine, name: str, order: str, times: int, full: bool
) -> None:
    fitted = Calibrations("base")
    engine = WhisperEngine(engine.model, calibrations=fitted, full_window=full)
    text = heard(engine, said(*[name] * times)).text
    assert len(re.findall(order, text.lower())) == times, text


@pytest.mark.parametrize("pause", [0.6, 1.2, 2.5])
@pytest.mark.parametrize(
    "names",
    [("lights", "blinds"), ("kitchen", "weather"), ("thermostat", "timer"), ("time", "stop")],
    ids=lambda names: "+".join(names),
)
def test_both_of_two_sentences_are_transcribed(
    engine: WhisperEngine, names: tuple[str, ...], pause: float
) -> None:
    text = heard(engine, said(*names, pause=pause)).text
    assert [name for name in names if not CLIPS[name].heard_in(text)] == [], text
