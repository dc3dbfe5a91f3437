"""Output formats of a transcription: text, JSON, SubRip and WebVTT. Pure."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass

from ..subtitles import Cue, srt, vtt


@dataclass(frozen=True, slots=True)
class Transcription:
    """The transcript of one file."""

    file: str
    seconds: float  # duration of the audio
    language: str | None  # as reported by the server
    lines: tuple[Cue, ...]  # one for each stretch of speech; no text: none was recognised

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
    return srt(transcription.lines)


def as_vtt(transcription: Transcription) -> str:
    """Return WebVTT captions, one for each line with text."""
    return vtt(transcription.lines)


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
