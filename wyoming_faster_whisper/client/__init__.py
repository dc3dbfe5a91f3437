"""A client for Wyoming speech-to-text servers, ours or others'.

    async with Client("tcp://127.0.0.1:10300") as server:
        print((await server.transcribe(read_wav("order.wav"))).text)

The commands people type live beside it, one file each. What is below is imported when it is
first asked for: a shell that completes those commands needs none of it, at every key.
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
