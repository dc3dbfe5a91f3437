"""Detection of a live microphone stream from Home Assistant."""

from __future__ import annotations

import pytest

from wyoming_faster_whisper.audio.pcm import PcmFormat
from wyoming_faster_whisper.speech.live_stream import LiveStream

PCM = PcmFormat()


def stream(*parts: tuple[float, float], pcm: PcmFormat = PCM, size: int = 320) -> LiveStream:
    """Feed chunks of 10 ms; parts are (seconds of audio, seconds per second of audio)."""
    pace, now = LiveStream(), 100.0
    for sound, took in parts:
        for _ in range(round(sound * 100)):
            now += took / 100
            pace.chunk(pcm, size, now)
    return pace


def test_a_stream_in_real_time_is_live() -> None:
    assert stream((3.0, 1.0)).is_live


@pytest.mark.parametrize(("size", "live"), [(3200, True), (3201, False), (3520, False)])
def test_chunks_that_are_read_together_count_as_what_they_were(size: int, live: bool) -> None:
    pace = LiveStream()
    for number in range(30):
        pace.chunk(PCM, size, 100 + number / 10, count=10)
    assert pace.is_live is live


def starved(*parts: tuple[float, float], slept: float) -> LiveStream:
    """Feed the same audio to an event loop that reads only every slept seconds."""
    pace, came = LiveStream(), 0.0
    for sound, took in parts:
        for _ in range(round(sound * 100)):
            came += took / 100
            now = slept * (came // slept + 1)
            pace.chunk(PCM, 320, 100 + now, lag=slept)
    return pace


@pytest.mark.parametrize("slept", [0.3, 0.6, 1.2])
def test_event_loop_lag_does_not_hide_a_live_stream(slept: float) -> None:
    assert starved((3.0, 1.0), slept=slept).is_live
    assert starved((2.0, 0.0), (3.0, 1.0), slept=slept).is_live


def test_lag_at_the_start_does_not_hide_a_live_stream() -> None:
    """The first chunk is read 0.5 s late, the following ones 1.6 s after the start."""
    pace = LiveStream()
    pace.chunk(PCM, 320, 100.5, lag=0.5)
    for _ in range(159):
        pace.chunk(PCM, 320, 101.6, lag=1.1)
    for number in range(1, 200):
        pace.chunk(PCM, 320, 101.6 + number / 100)
    assert pace.is_live


@pytest.mark.parametrize("slept", [0.1, 0.3, 0.6])
@pytest.mark.parametrize("took", [0.0, 0.5, 1.5, 2.0])
def test_event_loop_lag_does_not_make_a_file_live(took: float, slept: float) -> None:
    assert not starved((6.0, took), slept=slept).is_live


def test_audio_buffered_before_the_wake_word_may_arrive_at_once() -> None:
    assert stream((2.0, 0.0), (3.0, 1.0)).is_live


def test_too_little_audio_is_not_live() -> None:
    assert not stream((0.9, 1.0)).is_live
    assert not LiveStream().is_live


@pytest.mark.parametrize("took", [0.0, 0.5, 0.8, 1.5, 2.0])
def test_a_file_is_not_live(took: float) -> None:
    assert not stream((5.0, took)).is_live


def test_a_stalled_stream_is_live_again_once_it_has_caught_up() -> None:
    late = [(2.0, 1.0), (0.01, 60.0)]  # one chunk takes 0.6 s
    assert not stream(*late).is_live
    assert stream(*late, (0.59, 0.0), (1.0, 1.0)).is_live


def test_a_stream_that_was_too_fast_once_is_never_live() -> None:
    assert not stream((2.0, 1.0), (1.0, 0.0), (1.0, 2.0), (5.0, 1.0)).is_live


@pytest.mark.parametrize("size", [318, 322, 640, 4096])
def test_chunks_of_another_size_are_not_from_home_assistant(size: int) -> None:
    assert not stream((3.0, size / 320), size=size).is_live


def test_another_audio_format_is_not_from_home_assistant() -> None:
    assert not stream((3.0, 1.0), pcm=PcmFormat(rate=8000)).is_live


def test_a_long_stream_in_real_time_stays_live() -> None:
    assert stream((300.0, 1.0)).is_live


def test_a_stream_in_real_time_may_be_live_before_the_burst_is_over() -> None:
    assert not stream((0.1, 1.0)).may_be_live
    assert stream((0.4, 1.0)).may_be_live
    assert stream((3.0, 1.0)).may_be_live


def test_a_recording_sent_at_once_is_not_taken_for_a_live_stream() -> None:
    assert not stream((5.0, 0.0)).may_be_live
    assert not stream((0.5, 0.1)).may_be_live


def test_a_stream_that_is_not_live_is_not_taken_for_one_either() -> None:
    assert not stream((3.0, 2.0)).may_be_live
    assert not stream((3.0, 1.0), size=640).may_be_live
    assert not LiveStream().may_be_live
