"""Server processes: signals, exit statuses and error messages."""

from __future__ import annotations

import asyncio
import json
import shlex
import signal
import socket
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import numpy as np
import pytest
from wyoming.client import AsyncClient

from tests.support.clips import CLIPS
from tests.support.processes import (
    DEADLINE,
    NO_HUB,
    SERVER,
    TINY,
    Process,
    environment,
    run,
)
from tests.support.serving import PCM, Speaker, chunks, peer, utterance
from wyoming_faster_whisper.errors import install_command
from wyoming_faster_whisper.models import choose, locate
from wyoming_faster_whisper.testing import pcm16, tone
from wyoming_faster_whisper.testing.tcp_server import TcpServer

from .conftest import StartProcess

HERE = ("--uri", "tcp://127.0.0.1:0")
SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]


class SilentHub(TcpServer):
    """A model hub that accepts connections and never answers."""

    def __init__(self) -> None:
        super().__init__(self._connected)
        self.asked = asyncio.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def _connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if await reader.read(1):  # a request, rather than a check of whether the port is open
            self.asked.set()
        await asyncio.Event().wait()

    async def first_request(self) -> None:
        """Wait for the first request."""
        async with asyncio.timeout(DEADLINE):
            await self.asked.wait()


@pytest.fixture
async def hub() -> AsyncIterator[SilentHub]:
    async with SilentHub() as hub:
        yield hub


async def test_info_is_sent_before_the_model_is_loaded(
    start_process: StartProcess, hub: SilentHub
) -> None:
    process = await start_process(*HERE, "--model", "small", HF_ENDPOINT=hub.url)
    await hub.first_request()
    async with process.client() as client:
        [model] = (await client.describe()).asr[0].models
    assert (model.name, model.installed) == ("small", True)
    assert "Ready" not in process.log


@pytest.mark.parametrize("number", SIGNALS)
async def test_a_signal_stops_the_server_while_the_hub_is_silent(
    start_process: StartProcess, hub: SilentHub, number: signal.Signals
) -> None:
    process = await start_process(*HERE, "--model", "small", HF_ENDPOINT=hub.url)
    await process.uri()
    await hub.first_request()
    process.signal(number)
    assert await process.ended() == 0
    assert f"{number.name}: finishing running utterances" in process.log
    assert "Traceback" not in process.log


def blocking_module(folder: Path, name: str) -> str:
    """Return a PYTHONPATH on which the import of a module prints a line and blocks."""
    folder.mkdir()
    (folder / f"{name}.py").write_text(
        "import os, time\n"
        "if __name__ != '__main__':\n"
        "    os.write(2, b'importing\\n')\n"
        "    time.sleep(600)\n"
    )
    return str(folder)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("module", ["logging", "asyncio", "argparse", "soxr"])
async def test_a_signal_during_the_imports_stops_the_server(
    start_process: StartProcess, tmp_path: Path, module: str, number: signal.Signals
) -> None:
    path = blocking_module(tmp_path / "modules", module)
    process = await start_process(*HERE, "--model", "small", PYTHONPATH=path)
    await process.logged("importing")
    process.signal(number)
    assert await process.ended() == 0
    assert process.log == "importing\n"


@pytest.mark.parametrize("module", ["asyncio", "json"])
async def test_a_signal_during_the_imports_stops_the_add_on(tmp_path: Path, module: str) -> None:
    path = blocking_module(tmp_path / "modules", module)
    command = (sys.executable, "-m", "wyoming_faster_whisper.commands.addon")
    folder = tmp_path / "data"
    async with Process.started(folder=folder, command=command, PYTHONPATH=path) as process:
        await process.logged("importing")
        process.signal(signal.SIGTERM)
        assert await process.ended() == 0


