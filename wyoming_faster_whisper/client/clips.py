"""What is said: a clip that is there already, or an utterance that still goes on."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from ..audio.pcm import PcmFormat
from ..errors import AudioError

CHUNK = 0.1  # seconds of sound in one event


@dataclass(frozen=True, slots=True)
class Clip:
    """Sound as it goes over the wire."""

    pcm: PcmFormat
    data: bytes

    @property
    def seconds(self) -> float:
        return len(self.data) / (self.pcm.frame_bytes * self.pcm.rate)


class Spoken:
    """One utterance, which may go on while it is sent.

    All of it is kept, so that it can be sent again from its first word.
    """

    def __init__(self, pcm: PcmFormat) -> None:
        self.pcm = pcm
        self._data = bytearray()
        self._ended = False
        self._more = asyncio.Event()

    @staticmethod
    def of(clip: Clip) -> Spoken:
        """An utterance that has ended."""
        spoken = Spoken(clip.pcm)
        spoken.add(clip.data)
        spoken.end()
        return spoken

    @property
    def seconds(self) -> float:
        """So far."""
        return len(self._data) / (self.pcm.frame_bytes * self.pcm.rate)

    def add(self, data: bytes) -> None:
        """Say more, in whole frames."""
        self._data += data
        self._more.set()

    def end(self) -> None:
        """Say that this was all."""
        self._ended = True
        self._more.set()

    async def chunks(self) -> AsyncIterator[bytes]:
        """All of it from the start, in pieces of CHUNK; waits for what is not said yet."""
        size = max(1, round(CHUNK * self.pcm.rate)) * self.pcm.frame_bytes
        at = 0
        while True:
            while chunk := bytes(self._data[at : at + size]):
                yield chunk
                at += len(chunk)
            if self._ended:
                return
            self._more.clear()
            await self._more.wait()


def read_wav(path: str | Path) -> Clip:
    """Read a WAV file with PCM in it, as it is.

    Raises:
        AudioError: it cannot be read, or is no such file.
    """
    try:
        with wave.open(str(path), "rb") as file:
            pcm = PcmFormat(file.getframerate(), file.getsampwidth(), file.getnchannels())
            return Clip(pcm, file.readframes(file.getnframes()))
    except OSError as error:
        raise AudioError(f"cannot read {path}: {error.strerror or error}") from None
    except (wave.Error, EOFError) as error:
        raise AudioError(
            f"cannot read {path}: it is no WAV file with PCM in it ({error or 'it is cut off'})"
        ) from None
    except AudioError as error:
        raise AudioError(f"cannot send {path}: {error}") from None
