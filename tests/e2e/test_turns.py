"""Endpointing and partial text over the Wyoming protocol."""

from __future__ import annotations

import json

import numpy as np
import pytest
from wyoming.asr import (
    Transcribe,
    Transcript,
    TranscriptChunk,
    TranscriptStart,
    TranscriptStop,
)
from wyoming.audio import AudioChunk, AudioStop
from wyoming.event import Event
from wyoming.ping import Ping
from wyoming.vad import VoiceStarted, VoiceStopped

from tests.support.serving import (
    PCM,
    Server,
    Speaker,
    chunks,
    recording,
    until,
    utterance,
    warnings,
)
from wyoming_faster_whisper.testing import FakeEngine, pcm16, silence, tone
from wyoming_faster_whisper.transports.wyoming.framing import write_event

from .conftest import Serve

COMMAND = np.concatenate([tone(1.0), silence(1.0)])


async def events_until(client: Speaker, last: str) -> list[Event]:
    """Receive events up to and including one of this type."""
    events = [await client.receive()]
    while events[-1].type != last:
        events.append(await client.receive())
    return events


async def test_info_announces_endpointing_and_partial_text(serve: Serve) -> None:
    server = await serve(vad_endpointing=0.7, partials="auto")
    async with server.client() as client:
        [program] = (await client.describe()).asr
    assert not program.requires_external_vad
    assert program.supports_transcript_streaming


@pytest.mark.parametrize("endpointing", ["0.5", "auto"])
async def test_a_turn_is_answered_without_audio_stop(serve: Serve, endpointing: str) -> None:
    server = await serve(vad_endpointing=endpointing)
    async with server.client() as client:
        *audio, stop = utterance(np.concatenate([COMMAND, silence(0.5)]))
        await client.send(*audio)
        started, stopped, answer = await events_until(client, "transcript")
        assert VoiceStarted.from_event(started).timestamp == 0
        assert VoiceStopped.from_event(stopped).timestamp == pytest.approx(1000, abs=40)
        assert Transcript.from_event(answer).text != ""
        # The rest of the turn, up to audio-stop, is discarded; the next one is a new turn.
        await client.send(*chunks(pcm16(tone(1.0)), PCM), stop)
        assert await client.ping("nothing more?") == "nothing more?"
        await client.send(*audio)
        assert len(await events_until(client, "transcript")) == 3


@pytest.mark.parametrize("endpointing", ["0.5", "auto"])
async def test_a_turn_ends_when_a_decode_longer_than_the_silence_is_finished(
    serve: Serve, endpointing: str
) -> None:
    server = await serve(FakeEngine(held=True), vad_endpointing=endpointing)
    async with server.client() as client:
        *audio, _ = utterance(np.concatenate([tone(1.0), silence(4.0)]))
        await client.send(*audio, Ping().event())
        await events_until(client, "pong")  # the server has read all the audio
        await until(lambda: server.engine.decoding.is_set())
        server.engine.release()
        *_, answer = await events_until(client, "transcript")
    assert Transcript.from_event(answer).text != ""


async def test_a_client_that_reads_only_after_audio_stop_finds_the_answer(serve: Serve) -> None:
    server = await serve(vad_endpointing=0.5)
    async with server.peer() as old_home_assistant:
        data = b"".join(map(write_event, utterance(np.concatenate([COMMAND, silence(3.0)]))))
        old_home_assistant.send(data)
        texts = [(await old_home_assistant.receive()).type for _ in range(3)]
    assert texts == ["voice-started", "voice-stopped", "transcript"]


