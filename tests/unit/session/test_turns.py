"""Whole turns in virtual time: when the answer is sent, and how many decodes it took."""

from __future__ import annotations

import asyncio
import math
import random
import statistics
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.support.calibration import ENGLISH
from tests.support.virtual_time import House, Said, joined, run
from wyoming_faster_whisper.audio.pcm import Samples
from wyoming_faster_whisper.engine.protocol import DecodeKind, Job, Transcript
from wyoming_faster_whisper.engine.recognizer import EVERYTHING, Capabilities
from wyoming_faster_whisper.session.events import (
    PartialText,
    SpeechStarted,
    SpeechStopped,
    TranscriptStarted,
    TranscriptStopped,
)
from wyoming_faster_whisper.session.opening import Opening
from wyoming_faster_whisper.session.request import Request
from wyoming_faster_whisper.session.text import Style
from wyoming_faster_whisper.speech.endpointing import TurnRules
from wyoming_faster_whisper.speech.turn_classifier import EndOfTextScores
from wyoming_faster_whisper.speech.utterance import UtteranceRules
from wyoming_faster_whisper.testing import silence, tone

COMMAND = joined(tone(1.5), silence(0.7))


LISTEN = ("requests", "chunk", "together", "pace")


def played(
    samples: Samples,
    *,
    seconds: float = 0.2,
    say: Callable[[Job], Transcript] | None = None,
    **more: Any,
) -> tuple[Said, list[Job]]:
    """Play one recording to a new house; return what the client received and the decoded jobs.

    Args:
        seconds: duration of each decode.
        more: further arguments of House and its listen().
    """
    listen = {key: more.pop(key) for key in LISTEN if key in more}

    async def go() -> tuple[Said, list[Job]]:
        async with House(lambda _: seconds, say=say, **more) as house:
            return await house.listen(samples, **listen), house.engine.decoded

    return run(go())


def pitch(job: Job) -> float:
    """Return the frequency of the loudest tone of a job, in Hz."""
    return float(np.abs(np.fft.rfft(job.samples)).argmax() / job.seconds)


def after_stop(said: Said, samples: Samples) -> float:
    """Return the seconds from audio-stop to the answer."""
    ((at, _),) = said.answers
    return at - len(samples) / 16_000


# The client ends the turn.


def test_the_answer_is_ready_when_the_client_stops() -> None:
    said, jobs = played(COMMAND)
    assert after_stop(said, COMMAND) == pytest.approx(0.0, abs=0.001)
    assert len(jobs) == 1
    (record,) = said.records
    assert (record.guess, record.decodes, record.ended) == ("used", 1, "audio-stop")
    # Tolerance: one VAD window, and the ringing of the high-pass filter after the tone.
    assert record.wait == pytest.approx(0.7, abs=0.05)
    assert record.queued == 0.0
    assert record.heard == 2.2


def test_a_guess_is_dropped_and_repeated_when_speech_resumes() -> None:
    said, jobs = played(joined(tone(1.0), silence(0.3), COMMAND))
    (record,) = said.records
    assert (record.guess, record.decodes) == ("used", 2)
    assert [round(job.seconds, 1) for job in jobs] == [1.2, 3.0]
    assert [job.leading_silence for job in jobs] == [
        6400,
        6400,
    ]  # 0.4 s, added where the recording begins with speech


def test_a_late_request_that_changes_nothing_costs_no_decode() -> None:
    request = Request(language="en")
    said, jobs = played(COMMAND, requests=[(0.0, request), (2.0, request)])
    assert after_stop(said, COMMAND) == pytest.approx(0.0, abs=0.001)
    assert len(jobs) == 1


def test_a_late_request_that_changes_the_language_costs_a_decode() -> None:
    said, jobs = played(COMMAND, requests=[(0.0, Request()), (2.0, Request(language="de"))])
    assert [job.options.language for job in jobs] == ["en", "de"]
    assert after_stop(said, COMMAND) == pytest.approx(0.2, abs=0.001)
    assert said.records[0].guess == "none"


# A provisional guess is decoded again.


def fades(job: Job) -> Transcript:
    """Return a text whose last word is recognised only with 0.3 s of silence after it."""
    silent = job.seconds - job.speech[-1][1] / 16_000
    text = "Turn off the light." if silent > 0.3 else "Turn off the"
    return Transcript(text, "en", provisional=not text.endswith("."))


