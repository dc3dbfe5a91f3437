"""The doctor with servers over real sockets."""

from __future__ import annotations

import asyncio
import json
import sys
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from wyoming.asr import Transcript
from wyoming.audio import AudioChunk, AudioStop
from wyoming.event import Event, async_read_event, async_write_event
from wyoming.info import AsrModel, AsrProgram, Attribution, Describe, Info

from tests.support.processes import NO_HUB, Ran, run
from tests.support.serving import Server, until
from wyoming_faster_whisper.audio.pcm import PcmFormat
from wyoming_faster_whisper.client import ClientError, Clip
from wyoming_faster_whisper.commands import cli
from wyoming_faster_whisper.commands.doctor import host
from wyoming_faster_whisper.commands.doctor.command import Examination, main
from wyoming_faster_whisper.commands.doctor.finding import Level
from wyoming_faster_whisper.commands.doctor.synthetic_client import ROOMS, SyntheticClient, spoken
from wyoming_faster_whisper.config.settings import Settings
from wyoming_faster_whisper.engine.protocol import Job
from wyoming_faster_whisper.errors import EngineError
from wyoming_faster_whisper.testing import FakeEngine, pcm16, tone
from wyoming_faster_whisper.testing.tcp_server import TcpServer

from .conftest import Serve

NO_SERVER = NO_HUB.replace("http", "tcp")
ORDER = Clip(PcmFormat(), pcm16(tone(0.5)))


def visitor(uri: str) -> SyntheticClient:
    return SyntheticClient(uri, spoken(ORDER), "en", pace=0.0)


async def test_the_synthetic_client_gets_the_answers_that_home_assistant_gets(
    serve: Serve,
) -> None:
    server = await serve(FakeEngine(lambda job: "Stop."))
    visit = await visitor(server.uri).try_server()
    assert visit.described.program == "faster-whisper"
    assert visit.described.models == ("base",)
    assert {"de", "en"} <= set(visit.described.languages)
    assert visit.described.external_vad
    assert visit.external.text == "Stop."
    assert not visit.external.before_stop
    assert visit.silence.text == ""
    assert [turn.text for turn in visit.crowd.turns] == ["Stop."] * ROOMS


async def test_audio_is_sent_in_chunks_of_10_ms_as_by_home_assistant() -> None:
    cd = PcmFormat(rate=44_100, width=2, channels=2)
    order = spoken(Clip(cd, pcm16(np.repeat(tone(0.505, rate=cd.rate), 2))))
    assert len(order) == pytest.approx(0.505 * 32_000, abs=4)
    async with scripted(answer_after=None) as (uri, events):
        turn = await visitor(uri).speak(order, silence=0.7)
    kinds = [event.type for event in events]
    assert kinds == ["transcribe", "audio-start", *["audio-chunk"] * 120, "audio-stop"]
    assert {len(event.payload or b"") for event in events[2:-1]} == {320}
    assert (turn.text, turn.before_stop) == ("Stop.", False)


async def test_an_answer_before_the_end_ends_the_turn() -> None:
    async with scripted(answer_after=60) as (uri, events):
        # The answer comes after 60 chunks, long before the end of the silence.
        turn = await visitor(uri).speak(spoken(ORDER), silence=600.0)
    assert (turn.text, turn.before_stop) == ("Stop.", True)
    assert "audio-stop" not in [event.type for event in events]


async def test_an_error_of_the_server_is_reported(serve: Serve) -> None:
    def fail(job: Job) -> str:
        raise EngineError("no luck")

    server = await serve(FakeEngine(fail))
    turn = await visitor(server.uri).speak(spoken(ORDER), silence=0.7)
    assert turn.text is None
    assert "no luck (code engine)" in turn.error


async def test_describe_is_answered_while_other_clients_speak(
    serve: Serve,
) -> None:
    server = await serve(FakeEngine(held=True))
    crowd = asyncio.create_task(visitor(server.uri).try_concurrently())
    # One job is being decoded; the others wait.
    await until(lambda: server.waiting == ROOMS - 1)
    server.engine.release()
    seen = await crowd
    assert len(seen.turns) == ROOMS
    assert len(seen.describes) >= 2
    assert max(seen.describes) < float("inf")


async def test_a_server_without_speech_to_text_is_not_tried() -> None:
    async with scripted(program=False) as (uri, _):
        with pytest.raises(ClientError, match="has no speech-to-text"):
            await visitor(uri).try_server()


async def test_an_examination_reports_area_by_area(server: Server, tmp_path: Path) -> None:
    told: list[str] = []
    examination = Examination(
        Settings(uri=server.uri, model=("tiny.en",), data_dir=(str(tmp_path),)),
        folders=[tmp_path],
        order=ORDER,
        tell=told.append,
        pace=0.0,
    )
    await examination.run()
    assert list(examination.findings) == ["This machine", "Models", "Network", "Home Assistant"]
    assert [text.partition("\n")[0] for text in told] == list(examination.findings)
    assert examination.level < Level.PROBLEM
    assert examination.facts["libraries"].trouble == ""
    assert [model.name for model in examination.facts["models"]] == ["tiny.en"]
    assert examination.facts["network"].local_only


async def test_a_server_without_a_free_connection_is_a_problem(
    serve: Serve, tmp_path: Path
) -> None:
    server = await serve(max_connections=1)
    async with server.client() as client:
        await client.ping()
        examination = Examination(
            Settings(uri=server.uri), folders=[tmp_path], order=ORDER, pace=0.0
        )
        await examination.run()
    assert examination.level is Level.PROBLEM
    [finding] = examination.findings["Home Assistant"]
    assert "too many connections (1 client)" in finding.saw


