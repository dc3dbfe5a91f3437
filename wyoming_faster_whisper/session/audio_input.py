"""The sound of one utterance: PCM of any shape in, judged windows out."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from ..audio.highpass import HighPass
from ..audio.pcm import PcmFormat, PcmStream, Samples
from ..audio.recording import Recording
from ..errors import AudioError, Busy
from ..speech.hysteresis import WINDOW, Probabilities
from ..speech.vad import SpeechDetector, SpeechStream

_MOST_INLINE = 8  # windows that the VAD judges in the event loop: 1 ms; more go to a thread
_SLICE = 512  # windows that it judges in a thread without a look at who else waits
_FORMAT_CHANGES = 8  # in one utterance; each costs a new resampler


@dataclass(slots=True)
class AudioMemory:
    """How much sound all sessions together may hold."""

    limit: int = 1_000_000_000  # bytes; 250 clients with two minutes each
    used: int = 0

    def reserve(self, samples: int) -> None:
        """Make room for more samples; give it back when they are dropped.

        Raises:
            Busy: there is none.
        """
        if self.used + 2 * samples > self.limit:
            raise Busy(f"{self.used} bytes of audio are waiting already; try again later")
        self.used += 2 * samples

    def release(self, samples: int) -> None:
        self.used -= 2 * samples


class AudioInput:
    """One utterance's recording, and the VAD that follows it.

    Args:
        vad: may have to wait for the model.
        tasks: what is too much for the event loop runs in it.
        on_probabilities: is told the probabilities of every window, in order.
    """

    def __init__(
        self,
        pcm: PcmFormat,
        *,
        memory: AudioMemory,
        vad: Callable[[], Awaitable[SpeechDetector]],
        tasks: asyncio.TaskGroup,
        on_probabilities: Callable[[Probabilities], None],
    ) -> None:
        self.recording = Recording()
        self.pcm = pcm
        self._stream = PcmStream(pcm)
        self._filter = HighPass()
        self._memory = memory
        self._vad = vad
        self._tasks = tasks
        self._on_probabilities = on_probabilities
        self._vad_stream: SpeechStream | None = None  # until the model is there
        self._vad_position = 0  # samples that went through the VAD
        self._vad_task: asyncio.Task[None] | None = None
        self._format_changes = 0  # of the format

    def feed(self, pcm: PcmFormat, data: bytes) -> None:
        """Take more sound, in the format that it says it has.

        Raises:
            AudioError: the format changes again and again.
            Busy: the memory for sound is used up.
        """
        if pcm != self.pcm:
            self._format_changes += 1
            if self._format_changes > _FORMAT_CHANGES:
                raise AudioError(
                    f"the format changed {self._format_changes} times in one utterance; "
                    f"we take {_FORMAT_CHANGES}"
                )
            self._store(self._stream.finish())
            self.pcm, self._stream = pcm, PcmStream(pcm)
        self._store(self._stream.feed(data))
        self._run_vad()

    def stop(self) -> None:
        """Take no more: what the stream held back is the end of the recording."""
        self._store(self._stream.finish())

    async def drain(self) -> None:
        """Wait until the VAD has judged everything, an incomplete last window included."""
        self._run_vad()
        if self._vad_task is not None:
            await self._vad_task
        if rest := len(self.recording) - self._vad_position:
            speech = self._vad_stream or (await self._vad()).stream()
            last = np.pad(self.recording.samples(self._vad_position), (0, WINDOW - rest))
            self._vad_position += rest
            self._on_probabilities(speech.feed(last))

    def close(self) -> None:
        """Give back all that it holds; the recording is not to be used any more."""
        self._memory.release(len(self.recording))
        # Not left to whoever holds it still: tasks and their errors do, until Python looks for
        # cycles, which has nothing to do with how many bytes are in them.
        self.recording.clear()
        if self._vad_task is not None:
            self._vad_task.cancel()

    def _store(self, samples: Samples) -> None:
        self._memory.reserve(len(samples))
        self.recording.append(self._filter.feed(samples))

    def _run_vad(self) -> None:
        if self._vad_task is not None and not self._vad_task.done():
            return  # it will come to this as well
        waiting = (len(self.recording) - self._vad_position) // WINDOW
        if not waiting:
            return
        if self._vad_stream is not None and waiting <= _MOST_INLINE:
            samples = self._next_windows(waiting)
            self._on_probabilities(self._vad_stream.feed(samples()))
        else:
            self._vad_task = self._tasks.create_task(self._run_vad_in_thread())

    async def _run_vad_in_thread(self) -> None:
        speech = self._vad_stream
        if speech is None:
            speech = self._vad_stream = (await self._vad()).stream()
        while waiting := (len(self.recording) - self._vad_position) // WINDOW:
            samples = self._next_windows(min(waiting, _SLICE))
            self._on_probabilities(await asyncio.to_thread(_feed, speech, samples))

    def _next_windows(self, count: int) -> Callable[[], Samples]:
        start = self._vad_position
        self._vad_position += count * WINDOW
        return partial(self.recording.samples, start, self._vad_position)


def _feed(speech: SpeechStream, samples: Callable[[], Samples]) -> Probabilities:
    return speech.feed(samples())