def test_a_provisional_guess_is_decoded_again_before_the_client_stops() -> None:
    said, jobs = played(COMMAND, say=fades)
    assert said.text == "Turn off the light."
    assert after_stop(said, COMMAND) == pytest.approx(0.0, abs=0.001)
    assert [job.guess for job in jobs] == [True, True]
    (record,) = said.records
    assert (record.guess, record.decodes) == ("used", 2)


def test_a_provisional_guess_is_decoded_again_when_the_client_stops_early() -> None:
    samples = joined(tone(1.5), silence(0.45))
    said, jobs = played(samples, seconds=0.05, say=fades)
    assert said.text == "Turn off the light."
    assert [job.guess for job in jobs] == [True, True]
    samples = joined(tone(1.5), silence(0.36))
    said, jobs = played(samples, seconds=0.05, say=fades)
    assert said.text == "Turn off the light."
    assert [job.guess for job in jobs] == [True, False]
    assert after_stop(said, samples) == pytest.approx(0.05, abs=0.001)


def test_a_provisional_guess_that_ends_after_the_stop_is_decoded_again_with_the_silence() -> None:
    said, jobs = played(COMMAND, seconds=1.2, say=fades)
    assert said.text == "Turn off the light."
    assert [job.guess for job in jobs] == [True, False]


def test_the_speech_of_a_job_ends_with_its_samples_where_the_client_stops_within_a_word() -> None:
    # A decode server refuses a job with more speech than samples.
    _, jobs = played(tone(1.5)[:-100])
    assert [job.speech[-1][1] for job in jobs] == [len(job.samples) for job in jobs]


def test_a_text_that_stays_provisional_is_decoded_only_twice() -> None:
    samples = joined(tone(1.5), silence(2.0))
    unfinished = Transcript("Turn off the", "en", provisional=True)
    said, jobs = played(samples, seconds=0.05, say=lambda _: unfinished)
    assert said.text == "Turn off the"
    assert len(jobs) == 2


def test_provisional_texts_of_a_long_dictation_are_not_sent_twice() -> None:
    # A segment near the maximum length is closed at a pause so short that its text is sent at
    # once.
    samples = joined(tone(25.0, hertz=300), silence(0.5), tone(2.0, hertz=500), silence(0.7))

    def say(job: Job) -> Transcript:
        return Transcript(f"{pitch(job):.0f} Hz", "en", provisional=True)

    said, _ = played(samples, say=say, partials="on")
    assert said.text == "300 Hz 500 Hz"


# Segments and pauses.


def test_fragments_a_few_seconds_apart_are_decoded_together() -> None:
    said, jobs = played(joined(tone(1.0), silence(2.4), tone(1.0), silence(0.7)))
    assert said.text == "4.6 seconds"
    assert jobs[-1].speech[0][1] < jobs[-1].speech[1][0]


def test_fragments_after_a_longer_pause_are_decoded_separately() -> None:
    said, _ = played(joined(tone(1.0), silence(5.5), tone(1.0), silence(0.7)))
    assert said.text == "1.2 seconds 1.6 seconds"


# Language detection.


def spoken_in(*languages: tuple[str, float]) -> Callable[[Job], Transcript]:
    """Detect the n-th (language, probability) in a part of n * 100 Hz."""

    def say(job: Job) -> Transcript:
        part = round(pitch(job) / 100)
        language, probability = languages[part - 1]
        if job.options.language:
            language, probability = job.options.language, 1.0
        text = f"{part}{language}" if language else ""
        return Transcript(text, language or "en", language_probability=probability)

    return say


def parts(*seconds: float) -> Samples:
    """Return parts of these lengths at 100 Hz, 200 Hz and so on, separated into segments."""
    return joined(
        *(
            sound
            for number, length in enumerate(seconds, start=1)
            for sound in (tone(length, hertz=100 * number), silence(5.5))
        )
    )


def test_a_short_segment_is_decoded_again_in_the_language_detected_later() -> None:
    said, jobs = played(parts(1.0, 3.0), language=None, say=spoken_in(("en", 0.9), ("de", 0.9)))
    assert said.text == "1de 2de"
    assert [job.options.language for job in jobs] == [None, None, "de"]


