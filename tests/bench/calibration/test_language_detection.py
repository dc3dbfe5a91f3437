"""bench.calibration.language_detection: beginnings of recordings, and wrong languages."""

from __future__ import annotations

from math import inf

import numpy as np

from bench.calibration.language_detection import (
    LENGTHS,
    LIMITS,
    Detected,
    beginnings,
    pairs,
    short_first,
    table,
)
from wyoming_faster_whisper.audio.pcm import SAMPLE_RATE
from wyoming_faster_whisper.engine.protocol import Job


def test_a_beginning_ends_after_its_seconds_of_speech() -> None:
    second = SAMPLE_RATE
    speech = ((second, 2 * second), (4 * second, 6 * second))
    job = Job(np.zeros(7 * second, np.float32), speech=speech)
    lengths = {seconds: part.seconds for seconds, part in beginnings(job, (*LENGTHS, inf))}
    assert lengths == {0.5: 1.5, 1.0: 2.0, 1.5: 4.5, 2.0: 5.0, 3.0: 6.0, inf: 7.0}
    short = Job(job.samples, speech=speech[:1])
    assert [seconds for seconds, _ in beginnings(short, LENGTHS)] == list(LENGTHS[:2])


def test_the_table_counts_believed_and_wrong_languages() -> None:
    found = [
        Detected("a.wav", "clean", "de", 0.5, 30, {"de": 0.6, "nl": 0.4}),
        Detected("a.wav", "clean", "de", 0.5, 30, {"de": 0.3, "nl": 0.4, "en": 0.3}),
    ]
    line = table(found).splitlines()[1]
    assert line.split()[2:] == "2 2, 1 2, 1 1, 0 0, 0 0, 0".split()


def test_a_home_of_two_languages_is_spared_all_others() -> None:
    found = [Detected("a.wav", "clean", "de", 1.0, 30, {"nl": 0.5, "de": 0.2, "en": 0.3})]
    expected, other = (line.split() for line in pairs(found, ["de", "en"]).splitlines()[1:])
    # Dutch among all; English among the two without a prior, and with a low one.
    assert expected[-8:-2] == ["100.0%", "100.0%", "0.0%", "0.0%", "0.0%", "0.0%"]
    assert other[-8:-2] == ["100.0%"] * 6


def test_a_sure_language_of_a_home_may_be_wrong() -> None:
    found = [
        Detected("a.wav", "clean", "de", 1.0, 30, {"de": 0.9, "en": 0.1}),
        Detected("b.wav", "clean", "de", 1.0, 30, {"de": 0.01, "en": 0.99}),
        Detected("c.wav", "clean", "de", 1.0, 30, {"de": 0.5, "en": 0.5}),
    ]
    expected, other = (line.split() for line in pairs(found, ["de", "en"]).splitlines()[1:])
    assert expected[-2:] == ["2,", "1"]
    assert other[-2:] == ["1,", "1"]  # 0.9 is no longer enough for the other language


def test_a_doubtful_language_is_that_of_the_full_window() -> None:
    found = [
        Detected("a.wav", "clean", "de", 1.0, 30, {"de": 0.9, "nl": 0.1}),
        Detected("a.wav", "clean", "de", 1.0, 10, {"de": 0.45, "nl": 0.55}),
    ]
    header, among_all, among_two = short_first(found, ["de", "nl"]).splitlines()
    assert "below 0.5" in header
    for line in (among_all, among_two):
        cells = line.split()[-2 * len(LIMITS) :]
        shares = dict(zip(LIMITS, zip(cells[::2], cells[1::2], strict=True), strict=True))
        assert shares[0.5] == ("1,", "0%")
        assert shares[0.6] == ("0,", "100%")
