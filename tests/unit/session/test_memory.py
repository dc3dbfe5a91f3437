"""Memory of a long recording: how much of its audio is kept, and that nothing needed is freed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from itertools import repeat
from typing import Any

import numpy as np
import pytest

from tests.support.virtual_time import CLIENT, PCM, House, Said, joined, run
from wyoming_faster_whisper.audio.highpass import HighPass
from wyoming_faster_whisper.audio.pcm import SAMPLE_RATE, Samples
from wyoming_faster_whisper.engine.protocol import DecodeKind, Job, Transcript
from wyoming_faster_whisper.session.audio_memory import AudioMemory
from wyoming_faster_whisper.session.session import Session
from wyoming_faster_whisper.speech.hysteresis import WINDOW
from wyoming_faster_whisper.speech.segmenter import segments
from wyoming_faster_whisper.speech.utterance import UtteranceRules
from wyoming_faster_whisper.tenant import HOUSE, Tenant
from wyoming_faster_whisper.testing import LoudnessVad, pcm16, silence, tone

SECOND = 2 * SAMPLE_RATE  # bytes
MOST = 200 * SECOND  # bytes: the open segment, three that wait, and a minute for the VAD
SENTENCE = joined(tone(6.0), silence(0.7))


class PeakMemory(AudioMemory):
    """Memory budget that remembers its peak."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0

    def reserve(self, samples: int, tenant: Tenant = HOUSE) -> None:
        super().reserve(samples, tenant)
        self.peak = max(self.peak, self.used)


async def send(house: House, blocks: Iterable[bytes], **shared: Any) -> Said:
    """Send a recording block by block, as fast as the session takes it."""
    said = Said()

    context = house.context(**shared)
    async with asyncio.TaskGroup() as tasks, Session(context, CLIENT) as session:
        tasks.create_task(said.hear(session))
        for block in blocks:
            await session.audio(PCM, block)
        await session.stop()
        await session.answered()
    return said


def sent(
    *parts: tuple[Samples, int],
    say: Callable[[Job], Transcript] | None = None,
    seconds: float = 2.0,
    **house: Any,
) -> tuple[Said, PeakMemory]:
    """Send a recording made of parts, each repeated some times.

    Args:
        seconds: duration of each decode.
    """
    memory = PeakMemory()

    async def go() -> Said:
        async with House(lambda _: seconds, say=say, **house) as one:
            one.loop.thread_seconds = 1.0  # of the VAD, for 16 s of audio
            blocks = (block for part, times in parts for block in repeat(pcm16(part), times))
            return await send(one, blocks, memory=memory, kind=DecodeKind.FILE, max_seconds=1e6)

    return run(go()), memory


def test_of_ten_minutes_of_speech_three_minutes_are_kept() -> None:
    said, memory = sent((SENTENCE, 90))
    ((_, answer),) = said.answers
    assert answer.record.heard == pytest.approx(603)
    assert len(answer.segments) > 20
    assert memory.peak < MOST
    assert memory.used == 0


def test_the_language_of_a_segment_may_still_change_so_its_audio_is_kept() -> None:
    """No language is ever detected with enough probability, so no text is final."""

    def unsure(job: Job) -> Transcript:
        return Transcript("word", "de", language_probability=0.3)

    said, memory = sent((SENTENCE, 45), say=unsure, language=None)
    assert memory.peak > 290 * SECOND > MOST
    assert said.text


def test_silence_before_between_and_after_speech_is_not_kept() -> None:
    long = (silence(60.0), 4)
    said, memory = sent(long, (SENTENCE, 1), long, (SENTENCE, 1), long)
    assert len(said.answers[0][1].segments) == 2
    assert memory.peak < MOST


def test_a_dictation_is_freed_as_well() -> None:
    async def go(rules: UtteranceRules) -> int:
        memory = PeakMemory()
        async with House(lambda _: 0.3) as house:
            await send(house, repeat(pcm16(SENTENCE), 60), memory=memory, rules=rules)
        return memory.peak

    assert run(go(UtteranceRules())) < MOST
    # Without guesses everything is decoded at the end.
    assert run(go(UtteranceRules(guess_after=0.0))) > 390 * SECOND


@pytest.mark.parametrize("seed", range(4))
def test_each_segment_is_decoded_from_its_own_audio(seed: int) -> None:
    """What is freed while the file arrives changes neither the segments nor their audio."""
    generator = random.Random(seed)
    rules = UtteranceRules(pad=generator.choice((0.0, 0.4)))
    parts: list[Samples] = []
    for _ in range(14):
        hertz = generator.uniform(200, 2000)
        parts += [tone(generator.choice((0.2, 3.0, 9.0, 30.0)), hertz=hertz)]
        parts += [silence(generator.choice((0.1, 0.2, 0.6, 1.2, 2.5, 6.0, 30.0)))]
    samples = joined(*parts)
    decoded: list[Job] = []

    def remember(job: Job) -> Transcript:
        decoded.append(job)
        return Transcript("word", "en")

    async def go() -> Said:
        async with House(lambda _: generator.uniform(0.1, 9.0), say=remember) as house:
            data = pcm16(samples)
            blocks = (data[at : at + 200_000] for at in range(0, len(data), 200_000))
            return await send(house, blocks, kind=DecodeKind.FILE, rules=rules, max_seconds=1e6)

    said = run(go())
    filtered = HighPass().feed(samples)
    padded = np.pad(filtered, (0, -len(samples) % WINDOW))
    expected = segments(LoudnessVad().feed(padded).tolist(), rules, len(samples))
    ((_, answer),) = said.answers
    assert [segment.start for segment in answer.segments] == [
        segment.speech[0] * WINDOW / SAMPLE_RATE for segment in expected
    ]
    for job, segment in zip(decoded, expected, strict=True):
        audio = filtered[segment.start : segment.start + len(job.samples)]
        assert np.allclose(job.samples, audio, atol=2 / 32768)
