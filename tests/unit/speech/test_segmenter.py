"""Segmentation: which parts of a recording are decoded."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from random import Random

import pytest

from wyoming_faster_whisper.audio.pcm import SAMPLE_RATE
from wyoming_faster_whisper.speech.hysteresis import WINDOW
from wyoming_faster_whisper.speech.segmenter import (
    LONGEST,
    PAUSE,
    Segment,
    SpeechRules,
    closing_silence,
    complete,
    fill_window,
    segments,
)


def windows(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE / WINDOW)


def found(*parts: tuple[float, float], rules: SpeechRules | None = None) -> list[Segment]:
    """Return the segments of a recording given as stretches of (seconds, speech probability)."""
    probabilities = [p for seconds, p in parts for _ in range(windows(seconds))]
    return segments(probabilities, rules or SpeechRules(), len(probabilities) * WINDOW)


def test_silence_has_no_segment() -> None:
    assert found((10, 0.0)) == []
    assert found() == []


def test_silence_is_trimmed_to_the_padding() -> None:
    (part,) = found((2, 0.0), (1, 0.9), (2, 0.0))
    pad = round(0.4 * SAMPLE_RATE)
    first, last = windows(2), windows(2) + windows(1)
    assert part == Segment(first * WINDOW - pad, last * WINDOW + pad, True, (first, last))


def test_a_segment_knows_its_highest_probability() -> None:
    parts = found((1, 0.0), (1, 0.9), (6, 0.2), (1, 0.7), (1, 0.0))
    assert [part.peak for part in parts] == [0.9, 0.7]


def test_a_segment_knows_where_its_speech_ends() -> None:
    (part,) = found((2, 0.0), (1, 0.9), (2, 0.0))
    assert part.start + part.speech_end == (windows(2) + windows(1)) * WINDOW


def test_the_padding_ends_with_the_recording() -> None:
    (part,) = found((1, 0.9))
    assert (part.start, part.end) == (0, windows(1) * WINDOW)


def test_padding_missing_at_the_start_becomes_leading_silence() -> None:
    pad = round(0.4 * SAMPLE_RATE)
    assert [part.leading_silence for part in found((1, 0.9))] == [pad]
    assert [part.leading_silence for part in found((0.32, 0.0), (1, 0.9))] == [pad - 10 * WINDOW]
    assert [part.leading_silence for part in found((1, 0.0), (1, 0.9), (6, 0.0), (1, 0.9))] == [
        0,
        0,
    ]


def test_a_word_of_two_tenths_of_a_second_is_certain_speech() -> None:
    (part,) = found((1, 0.0), (0.2, 0.9), (1, 0.0))
    assert part.certain_speech


def test_the_least_speech_is_certain_speech() -> None:
    (part,) = found((1, 0.0), (0.064, 0.9), (1, 0.0))
    assert part.certain_speech


def test_possible_speech_becomes_an_uncertain_segment() -> None:
    (part,) = found((1, 0.0), (0.3, 0.3), (1, 0.0))
    assert not part.certain_speech
    assert found((1, 0.0), (0.3, 0.1), (1, 0.0)) == []


def test_possible_speech_is_known_without_its_pauses_too() -> None:
    (part,) = found((1, 0.0), (0.32, 0.3), (0.16, 0.0), (0.32, 0.3), (1, 0.0))
    assert [end - start for start, end in part.speech_samples] == [10 * WINDOW, 10 * WINDOW]


def test_a_click_is_not_certain_speech() -> None:
    (part,) = found((1, 0.0), (0.032, 0.9), (1, 0.0))
    assert not part.certain_speech


def test_a_pause_within_a_sentence_does_not_split_it() -> None:
    assert len(found((1, 0.9), (1.5, 0.0), (1, 0.9))) == 1


def test_a_long_silence_between_segments_is_left_out() -> None:
    first, second = found((1, 0.9), (5.5, 0.0), (1, 0.9))
    assert second.start - first.end > 4 * SAMPLE_RATE


def test_a_fragment_is_joined_with_the_speech_after_it() -> None:
    assert len(found((1, 0.9), (4.9, 0.0), (1, 0.9))) == 1
    assert len(found((3.9, 0.9), (4.9, 0.0), (1, 0.9))) == 1
    assert len(found((4.1, 0.9), (4.9, 0.0), (1, 0.9))) == 2
    assert len(found((4.1, 0.9), (1.9, 0.0), (1, 0.9))) == 1


def test_a_segment_may_fill_the_window() -> None:
    """In most languages the model encodes 30 s, however short a segment is."""
    lines = [(4.5, 0.9), (3.0, 0.0)] * 12
    assert len(found(*lines)) == 12
    assert len(found(*lines, rules=fill_window(SpeechRules()))) == 3


def test_a_segment_that_fills_the_window_ends_between_sentences_and_at_long_silence() -> None:
    rules = fill_window(SpeechRules())
    first, *_ = found(*[(5.0, 0.9), (0.6, 0.0)] * 10, rules=rules)
    assert first.speech[1] - first.speech[0] == pytest.approx(windows(4 * 5.6 - 0.6), abs=4)
    assert len(found((5.0, 0.9), (5.1, 0.0), (5.0, 0.9), rules=rules)) == 2


def test_a_segment_that_fills_the_window_does_not_end_at_a_pause_within_a_sentence() -> None:
    rules = fill_window(SpeechRules())
    assert len(found((22.5, 0.9), (0.4, 0.0), (4.0, 0.9), rules=rules)) == 1


def test_no_shorter_pause_than_one_where_speech_may_be_cut_closes_a_segment() -> None:
    assert closing_silence(windows(LONGEST), SpeechRules()) == PAUSE


def test_a_segment_knows_where_it_has_speech() -> None:
    (part,) = found((1, 0.0), (1, 0.9), (1, 0.0), (1, 0.9), (1, 0.0))
    edges = (windows(1), 2 * windows(1), 3 * windows(1), 4 * windows(1))
    first, second = (
        tuple(edge * WINDOW - part.start for edge in edges[at:][:2]) for at in (0, 2)
    )
    assert part.speech_samples == (first, second)
    assert part.speech_seconds == 2 * windows(1) * WINDOW / SAMPLE_RATE


def test_both_parts_of_speech_that_is_cut_contain_speech() -> None:
    parts = found((40, 0.9))
    assert [part.speech_samples for part in parts] == [
        ((0, part.end - part.start),) for part in parts
    ]


def test_long_speech_is_cut_at_a_pause() -> None:
    first, second = found((20, 0.9), (0.5, 0.0), (20, 0.9))
    assert first.end == second.start == (windows(20) + windows(0.5) // 2) * WINDOW


def test_a_long_command_is_not_cut_at_its_pauses() -> None:
    assert len(found((8, 0.9), (0.7, 0.0), (3, 0.9), (0.7, 0.0), (2.5, 0.9))) == 1


def test_no_segment_is_longer_than_the_models_window() -> None:
    parts = found(*[(7.3, 0.9), (0.3, 0.0)] * 20, (100, 0.9))
    assert max(part.end - part.start for part in parts) <= LONGEST * SAMPLE_RATE
    assert parts[0].start == 0


def test_speech_without_a_pause_loses_nothing() -> None:
    parts = found((100, 0.9))
    assert parts[0].start == 0
    assert parts[-1].end == windows(100) * WINDOW
    assert all(later.start == earlier.end for earlier, later in pairwise(parts))


def test_segments_do_not_overlap() -> None:
    parts = found(*[(7.3, 0.9), (0.3, 0.0)] * 20, (100, 0.9))
    assert all(earlier.end <= later.start for earlier, later in pairwise(parts))


def test_a_very_long_padding_leaves_room_for_speech() -> None:
    assert len(found((5, 0.9), rules=SpeechRules(pad=20.0))) < 10


def test_the_operators_rules_apply() -> None:
    strict = SpeechRules(threshold=0.8, low_threshold=0.8)
    assert found((1, 0.7), rules=strict) == []
    assert found((1, 0.9), rules=SpeechRules(min_speech=2.0))[0].certain_speech is False
    assert len(found((4, 0.9), (1, 0.0), (1, 0.9), rules=SpeechRules(min_silence=0.5))) == 2
    wide = found((1, 0.3), (1, 0.9), (1, 0.0), rules=SpeechRules(clip_threshold=0.25))
    assert wide[0].start == 0


# A growing recording.


def speaking(random: Random, seconds: float) -> list[float]:
    """Return the VAD probabilities of speech with pauses of all lengths."""
    probabilities: list[float] = []
    while len(probabilities) < windows(seconds):
        probabilities += [random.uniform(0.3, 1.0) for _ in range(random.randint(1, 60))]
        if random.random() < 0.1:  # speech without a pause, longer than a segment
            probabilities += [0.9] * windows(random.uniform(10, 70))
        pause = random.choice((3, 4, 8, 20, 70, 200, 600))
        loudest = random.choice((0.1, 0.45))
        probabilities += [random.uniform(0.0, loudest) for _ in range(pause)]
    return probabilities


@pytest.mark.parametrize("seed", range(20))
def test_the_complete_segments_spare_work_and_change_nothing(seed: int) -> None:
    random = Random(seed)
    rules = SpeechRules(
        min_silence=random.choice((0.0, 0.5, 2.0)),
        clip_threshold=random.choice((0.4, 0.5)),
        pad=random.choice((0.0, 0.4, 2.0)),
    )
    probabilities = speaking(random, 300)
    known: Sequence[Segment] = ()
    silent_until = 0
    for length in sorted(random.sample(range(len(probabilities)), 100)):
        heard, samples = probabilities[:length], length * WINDOW
        parts = segments(heard, rules, samples, complete=known, begin=silent_until)
        whole = segments(heard, rules, samples)
        assert parts == whole
        assert [one.stretches for one in parts] == [one.stretches for one in whole]
        assert [one.earlier_seconds for one in parts] == pytest.approx(
            [one.earlier_seconds for one in whole]
        )
        known = complete(parts, rules, length)
        silent_until = length if len(known) == len(parts) else silent_until
    assert known
    assert silent_until


def test_the_last_segment_is_complete_once_silence_closes_it() -> None:
    rules = SpeechRules(min_silence=1.0)

    def completed(silence: int) -> bool:
        heard = [0.9] * windows(6) + [0.0] * silence
        found = segments(heard, rules, len(heard) * WINDOW)
        return complete(found, rules, len(heard)) == found

    assert not completed(windows(1.0) - 1)
    assert completed(windows(1.0))


def test_a_segment_that_was_cut_within_speech_is_not_complete() -> None:
    heard = [0.9] * windows(40)
    found = segments(heard, SpeechRules(), len(heard) * WINDOW)
    assert len(found) == 2
    assert complete(found, SpeechRules(), len(heard)) == ()


def test_a_segment_knows_the_seconds_of_speech_before_it() -> None:
    first, second, third = found((6, 0.9), (4, 0.0), (5, 0.9), (4, 0.0), (6, 0.9), (1, 0.0))
    assert first.earlier_seconds == 0.0
    assert second.earlier_seconds == pytest.approx(6, abs=0.05)
    assert third.earlier_seconds == pytest.approx(11, abs=0.05)
