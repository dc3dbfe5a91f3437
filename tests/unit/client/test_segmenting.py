"""Segmentation of long recordings in the client."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_faster_whisper.client.segmenting import Cut, Part, parts
from wyoming_faster_whisper.speech.hysteresis import WINDOW

SECOND = 1 / 0.032  # windows


def heard(*stretches: tuple[float, float]) -> list[float]:
    """Return one speech probability per window for stretches of (seconds, probability)."""
    return [p for seconds, p in stretches for _ in range(round(seconds * SECOND))]


def sound(probabilities: list[float]) -> bytes:
    """Return a recording in which every sample holds the number of its window."""
    return b"".join(
        (at % 30_000).to_bytes(2, "little") * WINDOW for at in range(len(probabilities))
    )


def cut(probabilities: list[float], how: Cut) -> list[Part]:
    return parts(sound(probabilities), probabilities, how)


def seconds(found: list[Part]) -> list[tuple[float, float]]:
    return [(round(part.start, 2), round(part.end, 2)) for part in found]


def test_a_pause_splits_a_recording() -> None:
    said = heard((0.64, 0), (1.28, 1), (0.96, 0), (0.64, 1), (0.32, 0), (0.64, 1), (0.64, 0))
    found = cut(said, Cut(pause=0.6))
    assert seconds(found) == [(0.64, 1.92), (2.88, 4.48)]


def test_without_a_pause_setting_only_the_maximum_length_splits_a_recording() -> None:
    said = heard((2.0, 1), (5.0, 0), (2.0, 1))
    assert len(cut(said, Cut())) == 1
    assert len(cut(said, Cut(longest=5.0))) == 2


def test_long_speech_is_split_at_a_short_pause() -> None:
    said = heard((8.0, 1), (0.2, 0), (8.0, 1))
    assert seconds(cut(said, Cut(pause=0.6, longest=12.0))) == [(0.0, 8.0), (8.19, 16.19)]


def test_speech_without_pauses_is_split_too() -> None:
    found = cut(heard((30.0, 1)), Cut(pause=0.6, longest=12.0))
    assert b"".join(part.data for part in found) == sound(heard((30.0, 1)))
    assert all(len(part.data) / 32_000 <= 12.0 for part in found)


def test_silence_is_not_sent_but_quiet_speech_is() -> None:
    assert cut(heard((5.0, 0.05)), Cut(pause=0.6)) == []
    assert seconds(cut(heard((1.0, 0.0), (1.0, 0.3), (1.0, 0)), Cut(pause=0.6))) == [(0.99, 1.98)]


@pytest.mark.parametrize("pause", [None, 0.6])
def test_a_short_recording_is_sent_whole_unless_a_pause_is_given(pause: float | None) -> None:
    assert Cut(pause).leaves_whole(240.0) == (pause is None)
    assert not Cut(pause).leaves_whole(240.1)


@given(
    st.lists(st.sampled_from([0.0, 0.3, 0.9]), max_size=400), st.sampled_from([None, 0.2, 0.6])
)
def test_no_audio_is_sent_twice_and_no_part_is_too_long(
    probabilities: list[float], pause: float | None
) -> None:
    found = cut(probabilities, Cut(pause, longest=3.0))
    at = -1
    for part in found:
        windows = [
            int.from_bytes(part.data[i : i + 2], "little")
            for i in range(0, len(part.data), 2 * WINDOW)
        ]
        assert windows == list(range(windows[0], windows[0] + len(windows)))
        assert windows[0] > at
        assert len(part.data) / 32_000 <= 3.0
        assert part.start < part.end
        at = windows[-1]