def test_a_short_segment_already_in_that_language_is_not_decoded_again() -> None:
    said, jobs = played(parts(1.0, 3.0), language=None, say=spoken_in(("de", 0.3), ("de", 0.9)))
    assert said.text == "1de 2de"
    assert len(jobs) == 2


def test_a_language_detected_with_certainty_is_inherited() -> None:
    say = spoken_in(("de", 0.6), ("en", 0.9), ("en", 0.9))
    said, jobs = played(parts(2.0, 1.0, 3.0), language=None, say=say)
    assert said.text == "1de 2de 3de"
    assert [job.options.language for job in jobs] == [None, "de", "de"]


@pytest.mark.parametrize(
    ("seconds", "first"),
    [(1.4, ("de", 0.9)), (2.0, ("de", 0.4)), (2.0, ("", 0.9))],
    ids=["short", "unsure", "empty"],
)
def test_a_language_detected_without_certainty_is_not_inherited(
    seconds: float, first: tuple[str, float]
) -> None:
    say = spoken_in(first, ("en", 0.9))
    said, jobs = played(parts(seconds, 3.0), language=None, say=say)
    assert [job.options.language for job in jobs][:2] == [None, None]
    assert said.text.endswith("2en")
    assert "de" not in said.text


def test_segments_keep_their_languages_if_none_is_certain() -> None:
    say = spoken_in(("en", 0.9), ("de", 0.4))
    said, jobs = played(parts(1.0, 3.0), language=None, say=say)
    assert said.text == "1en 2de"
    assert [job.options.language for job in jobs] == [None, None]


def test_a_language_from_the_client_is_not_detected_again() -> None:
    request = Request(language="de")
    say = spoken_in(("en", 0.1), ("en", 0.9))
    said, jobs = played(parts(1.0, 3.0), language=None, say=say, requests=[(0.0, request)])
    assert said.text == "1de 2de"
    assert len(jobs) == 2


def test_no_text_is_sent_before_its_language_is_certain() -> None:
    say = spoken_in(("en", 0.9), ("de", 0.9), ("de", 0.9))
    said, _ = played(parts(1.0, 3.0, 1.0), language=None, say=say, partials="on")
    pieces = [notice.text for notice in said.events if isinstance(notice, PartialText)]
    assert "".join(pieces) == said.text == "1de 2de 3de"


def commands(count: int, generator: random.Random) -> list[tuple[float, Samples]]:
    """Return (start in seconds, command); one command in ten has a pause inside."""
    found, at = [], 0.0
    for _ in range(count):
        parts = [tone(generator.uniform(0.8, 3.0))]
        if generator.random() < 0.1:
            parts += [silence(generator.uniform(0.2, 0.5)), tone(generator.uniform(0.3, 1.5))]
        found.append((at, joined(*parts, silence(0.7))))
        at += generator.uniform(3.0, 12.0)
    return found


@pytest.mark.parametrize(
    ("slower", "gain"),
    # A guess that is not ready when the client stops began 0.57 s before the decode that would
    # begin then.
    [(2, 0.4), (5, 0.55), (8, 0.0), (12, 0.0)],
)
def test_guessing_delays_no_answer_even_with_a_slow_engine(slower: int, gain: float) -> None:
    async def waits(pause: float) -> list[float]:
        async with House(
            lambda job: slower * (0.15 + 0.03 * job.seconds),
            rules=UtteranceRules(guess_after=pause),
        ) as house:
            clips = commands(60, random.Random(7))
            said = await asyncio.gather(
                *(house.listen(samples, begin=begin) for begin, samples in clips)
            )
            return sorted(
                one.answers[0][0] - begin - len(samples) / 16_000
                for one, (begin, samples) in zip(said, clips, strict=True)
            )

    guessing, plain = run(waits(0.13)), run(waits(0.0))
    # Tolerance: 0.01 s, the duration of one audio chunk.
    assert statistics.median(guessing) <= statistics.median(plain) - gain + 0.01
    assert guessing[54] <= plain[54] + 0.01
    if slower <= 2:
        assert statistics.median(guessing) < 0.03


# The server ends the turn.

FIXED = TurnRules(min_silence=0.5)
AUTO = TurnRules(auto=True)
FINISHED = EndOfTextScores(
    full_stop=-0.05, dash=-8.0, ellipsis=-8.0, last_word=-0.01, text_end=1.3
)
CUT = EndOfTextScores(full_stop=-4.0, dash=-0.7, ellipsis=-2.0, last_word=-1.0, text_end=1.0)


