"""What the client's commands can be told."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path

from .. import __version__
from ..discovery import DEFAULT_PORT
from .cutting import CAPTION_PAUSE
from .formats import FORMATS
from .turn import SILENCE

PROGRAM = "wyoming-faster-whisper-client"
DEFAULT_URI = f"tcp://127.0.0.1:{DEFAULT_PORT}"
SHELLS = ("bash", "zsh", "fish", "tcsh", "powershell")

_STATUSES = """\
exit status:
  0    done
  1    it could not be done: no server, no answer, a file that cannot be read
  2    it was asked for in a way that cannot be done
  130  interrupted
"""


def build_parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="A client for Wyoming speech-to-text servers.",
        epilog=_STATUSES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, what, add in (
        ("transcribe", "write what is said in files", _transcribe),
        ("listen", "write what is said into the microphone", _listen),
        ("info", "show what a server says it is", _info),
        ("ping", "see whether a server answers, and how fast", _ping),
        ("discover", "find servers on the network", _discover),
        ("bench", "measure how fast and how right servers answer", _bench),
        ("completion", "print what completes these commands in a shell", _completion),
    ):
        command = commands.add_parser(
            name,
            help=what,
            description=what[0].upper() + what[1:] + ".",
            epilog=_STATUSES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        add(command)
    return parser


def _transcribe(parser: argparse.ArgumentParser) -> None:
    _files(parser)
    _server(parser, timeout=300.0)
    _speech(parser)
    _retry(parser)
    parser.add_argument(
        "--format", choices=list(FORMATS), default="text", help="default: %(default)s"
    )
    parser.add_argument(
        "--output", type=Path, metavar="DIR", help="one file for each there, not standard output"
    )
    parser.add_argument(
        "--pause",
        type=_number(0.1),
        metavar="SECONDS",
        help="cut at silences so long, and send the parts one by one "
        f"(default: {CAPTION_PAUSE:g} for srt and vtt; text and json are cut only where long)",
    )
    parser.add_argument(
        "--jobs", type=_whole(1), default=1, metavar="N", help="at a time (default: %(default)s)"
    )


def _listen(parser: argparse.ArgumentParser) -> None:
    _server(parser, timeout=300.0)
    _speech(parser)
    _retry(parser)
    parser.add_argument(
        "--device", metavar="NAME", help="microphone: part of its name, or number"
    )
    parser.add_argument("--devices", action="store_true", help="list the microphones and end")
    parser.add_argument("--loop", action="store_true", help="again and again, until q is pressed")
    parser.add_argument(
        "--end",
        choices=["auto", "server", "vad", "key"],
        default="auto",
        help="who says that an utterance is over: the server, the client's own ear, or a key; "
        "auto asks the server whether it can (default: %(default)s; a key ends it always)",
    )
    parser.add_argument(
        "--silence",
        type=_number(0.1),
        default=SILENCE,
        metavar="SECONDS",
        help="that end an utterance for the client's own ear (default: %(default)s)",
    )
    parser.add_argument(
        "--longest",
        type=_number(1.0),
        default=60.0,
        metavar="SECONDS",
        help="of an utterance, and to wait for its first word (default: %(default)s)",
    )


def _info(parser: argparse.ArgumentParser) -> None:
    _server(parser, timeout=10.0)
    parser.add_argument("--json", action="store_true", help="all of it, as the server sent it")


def _ping(parser: argparse.ArgumentParser) -> None:
    _server(parser, timeout=10.0)
    parser.add_argument(
        "--count", type=_whole(1), default=3, metavar="N", help="default: %(default)s"
    )
    parser.add_argument(
        "--interval",
        type=_number(0.0),
        default=1.0,
        metavar="SECONDS",
        help="between two (default: %(default)s)",
    )


def _discover(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--seconds",
        type=_number(0.1),
        default=3.0,
        help="to wait for announcements (default: %(default)s)",
    )
    parser.add_argument("--json", action="store_true", help="one line for each")
    _timeout(parser, 3.0)


def _bench(parser: argparse.ArgumentParser) -> None:
    _files(parser)
    parser.add_argument(
        "--uri",
        action="append",
        help=f"server; may be given again, to compare (default: {DEFAULT_URI})",
    )
    _timeout(parser, 120.0)
    _speech(parser)
    parser.add_argument(
        "--rounds", type=_whole(1), default=1, metavar="N", help="default: %(default)s"
    )
    parser.add_argument(
        "--jobs",
        type=_whole(1),
        default=1,
        metavar="N",
        help="speakers at the same time (default: %(default)s)",
    )
    parser.add_argument(
        "--burst", action="store_true", help="send at once, not in real time as a microphone does"
    )
    parser.add_argument(
        "--trailing",
        type=_number(0.0),
        default=0.7,
        metavar="SECONDS",
        help="of silence after each recording, as Home Assistant waits (default: %(default)s)",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every answer there")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="draw the times there")


def _completion(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS)


def _files(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "files",
        nargs="+",
        metavar="FILE",
        help="sound or video, a folder of it, or - for standard input",
    )


def _server(parser: argparse.ArgumentParser, *, timeout: float) -> None:
    parser.add_argument("--uri", default=DEFAULT_URI, help="server (default: %(default)s)")
    _timeout(parser, timeout)


def _timeout(parser: argparse.ArgumentParser, seconds: float) -> None:
    parser.add_argument(
        "--timeout",
        type=_number(0.1),
        default=seconds,
        metavar="SECONDS",
        help="that the server may be silent when it is its turn (default: %(default)g)",
    )
    parser.add_argument(
        "--tls", action="store_true", help="speak TLS with a server whose certificate is known"
    )
    for name, what in (
        ("ca", "whose certificates are believed, a PEM file (default: whom this system trusts)"),
        ("cert", "our own certificate, a PEM file, for a server that asks for one"),
        ("key", "its private key, a PEM file (default: it is in --tls-cert)"),
    ):
        parser.add_argument(f"--tls-{name}", metavar="FILE", help=f"{what}; means --tls")


def _speech(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--language", help="of the speech, like en or de")
    parser.add_argument("--model", help="which of the server's models")


def _retry(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--retry",
        type=_whole(0),
        default=3,
        metavar="N",
        help="times to connect again and send all of an utterance again, where the connection "
        "broke before its text (default: %(default)s)",
    )


def _whole(least: int) -> Callable[[str], int]:
    def whole_number(text: str) -> int:
        value = int(text)
        if value < least:
            raise argparse.ArgumentTypeError(f"{value} is less than {least}")
        return value

    return whole_number


def _number(least: float) -> Callable[[str], float]:
    def number(text: str) -> float:
        value = float(text)
        if not least <= value < math.inf:
            raise argparse.ArgumentTypeError(f"{value:g} is not {least:g} or more")
        return value

    return number
