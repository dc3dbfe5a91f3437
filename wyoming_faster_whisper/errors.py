"""What we raise on purpose. Every error knows the code that a client is told.

    ServerError            "internal"   never raised itself
    ├── ProtocolError      "protocol"   the peer's fault: error event, then close
    ├── AudioError         "audio"      a format that we do not take
    ├── Busy               "busy"       too much work is waiting already
    ├── NotAllowed         "forbidden"  who connects is in no network that is let in
    ├── TooSlow            "timeout"    the peer kept us waiting too long
    ├── EngineError        "engine"     the model failed on this audio; the server goes on
    │   └── Hung                        it did not answer; not to be tried again
    ├── ModelError         "model"      there is no model to serve with; exit status 1
    │   └── NoMemory                    not now; one that was unloaded is tried again
    ├── SettingError       "setting"    exit status 2
    └── ClientError        "client"     the client's own: no server, or no answer

The sentence says what we got, what we take, and the option if there is one.
"""

from __future__ import annotations

import os


class ServerError(Exception):
    """Base of all errors that are raised on purpose."""

    code = "internal"


class ProtocolError(ServerError):
    """The peer sent something that is not the Wyoming protocol."""

    code = "protocol"


class AudioError(ServerError):
    """The peer's audio has a format that we do not take."""

    code = "audio"


class Busy(ServerError):
    """The queue is full: the client should come back later."""

    code = "busy"


class NotAllowed(ServerError):
    """The client's address is in no network that is let in."""

    code = "forbidden"


class TooSlow(ServerError):
    """The peer did not send or take what was due in time."""

    code = "timeout"


class EngineError(ServerError):
    """The model failed on this audio."""

    code = "engine"


class Hung(EngineError):
    """The model did not answer on this audio. Never give it the same again."""


class ModelError(ServerError):
    """No usable model: not found, not reachable, damaged or not loadable."""

    code = "model"


class NoMemory(ModelError):
    """The model needs more memory than is available."""


class SettingError(ServerError):
    """An option has a value that we cannot serve."""

    code = "setting"


def printable(text: object, limit: int = 80) -> str:
    """Cut and clean what a peer sent, so that it cannot disturb a log or a terminal."""
    cleaned = "".join(c if c.isprintable() else "?" for c in str(text)[: limit + 1])
    return cleaned if len(cleaned) <= limit else cleaned[:limit] + "..."


def counted(number: int, noun: str) -> str:
    """1 client, 2 clients."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def reason(error: OSError) -> str:
    """Why a call of the system failed, without the address, which asyncio adds."""
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    if error.errno is not None and error.errno > 0:
        return os.strerror(error.errno)
    return error.strerror or str(error) or type(error).__name__


# Persian and the scripts of India do not spell without them.
_JOINERS = "\u200c\u200d"


def visible(text: str) -> str:
    """Drop what cannot be printed, half surrogates too; white space becomes single spaces."""
    return "".join(c for c in " ".join(text.split()) if c.isprintable() or c in _JOINERS)
