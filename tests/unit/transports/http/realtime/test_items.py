"""Items of a realtime session: which messages the client gets, with which ids and times."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from tests.support.records import RECORD
from wyoming_faster_whisper.engine.protocol import TokenLogprob, Transcript
from wyoming_faster_whisper.errors import EngineError
from wyoming_faster_whisper.session.events import (
    Answer,
    AnswerFailed,
    Event,
    PartialText,
    SpeechStarted,
    SpeechStopped,
    TimedSegment,
    TranscriptStarted,
    TranscriptStopped,
    TurnEnded,
)
from wyoming_faster_whisper.transports.http.realtime.items import Items
from wyoming_faster_whisper.transports.http.realtime.session import RealtimeSession

TRANSCRIPTION = "conversation.item.input_audio_transcription"
SETTINGS = RealtimeSession()


def answer(
    text: str, turn: int = 0, *, language: str | None = "en", logprob: float = -0.25
) -> Answer:
    record = replace(RECORD, heard=1.23456, language=language, text=text)
    token = TokenLogprob(" Ja", b" Ja", logprob)
    segment = TimedSegment(0.0, 1.0, text, (1,), -0.1, 0.0, token_logprobs=(token,))
    return Answer(Transcript(text, language), (segment,), record, None, turn)


class Told:
    """What the client is told."""

    def __init__(self, settings: RealtimeSession = SETTINGS, *, beta: bool = False) -> None:
        self.items = Items()
        self.settings = settings
        self.beta = beta
        self.messages: list[dict[str, Any]] = []

    def hear(self, *events: Event) -> list[dict[str, Any]]:
        new = [
            message
            for event in events
            for message in self.items.events(event, self.settings, beta=self.beta)
        ]
        self.messages += new
        return new


def kinds(messages: list[dict[str, Any]]) -> list[str]:
    return [str(message["type"]) for message in messages]


def test_the_messages_of_a_turn_come_in_the_order_of_the_protocol() -> None:
    told = Told()
    told.hear(SpeechStarted(1.0), SpeechStopped(2.0), TurnEnded(2.5, 0), answer("Hello."))
    assert kinds(told.messages) == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        f"{TRANSCRIPTION}.delta",
        f"{TRANSCRIPTION}.completed",
    ]
    assert len({message["event_id"] for message in told.messages}) == 7
    ids = {message.get("item_id") or message["item"]["id"] for message in told.messages}
    assert len(ids) == 1
    assert told.messages[0]["audio_start_ms"] == 700  # the padding of 300 ms is included
    assert told.messages[1]["audio_end_ms"] == 2500
    assert told.messages[-1]["transcript"] == "Hello."
    assert told.messages[-1]["usage"] == {"type": "duration", "seconds": 1.235}
    assert told.messages[-1]["languages"] == [{"code": "en"}]


def test_the_beta_has_one_message_for_a_new_item() -> None:
    told = Told(beta=True)
    assert kinds(told.hear(TurnEnded(2.5, 0))) == [
        "input_audio_buffer.committed",
        "conversation.item.created",
    ]


def test_a_turn_that_the_client_ends_has_no_speech_messages() -> None:
    told = Told()
    assert kinds(told.hear(TurnEnded(2.5, 0)))[0] == "input_audio_buffer.committed"


def test_an_item_names_the_one_before() -> None:
    told = Told()
    first = told.hear(TurnEnded(1.0, 0))
    second = told.hear(TurnEnded(2.0, 1))
    assert first[0]["previous_item_id"] is None
    assert [message["previous_item_id"] for message in second] == [first[0]["item_id"]] * 3


def test_the_next_item_may_begin_before_the_transcript_of_the_one_before() -> None:
    told = Told()
    first = told.hear(SpeechStarted(0.5), TurnEnded(1.0, 0))[0]["item_id"]
    second = told.hear(SpeechStarted(1.2, 1))[0]["item_id"]
    assert first != second
    assert told.hear(answer("One."))[-1]["item_id"] == first
    assert told.hear(TurnEnded(2.0, 1))[0]["item_id"] == second


def test_padding_reaches_back_to_the_end_of_the_turn_before_at_most() -> None:
    told = Told()
    told.hear(TurnEnded(2.0, 0))
    assert told.hear(SpeechStarted(2.1, 1))[0]["audio_start_ms"] == 2000


def test_deltas_add_up_to_the_transcript() -> None:
    told = Told()
    told.hear(TranscriptStarted("en"), PartialText("Turn on"), PartialText(" the light."))
    told.hear(TurnEnded(1.0, 0), answer("Turn on the light."), TranscriptStopped())
    deltas = [m["delta"] for m in told.messages if m["type"] == f"{TRANSCRIPTION}.delta"]
    assert deltas == ["Turn on", " the light."]
    assert kinds(told.messages)[-1] == f"{TRANSCRIPTION}.completed"


def test_an_empty_turn_is_completed_without_a_delta() -> None:
    told = Told()
    [completed] = told.hear(answer(""))
    assert (completed["transcript"], completed["languages"]) == ("", [])


def test_a_turn_that_fails_is_told_with_its_item() -> None:
    told = Told()
    item = told.hear(TurnEnded(1.0, 0))[0]["item_id"]
    [failed] = told.hear(AnswerFailed(EngineError("the model failed"), 0))
    assert (failed["type"], failed["item_id"]) == (f"{TRANSCRIPTION}.failed", item)
    assert failed["error"] == {
        "type": "server_error",
        "code": "engine_error",
        "message": "the model failed",
        "param": None,
    }


def test_logprobs_come_only_if_the_session_includes_them() -> None:
    assert "logprobs" not in Told().hear(answer("Ja"))[-1]
    told = Told(replace(SETTINGS, logprobs=True))
    assert told.hear(answer("Ja"))[-1]["logprobs"] == [
        {"token": " Ja", "bytes": [32, 74, 97], "logprob": -0.25}
    ]


def test_log_probabilities_are_finite() -> None:
    """JSON has no infinity, and clients would not parse the message."""
    told = Told(replace(SETTINGS, logprobs=True))
    [token] = told.hear(answer("Ja", logprob=-math.inf))[-1]["logprobs"]
    assert token["logprob"] == -9999.0


def test_turns_that_were_cleared_are_forgotten() -> None:
    told = Told()
    for turn in range(100):
        told.hear(SpeechStarted(1.0, turn), PartialText("a", turn))
    told.hear(TurnEnded(2.0, 100), answer("b", 100))
    assert not told.items._ids
    assert not told.items._started
    assert not told.items._texts
