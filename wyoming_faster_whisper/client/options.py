"""The client's subcommands and their options.

A subcommand is a dataclass, and each field is an option: the flag, the type, the default and
the help follow from the field. This file imports little, because shell completion loads it at
every key press.
"""

from __future__ import annotations

import argparse
import dataclasses
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Any

from .. import __version__
from ..transports.address import DEFAULT_URI
from .formats import CAPTION_PAUSE, FORMATS

PROGRAM = "wyoming-faster-whisper-client"

RETRIES = 5
"""With growing delays 15 s in all, enough for a server to restart on a small machine."""

_SHELLS = ("bash", "zsh", "fish", "tcsh", "powershell")
_STATUSES = """\
exit status:
  0    success
  1    failure: no server, no answer, an unreadable file, no speech
  2    usage error
  130  interrupted
"""


def _option(default: Any, help: str, *, least: float | None = None, **more: Any) -> Any:
    """Define an option. Its type is that of the default, unless type= is given.

    Args:
        least: the smallest value allowed, for numbers.
        more: arguments for argparse; flag= if the flag is not the field's name.
    """
    if isinstance(default, bool):
        more["action"] = "store_true"
    elif isinstance(default, int | float):
        more.setdefault("type", _number(type(default), least))
    elif isinstance(default, StrEnum):
        more |= {"type": type(default), "choices": list(type(default))}
    if more.get("type") is _SECONDS or isinstance(default, float):
        more.setdefault("metavar", "SECONDS")
    text = f"{default:g}" if isinstance(default, float) else default
    shown = "" if default in (None, False, ()) else f"default: {text}"
    if help and shown:
        shown = f" ({shown})"
    return dataclasses.field(default=default, metadata={"help": help + shown, **more})


def _number(kind: type[int] | type[float], least: float | None) -> Callable[[str], float]:
    def read(text: str) -> float:
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            what = "whole number" if kind is int else "number"
            raise argparse.ArgumentTypeError(f"{text!r} is no {what}")
        if least is not None and value < least:
            raise argparse.ArgumentTypeError(f"{text} is less than {least:g}")
        return value

    return read


_SECONDS = _number(float, 0.1)


def _timeout(seconds: float) -> Any:
    return _option(seconds, "most seconds to wait for the server's next event", type=_SECONDS)


def _path(help: str, metavar: str) -> Any:
    return _option(None, help, type=Path, metavar=metavar)


def _files() -> Any:
    return _option(
        (),
        "audio or video file, a folder of them, or - for standard input",
        flag="files",
        nargs="+",
        metavar="FILE",
    )


@dataclass(frozen=True, kw_only=True)
class ConnectionOptions:
    """How to connect to a server."""

    timeout: float = _timeout(300.0)
    tls: bool = _option(False, "use TLS")
    tls_ca: str | None = _option(
        None,
        "certificate authority to trust, a PEM file (default: those of the system); "
        "implies --tls",
        metavar="FILE",
    )
    tls_cert: str | None = _option(
        None,
        "client certificate, a PEM file, for a server that requires one; implies --tls",
        metavar="FILE",
    )
    tls_key: str | None = _option(
        None,
        "its private key, a PEM file (default: in the file of --tls-cert); implies --tls",
        metavar="FILE",
    )


@dataclass(frozen=True, kw_only=True)
class _ServerOptions(ConnectionOptions):
    uri: str = _option(DEFAULT_URI, "where it is")


@dataclass(frozen=True, kw_only=True)
class _RequestOptions(ConnectionOptions):
    language: str | None = _option(None, "of the speech, like en or de")
    model: str | None = _option(None, "which of the server's models")


@dataclass(frozen=True, kw_only=True)
class _RetryOptions(_ServerOptions, _RequestOptions):
    retry: int = _option(
        RETRIES,
        "how often to reconnect and send the utterance again if the connection breaks before "
        "its text arrives",
        least=0,
        metavar="N",
    )


@dataclass(frozen=True, kw_only=True)
class TranscribeOptions(_RetryOptions):
    """Write what is said in files."""

    files: Sequence[str] = _files()
    format: str = _option("text", "output format", choices=list(FORMATS))
    output: Path | None = _path(
        "write one file per input to this folder instead of standard output", "DIR"
    )
    pause: float | None = _option(
        None,
        "split at silences of this length and send the parts separately (default: "
        f"{CAPTION_PAUSE:g} for srt and vtt; text and json are split only where long)",
        type=_SECONDS,
    )
    jobs: int = _option(1, "files to transcribe at the same time", least=1, metavar="N")


class End(StrEnum):
    """What ends an utterance."""

    AUTO = "auto"  # the server if it can, else VAD
    SERVER = "server"
    VAD = "vad"
    KEY = "key"


