"""The figures of bench.preprocess."""

from __future__ import annotations

import numpy as np

from bench.preprocess import Listened, Played, Trial, table
from bench.speech.noise import babble
from bench.support.clips import Clip
from bench.support.scoring import Errors
from wyoming_faster_whisper.audio.pcm import to_pcm16
from wyoming_faster_whisper.testing import tone


def test_windows_are_compared_with_those_of_the_clean_clip() -> None:
    found = Listened()
    found.count(np.array([1, 1, 1, 0, 0], bool), np.array([1, 0, 1, 1, 0], bool))
    found.count(np.array([0], bool), np.array([1], bool))
    assert (found.speech, found.missed, found.silence, found.false) == (3, 1, 3, 2)


def test_errors_are_summed_by_setting_and_level() -> None:
    played = [
        Played("without", "clean", "kitchen", "a", "", Errors(1, 5), False),
        Played("without", "5 dB", "kitchen", "a", "", Errors(3, 5), False),
        Played("gain", "clean", "kitchen", "a", "", Errors(0, 5), False),
        Played("gain", "5 dB", "kitchen", "a", "", Errors(2, 5), False),
        Played("without", "clean", "babble", "b", "", Errors(1, 1), True),
        Played("gain", "clean", "babble", "b", "", Errors(0, 1), True),
    ]
    rows = [line.split() for line in table(["without", "gain"], played).splitlines()]
    assert rows[2:5] == [
        ["words", "5", "0", "0", "5", "10"],
        ["without", "1", "0", "0", "3", "4"],
        ["gain", "0", "0", "0", "2", "2"],
    ]
    assert rows[6:] == [
        ["orders", "1", "0", "0", "0", "1"],
        ["without", "1", "0", "0", "0", "1"],
        ["gain", "0", "0", "0", "0", "0"],
    ]


def test_a_trial_has_the_noise_of_its_kind_at_its_level() -> None:
    clip = Clip("clip", to_pcm16(tone(2.0) * 0.2), b"")
    noises = {
        "kitchen": np.full(16_000, 0.1, np.float32),
        "babble": babble([tone(1.0), tone(0.5, hertz=700)], seconds=2.0),
    }
    clean = Trial(clip, "clean", "babble").samples(noises)
    added = [Trial(clip, "10 dB", kind).samples(noises) - clean for kind in noises]
    powers = [np.mean(each**2) for each in added]
    assert np.isclose(powers[0], np.mean(clean[11_200:-11_200] ** 2) / 10, rtol=0.5)
    assert np.isclose(powers[1], powers[0], rtol=0.5)
    assert np.ptp(added[0]) < 1e-6 < np.ptp(added[1])
