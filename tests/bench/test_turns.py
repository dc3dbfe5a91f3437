"""bench.turns: the server's endpointing with a simulated clock."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bench.support.clips import Clip
from bench.support.simulated_turn import Decoder, SimulatedTurn
from bench.turns import Heard, Sound, silences_in, table
from tests.support.calibration import ENGLISH
from wyoming_faster_whisper.audio.pcm import SAMPLE_RATE, Samples, to_pcm16
from wyoming_faster_whisper.config.settings import Settings
from wyoming_faster_whisper.engine.protocol import Transcript
from wyoming_faster_whisper.speech.endpointing import EndOfTurn
from wyoming_faster_whisper.speech.hysteresis import WINDOW
from wyoming_faster_whisper.speech.turn_classifier import EndOfTextScores
from wyoming_faster_whisper.testing import LoudnessVad, silence, tone

PAUSE = Settings().guess_after
CLOSING = EndOfTextScores(
    full_stop=-0.01, dash=-8.0, ellipsis=-8.0, last_word=-0.01, text_end=0.8
)
UNSURE = Transcript("turn it on", passes=1)
FINISHED = Transcript(
    "Turn it on.", passes=1, end_scores=CLOSING, turn_classifier=ENGLISH.end_of_turn
)


def fading() -> Samples:
    sound = tone(1.0)
    sound[-SAMPLE_RATE // 5 :] *= 0.1
    return sound


def turn(
    *parts: Samples,
    said: Transcript = UNSURE,
    decode: Decoder | None = None,
    seconds: float = 0.3,
) -> SimulatedTurn:
    sound = np.concatenate([*parts, silence(3.0)])
    heard = LoudnessVad().feed(sound[: len(sound) // WINDOW * WINDOW])
    return SimulatedTurn(sound, heard, decode or (lambda samples, lead, quick: said), seconds)


def test_an_unsure_end_waits_for_its_silence() -> None:
    heard = turn(tone(1.0))
    assert heard.end() == pytest.approx(1.0 + 1.12, abs=0.05)
    assert (heard.end_of_turn, heard.decodes) == (EndOfTurn.UNSURE, 1)


def test_a_complete_sentence_waits_only_for_its_decode() -> None:
    heard = turn(fading(), said=FINISHED)
    assert heard.end() == pytest.approx(1.0 + PAUSE + 0.3, abs=0.05)
    assert heard.end_of_turn is EndOfTurn.COMPLETE


def doubted(samples: Samples, lead: int, quick: bool) -> Transcript:
    """Decode a text that gets a second pass if there is time."""
    return replace(UNSURE, provisional=quick, passes=1 if quick else 2)


@pytest.mark.parametrize(
    ("seconds", "decodes", "end"),
    # A second decode begins after 0.4 s of silence; the answer is due after 1.4 s.
    [(0.2, 2, 1.12), (0.4, 2, PAUSE + 1.2), (0.45, 1, 1.12), (1.2, 1, PAUSE + 1.2)],
    ids=["early", "in time", "not again", "late"],
)
def test_a_doubtful_text_is_decoded_again_in_the_silence_that_is_left(
    seconds: float, decodes: int, end: float
) -> None:
    heard = turn(tone(1.0), decode=doubted, seconds=seconds)
    assert heard.end() == pytest.approx(1.0 + end, abs=0.07)
    assert heard.decodes == decodes


def test_a_pause_longer_than_the_silence_is_cut_off() -> None:
    speech, pause = fading(), silence(0.7)
    assert turn(speech, pause, speech, said=FINISHED).end() < 1.7
    assert turn(speech, pause, speech, said=UNSURE).end() > 2.7


def test_a_dropped_decode_runs_to_its_end() -> None:
    # The second decode begins when the first, begun at 1.13 s, has ended.
    heard = turn(tone(1.0), silence(0.3), fading(), said=FINISHED, seconds=2.0)
    assert heard.end() == pytest.approx(1.0 + PAUSE + 2 * 2.0, abs=0.05)
    assert heard.decodes == 2


def test_silences_are_pauses_and_the_end() -> None:
    samples = np.concatenate([tone(1.0), silence(0.5), fading(), silence(3.0)])
    whole = samples[: len(samples) // WINDOW * WINDOW]
    clip = Clip("order", to_pcm16(samples[:40_000]), b"")
    sound = Sound(clip, None, LoudnessVad().feed(whole), lambda _: samples)
    pause, end = silences_in(sound, lambda samples, lead, quick: FINISHED)
    assert pause.seconds == pytest.approx(0.5, abs=0.07)
    assert end.seconds is None
    assert end.score > pause.score


def test_the_table_shows_waits_and_cut_offs() -> None:
    heard = [
        Heard("order", None, 0.5, "finished", 1),
        Heard("order, 1 s", 1.0, None, "unsure", 2),
        Heard("order, 1 s", 1.0, 1.3, "unsure", 2),
    ]
    lines = table(heard).splitlines()
    assert lines[1].split() == "whole utterances 1 0.500 s 0.500 s 0.500 s 0.0% 1.00".split()
    assert lines[2].split() == "a pause inside 2 1.300 s 1.300 s 1.300 s 50.0% 2.00".split()
    assert lines[3].split() == "of 1 s 2 1.300 s 1.300 s 1.300 s 50.0% 2.00".split()
