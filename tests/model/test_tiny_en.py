"""Real speech and the real tiny.en in a real server."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.clips import CLIPS
from tests.support.processes import Process
from tests.support.serving import Speaker
from wyoming_faster_whisper.audio.pcm import SAMPLE_RATE, Samples
from wyoming_faster_whisper.client import read_wav
from wyoming_faster_whisper.commands.doctor.command import _ORDER, _WORDS
from wyoming_faster_whisper.commands.doctor.synthetic_client import SyntheticClient, spoken
from wyoming_faster_whisper.testing import silence

pytestmark = [pytest.mark.model, pytest.mark.asyncio(loop_scope="module")]


async def test_info_lists_only_english(client: Speaker) -> None:
    [model] = (await client.describe()).asr[0].models
    assert model.name == "tiny.en"
    assert model.languages == ["en"]


@pytest.mark.parametrize("name", CLIPS)
async def test_the_words_of_a_recording_are_recognised(client: Speaker, name: str) -> None:
    await client.say(CLIPS[name].samples)
    answer = await client.answer()
    assert CLIPS[name].heard_in(answer.text), answer.text
    assert answer.text == answer.text.strip()
    assert answer.language == "en"


@pytest.mark.parametrize("name", ["lights", "timer", "kitchen"])
async def test_faint_speech_with_a_dc_offset_is_recognised(client: Speaker, name: str) -> None:
    samples = CLIPS[name].samples
    faint = samples * np.float32(0.01 / np.sqrt(np.mean(samples**2)))  # -40 dBFS
    await client.say(np.concatenate([silence(0.5), faint, silence(0.7)]) + np.float32(0.3))
    answer = await client.answer()
    assert CLIPS[name].heard_in(answer.text), answer.text


async def test_a_request_for_another_language_gives_english(client: Speaker) -> None:
    await client.say(CLIPS["lights"].samples, language="de")
    answer = await client.answer()
    assert CLIPS["lights"].heard_in(answer.text), answer.text
    assert answer.language == "en"


async def test_speech_longer_than_one_window_is_recognised_to_its_end(client: Speaker) -> None:
    pause = silence(
        5.5
    )  # separates all clips: in one segment with a sentence, tiny.en drops "Stop."
    everything = np.concatenate(
        [part for said in CLIPS.values() for part in (said.samples, pause)]
    )
    assert len(everything) > 32 * SAMPLE_RATE
    await client.say(everything)
    text = await client.transcript()
    assert [name for name, said in CLIPS.items() if not said.heard_in(text)] == [], text


def noise(seconds: float) -> Samples:
    """Return a quiet, reproducible hiss."""
    hiss = np.random.default_rng(0).normal(0.0, 0.003, round(seconds * SAMPLE_RATE))
    return hiss.astype(np.float32)


@pytest.mark.parametrize("sound", [silence(3.0), noise(3.0)], ids=["silence", "hiss"])
async def test_audio_without_speech_gives_an_empty_text(client: Speaker, sound: Samples) -> None:
    await client.say(sound)
    assert await client.transcript() == ""


# Read at import time because tests must not block the event loop.
ORDER = spoken(read_wav(_ORDER))


async def test_the_doctors_recording_is_recognised(tiny_en: Process) -> None:
    visitor = SyntheticClient(await tiny_en.uri(), ORDER, "en", _WORDS, pace=0.0)
    turn = await visitor.speak(visitor.order, silence=0.7)
    assert turn.text is not None, turn.error
    assert CLIPS["lights"].heard_in(turn.text), turn.text