@dataclass(frozen=True, kw_only=True)
class ListenOptions(_RetryOptions):
    """Write what is said into the microphone."""

    device: str | None = _option(
        None, "microphone, by its number or part of its name", metavar="NAME"
    )
    devices: bool = _option(False, "list the microphones and exit")
    loop: bool = _option(False, "transcribe one utterance after the other, until q is pressed")
    end: End = _option(
        End.AUTO,
        "what ends an utterance: the server, the client's own VAD, or a key; auto takes the "
        "server if it can and the VAD otherwise; a key always ends it",
    )
    # Between Home Assistant's 0.7 (its default) and 1.25 (relaxed).
    silence: float = _option(
        0.8, "seconds of silence that end an utterance for the client's own VAD", least=0.1
    )
    longest: float = _option(
        60.0, "longest utterance, and longest wait for its first word, in seconds", least=1.0
    )


@dataclass(frozen=True, kw_only=True)
class QueryOptions(_ServerOptions):
    """Show what a server says it is."""

    timeout: float = _timeout(10.0)
    json: bool = _option(False, "print the server's info event as JSON")


@dataclass(frozen=True, kw_only=True)
class PingOptions(_ServerOptions):
    """See whether a server answers, and how fast."""

    timeout: float = _timeout(10.0)
    count: int = _option(3, "number of pings", least=1, metavar="N")
    interval: float = _option(1.0, "seconds between two pings", least=0.0)


@dataclass(frozen=True, kw_only=True)
class DiscoverOptions(ConnectionOptions):
    """Find servers on the network."""

    timeout: float = _timeout(3.0)
    seconds: float = _option(3.0, "how long to wait for announcements", least=0.1)
    json: bool = _option(False, "print one line of JSON per server")


@dataclass(frozen=True, kw_only=True)
class BenchmarkOptions(_RequestOptions):
    """Measure how fast and how right servers answer."""

    timeout: float = _timeout(120.0)
    files: Sequence[str] = _files()
    uris: Sequence[str] = _option(
        (),
        f"address of a server; can be repeated, to compare (default: {DEFAULT_URI})",
        flag="--uri",
        action="append",
        metavar="URI",
    )
    rounds: int = _option(1, "how often to play each recording", least=1, metavar="N")
    jobs: int = _option(1, "recordings to play at the same time", least=1, metavar="N")
    burst: bool = _option(False, "send all at once, not in real time as a microphone does")
    trailing: float = _option(
        0.7, "seconds of silence after each recording, as Home Assistant waits", least=0.0
    )
    json: Path | None = _path("write every answer to this file", "FILE")
    plot: Path | None = _path("plot the times to this file", "FILE.png")


@dataclass(frozen=True, kw_only=True)
class CompletionOptions:
    """Print what completes these commands in a shell."""

    shell: str = _option("", "shell to complete in", flag="shell", choices=_SHELLS)


_TAKES = {"transcribe": ("FILE ...",), "bench": ("FILE ...",), "completion": ("SHELL",)}
_WHERE = {"uri", "uris"}
_SERVER = _WHERE | {field.name for field in dataclasses.fields(ConnectionOptions)}

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
        SystemExit: from argparse, for --help, --version and usage errors.
    """
    parser = _parser()
    if "_ARGCOMPLETE" in os.environ:
        _complete(parser)
    given = vars(parser.parse_args(argv))
    return COMMANDS[given.pop("command")](**given)


def _parser() -> argparse.ArgumentParser:
    shape: dict[str, Any] = {
        "epilog": _STATUSES,
        "formatter_class": partial(argparse.RawDescriptionHelpFormatter, max_help_position=30),
    }
    parser = argparse.ArgumentParser(
        prog=PROGRAM, description="A client for Wyoming speech-to-text servers.", **shape
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, kind in COMMANDS.items():
        what = kind.__doc__ or ""
        command = commands.add_parser(
            name,
            # A usage line with all options would push the error message down a full screen.
            usage=" ".join([f"{PROGRAM} {name} [OPTION ...]", *_TAKES.get(name, ())]),
            help=what[:1].lower() + what[1:].rstrip("."),
            description=what,
            **shape,
        )
        # The subcommand's own options first, those of the connection last.
        server = command.add_argument_group("server")
        for field in sorted(dataclasses.fields(kind), key=lambda one: one.name not in _WHERE):
            _add(server if field.name in _SERVER else command, field)
    return parser


def _add(parser: argparse._ActionsContainer, field: dataclasses.Field[Any]) -> None:
    how = dict(field.metadata)
    flag = how.pop("flag", "--" + field.name.replace("_", "-"))
    if flag.startswith("-"):
        how |= {"dest": field.name, "default": field.default}
    if how.get("action") == "append":
        how["default"] = None  # argparse would append to the default
    parser.add_argument(flag, **how)


def _complete(parser: argparse.ArgumentParser) -> None:
    try:
        import argcomplete
    except ModuleNotFoundError:
        return
    argcomplete.autocomplete(parser)
