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
    """An engine that says how many seconds it was given, or what it is told to say.

    Args:
        say: the text for a job; may raise.
        held: decodes wait until release() is called.
    """

    def __init__(
        self,
        say: Callable[[Job], str] = lambda job: f"{job.seconds:.1f} seconds",
        *,
        max_batch: int = 1,
        parallel: int = 1,
        held: bool = False,
    ) -> None:
        self.max_batch = max_batch
        self.parallel = parallel
        self.decoded: list[Job] = []
        self.warmed_up = False
        self.unloaded = threading.Event()  # set while it is
        self.decoding = threading.Event()  # set once a decode has begun
        self.held = held
        self._say = say
        self._go = threading.Event()
        if not held:
            self._go.set()

    def release(self) -> None:
        """Let held decodes go on, this one and all that follow."""
        self._go.set()

    def batch_key(self, job: Job) -> Hashable:
        return job.options

    def decode(self, jobs: Sequence[Job]) -> list[Transcript]:
        self.decoding.set()
        assert not self.unloaded.is_set()
        self._go.wait()
        self.decoded.extend(jobs)
        return [Transcript(self._say(job), job.options.language) for job in jobs]

    def warm_up(self, needed: Callable[[], bool] = lambda: False) -> None:
        self.warmed_up = True

    def unload(self) -> None:
        self.unloaded.set()

    def load(self) -> None:
        self.unloaded.clear()


class LoudnessVad:
    """Takes every window that is not nearly silent for speech."""

    def stream(self) -> LoudnessVad:
        return self

    def feed(self, samples: Samples) -> Probabilities:
        """Judge whole windows."""
        windows = samples.reshape(-1, WINDOW)
        loud = np.abs(windows).max(axis=1, initial=0.0) > 0.01
        return np.asarray(loud, np.float32)


class FakeMicrophone:
    """Hears what it is given, a window at a time, as fast as it is listened to.

    Args:
        samples: what it hears, filled up with silence to whole windows.
        stays: it then hears nothing more but is there still; else it is unplugged.
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
