"""The VAD on long recordings: in one thread, and not far ahead of the model."""

from __future__ import annotations

import asyncio
import threading

from wyoming_faster_whisper.audio.pcm import PcmFormat, Samples
from wyoming_faster_whisper.session.audio_input import AudioInput
from wyoming_faster_whisper.session.audio_memory import AudioMemory
from wyoming_faster_whisper.speech.hysteresis import WINDOW, Probabilities
from wyoming_faster_whisper.testing import LoudnessVad

MINUTE = bytes(60 * 32_000)


class ThreadsVad(LoudnessVad):
    """VAD that remembers the threads in which it processed the windows."""

    def __init__(self) -> None:
        self.threads: list[str] = []

    def stream(self) -> ThreadsVad:
        return self

    def feed(self, samples: Samples) -> Probabilities:
        self.threads.append(threading.current_thread().name)
        return super().feed(samples)


async def test_long_recordings_share_one_thread() -> None:
    vad = ThreadsVad()

    async def detector() -> ThreadsVad:
        return vad

    async def keep_pace() -> None:
        pass

    async with asyncio.TaskGroup() as tasks:
        for _ in range(2):
            audio = AudioInput(
                PcmFormat(),
                memory=AudioMemory(),
                vad=detector,
                tasks=tasks,
                on_probabilities=lambda _: None,
                keep_pace=keep_pace,
            )
            audio.feed(PcmFormat(), MINUTE)
    shared = [name for name in vad.threads if name.startswith("vad")]
    assert set(shared) == {"vad_0"}
    # Two slices of 16.4 s each before, two after the first 30 s.
    assert len(shared) == len(vad.threads) - len(shared) == 4


async def test_the_vad_waits_for_the_model() -> None:
    heard, behind, caught_up = 0, asyncio.Event(), asyncio.Event()

    async def detector() -> LoudnessVad:
        return LoudnessVad()

    def on_probabilities(probabilities: Probabilities) -> None:
        nonlocal heard
        heard += len(probabilities)

    async def keep_pace() -> None:
        behind.set()
        await caught_up.wait()

    async with asyncio.TaskGroup() as tasks:
        audio = AudioInput(
            PcmFormat(),
            memory=AudioMemory(),
            vad=detector,
            tasks=tasks,
            on_probabilities=on_probabilities,
            keep_pace=keep_pace,
        )
        audio.feed(PcmFormat(), MINUTE)
        await behind.wait()
        assert heard == 1024  # 32.8 s
        caught_up.set()
        await audio.drain()
    assert heard == -(-60 * 16_000 // WINDOW)