async def test_a_signal_during_the_start_stops_the_server(
    start_process: StartProcess, tmp_path: Path
) -> None:
    path = blocking_module(tmp_path / "modules", "prometheus_client")
    options = (*HERE, "--model", "small", "--metrics-port", "0")
    process = await start_process(*options, PYTHONPATH=path)
    await process.logged("importing")
    process.signal(signal.SIGTERM)
    assert await process.ended() == 0
    assert "Traceback" not in process.log


async def test_under_nohup_a_hangup_does_not_stop_the_server(
    start_process: StartProcess, hub: SilentHub, tmp_path: Path
) -> None:
    async with Process.started(
        *(*HERE, "--model", "small"),
        folder=tmp_path / "data",
        command=("nohup", *SERVER),
        HF_ENDPOINT=hub.url,
    ) as process:
        await process.uri()
        process.signal(signal.SIGHUP)
        async with process.client() as client:
            assert (await client.describe()).asr
        process.signal(signal.SIGTERM)
        assert await process.ended() == 0
        assert "SIGHUP" not in process.log


CLIENT, DOCTOR = (
    (
        *(sys.executable, "-c"),
        f"import sys; from wyoming_faster_whisper.commands.cli import {name}; sys.exit({name}())",
    )
    for name in ("client", "doctor")
)
ADDON, HEALTH_CHECK = (
    (sys.executable, "-m", f"wyoming_faster_whisper.{name}")
    for name in ("commands.addon", "health_check")
)


@pytest.mark.parametrize("closed", ["2>&-", "2>/dev/full", "2>&- >&-"])
@pytest.mark.parametrize(
    ("command", "status"),
    [
        ((*SERVER, "--nonsense"), 2),
        ((*SERVER, *HERE, "--model", "small"), 1),
        (ADDON, 2),
        ((*CLIENT, "--nonsense"), 2),
        ((*CLIENT, "info", "--uri", "nonsense://"), 2),
        ((*CLIENT, "info", "--uri", NO_HUB.replace("http", "tcp")), 1),
        ((*DOCTOR, "--nonsense"), 2),
        ((*HEALTH_CHECK, "--nonsense"), 2),
        ((*HEALTH_CHECK, "--uri", NO_HUB.replace("http", "tcp")), 1),
    ],
    ids=lambda value: " ".join(value[1:])[-40:] if isinstance(value, tuple) else str(value),
)
async def test_a_closed_standard_error_does_not_change_the_exit_status(
    tmp_path: Path, command: tuple[str, ...], status: int, closed: str
) -> None:
    ran = await run("sh", "-c", f"exec {shlex.join(command)} {closed}", folder=tmp_path)
    assert ran.status == status


async def test_a_closed_standard_error_is_replaced_by_dev_null(tmp_path: Path) -> None:
    program = "import os; from wyoming_faster_whisper.process import open_stderr; open_stderr(); "
    program += "print(os.readlink('/proc/self/fd/2'))"
    call = f"exec {shlex.join((sys.executable, '-c', program))} 2>&-"
    assert (await run("sh", "-c", call, folder=tmp_path)).out == "/dev/null\n"


async def test_two_server_processes_do_not_interfere(
    start_process: StartProcess, hub: SilentHub
) -> None:
    options = (*HERE, "--model", "small")
    one = await start_process(*options, HF_ENDPOINT=hub.url)
    two = await start_process(*options, HF_ENDPOINT=hub.url)
    assert await one.uri() != await two.uri()
    async with one.client() as to_one, two.client() as to_two:
        assert await to_one.describe() == await to_two.describe()


async def test_a_unix_socket_exists_while_the_server_runs(
    start_process: StartProcess, hub: SilentHub, tmp_path: Path
) -> None:
    uri = f"unix://{tmp_path}/socket"
    process = await start_process("--uri", uri, "--model", "small", HF_ENDPOINT=hub.url)
    assert await process.uri() == uri
    async with process.client() as client:
        assert (await client.describe()).asr
    process.signal(signal.SIGTERM)
    assert await process.ended() == 0
    assert not (tmp_path / "socket").exists()


