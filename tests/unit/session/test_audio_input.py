"""Audio of one utterance: what is recorded of it, and what the VAD gets to hear."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import numpy.typing as npt
import pytest

from tests.support.toy_step import smooth
from tests.support.virtual_time import joined
from wyoming_faster_whisper.audio.highpass import HighPass
from wyoming_faster_whisper.audio.pcm import PcmFormat, Samples, decode_pcm
from wyoming_faster_whisper.audio.preprocess import Preprocessing
from wyoming_faster_whisper.audio.steps import PlannedStep, StepSpec
from wyoming_faster_whisper.errors import AudioError, Busy
from wyoming_faster_whisper.session.audio_input import AudioInput
from wyoming_faster_whisper.session.audio_memory import AudioMemory
from wyoming_faster_whisper.speech.hysteresis import WINDOW, Probabilities
from wyoming_faster_whisper.speech.vad import SpeechDetector
from wyoming_faster_whisper.testing import LoudnessVad, pcm16, silence, tone

HOME = PcmFormat()  # what Home Assistant sends
WIDE = PcmFormat(48_000, 3, 2)
ROUNDING = 1 / 32768
CHUNK = 320  # bytes, 10 ms
NO_STEPS = Preprocessing()


class Listening:
    """An AudioInput, and what came out of it."""

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        pcm: PcmFormat,
        memory: AudioMemory,
        loaded: bool,
        preprocessing: Preprocessing,
    ) -> None:
        self.memory = memory
        self.loaded = asyncio.Event()  # once set, the VAD's model is there
        if loaded:
            self.loaded.set()
        self.probabilities: list[float] = []
        self.calls = 0  # of on_probabilities
        self.input = AudioInput(
            pcm,
            memory=memory,
            vad=self._vad,
            tasks=tasks,
            on_probabilities=self._on_probabilities,
            keep_pace=self._keep_pace,
            preprocess=preprocessing.stream,
        )

    @property
    def recorded(self) -> Samples:
        return self.input.recording.samples()

    @property
    def windows(self) -> int:
        """Number of windows that the VAD has processed."""
        return len(self.probabilities)

    def feed(self, data: bytes, pcm: PcmFormat = HOME, *, chunk: int = CHUNK) -> None:
        for at in range(0, len(data), chunk):
            self.input.feed(pcm, data[at : at + chunk])

    async def _vad(self) -> SpeechDetector:
        await self.loaded.wait()
        return LoudnessVad()

    async def _keep_pace(self) -> None:
        pass

    def _on_probabilities(self, probabilities: Probabilities) -> None:
        self.calls += 1
        self.probabilities += probabilities.tolist()


@asynccontextmanager
async def listening(
    pcm: PcmFormat = HOME,
    *,
    memory: AudioMemory | None = None,
    loaded: bool = True,
    preprocessing: Preprocessing = NO_STEPS,
) -> AsyncIterator[Listening]:
    async with asyncio.TaskGroup() as tasks:
        listener = Listening(tasks, pcm, memory or AudioMemory(), loaded, preprocessing)
        yield listener
        listener.input.close()


def pcm24(samples: Samples) -> npt.NDArray[np.uint8]:
    """Return samples as 24-bit PCM, shape (n, 3)."""
    wide = np.rint(samples.astype(np.float64) * (2**31 - 1)).astype("<i4")
    return wide.view(np.uint8).reshape(-1, 4)[:, 1:]


async def loaded(listener: Listening) -> None:
    """Wait until the VAD's model is loaded. This takes one window of silence."""
    listener.feed(pcm16(np.zeros(WINDOW, np.float32)))
    await listener.input.drain()
    assert listener.windows == 1


# What is recorded.


