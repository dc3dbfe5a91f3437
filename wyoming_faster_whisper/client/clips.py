"""Audio to transcribe: a complete clip, or an utterance that is still being spoken."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from ..audio.pcm import PcmFormat
from ..errors import AudioError

CHUNK = 0.1  # seconds of audio in one audio-chunk event


@dataclass(frozen=True, slots=True)
class Clip:
    """PCM audio in the format in which it is sent."""

    pcm: PcmFormat
    data: bytes

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return len(self.data) / (self.pcm.frame_bytes * self.pcm.rate)


class Spoken:
    """An utterance that can grow while it is being sent.

    All of its audio is kept, so that a retry can send it again from the start.
    """

    def __init__(self, pcm: PcmFormat) -> None:
        self.pcm = pcm
        self._data = bytearray()
        self._ended = False
        self._more = asyncio.Event()

    @staticmethod
    def of(clip: Clip) -> Spoken:
        """Return a complete utterance with the clip's audio."""
        spoken = Spoken(clip.pcm)
        spoken.add(clip.data)
        spoken.end()
        return spoken

    @property
    def seconds(self) -> float:
        """Duration so far, in seconds."""
        return len(self._data) / (self.pcm.frame_bytes * self.pcm.rate)

    def add(self, data: bytes) -> None:
        """Append audio, in whole frames of the PCM format."""
        self._data += data
        self._more.set()

    def end(self) -> None:
        """Mark the utterance as complete."""
        self._ended = True
        self._more.set()

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the audio from the start, at most CHUNK seconds at a time.

        Waits for more audio until the utterance is complete.
        """
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
    """Read a PCM WAV file without converting it. Blocking.

    Raises:
        AudioError: the file cannot be read, is not a PCM WAV file, or has a format that cannot
            be sent.
    """
    try:
        with wave.open(str(path), "rb") as file:
            pcm = PcmFormat(file.getframerate(), file.getsampwidth(), file.getnchannels())
            return Clip(pcm, file.readframes(file.getnframes()))
    except OSError as error:
        raise AudioError(f"cannot read {path}: {error.strerror or error}") from None
    except (wave.Error, EOFError) as error:
        raise AudioError(
            f"cannot read {path}: it is not a PCM WAV file ({error or 'it is truncated'})"
        ) from None
    except AudioError as error:
        raise AudioError(f"cannot send {path}: {error}") from None