async def test_a_second_signal_stops_the_server_immediately(
    start_process: StartProcess, hub: SilentHub
) -> None:
    process = await start_process(*HERE, "--model", "small", HF_ENDPOINT=hub.url)
    async with process.client() as client:
        await client.say(tone(0.5))
        await client.ping()
        process.signal(signal.SIGTERM)
        await process.logged("SIGTERM: finishing")
        process.signal(signal.SIGTERM)
        await process.logged("SIGTERM again")
        assert await process.ended() == 130
    assert "Traceback" not in process.log


def only_error(log: str) -> str:
    """Return the log's only error, which must be its last line."""
    assert "Traceback" not in log
    *before, last = log.splitlines()
    assert last.startswith("error: "), log
    assert not any("error: " in line for line in before), log
    return last


async def test_with_log_json_the_error_that_ends_the_server_is_json(
    start_process: StartProcess,
) -> None:
    process = await start_process(*HERE, "--model", "small", "--log-json")
    assert await process.ended() == 1
    last = [json.loads(line) for line in process.log.splitlines()][-1]
    assert last["level"] == "ERROR"
    assert last["message"].startswith("model 'small' is not on this machine")


async def test_an_unavailable_model_ends_the_server(start_process: StartProcess) -> None:
    process = await start_process(*HERE, "--model", "small")
    assert await process.ended() == 1
    sentence = only_error(process.log)
    for word in ("'small'", "http://127.0.0.1:9", install_command("models")):
        assert word in sentence


async def test_a_client_waiting_for_an_unavailable_model_gets_an_error(
    start_process: StartProcess, hub: SilentHub
) -> None:
    process = await start_process(*HERE, "--model", "small", HF_ENDPOINT=hub.url)
    async with process.client() as client:
        await client.say(tone(0.5))
        await client.ping()
        await hub.first_request()
        await hub.stop()
        event = await client.receive()
        assert event.type == "error"
        assert event.data["code"] == "model"
        assert await process.ended() == 1
    assert "'small'" in only_error(process.log)


async def test_a_model_that_may_not_be_downloaded_ends_the_server(
    start_process: StartProcess, hub: SilentHub
) -> None:
    options = ("--model", "small", "--local-files-only")
    process = await start_process(*HERE, *options, HF_ENDPOINT=hub.url)
    assert await process.ended() == 1
    assert "--local-files-only" in only_error(process.log)
    assert hub.connections == 0


async def test_a_damaged_model_ends_the_server(
    start_process: StartProcess, tmp_path: Path
) -> None:
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "config.json").write_text("{}")
    (damaged / "model.bin").write_bytes(b"\0" * 1000)
    process = await start_process(*HERE, "--model", str(damaged))
    assert await process.ended() == 1
    assert str(damaged) in only_error(process.log)


