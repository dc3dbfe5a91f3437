"""Requests and answers of the Wyoming protocol, sent with the wyoming library."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from wyoming.asr import Transcribe
from wyoming.audio import AudioChunk, AudioStart, AudioStop
from wyoming.event import Event
from wyoming.info import SelectProgram

from tests.support.serving import PCM, Server, chunks, recording, until, utterance, warnings
from wyoming_faster_whisper import __version__
from wyoming_faster_whisper.testing import FakeEngine, pcm16, silence, tone
from wyoming_faster_whisper.transports.wyoming.framing import write_event

from .conftest import Serve


@pytest.fixture(params=["tcp://127.0.0.1:0", "unix://{folder}/socket"], ids=["tcp", "unix"])
async def any_server(request: pytest.FixtureRequest, serve: Serve, tmp_path: Path) -> Server:
    return await serve(uri=str(request.param).format(folder=tmp_path))


async def test_several_utterances_on_one_connection_are_answered(any_server: Server) -> None:
    async with any_server.client() as client:
        for seconds in (1.0, 2.0, 0.5):
            await client.say(tone(seconds))
            assert await client.transcript() == f"{seconds} seconds"


async def test_utterances_sent_at_once_are_answered_in_order(any_server: Server) -> None:
    async with any_server.client() as client:
        for seconds in (2.0, 0.5, 1.0):
            await client.say(tone(seconds))
        answers = [await client.transcript() for _ in range(3)]
    assert answers == ["2.0 seconds", "0.5 seconds", "1.0 seconds"]


async def test_info_is_complete(any_server: Server) -> None:
    async with any_server.client() as client:
        info = await client.describe()
    assert [program.name for program in info.asr] == ["faster-whisper"]
    [program] = info.asr
    assert program.installed
    assert program.version == __version__
    assert program.description
    assert program.attribution.name
    assert program.attribution.url
    assert program.requires_external_vad
    assert not program.supports_transcript_streaming
    [model] = program.models
    assert model.name == "base"
    assert model.installed
    assert model.attribution.name
    assert model.attribution.url
    assert {"en", "de", "zh"} <= set(model.languages)
    others = [info.tts, info.handle, info.intent, info.wake, info.mic, info.snd]
    assert not any(others)


async def test_info_has_every_key_that_older_clients_require(server: Server) -> None:
    async with server.peer() as peer:
        info = (await peer.send(b'{"type": "describe"}\n').receive()).data
    for kind in ("asr", "tts", "handle", "intent", "wake", "mic", "snd"):
        assert isinstance(info[kind], list)
    program = info["asr"][0]
    for described in (program, program["models"][0]):
        assert {"name", "attribution", "installed", "description", "version"} <= set(described)
        assert set(described["attribution"]) == {"name", "url"}


@pytest.mark.parametrize(
    ("model", "count"), [("tiny.en", 1), ("distil-small.en", 1), ("base", 99), ("turbo", 100)]
)
async def test_info_lists_the_languages_of_the_model(
    serve: Serve, model: str, count: int
) -> None:
    server = await serve(model=model)
    async with server.client() as client:
        [described] = (await client.describe()).asr[0].models
    assert described.name == model
    assert len(described.languages) == count
    assert "en" in described.languages


async def test_a_header_without_version_and_data_is_understood(server: Server) -> None:
    async with server.peer() as peer:
        info = await peer.send(b'{ "type": "describe" }\n').receive()
    assert info.type == "info"
    assert info.data["asr"][0]["name"] == "faster-whisper"


@pytest.mark.parametrize("text", ["are you there?", "ä\u2028ö", "", None])
async def test_ping_is_answered_with_its_text(server: Server, text: str | None) -> None:
    async with server.client() as client:
        assert await client.ping(text) == text


async def test_ping_and_describe_are_answered_while_the_model_is_busy(serve: Serve) -> None:
    server = await serve(FakeEngine(held=True))
    async with server.client() as client:
        await client.say(tone(1.0))
        await until(server.engine.decoding.is_set)
        assert await client.ping("still there?") == "still there?"
        assert (await client.describe()).asr
        server.engine.release()
        assert await client.transcript() == "1.0 seconds"


@pytest.mark.parametrize("name", ["faster-whisper", "another-program"])
async def test_select_program_is_accepted(server: Server, name: str) -> None:
    async with server.client() as client:
        await client.send(SelectProgram(name).event())
        await client.say(tone(1.0))
        assert await client.transcript() == "1.0 seconds"


async def test_unknown_events_are_ignored(server: Server) -> None:
    stranger = Event("run-satellite", {"rate": "many"}, payload=b"\x00" * 100)
    async with server.client() as client:
        for event in utterance(tone(0.1)):
            await client.send(stranger, event)
        assert await client.transcript() == "0.1 seconds"


async def test_unprintable_characters_are_removed_from_names(server: Server) -> None:
    names = ["Eco\x1b[1mbee", "a\ud800b", " Küche\n\t", "\x00", "می\u200cخواهم"]
    *audio, stop = recording(pcm16(tone(0.5)), PCM, chunk=320)
    request = json.dumps({"type": "transcribe", "data": {"transcript_names": names}})
    async with server.peer() as peer:
        peer.send(request.encode() + b"\n" + b"".join(map(write_event, [*audio, stop])))
        await peer.receive()
    [job] = server.engine.decoded
    assert job.options.hotwords == ("Eco[1mbee", "ab", "Küche", "می\u200cخواهم")


async def test_the_language_of_a_pipeline_is_only_expected_in_a_bilingual_home(
    serve: Serve,
) -> None:
    server = await serve(FakeEngine(), languages="en,de")
    async with server.client() as client:
        for language in ("de", "fr"):
            await client.say(tone(1.0), language=language)
            assert await client.transcript() == "1.0 seconds"
    german, french = (job.options for job in server.engine.decoded)
    assert (german.language, german.expected_language) == (None, "de")
    assert (french.language, french.expected_language) == ("fr", None)


async def test_the_context_of_a_request_is_returned_once(server: Server) -> None:
    context = {"room": "kitchen", "list": [1, {"deep": None}]}
    async with server.client() as client:
        await client.say(tone(0.5), context=context)
        assert (await client.answer()).context == context
        await client.say(tone(0.5))
        assert (await client.answer()).context is None


@pytest.mark.parametrize(
    ("tag", "code"),
    [("de", "de"), ("en-US", "en"), ("PT_br", "pt"), ("nb", "no"), ("auto", None), ("", None)],
)
async def test_the_language_of_a_request_is_used(
    server: Server, tag: str, code: str | None
) -> None:
    async with server.client() as client:
        await client.say(tone(0.5), language=tag)
        assert (await client.answer()).language == code


async def test_a_request_without_language_gets_the_default(serve: Serve) -> None:
    server = await serve(language="nl")
    async with server.client() as client:
        await client.say(tone(0.5), language="de")
        assert (await client.answer()).language == "de"
        await client.say(tone(0.5))
        assert (await client.answer()).language == "nl"


async def test_an_unknown_language_is_replaced_with_one_warning(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    server = await serve(language="nl")
    async with server.client() as client:
        await client.say(tone(0.5), language="tlh\n\x1b[31m")
        answer = await client.answer()
    assert (answer.text, answer.language) == ("0.5 seconds", "nl")
    [warning] = warnings(caplog)
    assert "'tlh??[31m'" in warning
    assert "nl" in warning


async def test_an_english_only_model_treats_every_language_as_english(serve: Serve) -> None:
    server = await serve(model="tiny.en")
    async with server.client() as client:
        for tag in ("de", "auto", None):
            await client.say(tone(0.5), language=tag)
            assert (await client.answer()).language == "en"


async def test_silence_is_answered_without_the_model(server: Server) -> None:
    async with server.client() as client:
        await client.say(silence(2.0), language="en")
        answer = await client.answer()
    assert (answer.text, answer.language) == ("", "en")
    assert server.engine.decoded == []


async def test_an_utterance_without_audio_gets_an_empty_answer(server: Server) -> None:
    async with server.client() as client:
        await client.send(*recording(b"", PCM, chunk=320))
        assert await client.transcript() == ""
    assert server.engine.decoded == []


async def test_audio_stop_alone_gets_an_empty_answer(server: Server) -> None:
    async with server.client() as client:
        await client.send(AudioStop().event())
        assert await client.transcript() == ""
        await client.say(tone(0.5))
        assert await client.transcript() == "0.5 seconds"


async def test_a_second_audio_start_begins_a_new_utterance(server: Server) -> None:
    async with server.client() as client:
        start = AudioStart(rate=PCM.rate, width=PCM.width, channels=PCM.channels).event()
        await client.send(start, *chunks(pcm16(tone(2.0)), PCM))
        await client.say(tone(0.5))
        assert await client.transcript() == "0.5 seconds"


async def test_audio_without_audio_start_is_transcribed(server: Server) -> None:
    async with server.client() as client:
        await client.send(*chunks(pcm16(tone(1.0)), PCM), AudioStop().event())
        assert await client.transcript() == "1.0 seconds"


async def test_a_request_may_follow_the_audio(server: Server) -> None:
    async with server.client() as client:
        *audio, stop = recording(pcm16(tone(0.5)), PCM, chunk=320)
        await client.send(*audio, Transcribe(language="fr").event(), stop)
        assert (await client.answer()).language == "fr"


async def test_an_utterance_over_the_limit_is_answered_and_its_rest_discarded(
    serve: Serve,
) -> None:
    server = await serve(max_audio_seconds=1.0)
    async with server.client() as client:
        *audio, stop = utterance(tone(3.0))
        await client.send(*audio)
        assert await client.transcript() == "1.0 seconds"
        await client.send(stop)
        await client.say(tone(0.5))
        assert await client.transcript() == "0.5 seconds"


async def test_audio_of_different_clients_is_not_mixed(server: Server) -> None:
    async with server.client() as one, server.client() as other:
        longer, shorter = utterance(tone(1.0)), utterance(tone(0.5))
        for at, event in enumerate(longer):
            await one.send(event)
            await other.send(*shorter[at : at + 1])
        assert await one.transcript() == "1.0 seconds"
        assert await other.transcript() == "0.5 seconds"


# Guesses during the silence.


async def test_a_guess_decoded_during_the_silence_is_the_answer(server: Server) -> None:
    async with server.client() as client:
        *audio, stop = utterance(np.concatenate([tone(1.0), silence(0.7)]))
        await client.send(*audio)
        await until(lambda: len(server.engine.decoded) == 1)
        await client.send(stop)
        assert await client.transcript() != ""
    (job,) = server.engine.decoded
    assert job.guess


async def test_a_guess_is_dropped_when_speech_resumes(server: Server) -> None:
    async with server.client() as client:
        *audio, stop = utterance(np.concatenate([tone(1.0), silence(0.5)]))
        await client.send(*audio)
        await until(lambda: len(server.engine.decoded) == 1)
        more = [event for event in utterance(tone(1.0)) if AudioChunk.is_type(event.type)]
        await client.send(*more, stop)
        assert await client.transcript() != ""
    guess, final = server.engine.decoded
    assert guess.guess
    assert not final.guess
    assert final.seconds > guess.seconds
