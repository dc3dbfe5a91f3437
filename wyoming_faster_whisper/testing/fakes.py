"""Fakes: an engine, a voice activity detector and a microphone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Hashable, Sequence

import numpy as np

from ..audio.pcm import Samples
from ..engine.protocol import Job, Transcript
from ..speech.hysteresis import WINDOW, Probabilities


class FakeEngine:
    """Fake engine: by default, each job's text is the length of its audio in seconds.

    Args:
        say: returns the text of a job; may raise. Called in the thread that decodes.
        max_batch: jobs per decode.
        parallel: decodes at the same time.
        held: decodes wait until release() is called.
        language: the language that it detects; None = none.
    """

    def __init__(
        self,
        say: Callable[[Job], str] = lambda job: f"{job.seconds:.1f} seconds",
        *,
        max_batch: int = 1,
        parallel: int = 1,
        held: bool = False,
        language: str | None = None,
    ) -> None:
        self.max_batch = self.max_long_batch = max_batch
        self.parallel = parallel
        self.decoded: list[Job] = []
        self.warmed_up = False
        self.unloaded = threading.Event()  # set while the model is unloaded
        self.decoding = threading.Event()  # set when the first decode begins
        self.held = held
        self.language = language
        self._say = say
        self._go = threading.Event()
        if not held:
            self._go.set()

    def release(self) -> None:
        """Let the held decode and all later ones continue."""
        self._go.set()

    def batch_key(self, job: Job) -> Hashable:
        return job.options

    def decode(self, jobs: Sequence[Job]) -> list[Transcript]:
        self.decoding.set()
        assert not self.unloaded.is_set()
        self._go.wait()
        self.decoded.extend(jobs)
        return [Transcript(self._say(job), job.options.language or self.language) for job in jobs]

    def warm_up(self, needed: Callable[[], bool] = lambda: False) -> None:
        self.warmed_up = True

    def unload(self) -> None:
        self.unloaded.set()

    def load(self) -> None:
        self.unloaded.clear()


class LoudnessVad:
    """Fake VAD: every window with a peak above 0.01 is speech."""

    def stream(self) -> LoudnessVad:
        return self

    def feed(self, samples: Samples) -> Probabilities:
        """Return 1 for each window of speech, 0 for the others.

        Args:
            samples: whole windows, shape (n * WINDOW,).
        """
        windows = samples.reshape(-1, WINDOW)
        loud = np.abs(windows).max(axis=1, initial=0.0) > 0.01
        return np.asarray(loud, np.float32)


class FakeMicrophone:
    """Fake microphone: yields given samples in blocks of one window, as fast as they are read.

    Args:
        samples: what it records, padded with zeros to whole windows.
        stays: it stays connected after the last block, without yielding more; else blocks() ends
            as if it had been unplugged.
    """

    def __init__(self, samples: Samples, *, stays: bool = False) -> None:
        self._samples = np.pad(samples, (0, -len(samples) % WINDOW))
        self._stays = stays

    async def blocks(self) -> AsyncIterator[Samples]:
        for block in self._samples.reshape(-1, WINDOW):
            yield block
            await asyncio.sleep(0)
        if self._stays:
            await asyncio.Event().wait()
