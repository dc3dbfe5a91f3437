"""The sound of one utterance: PCM of any shape in, judged windows out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np

from ..audio.highpass import HighPass
from ..audio.pcm import PcmFormat, PcmStream, Samples
from ..audio.recording import Recording
from ..errors import AudioError, Busy
from ..speech.hysteresis import WINDOW, Probabilities

_AT_ONCE = 8  # windows that the VAD judges in the event loop: 1 ms; more go to a thread
_SLICE = 512  # windows that it judges in a thread without a look at who else waits
_FORMAT_CHANGES = 8  # in one utterance; each costs a new resampler


class SpeechStream(Protocol):
    """One stream of audio, judged window by window; blocking."""

    def feed(self, samples: Samples) -> Probabilities: ...


class SpeechDetector(Protocol):
    """What is needed of the VAD."""

    def stream(self) -> SpeechStream: ...


@dataclass(slots=True)
class Memory:
    """How much sound all sessions together may hold."""

    limit: int = 1_000_000_000  # bytes; 250 clients with two minutes each
    held: int = 0

    def take(self, samples: int) -> None:
        """Make room for more samples; give it back when they are dropped.

        Raises:
            Busy: there is none.
        """
        if self.held + 2 * samples > self.limit:
            raise Busy(f"{self.held} bytes of audio are waiting already; try again later")
        self.held += 2 * samples

    def give(self, samples: int) -> None:
        self.held -= 2 * samples


class Hearing:
    """One utterance's recording, and the VAD that follows it.

    Args:
        vad: may have to wait for the model.
        tasks: what is too much for the event loop runs in it.
        judged: is told the probabilities of every window, in order.
    """

    def __init__(
        self,
        pcm: PcmFormat,
        *,
        memory: Memory,
        vad: Callable[[], Awaitable[SpeechDetector]],
        tasks: asyncio.TaskGroup,
        judged: Callable[[Probabilities], None],
    ) -> None:
        self.recording = Recording()
        self.pcm = pcm
        self._stream = PcmStream(pcm)
        self._filter = HighPass()
        self._memory = memory
        self._vad = vad
        self._tasks = tasks
        self._tell = judged
        self._speech: SpeechStream | None = None  # until the model is there
        self._judged = 0  # samples that went through the VAD
        self._judging: asyncio.Task[None] | None = None
        self._changes = 0  # of the format

    def take(self, pcm: PcmFormat, data: bytes) -> None:
        """Take more sound, in the format that it says it has.

        Raises:
            AudioError: the format changes again and again.
            Busy: the memory for sound is used up.
        """
        if pcm != self.pcm:
            self._changes += 1
            if self._changes > _FORMAT_CHANGES:
                raise AudioError(
                    f"the format changed {self._changes} times in one utterance; "
                    f"we take {_FORMAT_CHANGES}"
                )
            self._keep(self._stream.finish())
            self.pcm, self._stream = pcm, PcmStream(pcm)
        self._keep(self._stream.feed(data))
        self._judge()

    def stop(self) -> None:
        """Take no more: what the stream held back is the end of the recording."""
        self._keep(self._stream.finish())

    async def all_judged(self) -> None:
        """Wait until the VAD has judged everything, an incomplete last window included."""
        self._judge()
        if self._judging is not None:
            await self._judging
        if rest := len(self.recording) - self._judged:
            speech = self._speech or (await self._vad()).stream()
            last = np.pad(self.recording.samples(self._judged), (0, WINDOW - rest))
            self._judged += rest
            self._tell(speech.feed(last))

    def forget(self) -> None:
        """Give back all that it holds; the recording is not to be used any more."""
        self._memory.give(len(self.recording))
        # Not left to whoever holds it still: tasks and their errors do, until Python looks for
        # cycles, which has nothing to do with how many bytes are in them.
        self.recording.clear()
        if self._judging is not None:
            self._judging.cancel()

    def _keep(self, samples: Samples) -> None:
        self._memory.take(len(samples))
        self.recording.append(self._filter.feed(samples))

    def _judge(self) -> None:
        if self._judging is not None and not self._judging.done():
            return  # it will come to this as well
        waiting = (len(self.recording) - self._judged) // WINDOW
        if not waiting:
            return
        if self._speech is not None and waiting <= _AT_ONCE:
            samples = self._next_windows(waiting)
            self._tell(self._speech.feed(samples()))
        else:
            self._judging = self._tasks.create_task(self._judge_in_thread())

    async def _judge_in_thread(self) -> None:
        speech = self._speech
        if speech is None:
            speech = self._speech = (await self._vad()).stream()
        while waiting := (len(self.recording) - self._judged) // WINDOW:
            samples = self._next_windows(min(waiting, _SLICE))
            self._tell(await asyncio.to_thread(_feed, speech, samples))

    def _next_windows(self, count: int) -> Callable[[], Samples]:
        start = self._judged
        self._judged += count * WINDOW
        return partial(self.recording.samples, start, self._judged)


def _feed(speech: SpeechStream, samples: Callable[[], Samples]) -> Probabilities:
    return speech.feed(samples())
