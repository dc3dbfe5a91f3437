"""VAD hysteresis: from speech probabilities to stretches of speech."""

from __future__ import annotations

import pytest

from wyoming_faster_whisper.speech.hysteresis import (
    Hysteresis,
    Stretch,
    join,
    stretches,
    windows,
)


def found(picture: str, **rules: float) -> list[tuple[int, int]]:
    """Return the stretches of a picture: # = speech, - = between thresholds, . = silence."""
    probabilities = [{"#": 0.9, "-": 0.4, ".": 0.1}[window] for window in picture]
    options = {"min_silence": 3, **rules}
    return [(s.start, s.end) for s in stretches(probabilities, **options)]  # type: ignore[arg-type]


@pytest.mark.parametrize("picture", ["", ".", "......", "------"])
def test_silence_has_no_stretch_of_speech(picture: str) -> None:
    assert found(picture) == []


def test_speech_may_fill_all_windows() -> None:
    assert found("####") == [(0, 4)]
    assert found("#") == [(0, 1)]


def test_silence_around_speech_is_left_out() -> None:
    assert found("..###....") == [(2, 5)]
    assert found("..###.") == [(2, 5)]


def test_a_short_pause_does_not_split_a_stretch() -> None:
    assert found("##..##") == [(0, 6)]


def test_a_pause_of_min_silence_splits_a_stretch() -> None:
    assert found("##...##") == [(0, 2), (5, 7)]
    assert found("##...##", min_silence=4) == [(0, 7)]
    assert found("##.##", min_silence=1) == [(0, 2), (3, 5)]


def test_speech_continues_below_the_threshold_but_does_not_begin_there() -> None:
    assert found("--##--....") == [(2, 6)]
    assert found("##.-....") == [(0, 4)]


def test_the_threshold_itself_is_speech() -> None:
    assert stretches([0.5], min_silence=3) == [Stretch(0, 1)]
    assert stretches([0.49], min_silence=3) == []
    assert stretches([0.5, 0.35], min_silence=3) == [Stretch(0, 2)]
    assert stretches([0.5, 0.34], min_silence=3) == [Stretch(0, 1)]
    assert stretches([0.2], threshold=0.2, min_silence=3) == [Stretch(0, 1)]


def test_the_length_of_a_stretch_is_in_windows() -> None:
    assert len(Stretch(3, 7)) == 4


def test_silence_before_speech_is_not_a_pause() -> None:
    assert found("...." + "#" + "....") == [(4, 5)]


def test_a_doubtful_window_inside_a_pause_does_not_join_two_stretches() -> None:
    assert found("#...-...#") == [(0, 1), (8, 9)]


def test_speech_ends_with_a_low_threshold_too() -> None:
    found = stretches([0.2, 0.1, *[0.01] * 20], threshold=0.15, min_silence=3)
    assert found == [Stretch(0, 2)]


@pytest.mark.parametrize(("probability", "end"), [(0.08, 2), (0.07, 1)])
def test_with_a_low_threshold_speech_goes_on_down_to_half_of_it(
    probability: float, end: int
) -> None:
    assert stretches([0.2, probability], threshold=0.15, min_silence=3) == [Stretch(0, end)]


def test_after_a_reset_speech_begins_anew_at_the_threshold() -> None:
    hysteresis = Hysteresis(0.5, min_silence=3)
    assert hysteresis.feed(0.5)
    assert hysteresis.feed(0.4)
    hysteresis.reset()
    assert not hysteresis.feed(0.4)
    assert hysteresis.feed(0.5)


def test_seconds_are_rounded_to_whole_windows() -> None:
    assert [windows(seconds) for seconds in (0.032, 0.05, 1.0)] == [1, 2, 31]


def joined(*speech: tuple[int, int], longest: int = 100) -> list[tuple[int, int]]:
    """Join stretches with a closing silence of five windows."""
    stretches = [Stretch(start, end) for start, end in speech]
    found = join(stretches, longest=longest, closing_silence=lambda _: 5)
    return [(one.start, one.end) for one in found]


def test_stretches_with_less_than_the_closing_silence_between_them_are_joined() -> None:
    assert joined((0, 10), (14, 20)) == [(0, 20)]
    assert joined((0, 10), (15, 20)) == [(0, 10), (15, 20)]
    assert joined((0, 10), (14, 20), (24, 30)) == [(0, 30)]


def test_the_closing_silence_depends_on_all_that_is_joined_so_far() -> None:
    lengths: list[int] = []

    def closing_silence(length: int) -> float:
        lengths.append(length)
        return 5

    speech = [Stretch(1, 4), Stretch(5, 9), Stretch(20, 22)]
    join(speech, longest=100, closing_silence=closing_silence)
    assert lengths == [3, 8]


def test_a_joined_stretch_has_at_most_the_longest_length() -> None:
    assert joined((3, 13), (15, 23), longest=20) == [(3, 23)]
    assert joined((3, 13), (15, 23), longest=19) == [(3, 13), (15, 23)]


def test_a_longer_stretch_is_cut() -> None:
    assert joined((5, 30), longest=10) == [(5, 15), (15, 25), (25, 30)]