@pytest.mark.parametrize("chunk", [1, 320, 333, 4096, 100_000])
async def test_home_assistants_audio_is_only_filtered(chunk: int) -> None:
    data = pcm16(joined(silence(0.1), tone(0.2)))
    expected = HighPass().feed(decode_pcm(data, HOME))
    async with listening() as listener:
        listener.feed(data, chunk=chunk)
        listener.input.stop()
        assert listener.input.recording.seconds == pytest.approx(0.3)
        assert np.allclose(listener.recorded, expected, atol=ROUNDING)


async def test_the_format_may_change_and_each_part_is_heard_whole() -> None:
    wide = np.repeat(pcm24(tone(0.5, rate=48_000)), 2, axis=0).tobytes()
    async with listening() as listener:
        listener.feed(pcm16(tone(0.5)))
        listener.feed(wide, WIDE, chunk=1000)
        listener.feed(pcm16(tone(0.5)))
        listener.input.stop()
        assert len(listener.recorded) == pytest.approx(24_000, abs=2)
        for part in np.split(listener.recorded, [8_000, 16_000]):
            assert np.abs(part[2_000:-2_000]).max() == pytest.approx(0.5, abs=0.02)


async def test_a_format_that_changes_all_the_time_is_refused() -> None:
    async with listening() as listener:
        for number in range(9):
            listener.feed(bytes(320), PcmFormat(rate=16_000 + number))
        with pytest.raises(AudioError, match="changed 9 times in one utterance; the limit is 8"):
            listener.feed(bytes(320))


async def test_what_the_resampler_holds_back_comes_at_the_end() -> None:
    pcm = PcmFormat(48_000)
    async with listening(pcm) as listener:
        listener.feed(pcm16(tone(0.5, rate=48_000)), pcm)
        assert len(listener.recorded) < 8_000
        listener.input.stop()
        assert len(listener.recorded) == 8_000


# What the VAD hears.


@pytest.mark.parametrize("chunk", [320, 512, 4096, 100_000])
async def test_the_vad_hears_each_window_once_and_in_order(chunk: int) -> None:
    parts = [np.zeros(10 * WINDOW, np.float32), tone(0.32), silence(0.32)]
    async with listening() as listener:
        listener.feed(pcm16(joined(*parts)), chunk=chunk)
        await listener.input.drain()
    assert listener.windows == 30
    assert listener.probabilities[:20] == [0.0] * 10 + [1.0] * 10
    assert listener.probabilities[-5:] == [0.0] * 5  # once the high-pass filter has settled


async def test_a_live_stream_is_heard_at_once_on_the_event_loop() -> None:
    async with listening() as listener:
        await loaded(listener)
        listener.feed(pcm16(silence(0.1)))
        assert listener.windows == 1 + 3


