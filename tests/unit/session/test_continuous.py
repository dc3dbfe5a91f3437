"""Continuous sessions in virtual time: one endless stream, cut into turns without a gap."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.virtual_time import CLIENT, PCM, House, Said, joined, run
from tests.unit.session.test_memory import PeakMemory
from tests.unit.session.test_turns import pitch
from wyoming_faster_whisper.audio.pcm import PcmFormat, Samples
from wyoming_faster_whisper.engine.protocol import Job, Transcript
from wyoming_faster_whisper.errors import EngineError
from wyoming_faster_whisper.session.events import (
    AnswerFailed,
    PartialText,
    SpeechStarted,
    SpeechStopped,
    TurnEnded,
)
from wyoming_faster_whisper.session.request import Request
from wyoming_faster_whisper.session.session import Session
from wyoming_faster_whisper.speech.endpointing import TurnRules
from wyoming_faster_whisper.speech.utterance import UtteranceRules
from wyoming_faster_whisper.testing import pcm16, silence, tone

FIXED = TurnRules(min_silence=0.5, no_speech=3.0, longest=0.0)
AUTO = TurnRules(auto=True, no_speech=3.0, longest=0.0)
BY_CLIENT = TurnRules()
COMMANDS = (400, 600, 800)  # Hz


def named(job: Job) -> Transcript:
    """Return the pitches of a job, in the order of its speech."""
    return Transcript(f"{round(pitch(job), -2):.0f}", "en")


def commands(*, rate: int = 16_000) -> Samples:
    """Return three commands of different pitch, 1.3 s apart."""
    return joined(
        silence(0.7, rate=rate),
        *(
            sound
            for hertz in COMMANDS
            for sound in (tone(1.2, hertz=hertz, rate=rate), silence(1.3, rate=rate))
        ),
    )


def streamed(
    samples: Samples,
    *,
    rules: TurnRules = FIXED,
    seconds: float = 0.2,
    say: Any = named,
    request: Request | None = None,
    **more: Any,
) -> Said:
    """Play a recording to a continuous session.

    Args:
        seconds: duration of each decode.
        more: further arguments of House and its listen().
    """
    listen = {key: more.pop(key) for key in ("chunk", "pace", "pcm") if key in more}
    wanted = request or Request(endpointing=rules)

    async def go() -> Said:
        async with House(lambda _: seconds, say=say, **more) as house:
            return await house.listen(
                samples, requests=[(0.0, wanted)], continuous=True, **listen
            )

    return run(go())


def texts(said: Said) -> list[str]:
    return [answer.transcript.text for _, answer in said.answers]


def ends(said: Said) -> list[float]:
    """Return the seconds of the stream at which each turn ended."""
    return [event.seconds for event in said.events if isinstance(event, TurnEnded)]


@pytest.mark.parametrize("rules", [FIXED, AUTO], ids=["fixed", "auto"])
@pytest.mark.parametrize("pace", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("chunk", [320, 9999, 1_000_000])
def test_each_command_is_a_turn_however_fast_the_stream_arrives(
    rules: TurnRules, pace: float, chunk: int
) -> None:
    said = streamed(commands(), rules=rules, pace=pace, chunk=chunk)
    assert texts(said) == ["400", "600", "800", ""]
    assert [answer.turn for _, answer in said.answers] == [0, 1, 2, 3]
    assert ends(said) == ends(streamed(commands(), rules=rules))


@pytest.mark.parametrize("seconds", [0.01, 0.5, 3.0])
def test_the_speed_of_decoding_does_not_move_the_end_of_a_turn(seconds: float) -> None:
    said = streamed(commands(), seconds=seconds)
    assert ends(said) == pytest.approx([2.4, 4.9, 7.4, 8.2], abs=0.04)


def test_no_sample_is_lost_between_turns() -> None:
    samples = commands()
    said = streamed(samples, pace=0.0, chunk=4096)
    assert sum(record.heard for record in said.records) == len(samples) / 16_000
    assert ends(said)[-1] == len(samples) / 16_000


@pytest.mark.parametrize("rate", [8_000, 24_000, 48_000])
def test_the_stream_is_converted_without_a_seam(rate: int) -> None:
    samples = commands(rate=rate)
    said = streamed(samples, pace=0.0, chunk=1001, pcm=PcmFormat(rate))
    assert texts(said) == ["400", "600", "800", ""]
    heard = sum(record.heard for record in said.records)
    assert heard == pytest.approx(len(samples) / rate, abs=0.0001)


def test_the_audio_after_the_end_of_a_turn_belongs_to_the_next_one_only() -> None:
    said = streamed(commands(), pace=0.0, chunk=1_000_000)
    assert [len(answer.segments) for _, answer in said.answers] == [1, 1, 1, 0]
    starts = [answer.segments[0].start for _, answer in said.answers[:3]]
    assert starts == pytest.approx([0.7, 3.2, 5.7], abs=0.04)


def test_events_carry_their_turn_and_the_time_in_the_stream() -> None:
    said = streamed(commands())
    started = [event for event in said.events if isinstance(event, SpeechStarted)]
    stopped = [event for event in said.events if isinstance(event, SpeechStopped)]
    assert [event.turn for event in started] == [event.turn for event in stopped] == [0, 1, 2]
    assert [event.seconds for event in started] == pytest.approx([0.7, 3.2, 5.7], abs=0.04)
    assert [event.seconds for event in stopped] == pytest.approx([1.9, 4.4, 6.9], abs=0.06)


def test_silence_is_dropped_without_an_answer() -> None:
    memory = PeakMemory()
    said = streamed(joined(silence(60.0), commands()), memory=memory, chunk=3200)
    assert texts(said) == ["400", "600", "800", ""]
    assert [answer.turn for _, answer in said.answers] == [0, 1, 2, 3]
    assert memory.peak < 5.0 * 32_000
    assert memory.used == 0
    assert said.answers[0][1].segments[0].start == pytest.approx(60.7, abs=0.04)


def test_noise_that_was_announced_gets_an_empty_answer() -> None:
    said = streamed(
        joined(tone(0.6), silence(9.0)), say=lambda _: Transcript("", "en", verdict="noise")
    )
    assert texts(said)[0] == ""
    assert [type(event) for event in said.events[:3]] == [SpeechStarted, SpeechStopped, TurnEnded]


async def spoken(house: House, *parts: Samples) -> Said:
    """Send each part to one session, and let the client end a turn after each."""
    said = Said()

    shared = house.context(observe=said.records.append)
    async with asyncio.TaskGroup() as tasks, Session(shared, CLIENT, continuous=True) as session:
        tasks.create_task(said.hear(session))
        session.request(Request(endpointing=BY_CLIENT))
        for part in parts:
            await session.audio(PCM, pcm16(part))
            await session.stop()
        await session.answered()
    return said


def test_the_client_ends_a_turn_and_the_next_one_begins_with_its_audio() -> None:
    async def go() -> Said:
        async with House(say=named) as house:
            return await spoken(house, tone(1.2, hertz=400), tone(1.0, hertz=600), silence(0.5))

    said = run(go())
    assert texts(said) == ["400", "600", ""]
    assert [record.heard for record in said.records] == [1.2, 1.0, 0.5]
    assert ends(said) == [1.2, 2.2, 2.7]


def test_the_next_turn_begins_while_the_answer_of_the_one_before_is_pending() -> None:
    async def go() -> Said:
        async with House(lambda _: 5.0, say=named) as house:
            return await spoken(house, tone(1.2, hertz=400), tone(1.0, hertz=600))

    said = run(go())
    assert ends(said) == [1.2, 2.2]
    assert [at for at, _ in said.answers] == [5.0, 10.0]


def test_without_endpointing_only_the_client_ends_a_turn() -> None:
    said = streamed(commands(), rules=BY_CLIENT, say=lambda job: Transcript("all", "en"))
    assert texts(said) == ["all"]
    assert [type(event) for event in said.events] == [TurnEnded]


def test_the_rules_of_the_server_hold_for_a_request_without_its_own() -> None:
    said = streamed(commands(), request=Request(), turns=FIXED)
    assert texts(said) == ["400", "600", "800", ""]


def test_a_turn_of_the_maximum_length_goes_on_in_the_next_one() -> None:
    samples = joined(tone(20.0), silence(1.0))
    said = streamed(samples, rules=BY_CLIENT, pace=0.0, max_seconds=4.0, chunk=4096)
    assert len(said.answers) == 4
    assert sum(record.heard for record in said.records) == len(samples) / 16_000
    assert all(record.heard == pytest.approx(6.0, abs=0.3) for record in said.records[:3])


def test_a_turn_of_the_maximum_length_is_cut_at_a_pause() -> None:
    samples = joined(tone(3.5), silence(0.3), tone(1.0), silence(0.3), tone(3.0))
    said = streamed(samples, rules=BY_CLIENT, max_seconds=4.0)
    assert 4.8 <= ends(said)[0] <= 5.1


def test_a_decode_that_fails_costs_only_its_own_answer() -> None:
    def say(job: Job) -> Transcript:
        if round(pitch(job), -2) == 600:
            raise EngineError("the model failed on this audio")
        return named(job)

    lost: list[str] = []
    said = streamed(commands(), say=say, count_lost=lost.append)
    assert texts(said) == ["400", "800", ""]
    assert [answer.turn for _, answer in said.answers] == [0, 2, 3]
    [failed] = [event for event in said.events if isinstance(event, AnswerFailed)]
    assert (failed.turn, failed.error.code) == (1, "engine")
    assert lost == ["failed"]


def test_a_request_stays_in_force() -> None:
    languages: list[str | None] = []

    def say(job: Job) -> Transcript:
        languages.append(job.options.language)
        return named(job)

    streamed(commands(), request=Request(language="de", endpointing=FIXED), say=say)
    assert set(languages) == {"de"}


def test_partial_text_of_a_turn_adds_up_to_its_answer() -> None:
    said = streamed(commands(), request=Request(endpointing=FIXED, partials="on"))
    for at, text in enumerate(texts(said)):
        pieces = [e.text for e in said.events if isinstance(e, PartialText) and e.turn == at]
        assert "".join(pieces) == text


def test_at_most_two_answers_are_pending() -> None:
    memory = PeakMemory()
    said = streamed(joined(*[commands()] * 5), pace=0.0, chunk=100_000, memory=memory)
    assert len(said.answers) == 16
    # Three turns of 2.4 s, of which one is being heard.
    assert memory.peak < 3.5 * 2.4 * 32_000


def test_a_word_after_long_silence_is_heard_whole_although_silence_is_freed() -> None:
    request = Request(endpointing=TurnRules(min_silence=0.7, no_speech=0.0))
    samples = joined(silence(45.0), tone(1.2), silence(1.3))
    decoded: list[float] = []

    async def go() -> Said:
        async with House(rules=UtteranceRules(pad=0.0), max_seconds=16.1) as house:
            said = await house.listen(samples, requests=[(0.0, request)], continuous=True)
            decoded.extend(job.seconds for job in house.engine.decoded)
            return said

    said = run(go())
    assert said.answers[0][1].transcript.text == "1.2 seconds"
    assert decoded == pytest.approx([1.2], abs=0.06)