LFS_POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:1a5a\nsize 75537502\n"
VERSION_6 = (6).to_bytes(4, "little")
CUT_OFF = VERSION_6 + b"\x0c\0WhisperSpec\0\x03\0\0\0\x01\0\0\0" + b"\x02\0a\0"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (LFS_POINTER, "is a Git LFS pointer instead of the file itself; run `git lfs pull` in "),
        (b"\n<!DOCTYPE html>\n<title>404</title>", "is a web page instead of the file itself"),
        (b"", "is empty; copy or download it again"),
        (CUT_OFF, "is cut off or damaged; copy or download it again"),
        (b"PK\3\4" + bytes(1000), "is not a CTranslate2 model; give --model a name"),
    ],
    ids=["LFS pointer", "web page", "empty", "cut off", "another format"],
)
async def test_the_error_names_what_was_found_instead_of_model_bin(
    start_process: StartProcess, tmp_path: Path, content: bytes, words: str
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "vocabulary.txt").write_text("<|notimestamps|>\n")
    (folder / "tokenizer.json").write_text('{"model": {"vocab": {"<|notimestamps|>": 0}}}')
    (folder / "model.bin").write_bytes(content)
    process = await start_process(*HERE, "--model", str(folder))
    assert await process.ended() == 1
    assert f"error: {folder / 'model.bin'} {words}" in only_error(process.log)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (LFS_POINTER, "is a Git LFS pointer instead of the file itself; run `git lfs pull` in "),
        (
            b'{"lang_ids": [502',
            "is damaged (Expecting ',' delimiter: line 1 column 18 (char 17))",
        ),
        (b"[]", "is damaged (it is not a JSON object); copy or download it again"),
    ],
    ids=["LFS pointer", "cut off", "no object"],
)
async def test_the_error_names_a_damaged_config_json(
    start_process: StartProcess, tmp_path: Path, content: bytes, words: str
) -> None:
    (tmp_path / "model.bin").write_bytes(VERSION_6)
    (tmp_path / "config.json").write_bytes(content)
    process = await start_process(*HERE, "--model", str(tmp_path))
    assert await process.ended() == 1
    assert f"error: {tmp_path / 'config.json'} {words}" in only_error(process.log)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--beam-size", "many"], ["--beam-size", "'many'", "a whole number"]),
        (["--max-waiting", "0"], ["--max-waiting", "0", "at least 1"]),
        (["--whisper-task", "sing"], ["--whisper-task", "transcribe or translate"]),
        (["--speed", "fast"], ["--speed", "--help"]),
        (["--uri", "http://0.0.0.0:80"], ["--uri", "tcp://HOST:PORT"]),
        (["--uri", "tcp://0.0.0.0:8O"], ["--uri", "'tcp://0.0.0.0:8O'", "tcp://HOST:PORT"]),
        (["--language", "klingon"], ["--language", "'klingon'"]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
async def test_an_unusable_option_ends_the_server(
    start_process: StartProcess, options: list[str], words: list[str]
) -> None:
    process = await start_process(*options)
    assert await process.ended() == 2
    assert process.log.count("\n") == 1
    for word in words:
        assert word in only_error(process.log)


async def test_a_port_in_use_ends_the_server(start_process: StartProcess, hub: SilentHub) -> None:
    taken = hub.url.replace("http", "tcp")
    process = await start_process("--uri", taken, "--model", "small", HF_ENDPOINT=hub.url)
    assert await process.ended() == 2
    assert f"cannot listen on {taken}: " in only_error(process.log)
    assert hub.connections == 0


async def test_an_address_that_the_machine_does_not_have_yet_may_be_tried_again(
    start_process: StartProcess,
) -> None:
    process = await start_process("--uri", "tcp://192.0.2.1:10300")  # for documentation, RFC 5737
    assert await process.ended() == 1
    assert "cannot listen on tcp://192.0.2.1:10300: " in only_error(process.log)


class OverPipes(AsyncClient):
    """The wyoming library's client, connected to the pipes of a server."""

    def __init__(self, process: Process) -> None:
        super().__init__(read_timeout=DEADLINE)
        self._reader = process.process.stdout
        self._writer = process.process.stdin

    async def half_close(self) -> None:
        assert self._writer is not None
        self._writer.close()
        await self._writer.wait_closed()


async def test_the_server_can_use_pipes(start_process: StartProcess, hub: SilentHub) -> None:
    process = await start_process("--uri", "stdio://", "--model", "small", HF_ENDPOINT=hub.url)
    client = Speaker(OverPipes(process))
    assert (await client.describe()).asr[0].name == "faster-whisper"
    assert await client.ping("pipes") == "pipes"
    assert process.process.stdin is not None
    process.process.stdin.close()
    assert await process.ended() == 0


async def test_a_microphone_can_use_pipes(start_process: StartProcess, hub: SilentHub) -> None:
    process = await start_process("--uri", "stdio://", "--model", "small", HF_ENDPOINT=hub.url)
    await _send_as_a_microphone_does(Speaker(OverPipes(process)))


async def test_a_microphone_can_use_a_socket_as_standard_input_and_output(
    tmp_path: Path, hub: SilentHub
) -> None:
    ours, theirs = socket.socketpair()
    with theirs:
        process = await asyncio.create_subprocess_exec(
            *(*SERVER, "--uri", "stdio://", "--model", "small"),
            stdin=theirs.fileno(),
            stdout=theirs.fileno(),
            stderr=asyncio.subprocess.PIPE,
            env=environment(tmp_path, HF_ENDPOINT=hub.url),
        )
    client = AsyncClient(read_timeout=DEADLINE)
    client._reader, client._writer = await asyncio.open_connection(sock=ours)
    await _send_as_a_microphone_does(Speaker(client))
    client._writer.close()
    _, log = await process.communicate()
    assert process.returncode == 0
    assert "ERROR" not in log.decode()


async def _send_as_a_microphone_does(client: Speaker) -> None:
    """Send 10 ms at a time; the pong tells that the server has read them without the next."""
    for event in chunks(pcm16(tone(0.03)), PCM):
        await client.send(event)
        assert await client.ping("microphone") == "microphone"


async def test_the_client_of_a_pipe_may_be_silent_for_as_long_as_it_likes(
    start_process: StartProcess, hub: SilentHub
) -> None:
    short = ("--event-timeout", "0.001", "--idle-timeout", "0.001")
    process = await start_process(
        *("--uri", "stdio://", "--model", "small", *short), HF_ENDPOINT=hub.url
    )
    await hub.first_request()
    client = Speaker(OverPipes(process))
    for _ in range(3):
        assert await client.ping("pipes") == "pipes"


async def test_clients_are_refused_before_the_process_runs_out_of_files(
    tmp_path: Path, hub: SilentHub
) -> None:
    limited = ("sh", "-c", 'ulimit -n 40; exec "$@"', "sh", *SERVER)
    options = (*HERE, "--model", "small")
    async with (
        Process.started(
            *options, folder=tmp_path / "data", command=limited, HF_ENDPOINT=hub.url
        ) as process,
        AsyncExitStack() as crowd,
    ):
        for _ in range(8):
            client = await crowd.enter_async_context(process.client())
            await client.ping()
        async with peer(await process.uri()) as refused:
            assert (await refused.error()).code == "busy"
        assert "the limit of open files leaves room for 8 connections" in process.log


@pytest.mark.model
async def test_speech_is_transcribed_over_pipes(start_process: StartProcess) -> None:
    process = await start_process("--uri", "stdio://", *TINY)
    client = Speaker(OverPipes(process))
    for name in ("time", "lights"):
        await client.say(CLIPS[name].samples)
    for name in ("time", "lights"):
        assert CLIPS[name].heard_in(await client.transcript())


@pytest.mark.model
async def test_events_from_a_pipe_that_ends_before_the_model_is_loaded_are_answered(
    start_process: StartProcess,
) -> None:
    process = await start_process("--uri", "stdio://", *TINY)
    client = OverPipes(process)
    await Speaker(client).say(CLIPS["time"].samples)
    await client.half_close()
    assert CLIPS["time"].heard_in(await Speaker(client).transcript())
    assert await process.ended() == 0


@pytest.mark.parametrize("given", ["<&-", ">&-", "</dev/null"])
async def test_closed_or_redirected_stdio_is_refused(tmp_path: Path, given: str) -> None:
    command = f'exec "{sys.executable}" -m wyoming_faster_whisper --uri stdio:// {given}'
    process = await asyncio.create_subprocess_exec(
        *("sh", "-c", command),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(tmp_path),
    )
    _, log = await process.communicate()
    assert process.returncode == 2
    assert "stdio:// needs pipes" in only_error(log.decode())


async def test_stdio_without_pipes_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with file.open() as given:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "wyoming_faster_whisper", "--uri", "stdio://"),
            stdin=given,
            stdout=DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            env=environment(tmp_path),
        )
        _, log = await process.communicate()
    assert process.returncode == 2
    assert "stdio:// needs pipes" in only_error(log.decode())


