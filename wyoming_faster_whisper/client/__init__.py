"""A client for Wyoming speech-to-text servers, ours or others'.

    async with Client("tcp://127.0.0.1:10300") as server:
        print((await server.transcribe(read_wav("order.wav"))).text)

The commands people type live beside it, one file each.
"""

from .connection import Client, ClientError, Lost, Refused, Unreachable, Watch
from .retry import Retry
from .spoken import Clip, Spoken, read_wav

__all__ = [
    "Client",
    "ClientError",
    "Clip",
    "Lost",
    "Refused",
    "Retry",
    "Spoken",
    "Unreachable",
    "Watch",
    "read_wav",
]
