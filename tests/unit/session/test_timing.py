"""Times of an answer's segments and words in the client's stream."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.virtual_time import House, joined, run
from wyoming_faster_whisper.engine.protocol import Job, TokenLogprob, Transcript, Word
from wyoming_faster_whisper.session.events import Answer, TimedSegment
from wyoming_faster_whisper.session.request import Request
from wyoming_faster_whisper.speech.utterance import UtteranceRules
from wyoming_faster_whisper.testing import silence, tone

TWO_SENTENCES = joined(silence(1.0), tone(5.0), silence(3.0), tone(2.0), silence(1.0))


def transcribed(job: Job) -> Transcript:
    words = (Word("some", 0.4, 0.7, 0.9), Word("words", 0.7, 1.1, 0.8))
    return Transcript(
        "some words",
        "en",
        -0.25,
        tokens=(7, 8),
        no_speech_prob=0.1,
        words=words,
        passes=1,
        temperature=job.options.temperature,
        token_logprobs=(TokenLogprob(" some", b" some", -0.1),),
    )


def answered(**more: Any) -> Answer:
    async def go() -> Answer:
        async with House(say=transcribed, rules=UtteranceRules(min_silence=1.0), **more) as house:
            requests = [(0.0, Request(temperature=0.4))]
            said = await house.listen(TWO_SENTENCES, requests=requests)
            ((_, answer),) = said.answers
            return answer

    return run(go())


def test_segments_have_the_times_of_the_speech_in_the_stream() -> None:
    first, second = answered().segments
    assert (first.start, first.end) == pytest.approx((1.0, 6.0), abs=0.04)
    assert (second.start, second.end) == pytest.approx((9.0, 11.0), abs=0.04)


def test_no_segment_ends_after_the_recording() -> None:
    async def go() -> Answer:
        async with House(say=transcribed) as house:
            ((_, answer),) = (await house.listen(tone(1.0))).answers
            return answer

    answer = run(go())
    assert answer.record.heard == 1.0
    assert answer.segments[-1].end == 1.0


def test_segments_have_the_figures_of_their_decode() -> None:
    segment = answered().segments[0]
    assert (segment.text, segment.tokens) == ("some words", (7, 8))
    assert (segment.avg_logprob, segment.no_speech_prob) == (-0.25, 0.1)
    assert segment.temperature == 0.4
    assert segment.token_logprobs == (TokenLogprob(" some", b" some", -0.1),)


def test_words_have_the_times_of_the_stream() -> None:
    first, second = answered().segments
    # A segment begins 0.4 s before its speech.
    assert first.words[0].start == pytest.approx(1.0, abs=0.04)
    assert second.words[0].start == pytest.approx(9.0, abs=0.04)
    assert second.words[1].end - second.words[0].start == pytest.approx(0.7)


def test_silence_has_no_segments() -> None:
    async def go() -> tuple[TimedSegment, ...]:
        async with House() as house:
            said = await house.listen(silence(2.0))
            ((_, answer),) = said.answers
            return answer.segments

    assert run(go()) == ()


@pytest.mark.parametrize(
    ("text", "low", "high"), [("turn on the light", 0.5, 1), ("no " * 99, 10, 99)]
)
def test_the_compression_ratio_is_high_for_repetitions(
    text: str, low: float, high: float
) -> None:
    segment = TimedSegment(0.0, 1.0, text, (), 0.0, 0.0)
    assert low < segment.compression_ratio < high
