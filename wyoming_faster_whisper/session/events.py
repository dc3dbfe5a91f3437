"""Events of an utterance for the client, independent of the transport. Pure.

They come in this order: SpeechStarted, TranscriptStarted, PartialText ..., SpeechStopped, Answer,
TranscriptStopped. Every utterance gets its Answer. SpeechStarted and SpeechStopped come only if
the server ends the turn; TranscriptStarted, PartialText and TranscriptStopped only if partial
text is on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..engine.protocol import Transcript
from .record import UtteranceRecord


@dataclass(frozen=True, slots=True)
class Answer:
    """Transcript of one utterance."""

    transcript: Transcript
    record: UtteranceRecord
    context: dict[str, Any] | None = None  # copied from the request


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The speaker began to speak."""

    seconds: float  # from the first sample to the beginning of speech


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """The speaker stopped speaking. Comes only after SpeechStarted."""

    seconds: float  # from the first sample to the end of speech


@dataclass(frozen=True, slots=True)
class TranscriptStarted:
    """Pieces of text will follow. Comes before the Answer at the latest."""

    language: str | None = None  # None = not known yet
    context: dict[str, Any] | None = None  # copied from the request


@dataclass(frozen=True, slots=True)
class PartialText:
    """The next piece of committed text. All pieces joined are the answer's text."""

    text: str


@dataclass(frozen=True, slots=True)
class TranscriptStopped:
    """The answer has been sent; no more text follows."""


Event = (
    SpeechStarted | TranscriptStarted | PartialText | SpeechStopped | Answer | TranscriptStopped
)
