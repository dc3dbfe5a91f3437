"""Subtitle formats: SubRip, WebVTT, and the table of openai/whisper. Pure."""

from __future__ import annotations

import html
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Cue:
    """A text, and when to show it; times in seconds from the start of the recording."""

    start: float
    end: float
    text: str  # in one line or several; a cue without text is not written


def srt(cues: Iterable[Cue]) -> str:
    """Return the cues as SubRip."""
    return "\n".join(
        f"{number}\n{_clock(cue.start, ',')} --> {_clock(cue.end, ',')}\n{cue.text}\n"
        for number, cue in enumerate((cue for cue in cues if cue.text), start=1)
    )


def vtt(cues: Iterable[Cue]) -> str:
    """Return the cues as WebVTT."""
    written = [
        f"{_clock(cue.start, '.')} --> {_clock(cue.end, '.')}\n"
        f"{html.escape(cue.text, quote=False)}\n"
        for cue in cues
        if cue.text
    ]
    return "\n".join(["WEBVTT\n", *written])


def tsv(cues: Iterable[Cue]) -> str:
    """Return the cues as tab-separated values, with times in ms (openai/whisper: WriteTSV)."""
    rows = [
        f"{round(cue.start * 1000)}\t{round(cue.end * 1000)}\t{' '.join(cue.text.split())}\n"
        for cue in cues
        if cue.text
    ]
    return "".join(["start\tend\ttext\n", *rows])


def _clock(seconds: float, point: str) -> str:
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    minutes, second = divmod(whole, 60)
    hours, minute = divmod(minutes, 60)
    return f"{hours:02}:{minute:02}:{second:02}{point}{milliseconds:03}"