def says(text: str, closing: EndOfTextScores | None) -> Callable[[Job], Transcript]:
    return lambda job: Transcript(
        text, "en", -0.1, 1, "believe", closing, turn_classifier=ENGLISH.end_of_turn
    )


def fading(seconds: float) -> Samples:
    """Return a voice whose loudness falls at the end."""
    sound = tone(seconds)
    sound[-3200:] *= 0.05
    return sound


def test_silence_ends_the_turn() -> None:
    said, _ = played(joined(tone(1.0), silence(3.0)), turns=FIXED)
    ((at, answer),) = said.answers
    assert at == pytest.approx(1.5, abs=0.05)
    assert answer.transcript.text == "1.2 seconds"
    assert said.records[0].ended == "silence"
    started, stopped = said.events
    assert started == SpeechStarted(0.0)
    assert isinstance(stopped, SpeechStopped)
    assert stopped.seconds == pytest.approx(1.0, abs=0.04)


@pytest.mark.parametrize(
    ("sensitivity", "seconds"),
    [("aggressive", 0.25), ("default", 0.7), ("relaxed", 1.25), ("whatever", 0.7)],
)
def test_a_request_sets_how_much_silence_ends_its_turn(sensitivity: str, seconds: float) -> None:
    request = Request(vad_sensitivity=sensitivity)
    said, _ = played(joined(tone(1.0), silence(3.0)), seconds=0.01, requests=[(0.0, request)])
    assert said.answers[0][0] == pytest.approx(1.0 + seconds, abs=0.06)


@pytest.mark.parametrize("server", [TurnRules(), FIXED, AUTO], ids=["off", "fixed", "auto"])
def test_the_endpointing_of_a_request_replaces_that_of_the_server(server: TurnRules) -> None:
    samples = joined(tone(1.0), silence(3.0))
    request = Request(endpointing=TurnRules(min_silence=1.0))
    said, _ = played(samples, seconds=0.01, turns=server, requests=[(0.0, request)])
    assert said.answers[0][0] == pytest.approx(2.0, abs=0.06)
    by_client = Request(endpointing=TurnRules())
    said, _ = played(samples, seconds=0.01, turns=server, requests=[(0.0, by_client)])
    assert said.records[0].ended == "audio-stop"
    assert said.events == []


def test_a_turn_without_endpointing_is_ended_by_the_client() -> None:
    samples = joined(tone(1.0), silence(1.5))
    said, _ = played(samples)
    assert after_stop(said, samples) == pytest.approx(0.0, abs=0.001)


def test_a_finished_sentence_is_answered_as_soon_as_it_is_decoded() -> None:
    samples = joined(fading(1.5), silence(3.0))
    said, _ = played(samples, turns=AUTO, say=says("Stop the music.", FINISHED))
    assert said.answers[0][0] - 1.5 < 0.2 + 0.2


def measured(
    samples: Samples, scores: EndOfTextScores | None, *, seconds: float
) -> tuple[Said, int]:
    """Play a recording whose first decode is followed by work in a thread.

    Args:
        seconds: duration of that work.

    Returns:
        What the client received, and the number of calls in a thread after the decode.
    """

    async def go() -> tuple[Said, int]:
        def say(job: Job) -> Transcript:
            # The VAD has left its thread by now, so what follows is the prosody.
            if not house.loop.thread_seconds:
                house.loop.thread_seconds, house.loop.thread_calls = seconds, 0
            return says("Stop the music.", scores)(job)

        async with House(turns=AUTO, say=say) as house:
            said = await house.listen(samples)
            return said, house.loop.thread_calls

    return run(go())


def test_the_voice_is_measured_in_a_thread_while_audio_goes_on() -> None:
    samples = joined(fading(1.5), silence(3.0))
    soon, _ = measured(samples, FINISHED, seconds=0.001)
    late, calls = measured(samples, FINISHED, seconds=0.4)
    # On the event loop the measurement would take no time of this clock.
    assert late.answers[0][0] - soon.answers[0][0] == pytest.approx(0.4, abs=0.05)
    assert calls == 1
    # All audio that arrived meanwhile has been taken.
    assert late.records[0].heard == pytest.approx(late.answers[0][0], abs=0.011)