async def test_small_chunks_are_converted_together_and_heard_no_later_for_it() -> None:
    data = pcm16(tone(0.5))
    async with listening() as listener:
        await loaded(listener)
        for number in range(1, 51):
            listener.feed(data[(number - 1) * CHUNK : number * CHUNK])
            assert listener.windows == 1 + number * 160 // WINDOW
            # Converted up to the last chunk that completed a window.
            complete = -(number * 160 // WINDOW * WINDOW // -160) * 160
            assert len(listener.recorded) == WINDOW + complete
        listener.input.stop()
        assert len(listener.recorded) == WINDOW + 8_000


async def test_other_formats_are_recorded_at_once() -> None:
    async with listening(PcmFormat(channels=2)) as listener:
        listener.feed(bytes(16_000), PcmFormat(channels=2))
        assert len(listener.recorded) == 4_000
        listener.feed(bytes(4), PcmFormat(channels=2))
        assert len(listener.recorded) == 4_001


async def test_a_burst_is_heard_in_a_thread_and_what_follows_it_too() -> None:
    async with listening() as listener:
        await loaded(listener)
        listener.feed(pcm16(silence(1.0)), chunk=100_000)
        listener.feed(pcm16(silence(0.1)))
        assert listener.windows == 1
        await listener.input.drain()
        assert listener.windows == 1 + 35  # the last one is incomplete


async def test_audio_is_recorded_while_the_vad_still_loads_and_heard_after_that() -> None:
    async with listening(loaded=False) as listener:
        listener.feed(pcm16(tone(0.64)))
        await asyncio.sleep(0)
        assert (len(listener.recorded), listener.windows) == (10_240, 0)
        listener.loaded.set()
        await listener.input.drain()
        assert listener.windows == 20


async def test_nothing_is_heard_of_nothing() -> None:
    async with listening() as listener:
        listener.feed(b"")
        listener.input.stop()
        await listener.input.drain()
        assert listener.calls == 0


async def test_an_incomplete_last_window_is_filled_up_with_silence() -> None:
    async with listening() as listener:
        listener.feed(pcm16(tone(0.01)))
        listener.input.stop()
        await listener.input.drain()
        assert listener.probabilities == [1.0]
        await listener.input.drain()
        assert listener.calls == 1  # and only once


# Preprocessing.


class Mute:
    """A step after which there is silence, late by 10 ms."""

    delay = 160

    def __call__(self, samples: Samples) -> Samples:
        return np.zeros(len(samples), np.float32)


def muting(text: str) -> Preprocessing:
    return Preprocessing((PlannedStep(StepSpec.parse(text), lambda _: Mute()),))


@pytest.mark.parametrize("chunk", [320, 333, 100_000])
async def test_a_step_changes_what_the_model_and_the_vad_hear(chunk: int) -> None:
    async with listening(preprocessing=muting("mute")) as listener:
        listener.feed(pcm16(tone(0.5)), chunk=chunk)
        listener.input.stop()
        await listener.input.drain()
        assert len(listener.recorded) == 8_000
        assert not listener.recorded.any()
        assert listener.probabilities == [0.0] * 16


@pytest.mark.parametrize("chunk", [320, 333, 100_000])
async def test_a_step_for_the_vad_leaves_the_recording_as_it_is(chunk: int) -> None:
    data = pcm16(tone(0.5))
    expected = HighPass().feed(decode_pcm(data, HOME))
    async with listening(preprocessing=muting("mute@vad")) as listener:
        listener.feed(data, chunk=chunk)
        listener.input.stop()
        await listener.input.drain()
        assert np.allclose(listener.recorded, expected, atol=ROUNDING)
        assert listener.probabilities == [0.0] * 16


async def test_what_only_the_vad_hears_counts_as_memory_too() -> None:
    memory = AudioMemory()
    async with listening(memory=memory, preprocessing=muting("mute@vad")) as listener:
        listener.feed(pcm16(tone(0.5)))
        listener.input.stop()
        assert memory.used == 2 * 2 * 8_000
    assert memory.used == 0


async def test_what_only_the_vad_hears_is_freed_as_well() -> None:
    memory = AudioMemory()
    async with listening(memory=memory, preprocessing=muting("mute@vad")) as listener:
        listener.feed(pcm16(tone(0.5)))
        await listener.input.windows_processed()
        used = memory.used
        listener.input.free(4_000)
        assert memory.used == used - 2 * 2 * 4_000


async def test_steps_are_made_when_the_first_audio_arrives() -> None:
    made = 0

    def make(_: str) -> Mute:
        nonlocal made
        made += 1
        return Mute()

    counted = Preprocessing((PlannedStep(StepSpec("mute"), make),))
    async with listening(preprocessing=counted) as listener:
        assert (made, listener.input.steps_used()) == (0, [])
        listener.feed(pcm16(tone(0.5)))
        listener.feed(bytes(3000), WIDE)
        assert made == 1
        assert [use.name for use in listener.input.steps_used()] == ["mute"]


# Memory.


async def test_no_more_is_recorded_than_there_is_memory_for() -> None:
    one = AudioMemory()
    one.reserve(16_000)
    memory = AudioMemory(limit=one.used)  # of one second
    async with listening(memory=memory) as first, listening(memory=memory) as second:
        first.feed(pcm16(tone(0.6)))
        second.feed(pcm16(tone(0.4)))
        assert memory.used == memory.limit
        with pytest.raises(Busy, match=f"{memory.limit} bytes of audio are waiting already"):
            second.feed(pcm16(tone(0.01)))
        assert memory.used == memory.limit
    assert memory.used == 0


async def test_closing_frees_the_recording_and_ends_the_vad() -> None:
    async with listening(loaded=False) as listener:
        listener.feed(pcm16(tone(1.0)))
        await asyncio.sleep(0)  # the VAD waits for its model
        listener.input.close()
        assert (listener.memory.used, len(listener.recorded)) == (0, 0)
    # The task group has ended, although the model never came.
    assert listener.windows == 0


# One utterance ends in the middle of a stream, and another one goes on.


@pytest.mark.parametrize("at", [0, 1, WINDOW, 7_000, 15_999])
@pytest.mark.parametrize("pcm", [HOME, PcmFormat(24_000), WIDE], ids=str)
async def test_a_stream_that_is_cut_goes_on_without_a_seam(pcm: PcmFormat, at: int) -> None:
    data = np.random.default_rng(3).bytes(2 * pcm.rate * pcm.frame_bytes)
    middle = len(data) // 2 + 1  # in the middle of a frame
    async with listening(pcm) as whole, listening(pcm) as first, listening(pcm) as second:
        whole.feed(data, pcm)
        whole.input.stop()
        first.feed(data[:middle], pcm)
        await first.input.windows_processed()
        at = min(at, len(first.recorded))
        second.input.resume(first.input.cut(at))
        second.feed(data[middle:], pcm)
        second.input.stop()
        assert len(first.recorded) == at
        joined_again = joined(first.recorded, second.recorded)
        np.testing.assert_array_equal(joined_again, whole.recorded)
        await second.input.drain()
        assert second.windows == -(-len(second.recorded) // WINDOW)


@pytest.mark.parametrize("steps", ["smooth:7", "smooth:7@vad"])
async def test_the_steps_go_on_in_what_follows_a_cut(steps: str) -> None:
    """Neither path loses a sample, although the VAD's is late when the stream is cut."""
    data = pcm16(joined(*(tone(0.1) * gain for gain in (0.1, 1.0, 0.01, 0.5, 0.02) * 4)))
    smoothing = Preprocessing((PlannedStep(StepSpec.parse(steps), smooth),))
    memory = AudioMemory()
    async with (
        listening(preprocessing=smoothing) as whole,
        listening(memory=memory, preprocessing=smoothing) as first,
        listening(memory=memory, preprocessing=smoothing) as second,
    ):
        whole.feed(data)
        whole.input.stop()
        await whole.input.drain()
        first.feed(data[: len(data) // 2])
        await first.input.windows_processed()
        second.input.resume(first.input.cut(20 * WINDOW))
        await first.input.drain()
        second.feed(data[len(data) // 2 :])
        second.input.stop()
        await second.input.drain()
        joined_again = joined(first.recorded, second.recorded)
        np.testing.assert_array_equal(joined_again, whole.recorded)
        assert first.probabilities[:20] + second.probabilities == whole.probabilities
    assert memory.used == 0


async def test_the_memory_of_a_cut_recording_is_freed_with_both_parts() -> None:
    memory = AudioMemory()
    async with listening(memory=memory) as first, listening(memory=memory) as second:
        first.feed(pcm16(tone(1.0)))
        second.input.resume(first.input.cut(10_000))
        assert memory.used == 32_000
        first.input.close()
        assert memory.used == 2 * 6_000
        second.input.close()
        assert memory.used == 0


async def test_audio_is_cut_while_the_vad_still_loads() -> None:
    async with listening(loaded=False) as first, listening() as second:
        first.feed(pcm16(tone(1.0)))
        second.input.resume(first.input.cut(0))
        await second.input.windows_processed()
        assert (first.windows, second.windows) == (0, 31)
        first.loaded.set()
        await first.input.drain()
        assert first.windows == 0