@pytest.mark.model
async def test_a_signal_stops_an_idle_server(start_process: StartProcess) -> None:
    process = await start_process(*HERE, *TINY)
    async with process.client() as idle:
        await idle.say(CLIPS["lights"].samples)  # speech cuts the warm-up short
        await process.ready()
        await idle.transcript()
        process.signal(signal.SIGTERM)
        assert await process.ended() == 0
        assert await idle.client.read_event() is None
    assert "SIGTERM: finishing running utterances" in process.log


@pytest.mark.model
async def test_after_a_signal_a_speaker_may_finish(start_process: StartProcess) -> None:
    process = await start_process(*HERE, *TINY)
    async with process.client() as client:
        *audio, stop = utterance(CLIPS["lights"].samples)
        await client.send(*audio)
        await client.ping()
        process.signal(signal.SIGTERM)
        await process.logged("SIGTERM: finishing running utterances")
        await client.send(stop)
        assert CLIPS["lights"].heard_in(await client.transcript())
        assert await process.ended() == 0


@pytest.mark.model
async def test_a_second_signal_during_a_decode_does_not_crash_the_server(
    start_process: StartProcess,
) -> None:
    process = await start_process(*HERE, *TINY)
    async with process.client() as client:
        await client.send(*utterance(np.tile(CLIPS["weather"].samples, 40)))
        # The answer to a ping shows that the server has read all the audio.
        await client.ping()
        await process.ready()
        process.signal(signal.SIGTERM)
        await process.logged("SIGTERM: finishing")
        process.signal(signal.SIGTERM)
        assert await process.ended() == 130
    assert "Traceback" not in process.log
    assert "terminate called" not in process.log