async def test_a_program_of_another_protocol_is_a_problem(tmp_path: Path) -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with TcpServer(refuse) as web:
        settings = Settings(uri=f"tcp://127.0.0.1:{web.port}")
        examination = Examination(settings, folders=[tmp_path], order=ORDER, pace=0.0)
        await examination.run()
    [finding] = examination.findings["Home Assistant"]
    assert finding.level is Level.PROBLEM
    assert "another program on its port" in finding.advice


async def test_a_server_that_accepts_only_tls_is_a_problem_but_is_tried(
    serve: Serve, certificates: Path, tmp_path: Path
) -> None:
    files: dict[str, Any] = {
        "tls_cert": str(certificates / "server.pem"),
        "tls_key": str(certificates / "server.key"),
        "tls_ca": str(certificates / "ca.pem"),
    }
    server = await serve(FakeEngine(lambda job: "Stop."), **files)
    examination = await asyncio.to_thread(
        Examination,
        Settings(uri=server.uri, **files),
        folders=[tmp_path],
        order=ORDER,
        pace=0.0,
    )
    await examination.run()
    tls, described, *_ = examination.findings["Home Assistant"]
    assert (tls.level, "TLS only" in tls.saw) == (Level.PROBLEM, True)
    assert (described.level, "info received in" in described.saw) == (Level.OK, True)
    assert examination.facts["visit"].external.text == "Stop."


async def doctor(folder: Path, *arguments: str) -> Ran:
    call = (
        "import sys; from wyoming_faster_whisper.commands.cli import doctor; sys.exit(doctor())"
    )
    return await run(sys.executable, "-c", call, *arguments, folder=folder)


@pytest.mark.parametrize(
    ("code", "trouble"),
    [
        ("print('[[\"int8\"], 0]')", ""),
        ("import os; os.kill(os.getpid(), 4)", "a trial ended with SIGILL"),
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise SystemExit(3)", "no reason given"),
    ],
)
def test_a_crash_of_the_libraries_does_not_end_the_doctor(code: str, trouble: str) -> None:
    libraries = host.try_libraries(code)
    assert trouble in libraries.trouble
    assert bool(libraries.trouble) == bool(trouble)


async def test_a_missing_server_is_a_problem(tmp_path: Path) -> None:
    ran = await doctor(tmp_path, "--uri", NO_SERVER, "--model", "tiny.en")
    assert (ran.err, ran.status) == ("", 1)
    assert ran.out.startswith("This machine\n  ok       ")
    assert f"  problem  cannot connect to {NO_SERVER}: " in ran.out
    assert "-> start the server; if it is running, set --uri" in ran.out


async def test_the_json_report_is_one_object(tmp_path: Path) -> None:
    ran = await doctor(tmp_path, "--json", "--uri", NO_SERVER, "--model", "tiny.en")
    told = json.loads(ran.out)
    assert (told["level"], ran.err, ran.status) == ("problem", "", 1)
    assert told["findings"][-1]["area"] == "Home Assistant"
    assert set(told["facts"]) == {"box", "libraries", "models", "network"}


@pytest.mark.parametrize(
    ("arguments", "status", "error"),
    [
        (("--no-such-option",), 2, "unrecognized arguments: --no-such-option"),
        (("--uri", "stdio://"), 2, "--uri is stdio://; the doctor takes"),
        (("--model", "no-such-model"), 1, "model 'no-such-model' is unknown"),
        (("--clip", "no-such-file.wav"), 1, "cannot read no-such-file.wav"),
    ],
)
def test_unusable_arguments_are_reported_in_one_line(
    arguments: tuple[str, ...],
    status: int,
    error: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert cli.doctor(["--uri", NO_SERVER, *arguments]) == status
    told = capsys.readouterr().err
    assert told.startswith(f"error: {error}")
    assert told.count("\n") == 1


async def test_the_operators_own_recording_is_used(
    serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = await serve(FakeEngine(lambda job: f"{job.seconds > 2.0}"))
    file = await asyncio.to_thread(wav, tmp_path / "own.wav", 3.0)
    arguments = ["--uri", server.uri, "--data-dir", str(tmp_path), "--clip", file]
    assert await asyncio.to_thread(main, arguments, {}, pace=0.0) == 0
    out = capsys.readouterr().out
    assert "'True'" in out
    assert "words missing" not in out


def wav(path: Path, seconds: float) -> str:
    with wave.open(str(path), "wb") as file:
        file.setframerate(8000)
        file.setsampwidth(2)
        file.setnchannels(1)
        file.writeframes(pcm16(tone(seconds, rate=8000)))
    return str(path)


@asynccontextmanager
async def scripted(
    *, program: bool = True, answer_after: int | None = None
) -> AsyncIterator[tuple[str, list[Event]]]:
    """Run a server that answers "Stop."; yield its URI and the events it receives.

    Args:
        program: whether it offers speech-to-text.
        answer_after: chunks after which it answers; None = at audio-stop.
    """
    events: list[Event] = []
    thanks = Attribution(name="", url="")
    model = AsrModel("tiny", thanks, True, None, None, languages=["en"])
    info = Info(asr=[AsrProgram("other", thanks, True, None, None, models=[model])])

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        chunks = 0
        while (event := await async_read_event(reader)) is not None:
            events.append(event)
            chunks += AudioChunk.is_type(event.type)
            if Describe.is_type(event.type):
                await async_write_event((info if program else Info()).event(), writer)
            elif chunks == answer_after or AudioStop.is_type(event.type):
                chunks += 1
                await async_write_event(Transcript("Stop.").event(), writer)

    async with TcpServer(serve) as server:
        yield f"tcp://127.0.0.1:{server.port}", events
