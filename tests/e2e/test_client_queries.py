"""The client's `info`, `ping`, `bench` and `completion`, with our server and another."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from pathlib import Path

import pytest

from tests.support.client_commands import CALL, client
from tests.support.media import write_media
from tests.support.plain_server import Plain, plain_server
from tests.support.serving import Server
from wyoming_faster_whisper.client import Client
from wyoming_faster_whisper.client.benchmark import bench
from wyoming_faster_whisper.client.options import BenchmarkOptions
from wyoming_faster_whisper.testing import FakeEngine, tone
from wyoming_faster_whisper.testing.tcp_server import SilentServer

from .conftest import Serve

TIMES = re.compile(r"\d+\.\d ms")


async def test_info_prints_a_table(server: Server, tmp_path: Path) -> None:
    ran = await client(tmp_path, "info", "--uri", server.uri)
    columns, ours, end = ran.out.split("\n")
    assert columns.split() == ["service", "program", "version", "model", "languages", "features"]
    assert re.fullmatch(
        r"speech to text +faster-whisper +\S+ +base +af am ar as az ba be bg and \d+ more +"
        r"no endpointing",
        ours,
    )
    assert (end, ran.err, ran.status) == ("", "", 0)


async def test_info_prints_all_facts_as_json(tmp_path: Path) -> None:
    async with plain_server(Plain(partials=("a",), ends_after=1), tmp_path) as server:
        table = await client(tmp_path, "info", "--uri", server.uri)
        ran = await client(tmp_path, "info", "--json", "--uri", server.uri)
        assert json.loads(ran.out) == server.info.event().data
    assert table.out.endswith("plain-1  en nl      endpointing, partial texts\n")


async def test_ping_prints_the_response_times(server: Server, tmp_path: Path) -> None:
    ran = await client(tmp_path, "ping", "--count", "2", "--interval", "0", "--uri", server.uri)
    pong = f"pong from {server.uri}: connected in T, answered in T\n"
    summary = "2 of 2 answered; fastest T, median T, slowest T\n"
    assert TIMES.sub("T", ran.out) == pong + pong + summary
    assert (ran.err, ran.status) == ("", 0)


async def test_ping_uses_info_if_the_server_does_not_support_ping(tmp_path: Path) -> None:
    async with plain_server(Plain(), tmp_path) as server:
        ran = await client(tmp_path, "ping", "--count", "1", "--uri", server.uri)
    info = f"info (ping is not supported) from {server.uri}: connected in T, answered in T\n"
    assert (TIMES.sub("T", ran.out), ran.status) == (info, 0)


@pytest.mark.parametrize("command", ["info", "ping"])
async def test_a_missing_server_is_reported_once(command: str, tmp_path: Path) -> None:
    uri = f"unix://{tmp_path}/no-server"
    ran = await client(tmp_path, command, "--uri", uri)
    assert (ran.out, ran.status) == ("", 1)
    assert ran.err == (
        f"error: cannot connect to {uri}: No such file or directory; "
        "set --uri to its address, or find it with discover\n"
    )


async def test_a_silent_server_is_not_waited_for_beyond_the_timeout(tmp_path: Path) -> None:
    async with SilentServer() as silent:
        uri = f"tcp://127.0.0.1:{silent.port}"
        ran = await client(tmp_path, "info", "--timeout", "0.1", "--uri", uri)
    assert (ran.err, ran.status) == (f"error: the server at {uri} sent nothing for 0.1 s\n", 1)


async def test_bench_compares_servers(serve: Serve, tmp_path: Path) -> None:
    ours = await serve(FakeEngine(lambda job: "Turn on the lights."))
    write_media(tmp_path / "one.wav", tone(1.0))
    (tmp_path / "one.txt").write_text("Turn on the light.")
    write_media(tmp_path / "two.flac", tone(2.0))
    report, picture = tmp_path / "out" / "report.json", tmp_path / "out" / "times.png"
    async with plain_server(Plain(), tmp_path) as theirs:
        uris = ("--uri", ours.uri, "--uri", theirs.uri)
        files = (str(tmp_path / "one.wav"), str(tmp_path / "two.flac"))
        written = ("--json", str(report), "--plot", str(picture))
        ran = await client(tmp_path, "bench", "--burst", "--rounds=2", *uris, *written, *files)
    assert (ran.err, ran.status) == ("", 0)
    lines = {line[:27].strip(): line[27:].split("  ") for line in ran.out.split("\n")[1:-1]}
    cells = {name: [cell.strip() for cell in row if cell.strip()] for name, row in lines.items()}
    assert cells["server"] == ["faster-whisper base", "plain plain-1"]
    assert cells["recordings"] == ["2 (3 s)"] * 2
    assert cells["answers"] == ["4"] * 2
    assert cells["no answer"] == ["0"] * 2
    # The servers answer "Turn on the lights." and "54400 bytes".
    assert cells["word error rate"] == ["25.0% of 8 words", "100.0% of 8 words"]
    for name in ("audio-stop to text, median", "90th percentile", "slowest"):
        assert all(re.fullmatch(r"\d+\.\d{3} s", cell) for cell in cells[name])
    one, two = json.loads(report.read_text())["servers"]
    assert [answer["text"] for answer in one["answers"]] == ["Turn on the lights."] * 4
    assert [answer["text"] for answer in two["answers"]] == ["54400 bytes", "86400 bytes"] * 2
    assert picture.read_bytes().startswith(b"\x89PNG")


async def test_bench_names_a_report_that_it_cannot_write(serve: Serve, tmp_path: Path) -> None:
    server = await serve(FakeEngine(lambda job: "Turn on the lights."))
    write_media(tmp_path / "a.wav", tone(0.3))
    options = ("--burst", "--uri", server.uri, "--json", str(tmp_path))
    ran = await client(tmp_path, "bench", *options, str(tmp_path / "a.wav"))
    assert (ran.err, ran.status) == (f"error: cannot write {tmp_path}: Is a directory\n", 2)


async def test_bench_sends_audio_in_real_time(tmp_path: Path) -> None:
    write_media(tmp_path / "a.wav", tone(0.3))
    async with plain_server(Plain(partials=("a",)), tmp_path) as server:
        plan = BenchmarkOptions(files=[str(tmp_path / "a.wav")], uri=[server.uri], trailing=0.1)
        loop = asyncio.get_running_loop()
        started = loop.time()
        (result,) = await bench(plan, Client)
        assert loop.time() - started >= 0.4
    (answer,) = result.answers
    assert (answer.text, result.words) == ("12800 bytes", None)
    assert answer.wait is not None
    assert answer.partial is not None
    assert answer.wait >= 0


async def test_bench_counts_utterances_without_an_answer(tmp_path: Path) -> None:
    write_media(tmp_path / "a.wav", tone(0.3))
    async with plain_server(Plain(breaks=1), tmp_path) as server:
        options = ("--burst", "--rounds", "2", "--uri", server.uri)
        ran = await client(tmp_path, "bench", *options, str(tmp_path / "a.wav"))
    assert ran.status == 1
    assert re.search(r"^answers +1$", ran.out, re.MULTILINE)
    assert re.search(r"^no answer +1$", ran.out, re.MULTILINE)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
async def test_completion_prints_a_script_for_the_shell(shell: str, tmp_path: Path) -> None:
    ran = await client(tmp_path, "completion", shell)
    assert "wyoming-faster-whisper-client" in ran.out
    assert (ran.err, ran.status) == ("", 0)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("", {"transcribe", "listen", "info", "ping", "discover", "bench", "completion"}),
        ("transcribe --for", {"--format"}),
        ("transcribe --format ", {"text", "json", "srt", "vtt"}),
    ],
)
async def test_commands_options_and_choices_are_completed(
    line: str, expected: set[str], tmp_path: Path
) -> None:
    """Call the client as argcomplete's script does: line in the environment, answer in a file."""
    typed = f"wyoming-faster-whisper-client {line}"
    await client(
        tmp_path,
        **{
            "_ARGCOMPLETE": "1",
            "_ARGCOMPLETE_IFS": "\n",
            "_ARGCOMPLETE_STDOUT_FILENAME": str(tmp_path / "answer"),
            "COMP_LINE": typed,
            "COMP_POINT": str(len(typed)),
        },
    )
    answer = {word.strip() for word in (tmp_path / "answer").read_text().split("\n")}
    assert expected <= answer


