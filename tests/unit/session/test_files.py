"""Files: decoded segment by segment while they arrive, without guesses."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import pytest

from tests.support.virtual_time import House, Said, joined, run
from tests.unit.session.test_memory import send
from wyoming_faster_whisper.audio.pcm import Samples
from wyoming_faster_whisper.engine.protocol import DecodeKind, DecodeOptions, Job
from wyoming_faster_whisper.engine.recognizer import ServedModel
from wyoming_faster_whisper.session.events import PartialText
from wyoming_faster_whisper.session.request import Offer
from wyoming_faster_whisper.speech.utterance import UtteranceRules, for_files
from wyoming_faster_whisper.testing import pcm16, silence, tone

SENTENCES = joined(*[joined(tone(3.0), silence(0.6))] * 50, tone(2.0), silence(0.1))
SEGMENT = joined(tone(20.0), silence(0.7))
UPLOAD = 8_192  # bytes per chunk


def transcribed(
    samples: Samples,
    *,
    kind: DecodeKind = DecodeKind.FILE,
    pace: float = 0.0,
    offer: Offer | None = None,
    **more: Any,
) -> tuple[Said, list[Job]]:
    """Send a recording, by default all at once, and return what came back and the jobs."""

    async def go() -> tuple[Said, list[Job]]:
        rules = UtteranceRules(guess_after=0.0)
        shared = {"rules": for_files(rules) if kind is DecodeKind.FILE else rules, **more}
        async with House(lambda _: 0.3, kind=kind, **shared) as house:
            house.offer = offer or house.offer
            return await house.listen(samples, chunk=UPLOAD, pace=pace), house.engine.decoded

    return run(go())


@dataclass(frozen=True, slots=True)
class Beside:
    """A file and the commands beside it, on two decoders."""

    file: float  # seconds from the first block of the file to its answer
    commands: list[float]  # seconds from the end of each command to its answer


def beside(*begins: float, long: float = 1.0, segments: int = 40) -> Beside:
    """Send a file, and commands in real time.

    Args:
        begins: seconds at which the commands begin.
        long: seconds that the decode of a long segment takes; a command takes 0.2 s.
    """

    async def go() -> Beside:
        house = House(lambda job: long if job.long else 0.2)
        house.engine.parallel = 2
        data, command = pcm16(SEGMENT), joined(tone(1.5), silence(0.7))
        async with house, asyncio.TaskGroup() as tasks:
            file = tasks.create_task(
                send(house, repeat(data, segments), kind=DecodeKind.FILE, max_seconds=1e6)
            )
            said = [tasks.create_task(house.listen(command, begin=begin)) for begin in begins]
        ends = [task.result().answers[0][0] for task in (file, *said)]
        waits = [end - begin - 2.2 for end, begin in zip(ends[1:], begins, strict=True)]
        return Beside(ends[0], waits)

    return run(go())


def test_a_file_uses_all_decoders_while_nobody_speaks() -> None:
    assert beside().file < 22.0  # 40 segments, 1 s each


def test_a_decoder_is_free_when_a_speaker_has_spoken_and_for_a_minute_afterwards() -> None:
    heard = beside(5.1, 9.3, 12.7)
    assert max(heard.commands) < 0.21
    assert heard.file > 34.0  # from the first command on one decoder decodes the file


def test_a_model_that_is_slow_keeps_a_decoder_free_before_anybody_speaks() -> None:
    heard = beside(4.0, long=6.0, segments=5)
    assert max(heard.commands) < 0.21
    assert heard.file > 29.0


def times(said: Said) -> list[tuple[float, float]]:
    ((_, answer),) = said.answers
    return [(segment.start, segment.end) for segment in answer.segments]


@pytest.mark.parametrize("pace", [0.0, 1.0], ids=["at once", "in real time"])
def test_each_segment_of_a_file_is_decoded_once_and_none_is_a_guess(pace: float) -> None:
    said, jobs = transcribed(SENTENCES, pace=pace)
    assert {job.kind for job in jobs} == {DecodeKind.FILE}
    assert not any(job.quick for job in jobs)
    ((_, answer),) = said.answers
    assert answer.record.decodes == len(jobs) == len(answer.segments) > 5
    assert answer.record.guess == "none"


def test_a_file_is_decoded_while_it_arrives() -> None:
    said, _ = transcribed(SENTENCES, pace=1.0)
    ((at, _),) = said.answers
    assert at - len(SENTENCES) / 16_000 < 0.61  # seconds: the last two segments


def test_a_file_is_cut_into_the_same_segments_as_a_dictation() -> None:
    said, _ = transcribed(SENTENCES)
    spoken, _ = transcribed(SENTENCES, kind=DecodeKind.FINAL)
    assert times(said) == times(spoken)


def test_the_text_of_a_file_comes_segment_by_segment_without_further_decodes() -> None:
    said, jobs = transcribed(SENTENCES, pace=1.0, partials="on")
    pieces = [event.text for event in said.events if isinstance(event, PartialText)]
    assert "".join(pieces) == said.text
    assert len(pieces) >= len(jobs) - 1
    assert {job.kind for job in jobs} == {DecodeKind.FILE}


@pytest.mark.parametrize(("language", "decodes"), [("it", 1), ("en", 3)])
def test_segments_of_a_file_fill_a_window_that_is_padded(language: str, decodes: int) -> None:
    line = joined(tone(5.0), silence(3.0))
    model = ServedModel("base", ("en", "it"), padded=frozenset({"it"}))
    offer = Offer([model], DecodeOptions(language=language))
    _, decoded = transcribed(joined(line, line, line), offer=offer)
    assert len(decoded) == decodes


def test_a_live_stream_does_not_wait_for_more_speech() -> None:
    line = joined(tone(5.0), silence(3.0))
    model = ServedModel("base", ("it",), padded=frozenset({"it"}))
    _, decoded = transcribed(joined(line, line), kind=DecodeKind.FINAL, offer=Offer([model]))
    assert len(decoded) == 2
