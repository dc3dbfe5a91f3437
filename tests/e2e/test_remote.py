"""A whole server that decodes on a decode server, over Wyoming and the page."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from wyoming.asr import Transcribe
from wyoming.error import Error
from wyoming.event import Event

from tests.support.serving import (
    PCM,
    Server,
    frames,
    recording,
    serving,
    until,
    utterance,
    warnings,
)
from tests.support.web import browser, get
from wyoming_faster_whisper.app.remote import remote as recognizer_of_decode_servers
from wyoming_faster_whisper.commands.doctor.host import inspect_models
from wyoming_faster_whisper.config.load import read_settings
from wyoming_faster_whisper.engine.protocol import DecodeKind
from wyoming_faster_whisper.engine.recognizer import ServedModel
from wyoming_faster_whisper.errors import ServerError, SettingError
from wyoming_faster_whisper.testing import FakeEngine, pcm16, silence, tone
from wyoming_faster_whisper.testing.decode_server import DecodeServer


@asynccontextmanager
async def remote(tmp_path: Path, *flags: str) -> AsyncIterator[Server]:
    """Run a server with --remote-url; the flags name it."""
    line = ["--uri=tcp://127.0.0.1:0", "--language=en", *flags]
    given = await asyncio.to_thread(read_settings, line, {})
    assert given.warnings == ()
    async with serving(given.settings, tmp_path, real=True) as server:
        yield server


def metrics_of(server: Server) -> str:
    """Return host and port of the metrics."""
    assert server.service.metrics_url is not None
    return urlsplit(server.service.metrics_url).netloc


async def test_it_answers_wyoming_clients_and_the_page(tmp_path: Path) -> None:
    async with (
        DecodeServer(FakeEngine()) as decodes,
        remote(tmp_path, f"--remote-url={decodes.url}", "--http-port=0") as server,
    ):
        async with server.client() as client:
            [program] = (await client.describe()).asr
            assert [model.name for model in program.models] == ["base"]
            await client.say(tone(1.0), language="de")
            answer = await client.answer()
            assert (answer.text, answer.language) == ("1.0 seconds", "de")
        async with browser(server) as page:
            await page.say(tone(1.0))
            assert await page.final() == "1.0 seconds"


async def test_names_of_a_request_reach_the_decode_server(tmp_path: Path) -> None:
    engine = FakeEngine()
    named = Event(Transcribe().event().type, {"transcript_names": ["Nanit"]})
    async with (
        DecodeServer(engine) as decodes,
        remote(tmp_path, f"--remote-url={decodes.url}") as server,
        server.client() as client,
    ):
        await client.send(named, *recording(pcm16(tone(1.0)), PCM, chunk=3200))
        await client.answer()
    assert {job.options.hotwords for job in engine.decoded} == {("Nanit",)}


async def test_a_guess_in_a_pause_is_the_answer(tmp_path: Path) -> None:
    engine = FakeEngine()
    async with (
        DecodeServer(engine) as decodes,
        remote(tmp_path, f"--remote-url={decodes.url}", "--http-port=0") as server,
        browser(server) as page,
    ):
        await until(lambda: server.service.statistics().worker.ready)
        await page.start()
        await page.hear(np.concatenate([tone(1.0), silence(0.5)]))
        await until(lambda: server.service.statistics().worker.decoded == 1)
        await page.stop()
        while (message := await page.receive())["type"] == "partial":
            pass
        assert message["guess"] == "used"
    assert [job.kind for job in engine.decoded] == [DecodeKind.GUESS]


async def test_a_client_that_leaves_withdraws_its_job_from_the_decode_server(
    tmp_path: Path,
) -> None:
    engine = FakeEngine(held=True)
    async with (
        DecodeServer(engine) as decodes,
        remote(tmp_path, f"--remote-url={decodes.url}") as server,
        server.client() as first,
        server.peer() as second,
    ):
        await first.say(tone(1.0))
        await until(engine.decoding.is_set)
        second.send(frames(utterance(tone(2.0))))
        await until(lambda: decodes.model.statistics().waiting == 1)
        await second.vanish(reset=True)
        await until(lambda: decodes.model.statistics().withdrawn == 1)
        engine.release()
        assert (await first.answer()).text == "1.0 seconds"


async def test_a_busy_decode_server_is_busy_for_the_client(tmp_path: Path) -> None:
    engine = FakeEngine(held=True)
    async with (
        DecodeServer(engine, max_waiting=1) as decodes,
        remote(tmp_path, f"--remote-url={decodes.url}") as server,
        server.client() as first,
        server.client() as second,
        server.client() as third,
    ):
        await first.say(tone(1.0))
        await until(engine.decoding.is_set)
        await second.say(tone(1.0))
        await until(lambda: decodes.model.statistics().waiting == 1)
        await third.say(tone(1.0))
        error = Error.from_event(await third.receive())
        assert error.code == "busy"
        engine.release()
        assert (await first.answer()).text == (await second.answer()).text == "1.0 seconds"


async def test_without_a_decode_server_there_is_an_error_and_later_an_answer(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    decodes = DecodeServer(FakeEngine())
    async with decodes:
        pass
    async with remote(tmp_path, f"--remote-url={decodes.url}") as server:
        async with server.client() as client:
            await client.say(tone(1.0))
            error = Error.from_event(await client.receive())
            assert error.code == "engine"
            assert f"decode server {decodes.url} is unavailable: " in error.text
        async with decodes, server.client() as client:
            await until(lambda: f"decode server {decodes.url} is available" in caplog.text)
            await client.say(tone(1.0))
            assert (await client.answer()).text == "1.0 seconds"


async def test_a_server_without_decode_servers_is_not_ready_and_says_why(tmp_path: Path) -> None:
    decodes = DecodeServer(FakeEngine())
    async with decodes:
        pass
    flags = (f"--remote-url={decodes.url}", "--metrics-port=0")
    async with remote(tmp_path, *flags) as server:
        await until(lambda: server.service.statistics().worker.ready)
        waiting = await get(metrics_of(server), "/readyz")
        assert waiting.status == 503
        assert waiting.text.startswith(f"decode server {decodes.url} is unavailable: ")
        assert (await get(metrics_of(server), "/healthz")).status == 200
        async with decodes:
            while (await get(metrics_of(server), "/readyz")).status != 200:
                pass
            await server.serves()
        metrics = (await get(metrics_of(server), "/metrics")).text
    assert 'engine_decodes_total{engine="remote",outcome="answered"} 1.0' in metrics
    assert 'engine_decodes_total{engine="local",outcome="answered"} 0.0' in metrics


async def test_with_a_local_model_a_server_without_decode_servers_is_ready(
    tmp_path: Path,
) -> None:
    line = ["--remote-url=http://127.0.0.1:1", "--model=base"]
    settings = (await asyncio.to_thread(read_settings, line, {})).settings
    alone = recognizer_of_decode_servers(settings)
    helped = recognizer_of_decode_servers(settings, ServedModel("base", ("en",)), FakeEngine)
    for recognizer in (alone, helped):
        assert recognizer.load is not None
        await asyncio.to_thread(recognizer.load)
        assert (recognizer.obstacle() is None) == (recognizer is helped)
        await asyncio.to_thread(recognizer.close)


async def test_a_request_chooses_the_model_and_the_operator_its_version(tmp_path: Path) -> None:
    async with (
        DecodeServer(FakeEngine(), version="2") as decodes,
        remote(
            tmp_path,
            f"--remote-url={decodes.url}",
            *("--remote-model=base:2", "--remote-model=acme"),
        ) as server,
        server.client() as client,
    ):
        await client.say(tone(1.0))
        assert (await client.answer()).text == "1.0 seconds"
        acme = Transcribe(name="acme").event()
        await client.send(acme, *recording(pcm16(tone(1.0)), PCM, chunk=3200))
        assert "there is no model acme" in Error.from_event(await client.receive()).text
        assert "POST /v2/models/base/versions/2/infer HTTP/1.1" in decodes.requests
        assert "POST /v2/models/acme/infer HTTP/1.1" in decodes.requests


async def test_a_token_without_encryption_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "token"
    file.write_text("s3cret")
    async with (
        DecodeServer(FakeEngine(), token_file=file) as decodes,
        remote(tmp_path, f"--remote-url={decodes.url}", "--remote-token=s3cret") as server,
        server.client() as client,
    ):
        await client.say(tone(1.0))
        assert (await client.answer()).text == "1.0 seconds"
    [warning] = [line for line in warnings(caplog) if "token" in line]
    assert warning.startswith("--remote-token is sent to localhost:")
    assert "s3cret" not in caplog.text


async def test_what_only_a_local_model_does_is_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with remote(tmp_path, "--remote-url=http://127.0.0.1:1", "--compute-type=int8"):
        pass
    assert "--compute-type is ignored; only faster-whisper has it" in warnings(caplog)


@pytest.mark.parametrize(
    ("flags", "error"),
    [
        (["--remote-url=gpu-box"], "--remote-url is 'gpu-box'; it must be like http://"),
        (["--stt-library=remote"], "--stt-library is remote, and --remote-url is missing"),
        (
            ["--stt-library=faster-whisper", "--remote-url=http://a"],
            "--stt-library is faster-whisper, and --remote-url is given",
        ),
        (["--remote-model=a/b"], "--remote-model is 'a/b'; it must be like base or base:2"),
        (["--remote-model=a", "--remote-model=a:2"], "--remote-model a is given twice"),
        (
            ["--remote-timeout=60", "--decode-timeout=50"],
            "--remote-timeout is 60; it must be less than --decode-timeout, which is 50",
        ),
        (["--remote-ca=/nonexistent"], "--remote-ca is '/nonexistent', which cannot be read"),
        (["--model=nonexistent"], "nonexistent"),
    ],
)
async def test_options_that_cannot_be_used_end_the_start(
    tmp_path: Path, flags: list[str], error: str
) -> None:
    url = [] if any("library" in flag or "url" in flag for flag in flags) else ["https://a"]
    with pytest.raises(ServerError) as raised:
        async with remote(tmp_path, *(f"--remote-url={each}" for each in url), *flags):
            pass
    assert error in str(raised.value)
    assert isinstance(raised.value, SettingError) or "--model" in flags[0]


def test_the_doctor_looks_for_the_local_model_only_if_there_is_one(tmp_path: Path) -> None:
    def found(*flags: str) -> list[str]:
        settings = read_settings(["--remote-url=http://127.0.0.1:1", *flags], {}).settings
        return [model.name for model in inspect_models(settings, [tmp_path])]

    assert found() == []
    assert found("--model=tiny.en") == ["tiny.en"]
