"""The client library, `transcribe` and the health check against a server."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import sys
import wave
from pathlib import Path

import pytest
from wyoming.event import Event

from tests.support.client_commands import CALL, client
from tests.support.processes import NO_HUB, Ran, run
from tests.support.serving import Server, until
from wyoming_faster_whisper.audio.pcm import PcmFormat
from wyoming_faster_whisper.client import Client, ClientError, Clip
from wyoming_faster_whisper.commands.health_check import (
    default_uri,
    server_arguments,
)
from wyoming_faster_whisper.testing import FakeEngine, pcm16, tone
from wyoming_faster_whisper.testing.tcp_server import SilentServer, TcpServer
from wyoming_faster_whisper.transports.address import DEFAULT_URI
from wyoming_faster_whisper.transports.lifecycle import ClientLimits
from wyoming_faster_whisper.transports.wyoming.framing import write_event

from .conftest import Serve

OURS = "wyoming_faster_whisper."
NO_SERVER = NO_HUB.replace("http", "tcp")


def clip(seconds: float) -> Clip:
    return Clip(PcmFormat(), pcm16(tone(seconds)))


def wav(path: Path, seconds: float) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setframerate(16_000)
        file.setsampwidth(2)
        file.setnchannels(1)
        file.writeframes(clip(seconds).data)
    return path


async def test_the_client_describes_and_transcribes_on_one_connection(server: Server) -> None:
    async with Client(server.uri) as client:
        assert (await client.describe()).asr[0].name == "faster-whisper"
        assert (await client.transcribe(clip(1.0))).text == "1.0 seconds"
        assert (await client.transcribe(clip(0.5), language="de")).language == "de"


async def test_the_client_speaks_over_a_unix_socket(serve: Serve, tmp_path: Path) -> None:
    server = await serve(uri=f"unix://{tmp_path}/socket")
    async with Client(server.uri) as client:
        assert (await client.transcribe(clip(0.5))).text == "0.5 seconds"


async def test_the_client_reports_an_error_of_the_server(serve: Serve) -> None:
    server = await serve(max_connections=1)
    async with Client(server.uri) as one:
        await one.describe()
        async with Client(server.uri) as two:
            with pytest.raises(ClientError, match=r"the server says: .*1 client.*\(code busy\)"):
                await two.transcribe(clip(60.0))


async def test_the_client_reconnects_if_the_server_closed_the_connection(serve: Serve) -> None:
    server = await serve(limits=ClientLimits(between_utterances=0.0, linger=0.0))
    async with Client(server.uri) as client:
        assert (await client.transcribe(clip(0.5))).text == "0.5 seconds"
        await until(lambda: server.connections == 0)
        assert (await client.transcribe(clip(1.0))).text == "1.0 seconds"


async def test_the_client_stops_waiting_for_a_silent_server(serve: Serve) -> None:
    server = await serve(FakeEngine(held=True))
    async with Client(server.uri, timeout=0.1) as client:
        with pytest.raises(ClientError, match=r"sent nothing for 0\.1 s"):
            await client.transcribe(clip(0.5))


@pytest.mark.parametrize(
    ("event", "sentence"),
    [
        (Event("transcript"), "sent a bad transcript event"),
        (Event("transcript", {"text": 5}), "sent a bad transcript event"),
        (Event("transcript", {"text": "a", "language": []}), "sent a bad transcript event"),
        (Event("error"), r"the server says: None \(code None\)"),
        (Event("error", {"text": "\x1b[2J"}), r"the server says: \?\[2J \(code None\)"),
        (Event("info", {"asr": [5]}), "sent a bad info event"),
        (Event("info", {"asr": 5}), "sent a bad info event"),
    ],
)
async def test_a_malformed_event_of_a_server_raises_client_error(
    event: Event, sentence: str
) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(write_event(event))
        await reader.read()

    async with TcpServer(answer) as odd, Client(f"tcp://127.0.0.1:{odd.port}") as client:
        with pytest.raises(ClientError, match=sentence):
            await (client.describe() if event.type == "info" else client.transcribe(clip(0.1)))


async def transcribe(folder: Path, *arguments: str) -> Ran:
    return await client(folder, "transcribe", *arguments)


async def test_transcribe_prints_a_line_for_each_file(server: Server, tmp_path: Path) -> None:
    one, two = wav(tmp_path / "one.wav", 1.0), wav(tmp_path / "two.wav", 0.5)
    ran = await transcribe(tmp_path, "--uri", server.uri, str(one), str(two))
    assert (ran.out, ran.err, ran.status) == ("1.0 seconds\n0.5 seconds\n", "", 0)


async def test_transcribe_prints_json_with_the_language(serve: Serve, tmp_path: Path) -> None:
    server = await serve(FakeEngine(lambda job: 'zwölf "Uhr"'))
    file = str(wav(tmp_path / "one.wav", 0.5))
    options = ("--uri", server.uri, "--format", "json", "--language", "de")
    ran = await transcribe(tmp_path, *options, file)
    said = json.loads(ran.out)
    assert (said["file"], said["text"], said["language"]) == (file, 'zwölf "Uhr"', "de")
    assert (ran.err, ran.status) == ("", 0)


async def test_transcribe_prints_all_scripts_without_escape_sequences(
    serve: Serve, tmp_path: Path
) -> None:
    said = "\x1b[2J\x9b1mمی\u200cخواهم हिन्दी 日本\nvoilà\u00a0!\ud800"
    server = await serve(FakeEngine(lambda job: said))
    file = str(wav(tmp_path / "one.wav", 0.5))
    ran = await transcribe(tmp_path, "--uri", server.uri, file)
    assert ran.out == "[2J1mمی\u200cخواهم हिन्दी 日本 voilà !?\n"
    assert ran.status == 0


async def test_transcribe_ends_quietly_if_its_output_is_closed(
    server: Server, tmp_path: Path
) -> None:
    file = str(wav(tmp_path / "one.wav", 0.5))
    theirs, ours = os.pipe()
    os.close(theirs)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", CALL, "transcribe", "--uri", server.uri, file),
        stdout=ours,
        stderr=asyncio.subprocess.PIPE,
    )
    os.close(ours)
    _, log = await process.communicate()
    assert (log, process.returncode) == (b"", 1)


async def test_help_does_not_import_large_libraries(tmp_path: Path) -> None:
    ask = (
        "import sys; from wyoming_faster_whisper.commands.cli import client\n"
        "try: client(['listen', '--help'])\n"
        "except SystemExit: print(*sorted(sys.modules))"
    )
    ran = await run(sys.executable, "-c", ask, folder=tmp_path)
    assert "microphone" in ran.out
    loaded = set(ran.out.splitlines()[-1].split())
    assert not {"asyncio", "numpy", "wyoming"} & loaded
    assert {name.split(".", 1)[1] for name in loaded if name.startswith(OURS)} == {
        *("client", "client.formats", "client.options", "commands", "commands.cli", "config"),
        *("config.options", "errors", "process", "subtitles", "transports", "transports.address"),
    }


async def test_transcribe_reports_a_missing_server(tmp_path: Path) -> None:
    file = wav(tmp_path / "one.wav", 0.5)
    ran = await transcribe(tmp_path, "--uri", NO_SERVER, str(file))
    assert (ran.out, ran.status) == ("", 1)
    assert ran.err == (
        f"error: cannot connect to {NO_SERVER}: Connection refused; "
        "set --uri to its address, or find it with discover\n"
    )


async def health_check(folder: Path, *arguments: str, **environ: str) -> Ran:
    module = "wyoming_faster_whisper.health_check"
    return await run(sys.executable, "-m", module, *arguments, folder=folder, **environ)


async def test_the_health_check_reads_the_servers_variable(serve: Serve, tmp_path: Path) -> None:
    server = await serve(uri="tcp://0.0.0.0:0")
    assert server.uri.startswith("tcp://0.0.0.0:")
    ran = await health_check(tmp_path, WYO_WHISPER_URI=server.uri)
    assert (ran.err, ran.status) == ("", 0)


async def test_the_health_check_reads_the_file_named_by_the_servers_variable(
    server: Server, tmp_path: Path
) -> None:
    (tmp_path / "uri").write_text(server.uri + "\n")
    ran = await health_check(tmp_path, WYO_WHISPER_URI_FILE=str(tmp_path / "uri"))
    assert (ran.err, ran.status) == ("", 0)


@pytest.mark.parametrize("unset", ["", "null", " null\n"])
def test_the_health_check_treats_null_as_unset(unset: str) -> None:
    given = {"WYO_WHISPER_URI": unset, "WYO_WHISPER_URI_FILE": unset.strip()}
    assert default_uri(given) == DEFAULT_URI


@pytest.mark.parametrize(
    ("line", "uri"),
    [
        ("python3 -m wyoming_faster_whisper --uri tcp://0.0.0.0:9000", "tcp://127.0.0.1:9000"),
        ("docker-init -- python3 -m wyoming_faster_whisper --uri=tcp://[::]:9", "tcp://[::1]:9"),
        ("python3 -m wyoming_faster_whisper --u tcp://0.0.0.0:9000", "tcp://127.0.0.1:9000"),
        ("python3 -m wyoming_faster_whisper --debug", "tcp://127.0.0.1:8000"),
        ("/sbin/init --uri tcp://0.0.0.0:9000", "tcp://127.0.0.1:8000"),
        ("", "tcp://127.0.0.1:8000"),
    ],
)
def test_the_health_check_reads_the_servers_command_line(
    tmp_path: Path, line: str, uri: str
) -> None:
    (tmp_path / "cmdline").write_text("".join(f"{word}\0" for word in line.split()))
    given = server_arguments(tmp_path / "cmdline")
    assert default_uri({"WYO_WHISPER_URI": "tcp://0.0.0.0:8000"}, given) == uri


def test_the_health_check_does_not_need_a_first_process(tmp_path: Path) -> None:
    assert server_arguments(tmp_path / "cmdline") == []


async def test_the_health_check_fails_if_no_server_listens(tmp_path: Path) -> None:
    ran = await health_check(tmp_path, WYO_WHISPER_URI=NO_SERVER)
    assert ran.status == 1
    assert ran.err.startswith(f"unhealthy: cannot connect to {NO_SERVER}: Connection refused")


async def test_the_health_check_fails_if_the_server_does_not_answer(tmp_path: Path) -> None:
    async with SilentServer() as silent:
        uri = f"tcp://127.0.0.1:{silent.port}"
        ran = await health_check(tmp_path, "--uri", uri, "--timeout", "0.2")
    assert (ran.err, ran.status) == ("unhealthy: no answer within 0.2 s\n", 1)


async def test_the_health_check_of_the_stock_add_on_passes(
    server: Server, tmp_path: Path
) -> None:
    nc = shutil.which("nc")
    if nc is None:
        pytest.skip("nc (netcat-openbsd) is not installed")
    host, port = server.service.address.host, str(server.service.address.port)
    ran = await run(nc, "-w", "1", host, port, folder=tmp_path, given='{ "type": "describe" }\n')
    assert "faster-whisper" in ran.out
