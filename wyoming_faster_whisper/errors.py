"""The errors that this package raises on purpose. Each has the code that is sent to a client.

    ServerError            "internal"   the machine lacks an address; exit status 1
    ├── ProtocolError      "protocol"   the peer's fault: error event, then close
    ├── AudioError         "audio"      unsupported audio format
    │   └── AudioTooLong                a file is longer than the limit
    ├── Busy               "busy"       too much work is waiting already
    │   ├── Stopping                    the server is stopping
    │   └── Overloaded                  the memory of the process is used up
    ├── NotAllowed         "forbidden"  the client's address is in no allowed network
    ├── TooSlow            "timeout"    the peer did not send or read in time
    ├── StorageError       "storage"    an upload cannot be stored: the disk is full
    ├── EngineError        "engine"     the model failed on this audio; the server goes on
    │   └── Hung                        the decode hung; do not repeat it
    ├── ModelError         "model"      no usable model; exit status 1
    │   └── NoMemory                    too little memory now; a reload is tried again later
    ├── SettingError       "setting"    unusable option value; exit status 2
    └── ClientError        "client"     raised by the client: no server, or no answer

IllegalTransition is not among them: it is a fault of this package.

The message says what was received, what is supported, and the option if there is one.
"""

from __future__ import annotations

import errno
import os
import shlex
import shutil
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from typing import Any


class IllegalTransition(RuntimeError):
    """An input that a state machine has no transition for: a fault of the server."""


class ServerError(Exception):
    """Base class of the errors that are raised on purpose."""

    code = "internal"


class ProtocolError(ServerError):
    """The peer sent something that is not the Wyoming protocol."""

    code = "protocol"


class AudioError(ServerError):
    """The peer's audio has an unsupported format."""

    code = "audio"


class AudioTooLong(AudioError):
    """The audio of a file is longer than the limit."""


class Busy(ServerError):
    """A limit is reached: the client should come back later.

    Args:
        retry_after: seconds after which it can succeed; None = not known.
    """

    code = "busy"

    def __init__(self, message: str = "", *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Stopping(Busy):
    """The server is stopping: the client should try again when it has started again."""

    def __init__(self, message: str = "the server is stopping") -> None:
        super().__init__(message)


class Overloaded(Busy):
    """The process has little memory left: no new work is accepted until some is freed."""


class NotAllowed(ServerError):
    """The client's address is in no allowed network."""

    code = "forbidden"


class NotAuthenticated(ServerError):
    """The client has no key or token, or one that is not or no longer accepted."""

    code = "unauthenticated"


class TooSlow(ServerError):
    """The peer did not send or read in time."""

    code = "timeout"


class StorageError(ServerError):
    """An upload cannot be stored: the disk is full or not writable."""

    code = "storage"


class EngineError(ServerError):
    """The model failed on this audio."""

    code = "engine"


class Hung(EngineError):
    """The decode of this audio hung. It must not be decoded again."""


class ModelError(ServerError):
    """No usable model: not found, not reachable, damaged or not loadable."""

    code = "model"


class NoMemory(ModelError):
    """The model needs more memory than is available."""


class SettingError(ServerError):
    """An option has a value that the server cannot use."""

    code = "setting"


def first_of(group: BaseExceptionGroup[Any]) -> BaseException:
    """Return the first error of a group, however deep it is nested."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def printable(text: object, limit: int = 80) -> str:
    """Make text from a peer safe for a log or a terminal.

    Args:
        limit: maximum characters; a longer text is cut and ends with "...".
    """
    cleaned = "".join(c if c.isprintable() else "?" for c in str(text)[: limit + 1])
    return cleaned if len(cleaned) <= limit else cleaned[:limit] + "..."


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: 1 client, 2 clients."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def either(choices: Sequence[str]) -> str:
    """Return the choices as a phrase: json, text or srt."""
    return " or ".join(filter(None, (", ".join(choices[:-1]), choices[-1])))


def reason(error: OSError) -> str:
    """Return why a system call failed, without the address that asyncio adds."""
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or str(error) or type(error).__name__


def request_failure(error: Exception) -> str:
    """Return why a request to a server failed, from the chained exceptions.

    The innermost OSError has the reason. HTTP libraries say of most failed connections only that
    all attempts failed.
    """
    chain: list[BaseException] = [error]
    # An error that is raised again while a wrapper of it is handled makes the chain a ring.
    while (inner := chain[-1].__cause__ or chain[-1].__context__) and inner not in chain:
        chain.append(inner)
    for cause in reversed(chain[1:]):
        # Not an ssl.SSLError, whose numbers are OpenSSL's.
        if isinstance(cause, OSError) and not hasattr(cause, "library"):
            return reason(cause)
    return str(error) or str(chain[-1]) or type(error).__name__


_EAI_AGAIN = -3  # of Linux: no name server answers. Only socket.gaierror has negative numbers


def not_listening(address: object, error: OSError, option: str) -> ServerError:
    """Return the error for an address that the server cannot listen on.

    Args:
        option: the option that has the address.
    """
    if error.errno is None and "could not bind" in str(error):  # as asyncio of Python 3.13
        error = OSError(errno.EADDRNOTAVAIL, str(error))
    message = f"cannot listen on {address}: {reason(error)}; see {option}"
    # While a machine starts, its network may not have the address yet, or no name server. Such an
    # error does not blame the option, so that a service manager tries again.
    if error.errno in (errno.EADDRNOTAVAIL, _EAI_AGAIN):
        return ServerError(message)
    return SettingError(message)


def install_command(extra: str) -> str:
    """Return the command that installs an extra of this package for this Python.

    Without an installer, as in the images, it is a phrase that says where to add the extra.
    """
    python, package = shlex.quote(sys.executable), f"'wyoming-faster-whisper[{extra}]'"
    if find_spec("pip") is not None:
        return f"{python} -m pip install {package}"
    if shutil.which("uv") is not None:
        return f"uv pip install --python {python} {package}"
    return (
        f"this Python has no pip; build the image with the extra {extra} "
        "(--build-arg EXTRAS, see docs/packages.md)"
    )


def unwritable(error: OSError) -> str:
    """Return why a file could not be written, and what to do about it."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return f"{reason(error)}; {'make room' if full else 'let the server write'} there"


# Zero-width (non-)joiners, which are part of the spelling in Persian and in Indic scripts.
_JOINERS = "\u200c\u200d"


def visible(text: str) -> str:
    """Drop unprintable characters, lone surrogates included; collapse white space to spaces."""
    return "".join(c for c in " ".join(text.split()) if c.isprintable() or c in _JOINERS)
