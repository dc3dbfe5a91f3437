"""Decodes of one utterance: order, promotion, second attempts, commits and languages."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import numpy as np
import pytest

from tests.support.manual_worker import ManualWorker
from tests.support.tasks import settled
from wyoming_faster_whisper.audio.recording import Recording
from wyoming_faster_whisper.engine.protocol import DecodeKind, DecodeOptions, Job, Transcript
from wyoming_faster_whisper.errors import EngineError, Hung
from wyoming_faster_whisper.principal import Principal
from wyoming_faster_whisper.session.decodes import Decodes
from wyoming_faster_whisper.speech.hysteresis import Stretch
from wyoming_faster_whisper.speech.segmenter import Segment
from wyoming_faster_whisper.testing import tone

pytestmark = pytest.mark.timeout(20)

DETECT = DecodeOptions()
GERMAN = DecodeOptions(language="de")


def segment(start: int, seconds: int = 3, *, speech: float | None = None) -> Segment:
    """Return a segment of the recording.

    Args:
        start: seconds.
        seconds: its length.
        speech: seconds of speech in it; None = all of it.
    """
    windows = Stretch(
        start * 16_000 // 512,
        start * 16_000 // 512 + round((seconds if speech is None else speech) * 16_000 / 512),
    )
    return Segment(
        start * 16_000,
        (start + seconds) * 16_000,
        True,
        (windows.start, windows.end),
        stretches=(windows,),
    )


ONE, TWO, THREE = segment(0), segment(4), segment(8)


class Client:
    """The decodes of one utterance, and everything that they reported."""

    def __init__(
        self,
        tasks: asyncio.TaskGroup,
        *,
        score_end: bool = False,
        kind: DecodeKind = DecodeKind.FINAL,
    ) -> None:
        self.later = 0  # samples by which segments have grown since their decodes began
        self.worker = ManualWorker()
        self.recording = Recording()
        self.recording.append(tone(12.0))
        self.options = DETECT
        self.sent: dict[Segment, tuple[str, str | None]] = {}
        self.decoded: list[tuple[Segment, str | None]] = []
        self.committed: list[str] = []
        self.decodes = Decodes(
            self.worker,
            tasks,
            self.recording,
            options=lambda: self.options,
            on_decoded=self._on_decoded,
            on_committed=lambda text: self.committed.append(text.text),
            committed=lambda one: self.sent.get(one, ("", None)),
            score_end=lambda: score_end,
            principal=Principal("192.168.1.10", "kitchen"),
            kind=kind,
            as_of_now=lambda one: replace(one, end=one.end + self.later),
        )
        self._tasks = tasks

    def _on_decoded(self, decoded: Segment, text: Transcript | None) -> None:
        self.decoded.append((decoded, None if text is None else text.text))

    @property
    def jobs(self) -> list[Job]:
        return self.worker.submitted

    async def begin(self, *segments: Segment, guess: bool = False, quick: bool = False) -> None:
        for one in segments:
            self.decodes.begin(one, guess=guess, quick=quick)
        await settled()

    async def answer(self, *segments: Segment) -> asyncio.Task[list[Transcript]]:
        answer = asyncio.create_task(self.decodes.answer(segments, speech_ended=0.0))
        await settled()
        return answer


@asynccontextmanager
async def client(
    *, score_end: bool = False, kind: DecodeKind = DecodeKind.FINAL
) -> AsyncIterator[Client]:
    async with asyncio.TaskGroup() as tasks:
        connected = Client(tasks, score_end=score_end, kind=kind)
        yield connected
        connected.decodes.drop_all()


def texts(answer: asyncio.Task[list[Transcript]]) -> list[str]:
    """Return the texts of an answer that is there by now."""
    return [one.text for one in answer.result()]


def provisional(text: str) -> Transcript:
    return Transcript(text, "en", provisional=True)


def in_language(text: str, language: str, probability: float = 0.9) -> Transcript:
    return Transcript(text, language, language_probability=probability)


# Jobs.


async def test_a_job_describes_its_segment() -> None:
    uncertain = Segment(
        16_000, 48_000, False, (32, 63), leading_silence=6400, stretches=(Stretch(32, 63),)
    )
    async with client() as one:
        await one.begin(uncertain)
        [job] = one.jobs
        assert np.array_equal(job.samples, one.recording.samples(16_000, 48_000))
        assert job.speech == ((384, 16_256),)
        assert job.leading_silence == 6400
        assert not job.certain_speech
        assert job.owner == "192.168.1.10"
        assert (job.options, job.prefix) == (DETECT, "")
        assert (job.guess, job.quick, job.score_end) == (False, False, False)


@pytest.mark.parametrize(
    ("kind", "samples"), [(DecodeKind.FINAL, 48_000 + 4_000), (DecodeKind.FILE, 48_000)]
)
async def test_a_later_decode_takes_the_silence_since_unless_the_audio_is_that_of_a_file(
    kind: DecodeKind, samples: int
) -> None:
    async with client(kind=kind) as one:
        await one.begin(ONE)
        one.later = 4_000
        await one.worker.answer(EngineError("out of memory"))
        answer = await one.answer(ONE)
        await one.worker.answer("a")
        assert texts(answer) == ["a"]
        assert [len(job.samples) for job in one.jobs] == [48_000, samples]


@pytest.mark.parametrize("score_end", [True, False])
async def test_guesses_and_finals_score_the_end_of_the_text_while_it_may_end_the_turn(
    score_end: bool,
) -> None:
    async with client(score_end=score_end) as one:
        await one.begin(ONE, guess=True)
        await one.worker.answer("a")
        await one.begin(TWO)
        assert [job.score_end for job in one.jobs] == [score_end, score_end]


async def test_a_segment_is_decoded_after_the_segment_before_it() -> None:
    async with client() as one:
        await one.begin(ONE, TWO)
        assert len(one.jobs) == 1
        await one.worker.answer("a")
        assert len(one.jobs) == 2
        await one.worker.answer("b")
        assert one.decoded == [(ONE, "a"), (TWO, "b")]


async def test_a_failed_decode_does_not_stop_the_next_segment() -> None:
    async with client() as one:
        await one.begin(ONE, TWO)
        await one.worker.answer(EngineError("out of memory"), "b")
        assert one.decoded == [(ONE, None), (TWO, "b")]
        assert not one.decodes.busy


async def test_the_decode_continues_the_text_that_was_sent() -> None:
    async with client() as one:
        one.sent[ONE] = ("Turn on", "nl")
        await one.begin(ONE)
        assert one.jobs[0].prefix == "Turn on"
        assert one.jobs[0].options.language == "nl"
        one.options, one.sent[TWO] = GERMAN, ("the", "nl")
        await one.begin(TWO)
        await one.worker.answer("Turn on the")
        assert one.jobs[1].prefix == "the"
        assert one.jobs[1].options.language == "de"  # the client's own choice


async def test_a_dropped_decode_is_withdrawn_and_not_reported() -> None:
    async with client() as one:
        await one.begin(ONE, guess=True)
        assert one.decodes.busy
        one.decodes.drop(ONE)
        await settled()
        assert one.worker.cancelled == one.jobs
        assert one.decoded == []
        assert not one.decodes.busy
        one.decodes.drop(ONE)  # no effect on an unknown segment
        await one.begin(ONE)
        assert len(one.jobs) == 2


async def test_the_text_of_a_decode_that_was_dropped_meanwhile_is_not_reported() -> None:
    async with client() as one:
        await one.begin(ONE, guess=True)
        # Answered and dropped in the same iteration of the event loop.
        answered = asyncio.create_task(one.worker.answer("a"))
        await asyncio.sleep(0)
        one.decodes.drop(ONE)
        await answered
        assert one.decoded == []
        assert one.committed == []


async def hung() -> None:
    async with client() as one:
        await one.begin(ONE)
        await one.worker.answer(Hung("the model did not answer within 60 s"))
        assert len(one.jobs) == 1
        assert one.decoded == []


async def test_a_hung_decode_ends_the_task_group_and_is_not_repeated() -> None:
    with pytest.raises(ExceptionGroup) as caught:
        await hung()
    assert caught.group_contains(Hung)


async def test_a_client_that_left_gets_only_an_idle_model() -> None:
    async with client() as one:
        one.decodes.client_left = True
        await one.begin(ONE)
        assert len(one.jobs) == 1
        await one.worker.answer("a")
        one.worker.is_idle = False
        await one.begin(TWO)
        assert len(one.jobs) == 1
        assert not one.decodes.busy


# State for the turn.


async def test_the_answer_is_queued_until_the_model_takes_its_decode() -> None:
    async with client() as one:
        assert not one.decodes.is_queued
        one.worker.is_idle = False
        assert one.decodes.is_queued  # a decode that began now would wait
        await one.begin(ONE)
        assert one.decodes.is_queued
        one.worker.start_decode()
        assert not one.decodes.is_queued
        await one.worker.answer("a")
        assert not one.decodes.is_queued  # the text is there


async def test_a_decode_whose_job_is_not_submitted_yet_is_queued_unless_the_model_is_idle() -> (
    None
):
    async with client() as one:
        one.decodes.begin(ONE, guess=False)
        assert not one.decodes.is_queued
        one.worker.is_idle = False
        assert one.decodes.is_queued


async def test_decodes_are_counted() -> None:
    async with client() as one:
        assert repr(one.decodes) == "<Decodes 0 segments, 0 decodes begun>"
        await one.begin(ONE, TWO)
        assert (one.decodes.begun, repr(one.decodes)) == (
            1,
            "<Decodes 2 segments, 1 decodes begun>",
        )
        await one.worker.answer("a")
        assert one.decodes.begun == 2


async def test_segments_before_one_are_committed_or_not() -> None:
    async with client() as one:
        assert one.decodes.committed_before(ONE)
        await one.begin(ONE)
        assert one.decodes.committed_before(ONE)
        assert not one.decodes.committed_before(TWO)
        one.decodes.close(ONE)
        assert not one.decodes.committed_before(TWO)  # closed, but not decoded
        await one.worker.answer("a")
        assert one.decodes.committed_before(TWO)


# Commits.


async def test_a_text_is_committed_once_when_its_segment_is_closed() -> None:
    async with client() as one:
        await one.begin(ONE, guess=True)
        await one.worker.answer("a")
        assert one.committed == []
        one.decodes.close(ONE)
        assert one.committed == ["a"]
        one.decodes.close(ONE)
        assert texts(await one.answer(ONE)) == ["a"]
        assert one.committed == ["a"]
        one.decodes.close(TWO)  # no effect on an unknown segment


async def test_the_next_segment_closes_those_before_it() -> None:
    async with client() as one:
        await one.begin(ONE, guess=True)
        await one.worker.answer("a")
        await one.begin(TWO, guess=True)
        assert one.committed == ["a"]


async def test_a_failed_text_holds_back_the_texts_after_it() -> None:
    async with client() as one:
        await one.begin(ONE, TWO, THREE, guess=True)
        await one.worker.answer(EngineError("out of memory"), "b", "c")
        assert one.committed == []
        answer = await one.answer(ONE, TWO, THREE)
        await one.worker.answer("a")
        assert texts(answer) == ["a", "b", "c"]
        assert one.committed == ["a", "b", "c"]


async def test_a_segment_that_begins_late_is_committed_in_the_order_of_speech() -> None:
    async with client() as one:
        await one.begin(TWO, ONE, guess=True)
        await one.worker.answer("b")
        one.decodes.close(TWO)
        assert one.committed == []
        await one.worker.answer("a")
        one.decodes.close(ONE)
        assert one.committed == ["a", "b"]


# A guess becomes a final decode.


async def test_a_guess_that_still_waits_is_submitted_again_as_a_final_decode() -> None:
    async with client() as one:
        await one.begin(ONE, guess=True, quick=True)
        await one.begin(ONE)
        guess, final = one.jobs
        assert (guess.guess, guess.quick) == (True, True)
        assert (final.guess, final.quick) == (False, False)
        assert one.worker.cancelled == [guess]
        assert not one.decodes.was_guessed(ONE)


async def test_a_guess_that_the_model_has_taken_is_kept() -> None:
    async with client() as one:
        await one.begin(ONE, guess=True)
        one.worker.start_decode()
        answer = await one.answer(ONE)
        await one.worker.answer("a")
        assert texts(answer) == ["a"]
        assert len(one.jobs) == 1
        assert one.decodes.was_guessed(ONE)
        assert not one.decodes.was_guessed(TWO)


async def test_the_guesses_before_a_final_decode_become_final_as_well() -> None:
    async with client() as one:
        await one.begin(ONE, TWO, guess=True)
        await one.begin(TWO)
        assert [job.guess for job in one.jobs] == [True, False]  # the second still waits
        await one.worker.answer("a")
        assert [job.guess for job in one.jobs] == [True, False, False]
        await one.worker.answer("b")
        assert one.decoded == [(ONE, "a"), (TWO, "b")]


async def test_a_second_guess_of_the_same_segment_changes_nothing() -> None:
    async with client() as one:
        await one.begin(ONE, guess=True)
        await one.begin(ONE, guess=True)
        assert len(one.jobs) == 1


# A quick first pass.


async def test_a_provisional_text_is_decoded_in_full_for_the_answer() -> None:
    async with client() as one:
        await one.begin(ONE, guess=True, quick=True)
        await one.worker.answer(provisional("a"))
        assert one.decoded == [(ONE, "a")]
        answer = await one.answer(ONE)
        await one.worker.answer("b")
        assert texts(answer) == ["b"]
        assert [(job.guess, job.quick) for job in one.jobs] == [(True, True), (False, False)]
        assert not one.decodes.was_guessed(ONE)
        assert one.committed == ["b"]


async def test_a_provisional_text_is_decoded_in_full_when_its_segment_is_closed() -> None:
    async with client() as one:
        await one.begin(ONE, guess=True, quick=True)
        await one.worker.answer(provisional("a"))
        one.decodes.close(ONE)
        await settled()
        assert one.committed == []
        await one.worker.answer("b")
        assert one.committed == ["b"]
        assert [(job.guess, job.quick) for job in one.jobs] == [(True, True), (True, False)]
        assert one.decodes.was_guessed(ONE)


async def test_a_segment_closed_during_the_first_pass_gets_the_full_decode_after_it() -> None:
    async with client() as one:
        await one.begin(ONE, guess=True, quick=True)
        one.decodes.close(ONE)
        await one.worker.answer(provisional("a"))
        assert one.decoded == []
        await one.worker.answer(provisional("b"))  # after a full decode that is the text
        assert one.decoded == [(ONE, "b")]
        assert one.committed == ["b"]
        assert len(one.jobs) == 2


async def test_a_confident_first_pass_is_the_text() -> None:
    async with client() as one:
        await one.begin(ONE, guess=True, quick=True)
        one.worker.start_decode()
        answer = await one.answer(ONE)
        await one.worker.answer("a")
        assert texts(answer) == ["a"]
        assert len(one.jobs) == 1


# The answer.


async def test_a_failed_guess_is_decoded_again_for_the_answer() -> None:
    async with client() as one:
        await one.begin(ONE, guess=True)
        await one.worker.answer(EngineError("out of memory"))
        answer = await one.answer(ONE)
        await one.worker.answer("a")
        assert texts(answer) == ["a"]
        assert one.committed == ["a"]
        assert len(one.jobs) == 2


async def test_a_second_failure_fails_the_answer_and_leaves_the_task_group_alone() -> None:
    async with client() as one:
        await one.begin(ONE)
        await one.worker.answer(EngineError("out of memory"))
        answer = await one.answer(ONE)
        await one.worker.answer(EngineError("still out of memory"))
        with pytest.raises(EngineError, match=r"^still out of memory$"):
            answer.result()
        assert one.committed == []


async def test_an_answer_with_other_options_is_decoded_again() -> None:
    async with client() as one:
        await one.begin(ONE, guess=True)
        await one.worker.answer("a")
        one.options = GERMAN
        answer = await one.answer(ONE)
        await one.worker.answer("b")
        assert texts(answer) == ["b"]
        assert [job.options for job in one.jobs] == [DETECT, GERMAN]
        assert not one.decodes.was_guessed(ONE)


async def test_a_committed_text_is_kept_whatever_the_options() -> None:
    async with client() as one:
        await one.begin(ONE, TWO, guess=True)
        await one.worker.answer("a", "b")
        assert one.committed == ["a"]
        one.options = GERMAN
        answer = await one.answer(ONE, TWO)
        await one.worker.answer("c")
        assert texts(answer) == ["a", "c"]
        assert one.committed == ["a", "c"]


# Languages.


async def test_a_confidently_detected_language_is_used_for_later_segments() -> None:
    async with client() as one:
        await one.begin(ONE)
        await one.worker.answer(in_language("a", "de"))
        await one.begin(TWO)
        assert one.jobs[1].options.language == "de"


@pytest.mark.parametrize(
    ("speech", "text", "probability", "confident"),
    [
        (1.504, "a", 0.5, True),  # 47 windows
        (1.472, "a", 0.5, False),
        (1.504, "a", 0.49, False),
        (1.504, "", 0.9, False),
    ],
)
async def test_a_language_is_confident_after_enough_speech_at_enough_probability(
    speech: float, text: str, probability: float, confident: bool
) -> None:
    async with client() as one:
        await one.begin(segment(0, speech=speech))
        await one.worker.answer(in_language(text, "de", probability))
        await one.begin(TWO)
        assert one.jobs[1].options.language == ("de" if confident else None)


@pytest.mark.parametrize(
    ("speech", "probability", "confident"),
    [(1.024, 0.9, True), (0.992, 0.9, False), (1.024, 0.89, False)],
)
async def test_among_candidate_languages_a_second_of_speech_is_enough(
    speech: float, probability: float, confident: bool
) -> None:
    async with client() as one:
        one.options = DecodeOptions(candidate_languages=("de", "en"), expected_language="en")
        await one.begin(segment(0, speech=speech))
        await one.worker.answer(in_language("a", "de", probability))
        await one.begin(TWO)
        assert one.jobs[1].options.language == ("de" if confident else None)


async def test_of_two_confident_languages_the_one_of_more_speech_counts() -> None:
    long, short = segment(0, 5), segment(6, 2)
    async with client() as one:
        await one.begin(long)
        await one.worker.answer(in_language("a", "de"))
        await one.begin(short)
        await one.worker.answer(in_language("b", "en"))
        await one.begin(THREE)
        assert one.jobs[2].options.language == "de"


OKAY = segment(0, 1)  # too short for a confident language


async def closed_okay(one: Client, text: Transcript) -> None:
    """Decode OKAY as a guess, and close it."""
    await one.begin(OKAY, guess=True)
    await one.worker.answer(text)
    one.decodes.close(OKAY)


async def test_a_text_of_doubtful_language_is_decoded_again_in_the_confident_one() -> None:
    async with client() as one:
        await closed_okay(one, in_language("Okay.", "en"))
        assert one.committed == []
        await one.begin(TWO, guess=True)
        await one.worker.answer(in_language("Mach das Licht an.", "de"))
        assert [job.options.language for job in one.jobs] == [None, None, "de"]
        # Even if that decode is in another language, there is no third one.
        await one.worker.answer(in_language("Okay!", "nl"))
        assert one.committed == ["Okay!"]
        assert texts(await one.answer(OKAY, TWO)) == ["Okay!", "Mach das Licht an."]
        assert len(one.jobs) == 3


async def test_a_committed_text_is_not_decoded_again_in_another_language() -> None:
    async with client() as one:
        await one.begin(OKAY)
        await one.worker.answer(in_language("Okay.", "en"))
        assert texts(await one.answer(OKAY)) == ["Okay."]
        await one.begin(TWO)
        await one.worker.answer(in_language("Mach das Licht an.", "de"))
        assert texts(await one.answer(OKAY, TWO)) == ["Okay.", "Mach das Licht an."]
        assert len(one.jobs) == 2


async def test_without_a_confident_language_the_answer_takes_the_texts_as_they_are() -> None:
    async with client() as one:
        await closed_okay(one, in_language("Okay.", "en"))
        await one.begin(TWO)
        await one.worker.answer(in_language("Mach das Licht an.", "de", 0.3))
        assert texts(await one.answer(OKAY, TWO)) == ["Okay.", "Mach das Licht an."]
        assert len(one.jobs) == 2
        assert one.committed == ["Okay.", "Mach das Licht an."]


@pytest.mark.parametrize(
    "first", [in_language("Okay.", "de", 0.3), in_language("", "en")], ids=["same", "empty"]
)
async def test_the_same_language_and_an_empty_text_need_no_second_decode(
    first: Transcript,
) -> None:
    async with client() as one:
        await closed_okay(one, first)
        await one.begin(TWO)
        await one.worker.answer(in_language("Mach das Licht an.", "de"))
        assert texts(await one.answer(OKAY, TWO)) == [first.text, "Mach das Licht an."]
        assert len(one.jobs) == 2


async def test_an_empty_text_is_committed_although_its_language_is_unknown() -> None:
    async with client() as one:
        await closed_okay(one, in_language("", "en"))
        assert one.committed == [""]


async def test_a_language_that_the_client_chose_is_not_doubted() -> None:
    async with client() as one:
        one.options = GERMAN
        await closed_okay(one, in_language("Okay.", "de", 0.1))
        assert one.committed == ["Okay."]


async def test_it_is_behind_while_more_than_two_segments_are_not_decoded() -> None:
    parts = [segment(0), segment(3), segment(6)]
    async with client() as one:
        for part in parts[:2]:
            await one.begin(part, guess=True)
        await asyncio.wait_for(one.decodes.few_pending(), 5)
        await one.begin(parts[2], guess=True)
        waiting = asyncio.create_task(one.decodes.few_pending())
        await settled()
        assert not waiting.done()
        await one.worker.answer("first")
        await asyncio.wait_for(waiting, 5)


# Files.


async def test_as_many_segments_of_a_file_are_decoded_at_once_as_there_are_decoders() -> None:
    async with client(kind=DecodeKind.FILE) as one:
        one.options, one.worker.decoders = GERMAN, 2
        await one.begin(ONE, TWO, THREE)
        assert [job.earlier_seconds for job in one.jobs] == [0.0, 0.0]
        await one.worker.answer("first")
        assert len(one.jobs) == 3
        assert {job.kind for job in one.jobs} == {DecodeKind.FILE}


async def test_a_text_that_is_early_is_committed_in_the_order_of_speech() -> None:
    async with client(kind=DecodeKind.FILE) as one:
        one.options, one.worker.decoders = GERMAN, 2
        await one.begin(ONE, TWO)
        second, first = one.worker.opened[1], one.worker.opened[0]
        second.set_result(Transcript("second", "de"))
        await settled()
        one.decodes.close(TWO)
        assert one.committed == []
        first.set_result(Transcript("first", "de"))
        await settled()
        assert one.committed == ["first", "second"]


async def test_segments_of_a_file_wait_until_its_language_is_known() -> None:
    async with client(kind=DecodeKind.FILE) as one:
        one.worker.decoders = 2
        await one.begin(ONE, TWO, THREE)
        assert len(one.jobs) == 1
        await one.worker.answer(in_language("eins", "de"))
        assert [job.options.language for job in one.jobs] == [None, "de", "de"]


async def test_segments_of_a_dictation_are_decoded_one_at_a_time_by_any_model() -> None:
    async with client() as one:
        one.options, one.worker.decoders = GERMAN, 4
        await one.begin(ONE, TWO)
        assert len(one.jobs) == 1