async def on_a_terminal(*arguments: str, hidden: str = "") -> str:
    """Run a command with a terminal as standard output and error; return what it prints.

    Args:
        hidden: a package whose import fails in the command.
    """
    ours, theirs = os.openpty()
    call = f"import sys; sys.modules[{hidden!r}] = None; {CALL}" if hidden else CALL
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", call, *arguments),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
        env=os.environ | {"TERM": "xterm-256color", "COLUMNS": "200", "LINES": "50"},
    )
    os.close(theirs)

    def read() -> bytes:
        shown = b""
        while True:
            try:
                more = os.read(ours, 65536)
            except OSError:  # how Linux reports that the other end is closed
                return shown
            if not more:
                return shown
            shown += more

    shown = await asyncio.to_thread(read)
    await process.wait()
    os.close(ours)
    return shown.decode()


async def test_a_terminal_gets_colours_a_progress_bar_and_the_text(
    server: Server, tmp_path: Path
) -> None:
    table = await on_a_terminal("info", "--uri", server.uri)
    assert "\x1b[1;36m" in table
    assert "┃" in table
    path = write_media(tmp_path / "a.wav", tone(1.0))
    shown = await on_a_terminal("transcribe", "--uri", server.uri, str(path))
    assert "transcribing" in shown
    assert "1.0 seconds\r\n" in shown


async def test_a_terminal_without_rich_gets_plain_text(server: Server) -> None:
    table = await on_a_terminal("info", "--uri", server.uri, hidden="rich")
    assert "\x1b" not in table
    assert table.startswith("service         program")
