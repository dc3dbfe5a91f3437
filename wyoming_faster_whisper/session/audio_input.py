"""Audio of one utterance: takes PCM in any supported format, returns VAD probabilities."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from ..audio.pcm import SAMPLE_RATE, PcmFormat, PcmStream, Samples, decode_pcm
from ..audio.preprocess import Preprocessing, Preprocessor, StepUse
from ..audio.recording import Recording
from ..errors import AudioError
from ..speech.hysteresis import WINDOW, Probabilities
from ..speech.vad import SpeechDetector, SpeechStream
from .audio_memory import Budget

_MOST_INLINE = 8  # VAD windows processed on the event loop, which takes 1 ms; more go to a thread
_SLICE = 512  # VAD windows per call in a thread; between calls, other work can use the thread
# The VAD runs far faster than the model, and would keep the cores from it while long recordings
# arrive. So it processes them in one thread, and only a little ahead of the model.
_LONG = 30 * SAMPLE_RATE  # samples
# Format in which Home Assistant sends 10 ms at a time. Converting and filtering as little costs
# little less than a whole VAD window, and nothing reads the recording before that is complete.
_LIVE = PcmFormat()
# Above it the transport waits. An hour of a file arrives faster than the model decodes a segment.
_MOST_UNHEARD = 60 * SAMPLE_RATE  # samples
_FORMAT_CHANGES = 8  # maximum per utterance; each change costs a new resampler
_STANDARD = Preprocessing()


@dataclass(frozen=True, slots=True)
class StreamRest:
    """Rest of a stream after an utterance: recorded audio, and the state to convert more."""

    pcm: PcmFormat
    recorded: tuple[bytes, ...]  # 16-bit PCM of each recording; its memory is reserved
    unconverted: bytearray
    stream: PcmStream
    steps: Preprocessor | None


class AudioInput:
    """Recording of one utterance, and the VAD that runs on it.

    Call all methods on the event loop. Longer stretches of audio go through the VAD in a thread.

    Args:
        pcm: format in which the audio begins.
        memory: budget for the recording.
        vad: returns the speech detector; may have to wait until its model is loaded.
        tasks: task group for VAD work that would block the event loop.
        on_probabilities: called on the event loop with the speech probabilities of every window,
            in order.
        keep_pace: waits while the model is far behind the VAD.
        preprocess: returns the preprocessing steps; called when the first audio arrives.
        muted: samples at the beginning that are recorded as silence.
    """

    def __init__(
        self,
        pcm: PcmFormat,
        *,
        memory: Budget,
        vad: Callable[[], Awaitable[SpeechDetector]],
        tasks: asyncio.TaskGroup,
        on_probabilities: Callable[[Probabilities], None],
        keep_pace: Callable[[], Awaitable[None]],
        preprocess: Callable[[], Preprocessor] = _STANDARD.stream,
        muted: int = 0,
    ) -> None:
        self.recording = Recording()
        self.pcm = pcm
        self._stream = PcmStream(pcm)
        self._unconverted = bytearray()  # audio that waits for the rest of a VAD window
        self._muted = muted
        self._preprocess = preprocess
        self._steps: Preprocessor | None = None  # from the first audio on
        # What the model hears and, last, what the VAD hears: mostly the same recording.
        self._recordings: tuple[Recording, ...] = (self.recording,)
        self._memory = memory
        self._vad = vad
        self._tasks = tasks
        self._on_probabilities = on_probabilities
        self._keep_pace = keep_pace
        self._vad_stream: SpeechStream | None = None  # None until the VAD model is loaded
        self._vad_position = 0  # samples that have been handed to the VAD
        self._vad_task: asyncio.Task[None] | None = None
        self._vad_advanced = asyncio.Event()
        self._format_changes = 0

    def feed(self, pcm: PcmFormat, data: bytes) -> None:
        """Append audio to the recording and run the VAD on it.

        Args:
            pcm: format of the data. It may differ from that of the audio before.
            data: PCM bytes. They may end in the middle of a frame.

        Raises:
            AudioError: the format changed too often.
            Busy: the memory for audio is used up.
        """
        if pcm != self.pcm:
            self._format_changes += 1
            if self._format_changes > _FORMAT_CHANGES:
                raise AudioError(
                    f"the audio format changed {self._format_changes} times in one utterance; "
                    f"the limit is {_FORMAT_CHANGES}"
                )
            self._finish_stream()
            self.pcm, self._stream = pcm, PcmStream(pcm)
        self._unconverted += data
        if pcm != _LIVE or self._vad_backlog + len(self._unconverted) // 2 >= WINDOW:
            self._convert()
            self._run_vad()

    async def caught_up(self) -> None:
        """Wait while the VAD is far behind, so that a session does not hold a whole file."""
        while self._vad_backlog > _MOST_UNHEARD:
            self._vad_advanced.clear()
            await self._vad_advanced.wait()

    def free(self, before: int) -> None:
        """Free the samples before a position, except those that the VAD has not processed."""
        for recording in self._recordings:
            self._memory.release(recording.free(min(before, self._vad_position)))

    def stop(self) -> None:
        """Complete the recording with all samples that are held back."""
        self._finish_stream()
        if self._steps is not None:
            self._append(self._steps.finish())

    def steps_used(self) -> list[StepUse]:
        """Return what each preprocessing step did since the last call."""
        return [] if self._steps is None else self._steps.used()

    def cut(self, at: int) -> StreamRest:
        """End the recording at a sample, instead of stop(), and return what follows it.

        The caller must resume() it with another input.
        """
        rest = tuple(recording.pcm(at, len(recording)) for recording in self._recordings)
        for recording in self._recordings:
            recording.truncate(at)
        self._vad_position = at
        if self._vad_task is not None:  # it may read the audio that has just been removed
            self._vad_task.cancel()
            self._vad_task = None
        return StreamRest(self.pcm, rest, self._unconverted, self._stream, self._steps)

    def resume(self, rest: StreamRest) -> None:
        """Begin with what follows another utterance. Call it before feed()."""
        self.pcm, self._stream, self._unconverted = rest.pcm, rest.stream, rest.unconverted
        if rest.steps is not None:
            self._begin(rest.steps)
        for recording, pcm in zip(self._recordings, rest.recorded, strict=True):
            recording.append_pcm(pcm)
        self._run_vad()

    async def windows_processed(self) -> None:
        """Wait until the VAD has processed all whole windows and is not far before the model."""
        if self._vad_task is not None and not self._vad_task.done():
            await asyncio.wait([self._vad_task])
        if self._vad_position > _LONG:
            await self._keep_pace()

    async def drain(self) -> None:
        """Wait until the VAD has processed the whole recording.

        An incomplete last window is padded with zeros.
        """
        self._run_vad()
        if self._vad_task is not None:
            await self._vad_task
        if rest := self._vad_backlog:
            speech = self._vad_stream or (await self._vad()).stream()
            last = np.pad(self._recordings[-1].samples(self._vad_position), (0, WINDOW - rest))
            self._vad_position += rest
            self._on_probabilities(speech.feed(last))

    def close(self) -> None:
        """Free the recording and stop the VAD. The recording must not be used afterwards."""
        for recording in self._recordings:
            self._memory.release(recording.stored)
            # Cleared explicitly: tasks and their exceptions keep references to the recording in
            # cycles, and Python's cycle collector runs regardless of how many bytes they hold.
            recording.clear()
        self._vad_advanced.set()
        if self._vad_task is not None:
            self._vad_task.cancel()

    @property
    def _vad_backlog(self) -> int:
        """Number of recorded samples that have not been handed to the VAD."""
        return len(self._recordings[-1]) - self._vad_position

    def _finish_stream(self) -> None:
        self._convert()
        self._store(self._stream.finish())

    def _convert(self) -> None:
        data, self._unconverted = bytes(self._unconverted), bytearray()
        self._store(self._stream.feed(data))

    def _store(self, samples: Samples) -> None:
        self._append((self._steps or self._begin(self._preprocess())).feed(samples))

    def _begin(self, steps: Preprocessor) -> Preprocessor:
        self._steps = steps
        if steps.separate:
            self._recordings = (self.recording, Recording())
        return steps

    def _append(self, outputs: tuple[Samples, Samples]) -> None:
        """Append what the model and the VAD hear."""
        for recording, samples in zip(self._recordings, outputs, strict=False):
            self._memory.reserve(len(samples))
            if len(recording) < self._muted:
                samples = samples.copy()
                samples[: self._muted - len(recording)] = 0
            recording.append(samples)

    def _run_vad(self) -> None:
        if self._vad_task is not None and not self._vad_task.done():
            return  # the running task processes the new samples as well
        waiting = self._vad_backlog // WINDOW
        if not waiting:
            return
        if self._vad_stream is not None and waiting <= _MOST_INLINE:
            self._on_probabilities(_feed(self._vad_stream, self._next_windows(waiting)))
        else:
            self._vad_task = self._tasks.create_task(self._run_vad_in_thread())

    async def _run_vad_in_thread(self) -> None:
        speech = self._vad_stream
        if speech is None:
            speech = self._vad_stream = (await self._vad()).stream()
        while waiting := self._vad_backlog // WINDOW:
            executor = None
            if self._vad_position > _LONG:
                executor = _thread_for_long()
                await self._keep_pace()
            samples = self._next_windows(min(waiting, _SLICE))
            loop = asyncio.get_running_loop()
            self._on_probabilities(await loop.run_in_executor(executor, _feed, speech, samples))

    def _next_windows(self, count: int) -> bytes:
        # A copy, because free() moves the recording while a thread processes these windows.
        start = self._vad_position
        self._vad_position += count * WINDOW
        self._vad_advanced.set()
        return self._recordings[-1].pcm(start, self._vad_position)


@lru_cache(maxsize=1)
def _thread_for_long() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(1, "vad")


def _feed(speech: SpeechStream, pcm: bytes) -> Probabilities:
    return speech.feed(decode_pcm(pcm, _LIVE))
