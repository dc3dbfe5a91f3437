"""A client for Wyoming speech-to-text servers, this one or any other.

    async with Client("tcp://127.0.0.1:10300") as server:
        print((await server.transcribe(read_wav("order.wav"))).text)

The subcommands of wyoming-faster-whisper-client are in this package, one file each. The public
names are imported on first use: shell completion imports this package at every key press and
needs none of them.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .clips import Clip, Spoken, read_wav
    from .connection import Client, ClientError, Lost, Refused, TranscriptObserver, Unreachable
    from .retry import Retry

__all__ = [
    "Client",
    "ClientError",
    "Clip",
    "Lost",
    "Refused",
    "Retry",
    "Spoken",
    "TranscriptObserver",
    "Unreachable",
    "read_wav",
]

_ELSEWHERE = {"Clip": "clips", "Retry": "retry", "Spoken": "clips", "read_wav": "clips"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_ELSEWHERE.get(name, 'connection')}", __name__), name)