def test_the_voice_is_not_measured_where_the_text_has_no_scores() -> None:
    samples = joined(fading(1.5), silence(3.0))
    said, calls = measured(samples, None, seconds=10.0)
    assert said.records[0].ended == "silence"
    assert calls == 0


def test_a_voice_that_goes_on_while_it_is_measured_does_not_end_the_turn() -> None:
    samples = joined(fading(1.5), silence(0.4), fading(1.5), silence(0.6))
    said, calls = measured(samples, FINISHED, seconds=0.5)
    assert [answer.transcript.text for _, answer in said.answers] == ["Stop the music."]
    assert after_stop(said, samples) > -0.001
    assert said.records[0].heard == 4.0
    assert calls == 2


def test_an_unfinished_sentence_is_not_answered_during_a_pause() -> None:
    samples = joined(tone(1.0), silence(1.0), tone(1.0), silence(0.7))
    said, jobs = played(samples, turns=AUTO, say=says("turn on the", CUT))
    assert after_stop(said, samples) > -0.001
    assert jobs[-1].seconds > 2.5


def says_if_asked(text: str, closing: EndOfTextScores) -> Callable[[Job], Transcript]:
    return lambda job: replace(
        says(text, closing)(job), end_scores=closing if job.score_end else None
    )


def test_the_end_of_a_text_is_scored_even_if_its_decode_began_late() -> None:
    # Without guesses the decode begins after 0.8 s of silence, as a final one.
    samples = joined(fading(1.5), silence(3.0))
    late: dict[str, Any] = {"turns": AUTO, "rules": UtteranceRules(guess_after=0.0)}
    said, jobs = played(samples, say=says_if_asked("Stop the music.", FINISHED), **late)
    assert said.answers[0][0] - 1.5 == pytest.approx(0.8 + 0.2, abs=0.06)
    said, jobs = played(samples, say=says_if_asked("turn on the", CUT), **late)
    assert said.answers[0][0] - 1.5 == pytest.approx(1.4, abs=0.06)
    assert [(job.guess, job.score_end) for job in jobs] == [(False, True)]


@pytest.mark.parametrize("asked", ["server", "request"])
def test_a_model_without_scores_ends_the_turn_after_a_fixed_silence(asked: str) -> None:
    samples = joined(fading(1.5), silence(3.0))
    request = Request(endpointing=AUTO if asked == "request" else None)
    said, jobs = played(
        samples,
        seconds=0.01,
        turns=AUTO if asked == "server" else TurnRules(),
        requests=[(0.0, request)],
        capabilities=replace(EVERYTHING, scores_end=False),
    )
    assert said.answers[0][0] - 1.5 == pytest.approx(0.7, abs=0.06)
    assert not any(job.score_end for job in jobs)


def test_the_end_of_a_text_is_not_scored_once_the_client_has_stopped() -> None:
    samples = joined(fading(1.5), silence(0.1))
    _, jobs = played(samples, turns=AUTO)
    assert [(job.guess, job.score_end) for job in jobs] == [(False, False)]


# A voice behind the speaker does not hold the turn open.


def behind(*, decibels: float, seconds: float = 8.0) -> Samples:
    """Return a speaker, and a television right behind."""
    television = 10 ** (decibels / 20) * np.asarray(tone(seconds, hertz=300), np.float32)
    return joined(tone(2.0), television, silence(2.0))


def test_a_quieter_voice_behind_the_speaker_ends_the_turn_and_is_not_decoded() -> None:
    said, jobs = played(behind(decibels=-15.0), turns=FIXED)
    ((at, _),) = said.answers
    assert at == pytest.approx(2.0 + 0.83 + 0.2, abs=0.1)
    assert said.records[0].ended == "silence"
    assert said.records[0].wait == pytest.approx(at - 2.0, abs=0.1)
    assert jobs[-1].seconds == pytest.approx(2.0 + 0.4, abs=0.1)
    # Time for a second pass is counted from the speaker's last word.
    assert jobs[-1].answer_within == pytest.approx(1.4 - 0.83, abs=0.1)


@pytest.mark.parametrize(
    "way", [{"decibels": -5.0}, {"decibels": -15.0, "seconds": 0.8}], ids=str
)
def test_a_speaker_who_becomes_quiet_is_heard_to_the_end(way: dict[str, float]) -> None:
    _, jobs = played(behind(**way), turns=FIXED)
    assert jobs[-1].seconds > 2.0 + way.get("seconds", 8.0)