@pytest.mark.model
async def test_the_command_line_of_the_stock_add_on_works(
    start_process: StartProcess, tmp_path: Path
) -> None:
    data = str(tmp_path / "data")
    process = await start_process(
        # The add-on listens on 0.0.0.0:10300; a loopback address keeps --zeroconf from
        # announcing the test server on the network.
        *("--uri", "tcp://127.0.0.1:0", "--zeroconf"),
        *("--model", "auto", "--stt-library", "auto", "--beam-size", "0"),
        *("--language", "en", "--initial-prompt", "null", "--whisper-task", "transcribe"),
        *("--data-dir", data, "--download-dir", data),
    )
    async with process.client() as client:
        [program] = (await client.describe()).asr
        assert program.name == "faster-whisper"
        assert [described.name for described in program.models] == ["base-int8"]
        await client.say(CLIPS["lights"].samples)
        await process.ready()  # loading may take longer than the timeout of the client
        assert CLIPS["lights"].heard_in(await client.transcript())
    process.signal(signal.SIGTERM)
    assert await process.ended() == 0


async def test_every_flag_of_the_stock_add_on_is_accepted(
    start_process: StartProcess, hub: SilentHub, tmp_path: Path
) -> None:
    process = await start_process(
        *("--uri", "tcp://127.0.0.1:0", "--zeroconf", "--model", "small"),
        *("--stt-library", "sherpa", "--beam-size", "5", "--language", "auto"),
        *("--initial-prompt", "null", "--whisper-task", "translate"),
        *("--data-dir", str(tmp_path), "--download-dir", str(tmp_path)),
        *("--sherpa-streaming", "--vad-clip", "--debug"),
        HF_ENDPOINT=hub.url,
    )
    async with peer(await process.uri()) as health_check:
        info = await health_check.send(b'{ "type": "describe" }\n').receive()
    assert info.data["asr"][0]["name"] == "faster-whisper"
    for flag in ("--stt-library", "--sherpa-streaming", "--vad-clip"):
        assert process.log.count(f"WARNING:wyoming_faster_whisper.commands.cli:{flag} ") == 1


