"""Errors of one client: it gets an error event, the log one line, and others are unaffected."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from wyoming.event import Event
from wyoming.info import SelectProgram
from wyoming.ping import Ping

from tests.support.serving import PCM, Server, frames, recording, until, utterance, warnings
from wyoming_faster_whisper.engine.protocol import Job
from wyoming_faster_whisper.testing import FakeEngine, pcm16, tone
from wyoming_faster_whisper.transports.lifecycle import ClientLimits
from wyoming_faster_whisper.transports.wyoming.framing import write_event

from .conftest import Serve

TIMEOUT = 0.5  # seconds; longer than a client in these tests needs to send an event


def audio_start(**shape: object) -> bytes:
    """Encode an audio-start event with these fields."""
    return write_event(Event("audio-start", {"rate": 16000, "width": 2, "channels": 1, **shape}))


async def refused(server: Server, data: bytes, log: pytest.LogCaptureFixture) -> str:
    """Assert that data is refused and the next client is served; return the error code."""
    async with server.peer() as peer:
        error = await peer.send(data).error()
    assert error.text
    [line] = warnings(log)
    assert error.text in line
    await server.serves()
    assert error.code is not None
    return error.code


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\xff\xfe garbage \x80\n",
        b"\x00" * 20_000,
        b"GET / HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\n",  # TLS
        b"\n",
        b"5\n",
        b"[1, 2]\n",
        b"{}\n",
        b'{"type": 5}\n',
        b'{"type": "describe", "data": [1]}\n',
        b"[" * 10_000 + b"\n",
        b'{"type": "transcribe", "data_length": 4}\nnull',
        b'{"type": "transcribe", "data_length": "5"}\n',
        b'{"type": "transcribe", "data_length": 2.5}\n',
        b'{"type": "transcribe", "data_length": true}\n',
        b'{"type": "transcribe", "data_length": 900000000000}\n',
        b'{"type": "audio-chunk", "payload_length": 900000000000}\n',
        b'{"type": "audio-chunk", "payload_length": -1}\n',
        b'{"type": "transcribe", "data": {"language": 5}}\n',
        b'{"type": "transcribe", "data": {"context": "kitchen"}}\n',
        b'{"type": "audio-start"}\n',
    ],
    ids=lambda data: data[:60].decode("ascii", "replace").strip() or "empty line",
)
async def test_input_that_is_not_wyoming_is_refused(
    server: Server, data: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    assert await refused(server, data, caplog) == "protocol"


@pytest.mark.parametrize(
    ("key", "value", "code"),
    [
        ("rate", 0, "audio"),
        ("rate", 1, "audio"),
        ("rate", -16000, "audio"),
        ("rate", 10**30, "audio"),
        ("width", 0, "audio"),
        ("width", 7, "audio"),
        ("channels", 0, "audio"),
        ("channels", 9, "audio"),
        ("rate", True, "protocol"),
        ("width", True, "protocol"),
        ("channels", True, "protocol"),
        ("rate", 16000.0, "protocol"),
        ("rate", "16000", "protocol"),
        ("channels", None, "protocol"),
    ],
)
async def test_an_impossible_audio_format_is_refused(
    server: Server, key: str, value: object, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert await refused(server, audio_start(**{key: value}), caplog) == code


async def test_a_chunk_in_an_impossible_format_is_refused(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    *before, _ = utterance(tone(0.5))
    chunk = Event("audio-chunk", {"rate": 0, "width": 2, "channels": 1}, b"\0\0")
    assert await refused(server, frames([*before, chunk]), caplog) == "audio"
    assert len(server.engine.decoded) == 1  # that of the next client


async def test_a_client_that_keeps_sending_after_an_error_still_receives_it(
    server: Server,
) -> None:
    rest = frames(recording(pcm16(tone(60.0)), PCM, chunk=320))
    async with server.peer() as peer:
        error = await peer.send(audio_start(width=7) + rest).error()
    assert error.code == "audio"
    await server.serves()


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("event_timeout", b""),
        ("event_timeout", b'{"type": "desc'),
        ("idle_timeout", write_event(SelectProgram("faster-whisper").event())),
        ("audio_timeout", audio_start()),
    ],
)
async def test_the_operator_sets_the_timeouts(serve: Serve, option: str, said: bytes) -> None:
    chosen: dict[str, Any] = {option: TIMEOUT}
    server = await serve(**chosen)
    async with server.peer() as peer:
        error = await peer.send(said).error()
    assert error.code == "timeout"
    assert f"{TIMEOUT:g} s" in error.text


async def test_a_client_that_stops_within_a_header_times_out(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    server = await serve(limits=ClientLimits(first_event=TIMEOUT))
    assert await refused(server, b'{"type": "desc', caplog) == "timeout"


async def test_a_client_that_stops_within_a_payload_times_out(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    server = await serve(limits=ClientLimits(first_event=TIMEOUT, inside_utterance=TIMEOUT))
    data = frames(utterance(tone(0.5)))
    assert await refused(server, data[: len(data) // 2], caplog) == "timeout"


async def test_a_client_that_sends_nothing_times_out(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    server = await serve(limits=ClientLimits(first_event=TIMEOUT))
    assert await refused(server, b"", caplog) == "timeout"


async def test_a_client_that_is_idle_between_utterances_times_out(serve: Serve) -> None:
    server = await serve(limits=ClientLimits(between_utterances=TIMEOUT))
    async with server.peer() as peer:
        peer.send(frames(utterance(tone(0.5))))
        assert (await peer.receive()).data["text"] == "0.5 seconds"
        assert (await peer.error()).code == "timeout"
    await server.serves()


async def test_a_client_that_waits_for_the_model_does_not_time_out(serve: Serve) -> None:
    limits = ClientLimits(
        first_event=TIMEOUT, between_utterances=TIMEOUT, inside_utterance=TIMEOUT
    )
    server = await serve(FakeEngine(held=True), limits=limits)
    async with server.peer() as waiting:
        waiting.send(frames(utterance(tone(0.5))))
        await until(server.engine.decoding.is_set)
        # The timeout of a silent client shows that enough time has passed.
        async with server.peer() as silent:
            assert (await silent.error()).code == "timeout"
        server.engine.release()
        assert (await waiting.receive()).data["text"] == "0.5 seconds"


@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
async def test_a_client_that_disconnects_during_speech_is_removed(
    server: Server, reset: bool, caplog: pytest.LogCaptureFixture
) -> None:
    data = frames(utterance(tone(1.0)))
    async with server.peer() as peer:
        peer.send(write_event(Ping().event()))
        await peer.receive()
        assert server.connections == 1
        peer.send(data[: len(data) // 2])
        await peer.vanish(reset=reset)
        await until(lambda: server.connections == 0)
    await server.serves()
    assert len(server.engine.decoded) == 1
    assert warnings(caplog) == []


@pytest.mark.parametrize("reset", [False, True], ids=["FIN", "RST"])
async def test_a_queued_job_is_withdrawn_when_its_client_disconnects(
    serve: Serve, reset: bool
) -> None:
    server = await serve(FakeEngine(held=True))
    async with server.client() as first, server.peer() as leaving:
        await first.say(tone(0.5))
        await until(server.engine.decoding.is_set)
        leaving.send(frames(utterance(tone(2.0))))
        await until(lambda: server.waiting == 1)
        await leaving.vanish(reset=reset)
        await until(lambda: server.withdrawn == 1)
        server.engine.release()
        assert await first.transcript() == "0.5 seconds"
    await server.serves()
    assert [job.seconds for job in server.engine.decoded] == [0.5, 1.0]


async def test_a_client_that_disconnects_during_its_decode_delays_no_other(serve: Serve) -> None:
    server = await serve(FakeEngine(held=True))
    async with server.peer() as leaving, server.client() as patient:
        leaving.send(frames(utterance(tone(2.0))))
        await until(server.engine.decoding.is_set)
        await leaving.vanish(reset=True)
        await until(lambda: server.connections == 1)
        await patient.say(tone(0.5))
        server.engine.release()
        assert await patient.transcript() == "0.5 seconds"


async def test_a_client_that_half_closes_after_audio_stop_gets_the_transcript(
    server: Server,
) -> None:
    await server.serves()  # else the answer is withdrawn if the model has not been loaded yet
    async with server.peer() as peer:
        peer.send(frames(utterance(tone(1.0)))).half_close()
        assert (await peer.receive()).data["text"] == "1.0 seconds"
        assert await peer.rest() == b""


async def test_a_client_that_half_closes_after_describe_gets_info(server: Server) -> None:
    async with server.peer() as peer:
        peer.send(b'{"type": "describe"}\n').half_close()
        assert (await peer.receive()).type == "info"
        assert await peer.rest() == b""


@pytest.mark.parametrize(
    "part",
    [
        b'{"type": "desc',
        b'{"type": "transcribe", "data_length": 20}\n{"langu',
        b'{"type": "audio-chunk", "payload_length": 320}\n',
        frames(utterance(tone(0.5)))[:-5000],
    ],
    ids=["header", "data", "payload", "utterance"],
)
async def test_a_client_that_half_closes_within_an_event_gets_an_error(
    server: Server, part: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async with server.peer() as peer:
        peer.send(part).half_close()
        error = await peer.error()
    assert (error.code, error.text) == ("protocol", "the stream ended in the middle of an event")
    assert warnings(caplog) == []
    await server.serves()


async def test_a_client_that_half_closes_within_an_event_gets_its_answer_first(
    server: Server,
) -> None:
    await server.serves()  # else the answer is withdrawn if the model has not been loaded yet
    async with server.peer() as peer:
        peer.send(frames(utterance(tone(0.5))) + b"{").half_close()
        assert (await peer.receive()).data["text"] == "0.5 seconds"
        assert (await peer.error()).code == "protocol"


async def test_a_client_that_never_reads_is_disconnected(serve: Serve, tmp_path: Path) -> None:
    # Less than a megabyte of answers fills the buffers of a Unix socket.
    server = await serve(uri=f"unix://{tmp_path}/socket", write_timeout=TIMEOUT)
    async with server.peer() as not_reading:
        not_reading.send(write_event(Ping("x" * 200_000).event()) * 20)
        await until(lambda: server.connections == 1)
        await until(lambda: server.connections == 0)
    await server.serves()


async def test_clients_beyond_the_limit_are_rejected(serve: Serve) -> None:
    server = await serve(max_connections=2)
    async with server.client() as one:
        await one.ping()
        async with server.client() as two:
            await two.ping()
            async with server.peer() as third:
                third.send(b'{"type": "describe"}\n')
                assert (await third.error()).code == "busy"
            await one.say(tone(0.5))
            assert await one.transcript() == "0.5 seconds"
        await until(lambda: server.connections == 1)
        await server.serves()


async def test_a_client_rejected_while_sending_still_receives_the_error(serve: Serve) -> None:
    server = await serve(max_connections=1)
    async with server.client() as one:
        await one.ping()
        async with server.peer() as second:
            second.send(frames(utterance(tone(60.0))))
            assert (await second.error()).code == "busy"


async def test_an_utterance_is_rejected_when_the_queue_is_full(serve: Serve) -> None:
    server = await serve(FakeEngine(held=True), max_waiting=1)
    async with server.client() as decoded, server.client() as queued, server.peer() as refused:
        await decoded.say(tone(0.5))
        await until(server.engine.decoding.is_set)
        await queued.say(tone(1.0))
        await until(lambda: server.waiting == 1)
        refused.send(frames(utterance(tone(2.0))))
        assert (await refused.error()).code == "busy"
        server.engine.release()
        assert await decoded.transcript() == "0.5 seconds"
        assert await queued.transcript() == "1.0 seconds"
    await server.serves()


async def test_an_engine_failure_is_reported_and_the_server_continues(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    def say(job: Job) -> str:
        if job.seconds > 1.5:
            raise ValueError("secrets of the model")
        return f"{job.seconds:.1f} seconds"

    server = await serve(FakeEngine(say))
    async with server.peer() as peer:
        error = await peer.send(frames(utterance(tone(2.0)))).error()
    assert error.code == "engine"
    assert "secrets" not in error.text
    assert "secrets of the model" in caplog.text  # details are only in the log
    await server.serves()


async def test_an_error_ends_only_its_own_connection(server: Server) -> None:
    async with server.client() as speaking, server.peer() as broken:
        *audio, stop = utterance(tone(1.0))
        await speaking.send(*audio)
        assert (await broken.send(audio_start(rate=0)).error()).code == "audio"
        await speaking.send(stop)
        assert await speaking.transcript() == "1.0 seconds"


async def test_the_server_survives_many_broken_clients(server: Server) -> None:
    async def attack(number: int) -> None:
        async with server.peer() as peer:
            if number % 3 == 0:
                assert (await peer.send(b"\xff\n").error()).code == "protocol"
            elif number % 3 == 1:
                await peer.send(audio_start()).vanish(reset=True)
            else:
                peer.send(json.dumps({"type": "x" * number}).encode())

    await asyncio.gather(*map(attack, range(60)))
    await server.serves()
    await until(lambda: server.connections == 0)


async def test_a_format_that_changes_too_often_is_refused(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    shapes = [{"rate": rate, "width": 2, "channels": 1} for rate in range(16_000, 16_010)]
    data = frames([Event("audio-chunk", shape, b"\0\0") for shape in shapes])
    assert await refused(server, data, caplog) == "audio"


async def test_each_warning_about_a_client_is_logged_once(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    strange = [SelectProgram("other").event(), *utterance(tone(0.1), language="xx")]
    async with server.client() as client:
        for _ in range(3):
            await client.send(*strange)
            await client.transcript()
    assert len(warnings(caplog)) == 2
