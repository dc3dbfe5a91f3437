"""Error rates by language, beside the reference, with their intervals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bench.accuracy import Trial, language_table
from bench.calibration.languages import CONDITIONS, Arm, Heard, changed, said_again, table
from bench.speech.noise import coloured
from bench.support.bootstrap import paired
from bench.support.clips import SAMPLE_RATE, WIDTH, Clip, cut, to_samples
from bench.support.memo import Store, key_of
from bench.support.scoring import Errors, language_errors
from tests.support.calibration import ENGLISH
from wyoming_faster_whisper.audio.pcm import to_pcm16


def test_a_difference_in_all_clips_is_certain() -> None:
    found = paired([1] * 40, [2] * 40, [10] * 40)
    assert found.difference == pytest.approx(-0.1)
    assert str(found) == "-10.0 (-10.0 to -10.0)"


def test_a_difference_in_one_clip_is_not() -> None:
    found = paired([1, *[0] * 39], [0] * 40, [10] * 40)
    assert found.difference == pytest.approx(1 / 400)
    assert found.low == 0


def test_each_language_has_as_many_clips_in_each_round() -> None:
    # Within a language nothing varies, so nothing varies between the rounds.
    found = paired([5] * 10 + [0] * 10, [0] * 20, [10] * 20, ["de"] * 10 + ["fr"] * 10)
    assert (found.low, found.high) == pytest.approx((0.25, 0.25))


def test_characters_count_where_words_have_no_spaces() -> None:
    assert language_errors("電気をつけて。", "電気をつけた", "ja") == Errors(1, 6)
    assert language_errors("불을 켜 줘", "불을 켜줘", "ko") == Errors(0, 4)
    assert language_errors("Licht an", "Licht aus", "de") == Errors(1, 2)


def test_the_tables_have_a_row_per_language_and_one_for_all() -> None:
    heard = [
        Heard(arm, language, "clean", "clip", "", wrong, 10, 0.5, "de")
        for arm, wrong in (("reference", 2), ("30 s", 1))
        for language in ("de", "fr")
    ]
    lines = table(heard, "clean", "reference").splitlines()
    assert [line.split()[0] for line in lines[1::4]] == ["de", "fr", "all"]
    assert lines[-4].split() == ["all", "2", "20.0%", "10.0%"]
    assert "-10.0 (-10.0 to -10.0)" in lines[-3]
    assert lines[-1].split()[-2:] == ["1", "1"]

    trials = [
        Trial("recorded language", "clean", Clip("a.wav", b"", b"", "eins zwei"), "de"),
        Trial("silence", "silence", Clip("b.wav", b"", b"")),
    ]
    shown = language_table(trials, {"this server": ["eins", ""], "reference": ["eins zwei", ""]})
    assert shown.splitlines()[1].split()[:5] == ["de", "1", "50.0", "%", "0.0"]


def test_a_clip_is_said_again_after_a_pause() -> None:
    clip = Clip("a.wav", bytes(2 * SAMPLE_RATE), bytes(100), "eins zwei")
    again = said_again(clip, 3, 0.5)
    assert (again.seconds, again.text) == (4.0, "eins zwei eins zwei eins zwei")
    assert said_again(clip, 1, 0.5) is clip


@pytest.mark.parametrize("condition", CONDITIONS)
def test_every_condition_keeps_the_length(condition: str) -> None:
    clip = cut("a.wav", to_pcm16(coloured(SAMPLE_RATE, 0.5, "voice") * np.float32(0.1)))
    sound = changed(clip, clip.audio, condition, coloured(SAMPLE_RATE, 0.0, "noise"))
    assert len(sound) == len(clip.audio) // WIDTH
    assert np.array_equal(sound, to_samples(clip.audio)) == (condition == "clean")


def test_an_arm_changes_the_window_only() -> None:
    changed = Arm(15).calibration(ENGLISH)
    assert (changed.window.floor, changed.window.second) == (15, 15)
    assert changed.hallucination == ENGLISH.hallucination
    assert Arm().calibration(ENGLISH) == ENGLISH


def test_a_result_is_computed_once(tmp_path: Path) -> None:
    asked: list[int] = []

    def compute() -> int:
        asked.append(1)
        return 7

    for _ in range(2):
        value, cpu = Store(tmp_path / "results.sqlite").get("key", compute)
        assert value == 7
        assert cpu >= 0
    assert asked == [1]


def test_keys_differ_in_every_sample() -> None:
    sound = np.zeros(100, np.float32)
    other = sound.copy()
    other[50] = 1e-6
    assert key_of("a", sound) == key_of("a", sound.copy()) != key_of("a", other)
    assert key_of("a", "bc") != key_of("ab", "c")
