"""How a transcription is written: text, JSON, SubRip and WebVTT. Pure."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """What is said from start to end, in seconds from the beginning."""

    start: float
    end: float
    text: str  # may be empty: nobody spoke


@dataclass(frozen=True, slots=True)
class Transcription:
    """What is said in a file."""

    file: str
    seconds: float  # of sound
    language: str | None  # as the server told
    lines: tuple[Line, ...]

    @property
    def text(self) -> str:
        return " ".join(line.text for line in self.lines if line.text)


def as_text(transcription: Transcription) -> str:
    return transcription.text + "\n"


def as_json(transcription: Transcription) -> str:
    """One line, so that many files make JSON Lines."""
    spoken = [
        {"start": round(line.start, 3), "end": round(line.end, 3), "text": line.text}
        for line in transcription.lines
        if line.text
    ]
    about = {
        "file": transcription.file,
        "text": transcription.text,
        "language": transcription.language,
        "seconds": round(transcription.seconds, 3),
        "segments": spoken,
    }
    return json.dumps(about, ensure_ascii=False) + "\n"


def as_srt(transcription: Transcription) -> str:
    cues = [
        f"{number}\n{_clock(line.start, ',')} --> {_clock(line.end, ',')}\n{line.text}\n"
        for number, line in enumerate(
            (line for line in transcription.lines if line.text), start=1
        )
    ]
    return "\n".join(cues)


def as_vtt(transcription: Transcription) -> str:
    cues = [
        f"{_clock(line.start, '.')} --> {_clock(line.end, '.')}\n"
        f"{html.escape(line.text, quote=False)}\n"
        for line in transcription.lines
        if line.text
    ]
    return "\n".join(["WEBVTT\n", *cues])


FORMATS: dict[str, Callable[[Transcription], str]] = {
    "text": as_text,
    "json": as_json,
    "srt": as_srt,
    "vtt": as_vtt,
}

SUFFIXES = {"text": ".txt", "json": ".json", "srt": ".srt", "vtt": ".vtt"}

TIMED = frozenset({"srt", "vtt"})
"""Formats that are nothing without times, so that the sound is cut at pauses for them."""

CAPTION_PAUSE = 0.6
"""Seconds of silence between two captions: the end of a clause, not of a word."""


def _clock(seconds: float, point: str) -> str:
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours:02}:{minute:02}:{second:02}{point}{milliseconds:03}"
