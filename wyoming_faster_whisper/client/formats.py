"""Output formats of a transcription: text, JSON, SubRip and WebVTT. Pure."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Line:
    """The text of one stretch of speech; times in seconds from the start of the file."""

    start: float
    end: float
    text: str  # empty: no speech was recognised


@dataclass(frozen=True, slots=True)
class Transcription:
    """The transcript of one file."""

    file: str
    seconds: float  # duration of the audio
    language: str | None  # as reported by the server
    lines: tuple[Line, ...]

    @property
    def text(self) -> str:
        """The text of all lines, joined by spaces."""
        return " ".join(line.text for line in self.lines if line.text)


def as_text(transcription: Transcription) -> str:
    """Return the text on one line."""
    return transcription.text + "\n"


def as_json(transcription: Transcription) -> str:
    """Return one line of JSON, so that several files make JSON Lines."""
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
    """Return SubRip captions, one for each line with text."""
    cues = [
        f"{number}\n{_clock(line.start, ',')} --> {_clock(line.end, ',')}\n{line.text}\n"
        for number, line in enumerate(
            (line for line in transcription.lines if line.text), start=1
        )
    ]
    return "\n".join(cues)


def as_vtt(transcription: Transcription) -> str:
    """Return WebVTT captions, one for each line with text."""
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
"""Formats that need times, for which the audio is therefore cut at pauses."""

CAPTION_PAUSE = 0.6
"""Seconds of silence that separate two captions: a pause between clauses, not between words."""


def _clock(seconds: float, point: str) -> str:
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours:02}:{minute:02}:{second:02}{point}{milliseconds:03}"