def test_a_speaker_who_goes_on_after_another_voice_is_heard() -> None:
    television = 0.1 * tone(1.2)
    samples = joined(tone(2.0), television, tone(1.5), silence(2.0))
    said, jobs = played(samples, turns=TurnRules(min_silence=1.5))
    assert jobs[-1].seconds > 4.7
    assert len(said.answers) == 1


def test_where_the_client_ends_the_turn_every_voice_is_heard() -> None:
    _, jobs = played(behind(decibels=-15.0, seconds=3.0))
    assert jobs[-1].seconds > 5.0


# A doubtful text is decoded again only if the answer need not wait longer for it.

SPOKEN = joined(tone(1.5), silence(4.0))


def doubts(job: Job) -> Transcript:
    """Return a text that a second pass might improve."""
    return Transcript("Mach das Licht an.", "de", provisional=job.quick)


def waited(said: Said) -> float:
    """Return the seconds from the last speech to the answer."""
    ((at, _),) = said.answers
    return at - 1.5


@pytest.mark.parametrize("turns", [AUTO, TurnRules(min_silence=0.7)], ids=["auto", "fixed"])
def test_a_doubtful_text_is_decoded_again_in_time(turns: TurnRules) -> None:
    said, jobs = played(SPOKEN, turns=turns, say=doubts)
    assert [job.quick for job in jobs] == [True, False]
    # The second decode begins after 0.4 s of silence, and the answer is due after 1.4 s.
    assert jobs[1].answer_within == pytest.approx(1.0, abs=0.06)
    assert waited(said) == pytest.approx(1.12 if turns.auto else 0.7, abs=0.06)


@pytest.mark.parametrize("turns", [AUTO, TurnRules(min_silence=0.7)], ids=["auto", "fixed"])
@pytest.mark.parametrize("seconds", [0.45, 0.7, 1.2, 2.0])
def test_a_doubtful_text_is_not_decoded_again_where_decodes_are_slow(
    turns: TurnRules, seconds: float
) -> None:
    said, jobs = played(SPOKEN, seconds=seconds, turns=turns, say=doubts)
    assert [job.quick for job in jobs] == [True]
    assert said.text == "Mach das Licht an."
    first = 0.13 + seconds
    assert waited(said) == pytest.approx(max(first, 1.12 if turns.auto else 0.7), abs=0.06)
    assert said.records[0].guess == "used"


@pytest.mark.parametrize("seconds", [0.05, 0.2, 0.4, 0.6, 1.0, 3.0])
def test_a_doubtful_text_delays_the_answer_by_a_limited_time(seconds: float) -> None:
    sure, _ = played(SPOKEN, seconds=seconds, turns=AUTO)
    doubtful, _ = played(SPOKEN, seconds=seconds, turns=AUTO, say=doubts)
    assert waited(doubtful) <= max(waited(sure), 1.4) + 0.06
    assert waited(doubtful) <= 2 * waited(sure)


def test_an_unusable_text_is_decoded_again_however_long_it_takes() -> None:
    def loops(job: Job) -> Transcript:
        text = "an an an an an" if job.quick else "Mach das Licht an."
        return Transcript(text, "de", provisional=job.quick, unusable=job.quick)

    said, jobs = played(SPOKEN, seconds=1.2, turns=AUTO, say=loops)
    assert said.text == "Mach das Licht an."
    assert len(jobs) == 2


def test_where_the_client_ends_the_turn_a_doubtful_text_is_always_decoded_again() -> None:
    said, jobs = played(COMMAND, seconds=1.2, say=doubts)
    assert [job.answer_within for job in jobs] == [math.inf, math.inf]
    assert after_stop(said, COMMAND) > 1.2


def test_a_turn_without_speech_ends() -> None:
    said, jobs = played(silence(15.0), turns=TurnRules(min_silence=0.7, no_speech=5.0))
    assert said.text == ""
    assert said.answers[0][0] == pytest.approx(5.0, abs=0.05)
    assert jobs == []
    assert said.events == []
    assert (said.records[0].ended, said.records[0].wait) == ("no speech", None)
    assert said.records[0].verdict == "silence"


