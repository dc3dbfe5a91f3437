"""Servers as operators start and end them: processes, signals, exit statuses."""

from __future__ import annotations

import asyncio
import shlex
import signal
import sys
from asyncio.subprocess import DEVNULL
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from wyoming.client import AsyncClient

from tests.support.clips import CLIPS
from tests.support.processes import DEADLINE, NO_HUB, SERVER, Process, environment, run
from tests.support.serving import Speaker, peer, utterance
from wyoming_faster_whisper.models import choose, locate
from wyoming_faster_whisper.testing import tone

from .conftest import StartProcess

HERE = ("--uri", "tcp://127.0.0.1:0")
# One thread and no trial of batches: the machine is not to be kept busy by the warm-up.
TINY = (*HERE, "--model", "tiny.en", "--max-batch", "1", "--cpu-threads", "1")
SIGNALS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]


@dataclass
class SilentHub:
    """A model hub that takes connections and never says anything."""

    url: str = ""
    asked: asyncio.Event = field(default_factory=asyncio.Event)
    connections: list[asyncio.StreamWriter] = field(default_factory=list)

    server: asyncio.Server | None = None

    async def start(self) -> None:
        self.server = await asyncio.start_server(self._connected, "127.0.0.1")
        self.url = f"http://127.0.0.1:{self.server.sockets[0].getsockname()[1]}"

    def close(self) -> None:
        """Break all connections and take no more."""
        assert self.server is not None
        self.server.close()
        for writer in self.connections:
            writer.transport.abort()

    async def _connected(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.connections.append(writer)
        if await reader.read(1):  # not only looking whether somebody is there
            self.asked.set()

    async def first_request(self) -> None:
        """Wait until somebody wants a model."""
        async with asyncio.timeout(DEADLINE):
            await self.asked.wait()


@pytest.fixture
async def hub() -> AsyncIterator[SilentHub]:
    hub = SilentHub()
    await hub.start()
    yield hub
    hub.close()


async def test_it_listens_and_says_what_it_is_before_the_model_is_there(
    start_process: StartProcess, hub: SilentHub
) -> None:
    process = await start_process(*HERE, "--model", "small", HF_ENDPOINT=hub.url)
    await hub.first_request()
    async with process.client() as client:
        [model] = (await client.describe()).asr[0].models
    assert (model.name, model.installed) == ("small", True)
    assert "Ready" not in process.log


@pytest.mark.parametrize("number", SIGNALS)
async def test_a_signal_ends_it_while_the_hub_is_silent(
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
    """Return a PYTHONPATH on which the import of a module tells so and does not end."""
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
async def test_a_signal_during_the_imports_ends_it(
    start_process: StartProcess, tmp_path: Path, module: str, number: signal.Signals
) -> None:
    path = blocking_module(tmp_path / "modules", module)
    process = await start_process(*HERE, "--model", "small", PYTHONPATH=path)
    await process.logged("importing")
    process.signal(number)
    assert await process.ended() == 0
    assert process.log == "importing\n"


@pytest.mark.parametrize("module", ["asyncio", "json"])
async def test_a_signal_during_the_add_ons_imports_ends_it(tmp_path: Path, module: str) -> None:
    path = blocking_module(tmp_path / "modules", module)
    command = (sys.executable, "-m", "wyoming_faster_whisper.commands.addon")
    folder = tmp_path / "data"
    async with Process.started(folder=folder, command=command, PYTHONPATH=path) as process:
        await process.logged("importing")
        process.signal(signal.SIGTERM)
        assert await process.ended() == 0


async def test_a_signal_ends_it_while_it_starts(
    start_process: StartProcess, tmp_path: Path
) -> None:
    path = blocking_module(tmp_path / "modules", "prometheus_client")
    options = (*HERE, "--model", "small", "--metrics-port", "0")
    process = await start_process(*options, PYTHONPATH=path)
    await process.logged("importing")
    process.signal(signal.SIGTERM)
    assert await process.ended() == 0
    assert "Traceback" not in process.log


async def test_under_nohup_a_hangup_ends_nothing(
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
async def test_the_exit_status_is_the_same_where_standard_error_is_closed(
    tmp_path: Path, command: tuple[str, ...], status: int, closed: str
) -> None:
    ran = await run("sh", "-c", f"exec {shlex.join(command)} {closed}", folder=tmp_path)
    assert ran.status == status


async def test_a_closed_standard_error_is_no_file_that_is_opened_later(tmp_path: Path) -> None:
    program = "import os; from wyoming_faster_whisper.process import open_stderr; open_stderr(); "
    program += "print(os.readlink('/proc/self/fd/2'))"
    call = f"exec {shlex.join((sys.executable, '-c', program))} 2>&-"
    assert (await run("sh", "-c", call, folder=tmp_path)).out == "/dev/null\n"


async def test_two_servers_run_side_by_side(start_process: StartProcess, hub: SilentHub) -> None:
    options = (*HERE, "--model", "small")
    one = await start_process(*options, HF_ENDPOINT=hub.url)
    two = await start_process(*options, HF_ENDPOINT=hub.url)
    assert await one.uri() != await two.uri()
    async with one.client() as to_one, two.client() as to_two:
        assert await to_one.describe() == await to_two.describe()


async def test_a_unix_socket_comes_and_goes_with_it(
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


async def test_a_second_signal_ends_it_at_once(
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


def one_sentence(log: str) -> str:
    """Return the log's only error, which must be its last line."""
    assert "Traceback" not in log
    *before, last = log.splitlines()
    assert last.startswith("error: "), log
    assert not any("error: " in line for line in before), log
    return last


async def test_a_model_that_is_nowhere_ends_it(start_process: StartProcess) -> None:
    process = await start_process(*HERE, "--model", "small")
    assert await process.ended() == 1
    sentence = one_sentence(process.log)
    for word in ("'small'", "http://127.0.0.1:9", "install the package extra 'models'"):
        assert word in sentence


async def test_who_waits_for_a_model_that_does_not_come_is_told(
    start_process: StartProcess, hub: SilentHub
) -> None:
    process = await start_process(*HERE, "--model", "small", HF_ENDPOINT=hub.url)
    async with process.client() as client:
        await client.say(tone(0.5))
        await client.ping()
        await hub.first_request()
        hub.close()
        event = await client.receive()
        assert event.type == "error"
        assert event.data["code"] == "model"
        assert await process.ended() == 1
    assert "'small'" in one_sentence(process.log)


async def test_a_model_that_may_not_be_downloaded_ends_it(
    start_process: StartProcess, hub: SilentHub
) -> None:
    options = ("--model", "small", "--local-files-only")
    process = await start_process(*HERE, *options, HF_ENDPOINT=hub.url)
    assert await process.ended() == 1
    assert "--local-files-only" in one_sentence(process.log)
    assert hub.connections == []


async def test_a_damaged_model_ends_it(start_process: StartProcess, tmp_path: Path) -> None:
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "config.json").write_text("{}")
    (damaged / "model.bin").write_bytes(b"\0" * 1000)
    process = await start_process(*HERE, "--model", str(damaged))
    assert await process.ended() == 1
    assert str(damaged) in one_sentence(process.log)


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
async def test_what_lies_in_place_of_a_model_bin_is_said(
    start_process: StartProcess, tmp_path: Path, content: bytes, words: str
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    (folder / "vocabulary.txt").write_text("a\n")
    (folder / "tokenizer.json").write_text('{"model": {"vocab": {"a": 0}}}')
    (folder / "model.bin").write_bytes(content)
    process = await start_process(*HERE, "--model", str(folder))
    assert await process.ended() == 1
    assert f"error: {folder / 'model.bin'} {words}" in one_sentence(process.log)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--beam-size", "many"], ["--beam-size", "'many'", "a whole number"]),
        (["--max-waiting", "0"], ["--max-waiting", "0", "at least 1"]),
        (["--whisper-task", "sing"], ["--whisper-task", "transcribe or translate"]),
        (["--speed", "fast"], ["--speed", "--help"]),
        (["--uri", "http://0.0.0.0:80"], ["--uri", "tcp://HOST:PORT"]),
        (["--language", "klingon"], ["--language", "'klingon'"]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
async def test_an_option_that_cannot_be_served_ends_it(
    start_process: StartProcess, options: list[str], words: list[str]
) -> None:
    process = await start_process(*options)
    assert await process.ended() == 2
    assert process.log.count("\n") == 1
    for word in words:
        assert word in one_sentence(process.log)


async def test_a_port_in_use_ends_it(start_process: StartProcess, hub: SilentHub) -> None:
    taken = hub.url.replace("http", "tcp")
    process = await start_process("--uri", taken, "--model", "small", HF_ENDPOINT=hub.url)
    assert await process.ended() == 2
    assert f"cannot listen on {taken}: " in one_sentence(process.log)
    assert hub.connections == []


class OverPipes(AsyncClient):
    """The wyoming library's client, at the pipes of a server."""

    def __init__(self, process: Process) -> None:
        super().__init__(read_timeout=DEADLINE)
        self._reader = process.process.stdout
        self._writer = process.process.stdin


async def test_it_speaks_over_pipes(start_process: StartProcess, hub: SilentHub) -> None:
    process = await start_process("--uri", "stdio://", "--model", "small", HF_ENDPOINT=hub.url)
    client = Speaker(OverPipes(process))
    assert (await client.describe()).asr[0].name == "faster-whisper"
    assert await client.ping("pipes") == "pipes"
    assert process.process.stdin is not None
    process.process.stdin.close()
    assert await process.ended() == 0


@pytest.mark.model
async def test_it_transcribes_over_pipes(start_process: StartProcess) -> None:
    process = await start_process("--uri", "stdio://", "--model", "tiny.en")
    client = Speaker(OverPipes(process))
    for name in ("time", "lights"):
        await client.say(CLIPS[name].samples)
    for name in ("time", "lights"):
        assert CLIPS[name].heard_in(await client.transcript())


@pytest.mark.parametrize("given", ["<&-", ">&-", "</dev/null"])
async def test_stdio_that_is_closed_or_nothing_is_refused(tmp_path: Path, given: str) -> None:
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
    assert "stdio:// needs pipes" in one_sentence(log.decode())


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
    assert "stdio:// needs pipes" in one_sentence(log.decode())


@pytest.mark.model
async def test_a_signal_ends_it_when_nobody_speaks(start_process: StartProcess) -> None:
    process = await start_process(*TINY)
    await process.ready()
    async with process.client() as idle:
        await idle.ping()
        process.signal(signal.SIGTERM)
        assert await process.ended() == 0
        assert await idle.client.read_event() is None
    assert "SIGTERM: finishing running utterances" in process.log


@pytest.mark.model
async def test_a_signal_lets_who_speaks_finish(start_process: StartProcess) -> None:
    process = await start_process(*TINY)
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
async def test_a_second_signal_in_the_middle_of_a_decode_ends_it_without_a_crash(
    start_process: StartProcess,
) -> None:
    process = await start_process(*TINY)
    await process.ready()
    async with process.client() as client:
        await client.send(*utterance(np.tile(CLIPS["weather"].samples, 40)))
        # The first answer is far away; the one to a ping comes when all has been taken.
        await client.ping()
        process.signal(signal.SIGTERM)
        await process.logged("SIGTERM: finishing")
        process.signal(signal.SIGTERM)
        assert await process.ended() == 130
    assert "Traceback" not in process.log
    assert "terminate called" not in process.log


@pytest.mark.model
async def test_the_add_ons_command_line_starts_it(
    start_process: StartProcess, tmp_path: Path
) -> None:
    data = str(tmp_path / "data")
    process = await start_process(
        # The add-on listens on 0.0.0.0:10300. Here nothing is announced to the network of
        # whoever runs the tests.
        *("--uri", "tcp://127.0.0.1:0", "--zeroconf"),
        *("--model", "auto", "--stt-library", "auto", "--beam-size", "0"),
        *("--language", "en", "--initial-prompt", "null", "--whisper-task", "transcribe"),
        *("--data-dir", data, "--download-dir", data),
    )
    async with process.client() as client:
        [program] = (await client.describe()).asr
        assert program.name == "faster-whisper"
        assert [described.name for described in program.models] == ["base-int8"]
        await process.ready()  # which may take longer than a client waits for an answer
        await client.say(CLIPS["lights"].samples)
        assert CLIPS["lights"].heard_in(await client.transcript())
    process.signal(signal.SIGTERM)
    assert await process.ended() == 0


async def test_the_add_ons_flags_are_all_taken(
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


# A process of a user without a passwd entry and HOME, as `docker run --user 12345` starts it.
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
async def test_a_user_without_a_home_directory_is_served(tmp_path: Path, data_dir: bool) -> None:
    options = ("--data-dir", str(tmp_path)) if data_dir else ()
    async with Process.started(
        *(*TINY, *options),
        folder=tmp_path,
        command=without_home("serve"),
        TMPDIR=str(tmp_path),
    ) as process:
        await process.ready()
        assert "Traceback" not in process.log
        said = f"models are stored in {tmp_path}/wyoming-faster-whisper-54321, which"
        assert (said in process.log) is not data_dir


@pytest.mark.parametrize("option", ["--data-dir", "--download-dir", "--model"])
async def test_a_home_directory_that_does_not_exist_ends_it(tmp_path: Path, option: str) -> None:
    options = (*HERE, option, "~54321/models")
    async with Process.started(
        *options, folder=tmp_path, command=without_home("serve")
    ) as process:
        assert await process.ended() == 2
        assert "~54321/models cannot be used" in one_sentence(process.log)


async def test_the_doctor_needs_no_home_directory(tmp_path: Path) -> None:
    uri = f"unix://{tmp_path}/nobody"
    ran = await run(*without_home("doctor"), "--uri", uri, folder=tmp_path)
    assert ran.status == 1  # there is no server
    assert "Traceback" not in ran.err


# A server that ends, and says so, as soon as it connects to anything or asks for a name.
OFFLINE = """
import os, sys

def watch(event, args):
    if event in ("socket.connect", "socket.sendto", "socket.gethostbyname"):
        os.write(2, f"went out: {event} {args[1:]}\\n".encode())
        os._exit(99)

sys.addaudithook(watch)
from wyoming_faster_whisper.commands import cli
sys.exit(cli.serve(sys.argv[1:]))
"""


@pytest.fixture
def without_tokenizer(tmp_path: Path) -> Path:
    """A folder with the packaged tiny.en, but for its tokenizer."""
    packaged = locate(choose("tiny.en", []), tmp_path, local_files_only=True)
    folder = tmp_path / "mine"
    folder.mkdir()
    for name in ("model.bin", "config.json", "vocabulary.txt"):
        (folder / name).symlink_to(packaged / name)
    return folder


@pytest.mark.model
async def test_offline_a_model_without_tokenizer_is_served_and_nothing_goes_out(
    tmp_path: Path, without_tokenizer: Path
) -> None:
    async with Process.started(
        *(*HERE, "--model", str(without_tokenizer), "--local-files-only"),
        *("--max-batch", "1", "--cpu-threads", "1"),
        folder=tmp_path,
        command=(sys.executable, "-c", OFFLINE),
    ) as process:
        await process.ready()
        async with process.client() as client:
            await client.say(CLIPS["lights"].samples)
            assert CLIPS["lights"].heard_in(await client.transcript())
        process.signal(signal.SIGTERM)
        assert await process.ended() == 0
    assert "went out" not in process.log
