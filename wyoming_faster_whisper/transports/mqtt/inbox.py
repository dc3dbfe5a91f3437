"""Messages of a satellite that its session has not processed yet."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Generic, TypeVar

from ...errors import Busy
from ...session.session import AudioMemory

Control = TypeVar("Control")

_MOST_CONTROLS = 64
_MOST_MERGED = 64 * 1024  # bytes of frames that are taken at once


@dataclass(frozen=True, slots=True)
class Frames:
    """Frames of audio that came one after the other."""

    frames: tuple[bytes, ...]  # each a WAV file
    size: int  # bytes


class Inbox(Generic[Control]):
    """Queue of frames and control messages. Lives on the event loop.

    A publisher cannot be throttled over MQTT, so audio that does not fit is lost: the oldest
    frames go first. Control messages are never dropped.

    Args:
        memory: budget for the waiting audio of all sessions.
        limit: bytes of audio that may wait.
    """

    def __init__(self, memory: AudioMemory, limit: int) -> None:
        self._memory = memory
        self._limit = limit
        self._waiting: deque[Control | bytes] = deque()
        self._bytes = 0  # of the frames that wait
        self._controls = 0  # number of control messages that wait
        self._any = asyncio.Event()  # set while something waits
        self._urgent = asyncio.Event()  # set while a control message waits
        self.dropped = 0  # frames

    def put_frame(self, frame: bytes) -> None:
        """Add a frame. It is dropped if the memory for audio is used up."""
        try:
            self._memory.reserve(_samples(len(frame)))
        except Busy:
            self.dropped += 1
            return
        self._waiting.append(frame)
        self._bytes += len(frame)
        while self._bytes > self._limit:
            self._drop_oldest()
        self._any.set()

    def put(self, control: Control) -> None:
        """Add a control message.

        Raises:
            Busy: too many wait already.
        """
        if self._controls >= _MOST_CONTROLS:
            raise Busy(f"{self._controls} messages of this session are waiting already")
        self._waiting.append(control)
        self._controls += 1
        self._any.set()
        self._urgent.set()

    async def take(self) -> Control | Frames:
        """Wait for the next control message, or for all frames that come before it."""
        while not self._waiting:
            await self._any.wait()
        first = self._waiting.popleft()
        if not isinstance(first, bytes):
            self._controls -= 1
            taken: Control | Frames = first
        else:
            taken = self._frames(first)
        self._update()
        return taken

    async def pause(self, seconds: float) -> None:
        """Wait this long, or until a control message comes."""
        try:
            async with asyncio.timeout(seconds):
                await self._urgent.wait()
        except TimeoutError:
            pass

    def close(self) -> list[Control]:
        """Drop all frames and return the control messages that were not taken."""
        controls: list[Control] = []
        for item in self._waiting:
            if isinstance(item, bytes):
                self._free(item)
            else:
                controls.append(item)
        self._waiting.clear()
        self._controls = 0
        self._update()
        return controls

    def _frames(self, first: bytes) -> Frames:
        frames, size = [first], len(first)
        while size < _MOST_MERGED and self._waiting and isinstance(self._waiting[0], bytes):
            frame = self._waiting.popleft()
            assert isinstance(frame, bytes)
            frames.append(frame)
            size += len(frame)
        for frame in frames:
            self._free(frame)
        return Frames(tuple(frames), size)

    def _drop_oldest(self) -> None:
        at = next(at for at, item in enumerate(self._waiting) if isinstance(item, bytes))
        frame = self._waiting[at]
        assert isinstance(frame, bytes)
        del self._waiting[at]
        self._free(frame)
        self.dropped += 1

    def _free(self, frame: bytes) -> None:
        self._bytes -= len(frame)
        self._memory.release(_samples(len(frame)))

    def _update(self) -> None:
        (self._any.set if self._waiting else self._any.clear)()
        (self._urgent.set if self._controls else self._urgent.clear)()


def _samples(size: int) -> int:
    """Return the number of 16-bit samples that take as much memory."""
    return -(-size // 2)
