"""The client's command lines."""

from __future__ import annotations

from pathlib import Path

import pytest

from wyoming_faster_whisper import __version__
from wyoming_faster_whisper.client.options import (
    COMMANDS,
    BenchmarkOptions,
    Command,
    CompletionOptions,
    End,
    ListenOptions,
    PingOptions,
    TranscribeOptions,
    read,
)
from wyoming_faster_whisper.config.options import options
from wyoming_faster_whisper.errors import SettingError
from wyoming_faster_whisper.transports.address import DEFAULT_URI


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        ("transcribe a.wav b.wav", TranscribeOptions(files=("a.wav", "b.wav"))),
        ("transcribe - null", TranscribeOptions(files=("-", "null"))),
        ("transcribe --out d a.wav", TranscribeOptions(files=("a.wav",), output=Path("d"))),
        (
            "transcribe --pause 0.5 --retry 0 --tls -- -a",
            TranscribeOptions(files=("-a",), pause=0.5, retry=0, tls=True),
        ),
        ("listen --end key --loop", ListenOptions(end=End.KEY, loop=True)),
        ("ping --interval 0", PingOptions(interval=0.0, timeout=10.0)),
        ("bench a", BenchmarkOptions(files=("a",), uri=(DEFAULT_URI,), timeout=120.0)),
        ("bench --uri x --uri y a", BenchmarkOptions(files=("a",), uri=("x", "y"))),
        ("completion fish", CompletionOptions(shell="fish")),
    ],
)
def test_a_command_line_becomes_a_command(line: str, wanted: Command) -> None:
    assert read(line.split()) == wanted


def test_the_client_ignores_the_variables_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WYO_WHISPER_URI", "tcp://0.0.0.0:1")
    monkeypatch.setenv("WYO_WHISPER_TLS_CERT", "server.pem")
    assert read(["ping"]) == PingOptions()


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("", "the following arguments are required: COMMAND; --help"),
        ("transcribe", "the following arguments are required: FILE; --help"),
        ("transcribe --format doc a", "--format is 'doc'; it must be text, json, srt or vtt"),
        ("completion null", "shell is 'null'; it must be bash, "),
        ("completion csh", "shell is 'csh'; it must be bash, zsh, fish, tcsh or powershell"),
        ("ping --count 2.5", "--count is '2.5'; it must be a whole number"),
        ("ping --interval inf", "--interval is inf; it must be finite"),
        ("ping --interval nan", "--interval is nan; it must be at least 0"),
        ("listen --silence 0", "--silence is 0; it must be at least 0.1"),
        ("listen --silence 2 --end key", "--silence works with --end vad or auto only"),
        ("ping --tls-key key.pem", "--tls-key requires --tls-cert"),
        ("listen --end never", "--end is 'never'; it must be auto, server, vad or key"),
        ("listen --device", "argument --device: expected one argument"),
        ("info --loud", "unrecognized arguments: --loud; --help lists all options"),
    ],
)
def test_an_unusable_command_line_is_refused(line: str, sentence: str) -> None:
    with pytest.raises(SettingError) as caught:
        read(line.split())
    assert str(caught.value).startswith(sentence)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_shows_every_option_in_its_group(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        read([command, "--help"])
    assert caught.value.code == 0
    text = capsys.readouterr().out
    known = options(COMMANDS[command])
    for opt in known:
        shown = opt.value if opt.positional else opt.flag
        assert f"  {shown}" in text.split(f"\n{opt.group}:\n")[1].split("\n\n")[0]
    assert all(opt.group for opt in known)
    assert "interrupted" in text


def test_help_shows_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read(["--help"])
    text = capsys.readouterr().out
    assert all(f"    {command}" in text for command in COMMANDS)


def test_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        read(["--version"])
    assert capsys.readouterr().out.strip() == __version__