def test_a_turn_ends_at_the_longest_command() -> None:
    said, _ = played(tone(20.0), turns=TurnRules(min_silence=0.7, longest=10.0))
    assert said.answers[0][0] == pytest.approx(10.2, abs=0.1)
    assert said.records[0].ended == "longest command"


def test_audio_that_arrives_all_at_once_is_decoded_whole() -> None:
    # The audio arrives all at once, so speech resumes before the guess at the pause is decoded.
    samples = joined(tone(1.0), silence(1.0), tone(1.0))
    said, _ = played(samples, turns=FIXED, pace=0.0, chunk=4096)
    assert len(said.answers) == 1
    assert said.text == "3.0 seconds"


# Home Assistant's VAD does not end the turn.

HOME = TurnRules(early_silence=2.0)
NEVER_ENDS = joined(silence(0.5), tone(0.8), silence(13.7))


def test_silence_ends_a_live_stream_that_home_assistants_vad_does_not_end() -> None:
    said, _ = played(NEVER_ENDS, turns=HOME)
    assert said.answers[0][0] == pytest.approx(3.3, abs=0.05)
    assert said.records[0].ended == "silence"
    assert said.events == []  # speech events are sent only with endpointing on


def test_chunks_that_are_read_together_are_a_live_stream_as_well() -> None:
    said, _ = played(NEVER_ENDS, turns=HOME, together=10)
    assert said.answers[0][0] == pytest.approx(3.3, abs=0.15)
    assert said.records[0].ended == "silence"


@pytest.mark.parametrize("together", [1, 10])
def test_the_chunk_that_reaches_the_limit_is_the_last_one(together: int) -> None:
    said, _ = played(tone(2.0), max_seconds=1.05, together=together)
    window = 0.032  # seconds, the precision of the limit
    assert 1.05 <= said.records[0].heard <= 1.05 + window


def test_an_interjection_gets_no_early_answer_but_waits_for_the_command() -> None:
    samples = joined(silence(0.5), tone(0.5), silence(2.4), tone(1.5), silence(8.0))
    said, _ = played(samples, turns=HOME)
    assert len(said.answers) == 1
    assert said.answers[0][0] == pytest.approx(4.9 + 2.0, abs=0.05)
    assert said.records[0].heard > 4.9


def test_a_single_short_word_is_answered_after_a_longer_silence() -> None:
    said, _ = played(joined(silence(0.5), tone(0.5), silence(13.0)), turns=HOME)
    assert said.answers[0][0] == pytest.approx(1.0 + 5.0, abs=0.05)


@pytest.mark.parametrize(
    "way",
    [
        {"pace": 0.0},
        {"pace": 0.5},
        {"pace": 2.0},
        {"chunk": 640},
        {"chunk": 4096},
        {"chunk": 640, "together": 5},
        {"turns": TurnRules(early_silence=0.0)},
    ],
    ids=str,
)
def test_silence_ends_no_other_stream(way: dict[str, Any]) -> None:
    said, _ = played(NEVER_ENDS, **{"turns": HOME, **way})
    ((at, _),) = said.answers
    assert at >= 15.0 * way.get("pace", 1.0) - 0.05
    assert said.records[0].ended == "audio-stop"


def test_silence_that_lasts_beyond_15_seconds_does_not_end_the_turn() -> None:
    samples = joined(silence(12.0), tone(1.5), silence(3.0))
    said, _ = played(samples, turns=HOME)
    assert said.records[0].ended == "audio-stop"


def test_a_turn_with_an_empty_text_is_not_ended_early() -> None:
    nothing = Transcript("", "en", verdict="empty")
    said, _ = played(NEVER_ENDS, turns=HOME, say=lambda _: nothing)
    assert said.records[0].ended == "audio-stop"
    assert said.text == ""


# Partial text and dictation.


def dictated(job: Job) -> Transcript:
    """Return one word per half second of audio, with a full stop at the end."""
    count = round(job.seconds * 2)
    words = [f"w{n}" for n in range(count)]
    text = " ".join(words)
    if not text.startswith(job.prefix):
        text = job.prefix
    return Transcript(f"{text}.", "en", -0.1, 1, "believe")


@pytest.mark.parametrize("mode", ["auto", "on"])
def test_text_is_sent_during_speech(mode: str) -> None:
    said, _ = played(joined(tone(6.0), silence(0.7)), partials=mode, say=dictated)
    pieces = [notice.text for notice in said.events if isinstance(notice, PartialText)]
    assert len(pieces) >= 3
    assert "".join(pieces) == said.text
    assert said.text.split()[:3] == ["w0", "w1", "w2"]
    assert said.events[0] == TranscriptStarted("en")
    assert said.events[-1] == TranscriptStopped()


