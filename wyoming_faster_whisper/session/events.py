"""What a client is told of its utterance, whichever transport tells it. Pure.

In this order: SpeechStarted, TranscriptStarted, PartialText ..., SpeechStopped, the Answer,
TranscriptStopped. The answer always comes; voices where the server ends the turn, texts
where partial text is on.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ..engine.protocol import Transcript


@dataclass(frozen=True, slots=True)
class Answer:
    """The transcript of one utterance, and the request's context."""

    transcript: Transcript
    context: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Somebody began to speak."""

    seconds: float  # since the first sample


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """And has stopped; only after SpeechStarted."""

    seconds: float  # since the first sample


@dataclass(frozen=True, slots=True)
class TranscriptStarted:
    """Text will come, a piece at a time; at the latest before the answer."""

    language: str | None = None  # None: not known yet
    context: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class PartialText:
    """More text. All pieces together are the answer's text."""

    text: str


@dataclass(frozen=True, slots=True)
class TranscriptStopped:
    """The answer was sent: no more text comes."""


Notice = SpeechStarted | SpeechStopped | TranscriptStarted | PartialText | TranscriptStopped