# A user without a passwd entry and HOME, as with `docker run --user 12345`.
NO_HOME = """
import os, sys
os.environ.pop("HOME", None)
os.environ.pop("XDG_DATA_HOME", None)
os.getuid = lambda: 54321
from wyoming_faster_whisper.commands import cli
sys.exit(getattr(cli, sys.argv[1])(sys.argv[2:]))
"""


def without_home(command: str) -> tuple[str, ...]:
    return sys.executable, "-c", NO_HOME, command


@pytest.mark.model
@pytest.mark.parametrize("data_dir", [True, False])
async def test_a_user_without_a_home_directory_can_run_the_server(
    tmp_path: Path, data_dir: bool
) -> None:
    options = ("--data-dir", str(tmp_path)) if data_dir else ()
    async with Process.started(
        *(*HERE, *TINY, *options),
        folder=tmp_path,
        command=without_home("serve"),
        TMPDIR=str(tmp_path),
    ) as process:
        async with process.client() as client:
            await client.say(CLIPS["lights"].samples)
            await process.ready()
            assert CLIPS["lights"].heard_in(await client.transcript())
        assert "Traceback" not in process.log
        said = f"models are stored in {tmp_path}/wyoming-faster-whisper-54321, which"
        assert (said in process.log) is not data_dir


@pytest.mark.parametrize("option", ["--data-dir", "--download-dir", "--model"])
async def test_a_home_directory_that_does_not_exist_ends_the_server(
    tmp_path: Path, option: str
) -> None:
    options = (*HERE, option, "~54321/models")
    async with Process.started(
        *options, folder=tmp_path, command=without_home("serve")
    ) as process:
        assert await process.ended() == 2
        assert "~54321/models cannot be used" in only_error(process.log)


async def test_the_doctor_needs_no_home_directory(tmp_path: Path) -> None:
    uri = f"unix://{tmp_path}/no-server"
    ran = await run(*without_home("doctor"), "--uri", uri, folder=tmp_path)
    assert ran.status == 1  # there is no server
    assert "Traceback" not in ran.err


# A server that exits with a message as soon as it connects to anything or resolves a name.
OFFLINE = """
import os, sys

def watch(event, args):
    if event in ("socket.connect", "socket.sendto", "socket.gethostbyname"):
        os.write(2, f"went out: {event} {args[1:]}\\n".encode())
        os._exit(99)

sys.addaudithook(watch)
from wyoming_faster_whisper.commands import cli
from wyoming_faster_whisper.testing.tcp_server import TcpServer
sys.exit(cli.serve(sys.argv[1:]))
"""


@pytest.fixture
def without_tokenizer(tmp_path: Path) -> Path:
    """Create a folder with the packaged tiny.en without its tokenizer."""
    packaged = locate(choose("tiny.en", []), tmp_path, local_files_only=True)
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in ("model.bin", "config.json", "vocabulary.txt"):
        (folder / name).symlink_to(packaged / name)
    return folder


@pytest.mark.model
async def test_offline_a_model_without_a_tokenizer_works_and_connects_to_nothing(
    tmp_path: Path, without_tokenizer: Path
) -> None:
    async with Process.started(
        *(*HERE, "--model", str(without_tokenizer), "--local-files-only"),
        *("--max-batch", "1", "--cpu-threads", "1"),
        folder=tmp_path,
        command=(sys.executable, "-c", OFFLINE),
    ) as process:
        async with process.client() as client:
            await client.say(CLIPS["lights"].samples)
            await process.ready()
            assert CLIPS["lights"].heard_in(await client.transcript())
        process.signal(signal.SIGTERM)
        assert await process.ended() == 0
    assert "went out" not in process.log