def test_without_partials_no_text_is_sent_before_the_answer() -> None:
    said, _ = played(joined(tone(6.0), silence(0.7)), say=dictated)
    assert said.events == []


def test_partial_text_is_styled() -> None:
    samples = joined(tone(6.0), silence(0.7))
    plain, _ = played(samples, partials="on", say=dictated)
    style = Style(opening=Opening(("w0 w1",)))
    said, _ = played(samples, partials="on", say=dictated, style=style)
    pieces = [notice.text for notice in said.events if isinstance(notice, PartialText)]
    assert "".join(pieces) == said.text == plain.text.removeprefix("w0 w1 ")


def test_the_first_seconds_are_not_heard_if_they_are_ignored() -> None:
    beep_and_order = joined(tone(0.6), silence(0.4), tone(2.0), silence(0.7))
    _, both = played(beep_and_order)
    said, jobs = played(beep_and_order, ignore_first=0.8)
    assert both[-1].seconds > 2.9
    assert jobs[-1].seconds < 2.9
    assert said.answers


def test_an_engine_that_continues_no_text_is_asked_for_finished_segments_only() -> None:
    samples = joined(tone(6.0), silence(2.5), tone(3.0), silence(0.7))
    said, jobs = played(samples, partials="on", say=dictated, capabilities=Capabilities())
    assert all(job.prefix == "" for job in jobs)
    assert all(job.kind is not DecodeKind.PARTIAL for job in jobs)
    pieces = [event.text for event in said.events if isinstance(event, PartialText)]
    assert len(pieces) >= 2  # the first at the long pause
    assert "".join(pieces) == said.text
    assert said.records[0].guess == "used"


def test_silence_gives_transcript_start_and_stop_without_partial_text() -> None:
    said, _ = played(silence(2.0), partials="on")
    assert said.events == [TranscriptStarted("en"), TranscriptStopped()]
    assert said.text == ""


def test_after_minutes_of_dictation_only_the_tail_remains_to_decode() -> None:
    sentences = [joined(tone(3.0), silence(0.6)) for _ in range(50)]
    samples = joined(*sentences, tone(2.0), silence(0.1))
    said, jobs = played(samples, seconds=0.3)
    assert after_stop(said, samples) <= 0.31
    assert max(job.seconds for job in jobs) <= 28.0
    (record,) = said.records
    # Each closed segment is decoded once; the other decodes are guesses at pauses inside a
    # segment.
    assert record.decodes <= len(sentences) / 2


def test_partial_text_of_a_dictation_is_sent_during_speech() -> None:
    sentences = [joined(tone(3.0), silence(0.6)) for _ in range(10)]
    samples = joined(*sentences, tone(2.0), silence(0.1))
    said, _ = played(samples, partials="auto")
    pieces = [notice.text for notice in said.events if isinstance(notice, PartialText)]
    assert len(pieces) >= 3
    assert "".join(pieces) == said.text


def dictated_in_pitches(job: Job) -> Transcript:
    """Like dictated(), with words that contain the pitch of the audio."""
    words = [f"{pitch(job) / 100:.0f}w{n}" for n in range(round(job.seconds * 2))]
    return Transcript(f"{' '.join(words)}.", "en", -0.1, 1, "believe")


@pytest.mark.parametrize("seconds", [0.2, 0.9, 1.7])
def test_no_word_is_sent_twice_if_speech_resumes_before_the_decode_ends(
    seconds: float,
) -> None:
    samples = joined(
        *(tone(9.0, hertz=300), silence(2.1), tone(5.0, hertz=500), silence(2.1)),
        tone(4.0, hertz=700),
    )
    said, jobs = played(samples, partials="on", seconds=seconds, say=dictated_in_pitches)
    assert any(job.prefix for job in jobs), "nothing went out before its sentence was over"
    pieces = [notice.text for notice in said.events if isinstance(notice, PartialText)]
    assert "".join(pieces) == said.text
    words = said.text.replace(".", "").split()
    assert words == list(dict.fromkeys(words))
    assert [word[0] for word in words] == sorted(word[0] for word in words)
