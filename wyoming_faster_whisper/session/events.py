"""Events of an utterance for the client, independent of the transport. Pure.

They come in this order: SpeechStarted, TranscriptStarted, PartialText ..., SpeechStopped, Answer,
TranscriptStopped. Every utterance gets its Answer. SpeechStarted and SpeechStopped come only if
the server ends the turn; TranscriptStarted, PartialText and TranscriptStopped only if partial
text is on.

In a continuous session TurnEnded follows SpeechStopped, and AnswerFailed may take the place of
Answer. The next turn begins while the answer is pending, so its events may come before that
answer; `turn` tells them apart.

Times are in seconds of the stream: in a continuous session that is all its audio, else the
utterance's.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

from ..engine.protocol import TokenLogprob, Transcript, Word
from ..errors import ServerError
from .record import UtteranceRecord


@dataclass(frozen=True, slots=True)
class TimedSegment:
    """A stretch of speech that was decoded as one piece, and its text as decoded."""

    start: float  # seconds from the first sample of the stream to the first speech
    end: float  # seconds; end of the last speech
    text: str
    tokens: tuple[int, ...]  # () if the engine has no tokens
    avg_logprob: float  # mean over tokens, natural log
    no_speech_prob: float  # the model's no-speech probability, 0 to 1
    words: tuple[Word, ...] = ()  # in seconds of the stream; only if requested
    token_logprobs: tuple[TokenLogprob, ...] = ()  # of the text; only if requested
    temperature: float = 0.0  # of the decoder; 0 = beam search

    @property
    def compression_ratio(self) -> float:
        """Length of the text divided by its compressed length; high for repetitions.

        As in openai/whisper: utils.py, compression_ratio().
        """
        data = self.text.encode(errors="replace")  # lone surrogates from an upstream server
        return len(data) / len(zlib.compress(data))


@dataclass(frozen=True, slots=True)
class Answer:
    """Transcript of one utterance."""

    transcript: Transcript  # the whole text, corrected and styled
    segments: tuple[TimedSegment, ...]  # in the order of speech
    record: UtteranceRecord
    context: dict[str, Any] | None = None  # copied from the request
    turn: int = 0  # number of the utterance in the session, from 0


@dataclass(frozen=True, slots=True)
class AnswerFailed:
    """The utterance gets no answer, and the session goes on."""

    error: ServerError
    turn: int


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The speaker began to speak."""

    seconds: float  # from the first sample to the beginning of speech
    turn: int = 0


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """The speaker stopped speaking. Comes only after SpeechStarted."""

    seconds: float  # from the first sample to the end of speech
    turn: int = 0


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """The audio of the utterance is complete; its answer follows."""

    seconds: float  # from the first sample to the end of the turn
    turn: int


@dataclass(frozen=True, slots=True)
class TranscriptStarted:
    """Pieces of text will follow. Comes before the Answer at the latest."""

    language: str | None = None  # None = not known yet
    context: dict[str, Any] | None = None  # copied from the request
    turn: int = 0


@dataclass(frozen=True, slots=True)
class PartialText:
    """The next piece of committed text. All pieces joined are the answer's text."""

    text: str
    turn: int = 0


@dataclass(frozen=True, slots=True)
class TranscriptStopped:
    """The answer has been sent; no more text follows."""

    turn: int = 0


Event = (
    SpeechStarted
    | TranscriptStarted
    | PartialText
    | SpeechStopped
    | TurnEnded
    | Answer
    | AnswerFailed
    | TranscriptStopped
)