async def test_a_client_that_disconnects_after_the_answer_causes_no_warning(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    server = await serve(vad_endpointing=0.5)
    async with server.peer() as new_home_assistant:
        *audio, _ = utterance(COMMAND)
        new_home_assistant.send(b"".join(map(write_event, audio)))
        while (await new_home_assistant.receive()).type != "transcript":
            pass
        await new_home_assistant.vanish(reset=True)
    await until(lambda: server.connections == 0)
    assert warnings(caplog) == []
    assert server.memory.used == 0


async def test_vad_sensitivity_enables_endpointing_for_one_turn(server: Server) -> None:
    async with server.client() as client:
        *audio, stop = utterance(COMMAND)
        await client.send(Transcribe(vad_sensitivity="aggressive").event(), *audio[1:])
        assert (await events_until(client, "transcript"))[0].type == "voice-started"
        await client.send(stop, *audio)
        assert await client.ping() is None  # the next turn is not ended before audio-stop
        await client.send(stop)
        assert (await client.receive()).type == "transcript"


async def test_a_sensitivity_that_is_not_a_string_is_refused(server: Server) -> None:
    async with server.peer() as peer:
        peer.send(b'{"type": "transcribe", "data": {"vad_sensitivity": 0.7}}\n')
        assert (await peer.error()).code == "protocol"


async def test_a_turn_without_speech_gets_an_empty_answer(serve: Serve) -> None:
    server = await serve(vad_endpointing=0.7, no_speech_timeout=1.0)
    async with server.client() as client:
        await client.send(*utterance(silence(2.0))[:-1])
        assert await client.transcript() == ""
    assert server.engine.decoded == []


async def test_a_turn_is_answered_at_the_longest_command(serve: Serve) -> None:
    server = await serve(vad_endpointing=0.7, longest_command=2.0)
    async with server.client() as client:
        await client.send(*utterance(tone(5.0))[:-1])
        *_, answer = await events_until(client, "transcript")
    assert Transcript.from_event(answer).text == "2.0 seconds"


async def test_turns_that_end_during_a_decode_are_answered_in_order(serve: Serve) -> None:
    server = await serve(FakeEngine(held=True), vad_endpointing=0.3)
    async with server.client() as client:
        for seconds in (1.0, 2.0, 3.0):
            sound = np.concatenate([tone(seconds), silence(0.5)])
            await client.send(*utterance(sound))
        await until(server.engine.decoding.is_set)
        server.engine.release()
        texts: list[str] = []
        while len(texts) < 3:
            event = await client.receive()
            if Transcript.is_type(event.type):
                texts.append(Transcript.from_event(event).text)
    assert [text[0] for text in texts] == ["1", "2", "3"]


# Partial text.


async def test_partial_text_events_come_in_the_order_of_the_protocol(serve: Serve) -> None:
    server = await serve(partials="on")
    sound = np.concatenate([tone(1.0), silence(2.5), tone(1.0)])
    async with server.client() as client:
        await client.say(sound, language="en", context={"room": 1})
        start, *pieces, answer, stop = await events_until(client, "transcript-stop")
    assert TranscriptStart.from_event(start) == TranscriptStart(
        language="en", context={"room": 1}
    )
    text = "".join(TranscriptChunk.from_event(piece).text for piece in pieces)
    assert text == Transcript.from_event(answer).text != ""
    assert TranscriptStop.is_type(stop.type)


async def test_the_text_of_a_closed_segment_is_sent_before_the_end(serve: Serve) -> None:
    server = await serve(partials="auto")
    async with server.client() as client:
        *audio, stop = utterance(np.concatenate([tone(1.0), silence(5.5)]))
        await client.send(*audio)
        assert [(await client.receive()).type for _ in range(2)] == [
            "transcript-start",
            "transcript-chunk",
        ]
        more = [event for event in utterance(tone(1.0)) if AudioChunk.is_type(event.type)]
        await client.send(*more, stop)
        *_, answer, _ = await events_until(client, "transcript-stop")
    assert len(Transcript.from_event(answer).text.split()) == 4


async def test_an_utterance_without_speech_has_no_transcript_chunk(serve: Serve) -> None:
    server = await serve(partials="on")
    async with server.client() as client:
        await client.say(silence(1.0))
        events = [event.type for event in await events_until(client, "transcript-stop")]
    assert events == ["transcript-start", "transcript", "transcript-stop"]


# Unusual sequences of events (docs/protocol.md).


async def test_audio_that_never_stops_is_answered_at_the_limit_and_discarded(
    serve: Serve,
) -> None:
    server = await serve(max_audio_seconds=1.0)
    async with server.client() as client:
        *endless, _ = utterance(tone(5.0))
        await client.send(*endless)
        assert await client.transcript() == "1.0 seconds"
        assert await client.ping() is None
        assert server.memory.used == 0


@pytest.mark.parametrize("chunk", [2, 3, 320, 64_000])
async def test_chunks_of_any_size_give_the_same_audio(server: Server, chunk: int) -> None:
    async with server.client() as client:
        await client.send(*recording(pcm16(tone(0.2)), PCM, chunk=chunk))
        assert await client.transcript() == "0.2 seconds"


async def test_audio_stop_without_audio_start_gets_an_empty_answer(server: Server) -> None:
    async with server.client() as client:
        await client.send(AudioStop().event())
        assert await client.transcript() == ""


async def test_fifteen_seconds_of_silence_get_an_empty_answer(server: Server) -> None:
    async with server.client() as client:
        await client.say(silence(15.0))
        assert await client.transcript() == ""
    assert server.engine.decoded == []


async def test_a_transcribe_event_within_the_audio_applies_to_it(server: Server) -> None:
    async with server.client() as client:
        start, *audio, stop = recording(pcm16(tone(1.0)), PCM, chunk=320)
        half = len(audio) // 2
        await client.send(start, *audio[:half], Transcribe(language="fr").event())
        await client.send(*audio[half:], stop)
        answer = await client.answer()
        assert (answer.text, answer.language) == ("1.0 seconds", "fr")
        await client.say(tone(0.5))
        assert (await client.answer()).language is None


async def test_a_second_audio_start_keeps_the_request_and_restarts_the_audio(
    server: Server,
) -> None:
    async with server.client() as client:
        start, *audio, _ = recording(pcm16(tone(2.0)), PCM, chunk=320)
        await client.send(Transcribe(language="de").event(), start, *audio)
        await client.send(*recording(pcm16(tone(0.5)), PCM, chunk=320))
        answer = await client.answer()
    assert (answer.text, answer.language) == ("0.5 seconds", "de")


async def test_every_utterance_is_one_line_in_the_log(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    async with server.client() as client:
        await client.say(tone(1.0))
        await client.transcript()
    lines = [r for r in caplog.records if r.name == "wyoming_faster_whisper.utterance"]
    assert len(lines) == 1
    assert "1.0 seconds" not in lines[0].getMessage()
    assert json.dumps(lines[0].__dict__["fields"])
