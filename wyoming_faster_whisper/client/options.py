"""The client's subcommands and their options.

A subcommand is a dataclass whose fields are its options. This file imports little, because shell
completion loads it at every key press.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from .. import __version__
from ..config.options import (
    NETWORK,
    Arity,
    Condition,
    Parser,
    option,
    options,
    read_values,
    unused,
)
from ..errors import SettingError
from ..transports.address import DEFAULT_URI
from .formats import CAPTION_PAUSE, FORMATS

PROGRAM = "wyoming-faster-whisper-client"

RETRIES = 5
"""With growing delays, 15 s in all: enough for a server to restart on a small machine."""

_STATUSES = (
    "Exit status: 0 = success; 1 = failure (no server, no answer, an unreadable file, no "
    "speech); 2 = usage error; 130 = interrupted."
)


def _timeout(seconds: float) -> Any:
    return option(
        seconds, "seconds to wait for the server's next event", group=NETWORK, least=0.1
    )


def _files() -> Any:
    return option(
        (),
        "audio or video file, a folder of them, or - for standard input",
        group="Input",
        arity=Arity.MANY,
        positional=True,
        metavar="FILE",
    )


@dataclass(frozen=True, kw_only=True)
class ConnectionOptions:
    """Options for the connection to a server."""

    timeout: float = _timeout(300.0)
    tls: bool = option(False, "use TLS")
    tls_ca: str | None = option(
        None,
        "certificate authority to trust, a PEM file (default: those of the system); "
        "implies --tls",
        metavar="FILE",
    )
    tls_cert: str | None = option(
        None,
        "client certificate, a PEM file, for a server that requires one; implies --tls",
        metavar="FILE",
    )
    tls_key: str | None = option(
        None,
        "private key of that certificate, a PEM file (default: in the file of --tls-cert); "
        "implies --tls",
        metavar="FILE",
        needs=("tls_cert",),
    )


@dataclass(frozen=True, kw_only=True)
class _ServerOptions(ConnectionOptions):
    uri: str = option(DEFAULT_URI, "address of the server", group=NETWORK)


@dataclass(frozen=True, kw_only=True)
class _RequestOptions(ConnectionOptions):
    language: str | None = option(
        None, "language of the speech, like en or de", group="Language and model"
    )
    model: str | None = option(None, "model to use, of those that the server has")


@dataclass(frozen=True, kw_only=True)
class _RetryOptions(_ServerOptions, _RequestOptions):
    retry: int = option(
        RETRIES,
        "how often to reconnect and send the utterance again if the connection breaks before "
        "its text arrives",
        group=NETWORK,
        least=0,
    )


@dataclass(frozen=True, kw_only=True)
class TranscribeOptions(_RetryOptions):
    """Transcribe audio and video files."""

    files: Sequence[str] = _files()
    jobs: int = option(1, "files to transcribe at the same time", least=1)
    pause: float | None = option(
        None,
        "split at silences of this length and send the parts separately (default: "
        f"{CAPTION_PAUSE:g} for srt and vtt; text and json are split only where long)",
        group="Segmentation",
        type=float,
        least=0.1,
    )
    format: str = option("text", "output format", group="Output", choices=tuple(FORMATS))
    output: Path | None = option(
        None,
        "write one file per input to this folder instead of standard output",
        type=Path,
        metavar="DIR",
    )


class End(StrEnum):
    """Trigger that ends an utterance."""

    AUTO = "auto"  # the server if it can, else VAD
    SERVER = "server"
    VAD = "vad"
    KEY = "key"


@dataclass(frozen=True, kw_only=True)
class ListenOptions(_RetryOptions):
    """Transcribe speech from the microphone."""

    device: str | None = option(
        None,
        "microphone, by its number or part of its name",
        group="Microphone",
        metavar="NAME",
    )
    devices: bool = option(False, "list the microphones and exit")
    loop: bool = option(False, "transcribe one utterance after the other, until q is pressed")
    end: End = option(
        End.AUTO,
        "what ends an utterance: the server, the client's own VAD, or a key; auto takes the "
        "server if it can and the VAD otherwise; a key always ends it",
        group="Endpointing",
        metavar="BY",
    )
    # Between Home Assistant's 0.7 (its default) and 1.25 (relaxed).
    silence: float = option(
        0.8,
        "seconds of silence that end an utterance for the client's own VAD",
        least=0.1,
        only=Condition(
            "works with --end vad or auto only", lambda given: given.end in (End.AUTO, End.VAD)
        ),
    )
    longest: float = option(
        60.0, "longest utterance, and longest wait for its first word, in seconds", least=1
    )


@dataclass(frozen=True, kw_only=True)
class QueryOptions(_ServerOptions):
    """Show the programs, models and languages of a server."""

    timeout: float = _timeout(10.0)
    json: bool = option(False, "print the server's info event as JSON", group="Output")


@dataclass(frozen=True, kw_only=True)
class PingOptions(_ServerOptions):
    """Check whether a server answers, and how fast."""

    timeout: float = _timeout(10.0)
    count: int = option(3, "number of pings", group="Pings", least=1)
    interval: float = option(1.0, "seconds between two pings", least=0)


@dataclass(frozen=True, kw_only=True)
class DiscoverOptions(ConnectionOptions):
    """Find servers on the network."""

    timeout: float = _timeout(3.0)
    seconds: float = option(
        3.0, "how long to wait for announcements", group="Discovery", least=0.1
    )
    json: bool = option(False, "print one line of JSON per server", group="Output")


@dataclass(frozen=True, kw_only=True)
class BenchmarkOptions(_RequestOptions):
    """Measure how fast and how accurately servers answer."""

    timeout: float = _timeout(120.0)
    files: Sequence[str] = _files()
    rounds: int = option(1, "how often to play each recording", group="Playback", least=1)
    jobs: int = option(1, "recordings to play at the same time", least=1)
    burst: bool = option(False, "send all at once, not in real time as a microphone does")
    trailing: float = option(
        0.7,
        "seconds of silence to send after each recording; Home Assistant waits as long",
        least=0,
    )
    json: Path | None = option(
        None, "write every answer to this file", group="Output", type=Path, metavar="FILE"
    )
    plot: Path | None = option(None, "plot the times to this file", type=Path, metavar="FILE.png")
    uri: Sequence[str] = option(
        (DEFAULT_URI,),
        "address of a server; can be repeated, to compare",
        group=NETWORK,
        arity=Arity.REPEATED,
    )


@dataclass(frozen=True, kw_only=True)
class CompletionOptions:
    """Print a script that completes these commands in a shell."""

    shell: str = option(
        None,
        "shell to complete in",
        group="Shell",
        positional=True,
        choices=("bash", "zsh", "fish", "tcsh", "powershell"),
    )


Command = (
    TranscribeOptions
    | ListenOptions
    | QueryOptions
    | PingOptions
    | DiscoverOptions
    | BenchmarkOptions
    | CompletionOptions
)

COMMANDS: dict[str, type[Command]] = {
    "transcribe": TranscribeOptions,
    "listen": ListenOptions,
    "info": QueryOptions,
    "ping": PingOptions,
    "discover": DiscoverOptions,
    "bench": BenchmarkOptions,
    "completion": CompletionOptions,
}


def read(argv: Sequence[str] | None) -> Command:
    """Parse the command line.

    Raises:
        SettingError: for a usage error.
        SystemExit: by argparse, for --help and --version.
    """
    parser = _parser()
    if "_ARGCOMPLETE" in os.environ:
        _complete(parser)
    given = vars(parser.parse_args(argv))
    kind = COMMANDS[given["command"]]
    command = kind(**read_values(options(kind), given, {}))
    for each in unused(options(kind), command):
        raise SettingError(str(each))
    return command


def _parser() -> Parser:
    parser = Parser(
        prog=PROGRAM,
        usage="%(prog)s COMMAND [OPTION ...]",
        description="A client for Wyoming speech-to-text servers.",
        epilog=_STATUSES,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(
        title="Commands", prog=PROGRAM, dest="command", required=True, metavar="COMMAND"
    )
    for name, kind in COMMANDS.items():
        what = kind.__doc__ or ""
        # Files first and the connection last, there the address first.
        known = sorted(
            options(kind),
            key=lambda opt: (opt.group == NETWORK, not opt.positional, opt.name != "uri"),
        )
        commands.add_parser(
            name,
            help=what[:1].lower() + what[1:].rstrip("."),
            description=what,
            epilog=_STATUSES,
            known=known,
        )
    return parser


def _complete(parser: Parser) -> None:
    try:
        import argcomplete
    except ModuleNotFoundError:
        return
    argcomplete.autocomplete(parser)
