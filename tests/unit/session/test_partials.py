"""Partial text: when the open segment is decoded, and what is committed and sent."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest

from tests.support.manual_worker import ManualWorker
from tests.support.tasks import settled
from wyoming_faster_whisper.audio.recording import Recording
from wyoming_faster_whisper.engine.protocol import DecodeOptions, Transcript
from wyoming_faster_whisper.errors import EngineError, Hung
from wyoming_faster_whisper.principal import Principal
from wyoming_faster_whisper.session.partials import Partials
from wyoming_faster_whisper.session.text import GrowingText
from wyoming_faster_whisper.speech.segmenter import Segment
from wyoming_faster_whisper.testing import tone

pytestmark = pytest.mark.timeout(20)


class Client:
    """The partial text of one utterance in one open segment, with the pieces that were sent."""

    def __init__(self, tasks: asyncio.TaskGroup, *, enabled: bool, eager: bool) -> None:
        self.worker = ManualWorker()
        self.recording = Recording()
        self.sent: list[str] = []
        self.begin = 0  # first window of the open segment
        self.partials = Partials(
            self.worker,
            tasks,
            self.recording,
            options=DecodeOptions,
            text=GrowingText(),
            enabled=enabled,
            eager=eager,
            on_partial=self.sent.append,
            principal=Principal("192.168.1.10", "kitchen"),
        )

    @property
    def segment(self) -> Segment:
        """The open segment: from its first window to the end of the recording."""
        return Segment(self.begin * 512, len(self.recording), True, (self.begin, self.begin + 1))

    async def hear(self, seconds: float = 1.0) -> None:
        """Record more speech, and decode if that is due."""
        self.recording.append(tone(seconds))
        self.partials.decode_if_due(lambda: self.segment)
        await settled()

    async def decode(self, text: str | Transcript | Exception, seconds: float = 1.0) -> None:
        """Record more speech, and decode it to a text."""
        await self.hear(seconds)
        await self.worker.answer(text)

    @property
    def decodes(self) -> int:
        return len(self.worker.submitted)


@asynccontextmanager
async def client(*, enabled: bool = True, eager: bool = True) -> AsyncIterator[Client]:
    async with asyncio.TaskGroup() as tasks:
        connected = Client(tasks, enabled=enabled, eager=eager)
        yield connected
        connected.partials.cancel()


# When a decode is due.


async def test_every_second_of_new_audio_is_decoded() -> None:
    async with client() as one:
        await one.hear(0.99)
        assert one.decodes == 0
        await one.hear(0.01)
        assert one.decodes == 1
        await one.worker.answer("a")
        await one.hear(0.99)
        assert one.decodes == 1
        await one.hear(0.01)
        assert one.decodes == 2
        assert one.partials.begun == 2


async def test_one_decode_runs_at_a_time() -> None:
    async with client() as one:
        await one.hear()
        await one.hear()
        assert one.decodes == 1
        await one.worker.answer("a")
        await one.hear(0.1)  # more than a second is new since the last decode
        assert one.decodes == 2


async def test_nothing_is_decoded_if_partial_text_is_off() -> None:
    async with client(enabled=False) as one:
        await one.hear(5.0)
        assert one.decodes == 0


@pytest.mark.parametrize(("eager", "decodes"), [(True, 1), (False, 0)])
async def test_a_busy_model_decodes_only_for_the_eager(eager: bool, decodes: int) -> None:
    async with client(eager=eager) as one:
        one.worker.is_idle = False
        await one.hear()
        assert one.decodes == decodes
        one.worker.is_idle = True
        await one.hear(0.0)  # without eager it is still due
        assert one.decodes == 1


async def test_an_utterance_without_an_open_segment_has_nothing_to_decode() -> None:
    async with client() as one:
        one.recording.append(tone(2.0))
        one.partials.decode_if_due(lambda: None)
        await settled()
        assert one.decodes == 0
        await one.hear(0.9)  # the next attempt is a second later
        assert one.decodes == 0
        await one.hear(0.1)
        assert one.decodes == 1


@pytest.mark.parametrize(("seconds", "decodes"), [(15.9, 1), (16.0, 0)])
async def test_a_segment_that_may_still_be_split_is_not_decoded(
    seconds: float, decodes: int
) -> None:
    async with client() as one:
        await one.hear(seconds)
        assert one.decodes == decodes


async def test_a_cancelled_decode_is_withdrawn() -> None:
    async with client() as one:
        one.partials.cancel()  # no effect without a decode
        await one.hear()
        one.partials.cancel()
        await settled()
        assert one.worker.cancelled == one.worker.submitted
        await one.hear()
        assert one.decodes == 2


async def test_a_job_is_a_quick_guess_over_the_open_segment() -> None:
    async with client() as one:
        one.begin = 10
        await one.hear(2.0)
        [job] = one.worker.submitted
        assert np.array_equal(job.samples, one.recording.samples(5120))
        assert (job.guess, job.quick, job.prefix) == (True, True, "")
        assert job.owner == "192.168.1.10"
        one.partials.cancel()
        await settled()
        leading = Segment(0, 48_000, True, (0, 1), leading_silence=6400)
        one.recording.append(tone(1.0))
        one.partials.decode_if_due(lambda: leading)
        await settled()
        assert one.worker.submitted[1].leading_silence == 6400


# What is committed.


async def test_words_are_sent_once_two_decodes_agree_on_them() -> None:
    async with client() as one:
        await one.decode("Turn on")
        assert one.sent == []
        await one.decode("Turn on the lamp")
        assert one.sent == ["Turn on"]
        assert one.partials.committed(one.segment) == ("Turn on", "en")
        await one.decode("Turn on the lights in")
        await one.decode("Turn on the lights in the hall")
        assert one.sent == ["Turn on", " the", " lights in"]


async def test_a_later_decode_continues_the_committed_words_in_their_language() -> None:
    async with client() as one:
        await one.decode(Transcript("Mach das", "de"))
        await one.decode(Transcript("Mach das Licht", "de"))
        await one.hear()
        job = one.worker.submitted[-1]
        assert (job.prefix, job.options.language) == ("Mach das", "de")
        assert [one.options.language for one in one.worker.submitted[:2]] == [None, None]


async def test_a_shorter_agreement_takes_nothing_back() -> None:
    async with client() as one:
        await one.decode("Turn on the")
        await one.decode("Turn on the lamp")
        await one.decode("Turn off")
        await one.decode("Turn off it")
        assert one.sent == ["Turn on the"]
        assert one.partials.committed(one.segment) == ("Turn on the", "en")


@pytest.mark.parametrize("verdict", ["again", "empty"])
async def test_a_text_that_the_hallucination_check_doubts_counts_for_nothing(
    verdict: str,
) -> None:
    async with client() as one:
        await one.decode("Turn on")
        await one.decode(Transcript("Thank you for watching", "en", verdict=verdict))
        await one.decode(Transcript("Turn on the", "en", verdict="believe"))
        assert one.sent == ["Turn on"]


async def test_a_failed_decode_counts_for_nothing() -> None:
    async with client() as one:
        await one.decode("Turn on")
        await one.decode(EngineError("out of memory"))
        await one.decode("Turn on the")
        assert one.sent == ["Turn on"]


async def hung() -> None:
    async with client() as one:
        await one.decode(Hung("the model did not answer within 60 s"))


async def test_a_hung_decode_ends_the_task_group() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        await hung()
    assert caught.group_contains(Hung)


# Final texts.


async def test_the_final_text_of_a_segment_completes_what_was_sent() -> None:
    async with client() as one:
        await one.decode("Turn on")
        await one.decode("Turn on the")
        one.partials.commit(Transcript("Turn on the lights.", "en"))
        assert one.sent == ["Turn on", " the lights"]
        assert one.partials.end() == "Turn on the lights."
        assert one.sent == ["Turn on", " the lights", "."]


async def test_the_next_segment_begins_anew() -> None:
    async with client() as one:
        await one.decode("Turn on")
        await one.decode("Turn on the")
        one.partials.commit(Transcript("Turn on the lights.", "en"))
        one.begin = 100
        assert one.partials.committed(one.segment) == ("", None)
        await one.decode("Stop", 3.0)
        assert one.worker.submitted[-1].prefix == ""
        assert one.worker.submitted[-1].options.language is None
        await one.decode("Stop the")
        one.partials.commit(Transcript("Stop the music", "en"))
        assert one.partials.end() == "Turn on the lights. Stop the music"
        assert "".join(one.sent) == "Turn on the lights. Stop the music"


async def test_two_segments_do_not_agree_with_each_other() -> None:
    async with client() as one:
        await one.decode("Turn on")
        one.begin = 20  # the segment before it was dropped without a text
        await one.decode("Turn on the")
        assert one.sent == []
        await one.decode("Turn on the lamp")
        assert one.sent == ["Turn on the"]


async def test_a_decode_that_ends_after_its_segment_was_committed_sends_nothing() -> None:
    async with client() as one:
        await one.decode("Turn on")
        await one.hear()
        one.partials.commit(Transcript("Turn on", "en"))
        await one.worker.answer("Turn on the lights")
        assert one.sent == ["Turn on"]
        assert one.partials.end() == "Turn on"


async def test_without_partial_text_everything_is_sent_at_the_end() -> None:
    async with client(enabled=False) as one:
        one.partials.commit(Transcript("Turn on", "en"))
        one.partials.commit(Transcript("the lights.", "en"))
        assert one.sent == []
        assert one.partials.end() == "Turn on the lights."
        assert one.sent == ["Turn on the lights."]


async def test_an_utterance_without_text_sends_nothing() -> None:
    async with client() as one:
        one.partials.commit(Transcript("", "en"))
        assert one.partials.end() == ""
        assert one.sent == []
