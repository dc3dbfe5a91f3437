"""The microphone. The only file that imports sounddevice (extra "mic")."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol

from ..audio.pcm import PcmFormat, PcmStream, Samples
from ..errors import install_command, printable
from .connection import ClientError

_BLOCK = 0.032  # seconds: one VAD window


NO_MICROPHONE = (
    "no microphone was found; connect one, or start the sound server (PipeWire, PulseAudio)"
)


class MicrophoneError(ClientError):
    """No microphone was found, or it cannot be used."""


class Microphone(Protocol):
    """A source of live audio."""

    def blocks(self) -> AsyncIterator[Samples]:
        """Yield audio from now on, in blocks of any length, until the microphone is unplugged.

        Raises:
            MicrophoneError: the microphone was not found or cannot be used.
        """


class SoundDevice:
    """A real microphone, through PortAudio.

    Args:
        name: part of the microphone's name, or its number; None = the system's default.
    """

    def __init__(self, name: str | None) -> None:
        self._name = int(name) if name is not None and name.isdigit() else name

    async def blocks(self) -> AsyncIterator[Samples]:
        loop = asyncio.get_running_loop()
        blocks: asyncio.Queue[bytes | None] = asyncio.Queue()

        def put(data: bytes | None) -> None:
            loop.call_soon_threadsafe(blocks.put_nowait, data)

        stream, rate = await asyncio.to_thread(self._open, put)
        # Recorded at the device's own rate, which always works, and resampled here.
        pcm = PcmStream(PcmFormat(rate))
        try:
            while (data := await blocks.get()) is not None:
                yield pcm.feed(data)
        finally:
            await asyncio.to_thread(stream.close)

    def _open(self, put: Any) -> tuple[Any, int]:
        sounddevice = _sounddevice()
        try:
            device = sounddevice.query_devices(self._name, "input")
            rate = int(device["default_samplerate"])
            stream = sounddevice.RawInputStream(
                samplerate=rate,
                blocksize=round(rate * _BLOCK),
                device=self._name,
                channels=1,
                dtype="int16",
                callback=lambda data, *_: put(bytes(data)),
                finished_callback=lambda: put(None),
            )
            stream.start()
        except (sounddevice.PortAudioError, ValueError) as error:
            if not devices():
                raise MicrophoneError(NO_MICROPHONE) from None
            which = "the microphone" if self._name is None else f"the microphone {self._name!r}"
            raise MicrophoneError(
                f"cannot use {which}: {printable(error, 200)}; listen --devices shows all"
            ) from None
        return stream, rate


@dataclass(frozen=True, slots=True)
class Device:
    """A microphone of this machine."""

    number: int
    name: str
    rate: float  # default sample rate, Hz
    default: bool


def devices() -> list[Device]:
    """List this machine's microphones. Blocking.

    Raises:
        MicrophoneError: sounddevice or PortAudio is missing, or cannot list them.
    """
    sounddevice = _sounddevice()
    try:
        default = sounddevice.default.device[0]
        return [
            Device(
                number, printable(one["name"], 80), one["default_samplerate"], number == default
            )
            for number, one in enumerate(sounddevice.query_devices())
            if one["max_input_channels"] > 0
        ]
    except sounddevice.PortAudioError as error:
        raise MicrophoneError(f"cannot list microphones: {printable(error, 200)}") from None


def _sounddevice() -> ModuleType:
    try:
        import sounddevice
    except ModuleNotFoundError:
        raise MicrophoneError(
            f"the microphone needs sounddevice: {install_command('mic')}"
        ) from None
    except OSError:
        # Its packages for Linux do not include PortAudio.
        raise MicrophoneError(
            "the microphone needs PortAudio; on Debian: apt install libportaudio2"
        ) from None
    module: ModuleType = sounddevice
    return module
