"""Files: decoded segment by segment while they arrive, without guesses."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.virtual_time import House, Said, joined, run
from wyoming_faster_whisper.audio.pcm import Samples
from wyoming_faster_whisper.engine.protocol import DecodeKind, Job
from wyoming_faster_whisper.session.events import PartialText
from wyoming_faster_whisper.testing import silence, tone

SENTENCES = joined(*[joined(tone(3.0), silence(0.6))] * 50, tone(2.0), silence(0.1))
UPLOAD = 8_192  # bytes per chunk


def transcribed(
    samples: Samples, *, kind: DecodeKind = DecodeKind.FILE, pace: float = 0.0, **more: Any
) -> tuple[Said, list[Job]]:
    """Send a recording, by default all at once, and return what came back and the jobs."""

    async def go() -> tuple[Said, list[Job]]:
        shared = {"guess_after": 0.0, "kind": kind, **more}
        async with House(lambda _: 0.3, **shared) as house:
            return await house.listen(samples, chunk=UPLOAD, pace=pace), house.engine.decoded

    return run(go())


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
