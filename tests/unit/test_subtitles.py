"""Subtitle formats."""

from __future__ import annotations

from wyoming_faster_whisper.subtitles import Cue, srt, tsv, vtt

CUES = [
    Cue(0.25, 1.5, "Bread & <butter>,\nplease."),
    Cue(2.0, 3.0, ""),
    Cue(3723.9996, 3725.0, "Good --> night."),
]


def test_srt_numbers_the_cues_with_text() -> None:
    assert srt(CUES) == (
        "1\n00:00:00,250 --> 00:00:01,500\nBread & <butter>,\nplease.\n\n"
        "2\n01:02:04,000 --> 01:02:05,000\nGood --> night.\n"
    )


def test_vtt_escapes_markup_characters() -> None:
    assert vtt(CUES) == (
        "WEBVTT\n\n00:00:00.250 --> 00:00:01.500\nBread &amp; &lt;butter&gt;,\nplease.\n\n"
        "01:02:04.000 --> 01:02:05.000\nGood --&gt; night.\n"
    )


def test_tsv_has_one_line_per_cue_and_milliseconds() -> None:
    assert tsv([*CUES, Cue(1.0, 2.0, "a\tb")]) == (
        "start\tend\ttext\n250\t1500\tBread & <butter>, please.\n"
        "3724000\t3725000\tGood --> night.\n1000\t2000\ta b\n"
    )


def test_no_cues_give_a_valid_file() -> None:
    assert (srt([]), vtt([]), tsv([])) == ("", "WEBVTT\n", "start\tend\ttext\n")
