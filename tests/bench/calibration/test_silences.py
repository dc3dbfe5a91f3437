"""bench.calibration.silences: one silence, threshold or guess changed at a time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.calibration.silences import heard, settings, table
from bench.support.clips import Clip
from bench.turns import Heard, Sound, with_silence
from tests.bench.test_turns import FINISHED, fading
from tests.support.calibration import ENGLISH
from wyoming_faster_whisper.audio.pcm import to_pcm16
from wyoming_faster_whisper.speech.endpointing import EndOfTurn
from wyoming_faster_whisper.testing import LoudnessVad

SETTINGS = {each.name: each for each in settings(ENGLISH.end_of_turn)}
NOW = SETTINGS["as it is"]


def test_each_setting_changes_one_value() -> None:
    for name, each in SETTINGS.items():
        changed = [
            each.endpointing != NOW.endpointing,
            each.classifier != NOW.classifier,
            each.guess_after != NOW.guess_after,
        ]
        assert sum(changed) == (name != "as it is"), name


def test_a_longer_silence_and_a_stricter_threshold_delay_the_end() -> None:
    clip = Clip("order", to_pcm16(fading()), b"")
    samples = with_silence(clip)
    whole = samples[: len(samples) // 512 * 512]
    sound = Sound(clip, None, LoudnessVad().feed(whole))

    def wait(setting: str) -> float:
        [found] = heard([sound], SETTINGS[setting], lambda samples, lead, quick: FINISHED, 0.1)
        assert found.wait is not None
        return found.wait

    assert wait("silence complete 0.6 s") == pytest.approx(wait("as it is") + 0.28, abs=0.04)
    strict = replace(NOW, classifier=replace(NOW.classifier, complete=99.0))
    [found] = heard([sound], strict, lambda samples, lead, quick: FINISHED, 0.1)
    assert found.end_of_turn == EndOfTurn.LIKELY.value


def test_the_table_shows_waits_and_cut_offs_by_pause() -> None:
    some = [
        Heard("order", None, 0.5, "finished", 1),
        Heard("order, 0.5 s", 0.5, None, "finished", 2),
        Heard("order, 0.5 s", 0.5, 0.6, "unsure", 1),
    ]
    last = table({"as it is": some}).splitlines()[-1]
    assert last.split()[3:] == "0.500 s 0.500 s 0.0% 0.0% 50.0% 0.0% 0.0% 1.33".split()
