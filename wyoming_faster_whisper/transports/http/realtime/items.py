"""Conversion of a session's events to messages of the realtime protocol. Pure.

Each turn is an item of the conversation. All messages about it have its id.
"""

from __future__ import annotations

from ....session.events import (
    Answer,
    AnswerFailed,
    Event,
    PartialText,
    SpeechStarted,
    TurnEnded,
)
from . import server_events as messages
from .client_messages import new_id
from .server_events import ServerEvent
from .session import RealtimeSession


class Items:
    """The items of a session: one for each turn."""

    def __init__(self) -> None:
        self._ids: dict[int, str] = {}  # of the turns that are not answered yet
        self._started: set[int] = set()  # turns whose speech has been reported
        self._texts: set[int] = set()  # turns of which partial text has been sent
        self._previous: str | None = None  # the last committed item
        # Seconds of the stream at which the last turn ended, or was cleared.
        self._ended = 0.0

    def events(self, event: Event, settings: RealtimeSession, *, beta: bool) -> list[ServerEvent]:
        """Return the messages for an event of the session."""
        match event:
            case SpeechStarted(seconds=seconds, turn=turn):
                self._started.add(turn)
                begin = max(self._ended, seconds - settings.padding)
                return [messages.speech_started(self._id(turn), begin)]
            case TurnEnded(seconds=seconds, turn=turn):
                return self._end(turn, seconds, beta=beta)
            case PartialText(text=text, turn=turn):
                self._texts.add(turn)
                return [messages.delta(self._id(turn), text)]
            case Answer(turn=turn):
                item, text = self._id(turn), event.transcript.text
                rest = [messages.delta(item, text)] if text and turn not in self._texts else []
                self._forget(turn)
                return [*rest, messages.completed(item, event, logprobs=settings.logprobs)]
            case AnswerFailed(error=error, turn=turn):
                item = self._id(turn)
                self._forget(turn)
                return [messages.failed(item, error)]
            case _:
                return []

    def cleared(self, seconds: float) -> None:
        """Take note that the audio up to these seconds of the stream was discarded."""
        self._ended = seconds

    def _end(self, turn: int, seconds: float, *, beta: bool) -> list[ServerEvent]:
        item, previous = self._id(turn), self._previous
        self._previous, self._ended = item, seconds
        stopped = [messages.speech_stopped(item, seconds)] if turn in self._started else []
        return [*stopped, *messages.committed(item, previous, beta=beta)]

    def _id(self, turn: int) -> str:
        return self._ids.setdefault(turn, new_id("item"))

    def _forget(self, answered: int) -> None:
        """Drop what is known of an answered turn, and of earlier ones, which were cleared."""
        self._ids = {turn: item for turn, item in self._ids.items() if turn > answered}
        self._started = {turn for turn in self._started if turn > answered}
        self._texts = {turn for turn in self._texts if turn > answered}
