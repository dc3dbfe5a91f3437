"""Output formats of a transcription."""

from __future__ import annotations

import json

from wyoming_faster_whisper.client.formats import FORMATS, Transcription
from wyoming_faster_whisper.subtitles import Cue

SAID = Transcription(
    "film.mkv",
    3725.5,
    "en",
    (
        Cue(0.25, 1.5, "Bread & <butter>."),
        Cue(2.0, 3.0, ""),
        Cue(3723.9996, 3725.0, "Good night."),
    ),
)


def test_text_is_one_line() -> None:
    assert FORMATS["text"](SAID) == "Bread & <butter>. Good night.\n"


def test_json_is_one_line_with_the_times_of_each_segment() -> None:
    line = FORMATS["json"](SAID)
    assert line.count("\n") == 1
    assert json.loads(line) == {
        "file": "film.mkv",
        "text": "Bread & <butter>. Good night.",
        "language": "en",
        "seconds": 3725.5,
        "segments": [
            {"start": 0.25, "end": 1.5, "text": "Bread & <butter>."},
            {"start": 3724.0, "end": 3725.0, "text": "Good night."},
        ],
    }


def test_srt_numbers_the_segments_with_text() -> None:
    assert FORMATS["srt"](SAID) == (
        "1\n00:00:00,250 --> 00:00:01,500\nBread & <butter>.\n\n"
        "2\n01:02:04,000 --> 01:02:05,000\nGood night.\n"
    )


def test_vtt_escapes_markup_characters() -> None:
    assert FORMATS["vtt"](SAID) == (
        "WEBVTT\n\n00:00:00.250 --> 00:00:01.500\nBread &amp; &lt;butter&gt;.\n\n"
        "01:02:04.000 --> 01:02:05.000\nGood night.\n"
    )


def test_a_recording_without_speech_gives_a_valid_file() -> None:
    nothing = Transcription("a.wav", 1.0, None, ())
    written = {name: write(nothing) for name, write in FORMATS.items()}
    assert (written["text"], written["srt"], written["vtt"]) == ("\n", "", "WEBVTT\n")
    assert json.loads(written["json"])["segments"] == []
