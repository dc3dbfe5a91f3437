"""Streams of the latency benchmark: pauses, room noise, and a selection that fits the time."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from bench.speech.pauses import PAUSES, quietest, room, with_pause
from bench.speech.streams import BRIEF, SETUPS, dictations, plan, seconds
from bench.support.clips import SAMPLE_RATE, WIDTH, Clip, to_samples
from wyoming_faster_whisper.audio.pcm import to_pcm16
from wyoming_faster_whisper.testing import silence, tone

SERVERS = ["this server", "reference"]


def clip(name: str = "order", *, tail: float = 0.0, spoken: float = 2.0) -> Clip:
    room = np.full(round(tail * SAMPLE_RATE), 0.01, np.float32)
    return Clip(name, to_pcm16(tone(spoken)), to_pcm16(room), "turn on the light", ("light",))


def seconds_of(pcm: bytes) -> float:
    return len(pcm) / WIDTH / SAMPLE_RATE


def test_the_room_noise_is_what_was_recorded_after_the_speech() -> None:
    assert np.allclose(to_samples(room(clip(tail=0.5), 3.0)), 0.01, atol=1e-4)


def test_room_noise_that_was_not_recorded_is_quiet_but_not_zero() -> None:
    made = to_samples(room(clip(), 3.0))
    assert len(made) == 3 * SAMPLE_RATE
    assert 0 < np.abs(made).max() < 0.005


@pytest.mark.parametrize("length", PAUSES)
def test_an_inserted_pause_has_its_length_and_keeps_the_speech(length: float) -> None:
    before = clip(tail=0.5)
    after = with_pause(before, SAMPLE_RATE, length)
    assert seconds_of(after.audio) == pytest.approx(before.seconds + length)
    assert after.audio[: SAMPLE_RATE * WIDTH] == before.audio[: SAMPLE_RATE * WIDTH]
    assert after.audio[-SAMPLE_RATE * WIDTH :] == before.audio[-SAMPLE_RATE * WIDTH :]
    middle = to_samples(after.audio)[SAMPLE_RATE + 800 : -SAMPLE_RATE - 800]
    assert np.abs(middle).max() < 0.02
    assert (after.text, after.phrases) == (before.text, before.phrases)


def test_the_quietest_moment_is_between_the_words() -> None:
    samples = np.concatenate([tone(0.5), silence(0.05), tone(0.5)])
    at, power = quietest(samples, 4000, 12000)
    assert 8000 <= at <= 8800
    assert power < 1e-6


def test_a_plan_uses_the_available_time() -> None:
    clips = [clip(str(number)) for number in range(60)]
    paused = [(PAUSES[number % 4], each) for number, each in enumerate(clips)]
    setups = [SETUPS[name] for name in BRIEF]
    for minutes in (5.0, 15.0, 40.0):
        chosen = plan(setups, SERVERS, clips, paused, minutes)
        assert 0.8 < seconds(setups, SERVERS, chosen) / 60 / minutes <= 1


def test_a_plan_for_one_server_and_setup_also_uses_the_available_time() -> None:
    clips = [clip(str(number)) for number in range(60)]
    setups = [SETUPS["home"]]
    chosen = plan(setups, SERVERS[:1], clips, [(0.3, each) for each in clips], 15.0)
    assert 0.8 < seconds(setups, SERVERS[:1], chosen) / 60 / 15 <= 1


def test_without_a_time_limit_everything_is_played() -> None:
    clips = [clip(str(number)) for number in range(50)]
    chosen = plan([SETUPS["home"]], SERVERS, clips, [(0.3, each) for each in clips], None)
    counts = {
        scenario.name: sum(play.scenario is scenario for play in chosen[SETUPS["home"].name])
        for scenario in SETUPS["home"].scenarios
    }
    assert counts == {scenario.name: scenario.most or 50 for scenario in SETUPS["home"].scenarios}


def test_a_small_sample_of_pauses_has_all_lengths() -> None:
    clips = [clip(str(number)) for number in range(40)]
    paused = [(PAUSES[number % 4], each) for number, each in enumerate(clips)]
    chosen = plan([SETUPS["auto"]], SERVERS, clips, paused, 5)
    lengths = {play.stream.pause for play in chosen[SETUPS["auto"].name]}
    assert lengths == {None, *PAUSES}


def test_a_small_sample_of_pauses_has_many_clips() -> None:
    clips = [clip(str(number)) for number in range(40)]
    paused = [(length, each) for each in clips for length in PAUSES]
    chosen = plan([SETUPS["auto"]], SERVERS, clips, paused, 5)
    names = [play.stream.clip.name for play in chosen[SETUPS["auto"].name] if play.stream.pause]
    assert len(names) > 10
    assert len(set(names)) > len(names) / 2


def test_no_words_are_expected_in_silence() -> None:
    no_speech = SETUPS["home"].scenarios[-1].stream(clip())
    assert (no_speech.clip.text, no_speech.clip.phrases, no_speech.audio) == (None, (), b"")
    assert no_speech.seconds == 15.0


def test_a_dictation_consists_of_whole_sentences_with_known_texts() -> None:
    made = dictations([clip(tail=0.5), replace(clip("order"), text=None)])
    assert [round(each.seconds) // 10 for each in made] == [12, 18, 30]
    sentences = (made[0].text or "").split("turn on the light")
    assert len(sentences) - 1 == pytest.approx(120 / (2.0 + 0.9), rel=0.2)


def test_a_dictation_does_not_repeat_a_sentence_directly() -> None:
    [made, *_] = dictations([replace(clip(), text="one"), replace(clip(), text="two")])
    said = (made.text or "").split()
    assert len(said) > 10
    assert all(one != following for one, following in pairwise(said))


def test_without_known_texts_there_is_no_dictation() -> None:
    assert dictations([replace(clip(), text=None)]) == []
