"""Utterance: what to decode, when to guess, when to answer."""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import pairwise

import pytest

from wyoming_faster_whisper.audio.pcm import SAMPLE_RATE
from wyoming_faster_whisper.errors import IllegalTransition
from wyoming_faster_whisper.speech.endpointing import EndOfTurn, Endpointing, EndReason
from wyoming_faster_whisper.speech.hysteresis import WINDOW, windows
from wyoming_faster_whisper.speech.segmenter import LONGEST
from wyoming_faster_whisper.speech.utterance import (
    Action,
    AnnounceSpeech,
    Close,
    Decode,
    Drop,
    EndTurn,
    Finalize,
    Utterance,
    UtterancePhase,
    UtteranceRules,
    for_files,
)

PAUSE = 5  # windows
PAD = round(UtteranceRules().pad * SAMPLE_RATE)


def guessing(pause: int) -> UtteranceRules:
    return UtteranceRules(guess_after=pause * WINDOW / SAMPLE_RATE)


class Listener:
    """An utterance, with the number of windows fed to it."""

    def __init__(self, ending: Endpointing | None = None, *, pause: int = PAUSE) -> None:
        self.utterance = Utterance(guessing(pause), endpointing=ending)
        self.windows = 0
        self.started: list[AnnounceSpeech] = []  # collected apart from the other actions

    def speech(self, windows: int = 30) -> list[Action]:
        return self.hear(windows, 0.9)

    def silence(self, windows: int, *, guess: bool = True) -> list[Action]:
        return self.hear(windows, 0.0, guess=guess)

    def hear(
        self, windows: int, probability: float, *, guess: bool = True, may_end: bool = True
    ) -> list[Action]:
        self.windows += windows
        actions = self.utterance.feed([probability] * windows, may_guess=guess, may_end=may_end)
        self.started += [action for action in actions if isinstance(action, AnnounceSpeech)]
        return [action for action in actions if not isinstance(action, AnnounceSpeech)]

    def read(
        self, decode: Action, reading: EndOfTurn = EndOfTurn.UNSURE, *, provisional: bool = False
    ) -> list[Action]:
        assert isinstance(decode, Decode)
        return self.utterance.decoded(decode.segment, reading, provisional=provisional)

    def stop(self) -> list[Action]:
        return self.utterance.stop(self.windows * WINDOW)


def paused() -> tuple[Listener, Decode]:
    """Feed speech and a pause; return the listener and its guess."""
    listener = Listener()
    assert listener.speech() == []
    (guess,) = listener.silence(PAUSE)
    assert isinstance(guess, Decode)
    return listener, guess


def test_silence_gives_an_empty_answer() -> None:
    listener = Listener()
    assert listener.silence(100) == []
    assert listener.stop() == [Finalize(())]


def test_a_pause_starts_a_guess() -> None:
    listener, guess = paused()
    assert guess.guess
    assert guess.segment.speech == (0, 30)
    assert listener.utterance.phase is UtterancePhase.GUESSING


def test_a_shorter_pause_starts_no_guess() -> None:
    listener = Listener()
    listener.speech()
    assert listener.silence(PAUSE - 1) == []
    assert listener.speech() == []


def test_a_pause_begins_with_its_first_window_and_ends_with_speech() -> None:
    listener = Listener()
    listener.silence(3)
    assert not listener.utterance.in_pause  # no speech yet
    listener.speech()
    assert not listener.utterance.in_pause
    listener.silence(1)
    assert listener.utterance.in_pause
    listener.speech(1)
    assert not listener.utterance.in_pause


def test_speech_ends_with_its_last_window() -> None:
    listener = Listener()
    assert listener.utterance.speech_end == 0.0
    listener.silence(3)
    assert listener.utterance.speech_end == 0.0
    listener.speech(20)
    listener.silence(7)
    assert listener.utterance.speech_end == pytest.approx(23 * WINDOW / SAMPLE_RATE)


def test_where_any_speech_counts_its_first_window_is_announced() -> None:
    utterance = Utterance(UtteranceRules(min_speech=0.0))
    assert not utterance.has_speech
    assert utterance.feed([0.0, 0.9], may_guess=True) == [AnnounceSpeech(0.032)]
    assert utterance.has_speech


def test_one_pause_starts_only_one_guess() -> None:
    listener, _ = paused()
    assert listener.silence(40) == []


def test_the_guess_is_the_answer_if_nothing_was_said_after_it() -> None:
    listener, guess = paused()
    assert listener.silence(20) == []
    assert listener.stop() == [Finalize((guess.segment,))]


def test_speech_after_a_guess_drops_it() -> None:
    listener, guess = paused()
    assert listener.speech(1) == [Drop(guess.segment)]
    assert listener.utterance.phase is UtterancePhase.LISTENING


def test_the_next_pause_starts_another_guess() -> None:
    listener, _ = paused()
    listener.speech()
    (guess,) = listener.silence(PAUSE + 3)
    assert isinstance(guess, Decode)
    assert guess.segment.speech == (0, 30 + PAUSE + 30)


def test_speech_without_a_pause_is_decoded_at_the_end() -> None:
    listener = Listener()
    listener.speech()
    decode, answer = listener.stop()
    assert isinstance(decode, Decode)
    assert not decode.guess
    assert answer == Finalize((decode.segment,))


def test_the_end_of_a_recording_that_fills_no_window_is_decoded() -> None:
    listener = Listener()
    listener.speech()
    decode, _ = listener.utterance.stop(30 * WINDOW + 300)
    assert isinstance(decode, Decode)
    assert decode.segment.end == 30 * WINDOW + 300


def test_audio_after_the_longest_command_is_not_decoded() -> None:
    listener = Listener(Endpointing(longest=1.0))
    listener.speech(windows(1.0))
    decode, _ = listener.utterance.stop(60 * WINDOW)
    assert isinstance(decode, Decode)
    assert decode.segment.end == windows(1.0) * WINDOW


def test_a_guess_begins_with_a_quick_pass() -> None:
    _, guess = paused()
    assert guess.quick


def test_the_decode_at_the_end_is_not_a_quick_pass() -> None:
    listener = Listener()
    listener.speech()
    decode, _ = listener.stop()
    assert isinstance(decode, Decode)
    assert not decode.quick


def test_the_decode_of_a_silence_that_may_end_the_turn_is_not_a_quick_pass() -> None:
    listener = Listener(Endpointing(min_silence=0.5))
    listener.speech()
    decode, _ = listener.silence(windows(0.5), guess=False)
    assert isinstance(decode, Decode)
    assert not decode.quick


def test_a_segment_that_no_longer_grows_is_decoded_even_if_the_worker_is_busy() -> None:
    listener = Listener()
    listener.speech(windows(20.0))
    assert listener.silence(10, guess=False) == []
    listener.speech(windows(20.0))
    (decode,) = listener.silence(PAUSE, guess=False)
    assert isinstance(decode, Decode)
    assert decode.segment.speech == (0, windows(20.0))
    assert (decode.guess, decode.quick) == (True, False)


def test_a_busy_worker_gets_no_guess() -> None:
    listener = Listener()
    listener.speech()
    assert listener.silence(PAUSE, guess=False) == []
    decode, _ = listener.stop()
    assert isinstance(decode, Decode)


def test_a_closed_segment_is_decoded_once() -> None:
    listener, first = paused()
    listener.silence(windows(5.0))  # a pause too long to stay in one segment
    listener.speech()
    later = listener.silence(PAUSE)
    assert [action.segment.speech for action in later if isinstance(action, Decode)] != []
    *_, answer = listener.stop()
    assert isinstance(answer, Finalize)
    later_start = 30 + PAUSE + windows(5.0)
    assert [segment.speech for segment in answer.segments] == [
        (0, 30),
        (later_start, later_start + 30),
    ]
    assert first.segment.speech == (0, 30)


def test_a_pause_after_a_word_of_two_tenths_of_a_second_starts_a_guess() -> None:
    listener = Listener()
    listener.speech(6)
    (guess,) = listener.silence(PAUSE)
    assert isinstance(guess, Decode)


def test_possible_speech_is_decoded_only_at_the_end() -> None:
    listener = Listener()
    assert listener.hear(10, 0.3) == []
    assert listener.silence(20) == []
    decode, _ = listener.stop()
    assert isinstance(decode, Decode)
    assert not decode.segment.certain_speech


def test_a_window_of_silence_after_a_click_costs_the_same_however_long_the_silence_is() -> None:
    listener = Listener()
    listener.speech(1)

    def calls() -> int:
        """Return the number of function calls for one more window."""
        events: list[str] = []
        sys.setprofile(lambda _frame, event, _arg: events.append(event))
        try:
            listener.silence(1)
        finally:
            sys.setprofile(None)
        return events.count("call")

    listener.silence(100)
    few = calls()
    listener.silence(1000)
    assert calls() == few


def test_guessing_can_be_disabled() -> None:
    listener = Listener(pause=0)
    assert listener.speech() == []
    assert listener.silence(30) == []


def test_a_guess_starts_as_soon_as_the_worker_is_idle() -> None:
    listener = Listener()
    listener.speech()
    assert listener.silence(PAUSE, guess=False) == []
    (guess,) = listener.silence(1)
    assert isinstance(guess, Decode)


@pytest.mark.parametrize(("dropped", "silence"), [(1, 8), (2, 11), (5, 20), (6, 20)])
def test_the_next_guess_waits_longer_each_time_that_speech_resumes(
    dropped: int, silence: int
) -> None:
    listener = Listener()
    for _ in range(dropped):
        listener.speech(10)
        assert listener.silence(20) != []
    listener.speech(10)
    assert listener.silence(silence - 1) == []
    (guess,) = listener.silence(1)
    assert isinstance(guess, Decode)


# Dictation: closed segments.


def test_a_silence_between_segments_closes_the_guess_before_it() -> None:
    listener, guess = paused()
    assert listener.silence(round(2.5 * windows(2.0)) - PAUSE) == [Close(guess.segment)]
    assert listener.speech() == []


def test_a_shorter_silence_closes_speech_longer_than_a_fragment() -> None:
    listener = Listener()
    listener.speech(windows(4.1))
    guess, *_ = listener.silence(PAUSE)
    assert isinstance(guess, Decode)
    assert listener.silence(windows(2.0) - PAUSE) == [Close(guess.segment)]


def test_after_sixteen_seconds_a_pause_between_sentences_closes_a_segment() -> None:
    listener = Listener()
    listener.speech(windows(16.0))
    guess, *rest = listener.silence(16)
    assert isinstance(guess, Decode)
    assert rest == [Close(guess.segment)]
    assert listener.speech(10) == []


def test_before_sixteen_seconds_a_pause_closes_no_segment() -> None:
    listener = Listener()
    listener.speech(windows(14.5))
    (guess,) = listener.silence(16)
    assert isinstance(guess, Decode)
    assert listener.speech(1) == [Drop(guess.segment)]


def test_in_a_dictation_a_guess_at_long_speech_waits_for_a_long_silence() -> None:
    for seconds, silence in ((1.0, 20), (12.0, windows(12.0) // 8)):
        listener = Listener()
        listener.speech(windows(17.0))
        listener.silence(16)
        listener.speech(windows(seconds))
        assert listener.silence(silence - 1) == []
        (guess,) = listener.silence(1)
        assert isinstance(guess, Decode)


def test_speech_of_fifteen_seconds_is_still_a_command() -> None:
    listener = Listener()
    listener.speech(windows(15.0) - PAUSE)
    (guess,) = listener.silence(PAUSE)
    assert isinstance(guess, Decode)


def test_silence_before_a_command_does_not_make_it_a_dictation() -> None:
    listener = Listener()
    listener.silence(windows(10.0))
    listener.speech(windows(10.0))
    (guess,) = listener.silence(PAUSE)
    assert isinstance(guess, Decode)


def test_in_a_file_a_segment_is_decoded_once_silence_has_closed_it() -> None:
    utterance = Utterance(for_files(UtteranceRules(guess_after=0.0)))
    closing = round(2.5 * windows(2.0))
    utterance.feed([0.9] * 30, may_guess=False)
    assert utterance.feed([0.0] * (closing - 1), may_guess=False) == []
    decode, close = utterance.feed([0.0], may_guess=False)
    assert isinstance(decode, Decode)
    assert close == Close(decode.segment)


def test_only_the_tail_of_a_long_dictation_is_decoded_at_the_end() -> None:
    listener = Listener()
    begun: list[Decode] = []
    for _ in range(40):  # about 2.5 minutes
        begun += [a for a in listener.speech(windows(3.5)) if isinstance(a, Decode)]
        begun += [a for a in listener.silence(windows(0.4)) if isinstance(a, Decode)]
    before = {decode.segment for decode in begun}
    listener.speech(windows(2.0))
    *decodes, answer = listener.stop()
    assert isinstance(answer, Finalize)
    assert len([part for part in answer.segments if part not in before]) == 1
    assert [type(action) for action in decodes].count(Decode) == 1
    assert max(part.end - part.start for part in answer.segments) <= LONGEST * 16_000
    for one, other in pairwise(answer.segments):
        assert one.speech[1] <= other.speech[0]  # no speech is in two segments
        assert one.end >= other.start  # no audio between them is left out


# A provisional guess: its text may change with more audio after the last word.


def provisional() -> tuple[Listener, Decode]:
    """Feed speech and a pause, and report a provisional text for the guess."""
    listener, guess = paused()
    assert listener.read(guess, provisional=True) == []
    return listener, guess


def test_a_provisional_guess_is_decoded_again_with_the_full_padding() -> None:
    listener, guess = provisional()
    pad = windows(UtteranceRules().pad)
    assert listener.silence(pad - PAUSE - 1) == []
    drop, again = listener.silence(1)
    assert drop == Drop(guess.segment)
    assert isinstance(again, Decode)
    assert again.guess
    assert again.segment.speech == guess.segment.speech
    assert again.segment.end - guess.segment.end == (pad - PAUSE) * WINDOW
    assert listener.stop() == [Finalize((again.segment,))]


def test_a_provisional_guess_whose_text_arrives_late_is_decoded_again() -> None:
    listener, guess = paused()
    assert listener.silence(20) == []
    listener.read(guess, provisional=True)
    drop, again = listener.silence(1)
    assert drop == Drop(guess.segment)
    assert isinstance(again, Decode)


def test_a_provisional_guess_is_not_decoded_a_third_time() -> None:
    listener, _ = provisional()
    _, again = listener.silence(windows(0.4) - PAUSE)
    listener.read(again, provisional=True)
    assert listener.silence(30) == []
    assert isinstance(again, Decode)
    assert listener.stop() == [Finalize((again.segment,))]


def test_a_guess_that_is_not_provisional_is_not_decoded_again() -> None:
    listener, guess = paused()
    listener.read(guess)
    assert listener.silence(30) == []
    assert listener.stop() == [Finalize((guess.segment,))]


def test_a_provisional_guess_is_not_decoded_again_while_the_worker_is_busy() -> None:
    listener, guess = provisional()
    assert listener.silence(20, guess=False) == []
    assert listener.stop() == [Finalize((guess.segment,))]


def test_a_provisional_guess_is_decoded_again_once_the_worker_is_idle() -> None:
    listener, guess = provisional()
    assert listener.silence(20, guess=False) == []
    drop, again = listener.silence(1)
    assert drop == Drop(guess.segment)
    assert isinstance(again, Decode)


def test_at_the_end_a_provisional_guess_is_decoded_again_with_the_audio_so_far() -> None:
    listener, guess = provisional()
    listener.silence(4)  # 0.13 s
    drop, again, answer = listener.stop()
    assert drop == Drop(guess.segment)
    assert isinstance(again, Decode)
    assert not again.guess
    assert again.segment.end == guess.segment.end + 4 * WINDOW
    assert answer == Finalize((again.segment,))


def test_at_the_end_a_provisional_guess_is_the_answer_if_there_is_hardly_more_audio() -> None:
    listener, guess = provisional()
    listener.silence(3)  # 0.096 s
    assert listener.stop() == [Finalize((guess.segment,))]


@pytest.mark.parametrize(("more", "again"), [(SAMPLE_RATE // 10 - 1, 0), (SAMPLE_RATE // 10, 1)])
def test_a_tenth_of_a_second_of_audio_is_worth_another_decode(more: int, again: int) -> None:
    listener, guess = provisional()
    listener.silence(3)
    actions = listener.utterance.stop(guess.segment.end + more)
    assert [type(action) for action in actions].count(Decode) == again


def test_resumed_speech_drops_a_provisional_guess() -> None:
    listener, guess = provisional()
    assert listener.speech(1) == [Drop(guess.segment)]
    (longer,) = listener.silence(windows(0.4))
    assert isinstance(longer, Decode)
    assert longer.segment.speech[1] > guess.segment.speech[1]


def test_resumed_speech_drops_the_second_decode() -> None:
    listener, _ = provisional()
    _, again = listener.silence(windows(0.4) - PAUSE)
    assert isinstance(again, Decode)
    assert listener.speech(1) == [Drop(again.segment)]


def test_a_closed_segment_is_not_decoded_again() -> None:
    listener = Listener()
    listener.speech(windows(25.0))
    guess, close = listener.silence(PAUSE)
    assert isinstance(guess, Decode)
    assert close == Close(guess.segment)
    listener.read(guess, provisional=True)  # its text has been sent already
    assert listener.silence(30) == []
    assert listener.stop() == [Finalize((guess.segment,))]


# The open segment, from which partial text is decoded.


def test_the_open_segment_is_the_last_one_with_certain_speech() -> None:
    listener = Listener()
    assert listener.utterance.open_segment() is None
    listener.hear(10, 0.3)  # only possible speech
    assert listener.utterance.open_segment() is None
    listener.silence(windows(6.0))
    listener.speech(10)
    first = listener.utterance.open_segment()
    assert first is not None
    listener.silence(windows(6.0))
    listener.speech(20)
    second = listener.utterance.open_segment()
    assert second is not None
    assert first.speech[1] < second.speech[0]
    assert second.speech == (listener.windows - 20, listener.windows)


# A segment that is decoded later, with the silence that has followed by then.


def test_a_segment_as_of_now_has_the_silence_since_up_to_the_padding() -> None:
    listener, guess = paused()
    assert listener.utterance.as_of_now(guess.segment) == guess.segment
    listener.silence(3)
    now = listener.utterance.as_of_now(guess.segment)
    assert now == replace(guess.segment, end=guess.segment.end + 3 * WINDOW)
    listener.silence(20)
    assert listener.utterance.as_of_now(guess.segment).end == 30 * WINDOW + PAD


def test_after_the_stop_a_segment_as_of_now_ends_with_the_recording() -> None:
    listener, guess = paused()
    listener.silence(3)  # the last window is padded
    recorded = 38 * WINDOW - 100
    listener.utterance.stop(recorded)
    assert listener.utterance.as_of_now(guess.segment).end == recorded


def test_a_segment_of_a_paced_utterance_stays_as_it_was() -> None:
    utterance = Utterance(guessing(PAUSE), paced=True)
    actions = utterance.feed([0.9] * 30 + [0.0] * PAUSE, may_guess=True)
    [guess] = [action for action in actions if isinstance(action, Decode)]
    utterance.feed([0.0] * 3, may_guess=True)
    assert utterance.as_of_now(guess.segment) == guess.segment


# The audio that later decodes may need; the rest can be freed.

CLOSING = round(2.5 * windows(2.0))  # windows of silence that close a short segment


def test_of_silence_only_the_padding_of_later_speech_is_needed() -> None:
    listener = Listener()
    assert listener.utterance.needed_from(0) == 0
    listener.silence(10)
    assert listener.utterance.needed_from(0) == 0
    listener.silence(100)
    assert listener.utterance.needed_from(0) == 110 * WINDOW - PAD


def test_speech_is_needed_with_its_padding_until_its_text_is_final() -> None:
    listener = Listener()
    listener.silence(50)
    listener.speech()
    assert listener.utterance.needed_from(0) == 50 * WINDOW - PAD
    listener.silence(CLOSING)
    assert listener.utterance.needed_from(0) == 50 * WINDOW - PAD
    assert listener.utterance.needed_from(80) == (80 + CLOSING) * WINDOW - PAD


def test_the_audio_from_the_first_text_that_is_not_final_is_needed() -> None:
    listener = Listener()
    for _ in range(3):
        listener.speech()
        listener.silence(200)
    assert listener.utterance.needed_from(30) == 230 * WINDOW - PAD
    assert listener.utterance.needed_from(260) == 460 * WINDOW - PAD


def test_a_segment_that_may_still_change_is_needed_although_its_text_is_final() -> None:
    listener = Listener()
    listener.silence(50)
    listener.speech(windows(26.0))
    _, close = listener.silence(PAUSE)
    assert isinstance(close, Close)
    assert listener.utterance.needed_from(close.segment.speech[1]) == close.segment.start


def test_the_representation_tells_phase_and_length() -> None:
    assert repr(Listener().utterance) == "<Utterance listening, 0 windows, 0 segments>"
    listener, _ = paused()
    assert repr(listener.utterance) == "<Utterance guessing, 35 windows, 1 segments>"


def test_a_stopped_utterance_is_finalized() -> None:
    listener, _ = paused()
    listener.stop()
    assert listener.utterance.phase is UtterancePhase.FINALIZED


def test_an_utterance_is_stopped_only_once() -> None:
    listener, _ = paused()
    listener.stop()
    with pytest.raises(IllegalTransition, match="stop in FINALIZED"):
        listener.stop()


@pytest.mark.parametrize("end", ["the server", "the client"])
def test_an_utterance_takes_no_windows_after_its_end(end: str) -> None:
    listener = Listener(Endpointing(longest=1.0))
    listener.speech(50 if end == "the server" else 10)
    if end == "the client":
        listener.stop()
    before = repr(listener.utterance)
    with pytest.raises(IllegalTransition, match="windows in"):
        listener.speech(1)
    assert repr(listener.utterance) == before


def test_noise_brings_the_utterance_back_to_listening() -> None:
    listener, guess = paused()
    assert listener.read(guess, EndOfTurn.NO_SPEECH) == []
    assert listener.utterance.phase is UtterancePhase.LISTENING
    assert not listener.utterance.in_pause


def test_a_click_after_noise_is_not_speech() -> None:
    listener, guess = paused()
    listener.read(guess, EndOfTurn.NO_SPEECH)
    listener.speech(1)
    assert not listener.utterance.has_speech


def test_speech_after_noise_is_not_announced_again() -> None:
    listener, guess = paused()
    listener.read(guess, EndOfTurn.NO_SPEECH)
    listener.speech()
    assert len(listener.started) == 1


def test_the_result_of_an_earlier_segment_does_not_end_the_turn() -> None:
    listener = Listener(Endpointing(min_silence=10.0, complete=0.1))
    listener.speech()
    first, *_ = listener.silence(windows(6.0))
    listener.speech()
    second, *_ = listener.silence(PAUSE + 3)
    assert first != second
    assert listener.read(first, EndOfTurn.COMPLETE) == []
    assert listener.utterance.phase is UtterancePhase.GUESSING


# A paced utterance: where the turn ends depends on the audio only.

FIXED = Endpointing(min_silence=0.5)
AUTO = Endpointing(min_silence=1.12, complete=0.32, likely=0.8, incomplete=1.4)


def ended(actions: list[Action]) -> list[EndReason]:
    return [action.reason for action in actions if isinstance(action, EndTurn)]


def heard(ending: Endpointing, probabilities: list[float], text: EndOfTurn) -> int:
    """Feed a paced utterance; return the number of windows in its turn.

    Args:
        text: class of the text, which is known only once no more windows are taken.
    """
    utterance = Utterance(guessing(PAUSE), endpointing=ending, paced=True)
    left, last = probabilities, None
    while left and not utterance.has_ended:
        before = utterance.samples // WINDOW
        actions = utterance.feed(left, may_guess=True)
        left = left[utterance.samples // WINDOW - before :]
        decodes = [each for each in actions if isinstance(each, Decode)]
        last = decodes[-1] if decodes else last
        if utterance.holds:
            assert last is not None
            utterance.decoded(last.segment, text)
    return utterance.samples // WINDOW


def test_a_paced_utterance_takes_no_windows_until_the_text_before_a_silence_is_known() -> None:
    utterance = Utterance(guessing(PAUSE), endpointing=FIXED, paced=True)
    actions = utterance.feed([0.9] * 30 + [0.0] * 30 + [0.9] * 30, may_guess=True)
    assert utterance.holds
    assert utterance.samples == (30 + windows(0.5)) * WINDOW
    assert utterance.feed([0.0], may_guess=True) == []
    decode = next(each for each in actions if isinstance(each, Decode))
    assert ended(utterance.decoded(decode.segment, EndOfTurn.UNSURE)) == [EndReason.SILENCE]
    assert not utterance.holds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (EndOfTurn.COMPLETE, 0.32),
        (EndOfTurn.LIKELY, 0.8),
        (EndOfTurn.UNSURE, 1.12),
        (EndOfTurn.INCOMPLETE, 1.4),
    ],
)
def test_the_silence_that_ends_a_paced_turn_follows_its_text(
    text: EndOfTurn, seconds: float
) -> None:
    assert heard(AUTO, [0.9] * 30 + [0.0] * 100, text) == 30 + windows(seconds)


def test_speech_after_a_shorter_silence_belongs_to_the_same_paced_turn() -> None:
    paused = [0.9] * 30 + [0.0] * 20 + [0.9] * 30
    assert heard(AUTO, paused + [0.0] * 100, EndOfTurn.UNSURE) == len(paused) + windows(1.12)


def test_noise_releases_a_paced_utterance_and_does_not_end_its_turn() -> None:
    noise = [0.9] * 30 + [0.0] * 40
    assert heard(FIXED, noise + [0.0] * 100, EndOfTurn.NO_SPEECH) == len(noise) + 100


def test_a_paced_utterance_that_the_client_ends_never_waits() -> None:
    utterance = Utterance(guessing(PAUSE), paced=True)
    utterance.feed([0.9] * 30 + [0.0] * 200 + [0.9] * 30, may_guess=True)
    assert utterance.samples == 260 * WINDOW
    assert not utterance.holds


def test_a_paced_turn_waits_longer_after_very_short_speech() -> None:
    rules = replace(FIXED, short=1.25)
    okay = [0.9] * 10
    assert heard(rules, okay + [0.0] * 100, EndOfTurn.UNSURE) == 10 + windows(1.25)


# Windows that turn out to be silence.


def test_speech_that_is_taken_back_was_silence() -> None:
    listener = Listener(Endpointing(min_silence=1.0))
    listener.speech(60)
    assert listener.utterance.take_back(26) == []
    assert listener.utterance.speech_end == pytest.approx(34 * WINDOW / 16_000)
    first, final = listener.silence(1)
    assert isinstance(first, Decode)
    assert first.segment.speech == (0, 34)
    assert final == Decode(first.segment, guess=False)
    assert EndTurn(EndReason.SILENCE) not in listener.read(first)
    assert listener.silence(windows(1.0) - 27) == [EndTurn(EndReason.SILENCE)]


@pytest.mark.parametrize("probability", [0.9, 0.5, 0.4])
def test_what_is_taken_back_does_not_make_very_short_speech_longer(probability: float) -> None:
    listener = Listener(Endpointing(min_silence=1.0, short=2.5))
    listener.speech(10)
    listener.silence(3)
    listener.speech(10)
    listener.hear(26, probability)  # a voice, of whose windows some are below the threshold
    listener.utterance.take_back(26)
    guess, *_ = listener.silence(10)
    assert EndTurn(EndReason.SILENCE) not in listener.read(guess)
    assert listener.silence(windows(2.5) - 37) == []
    assert listener.silence(1) == [EndTurn(EndReason.SILENCE)]


def test_when_more_is_taken_back_than_was_spoken_a_click_is_left() -> None:
    listener = Listener()
    listener.silence(10)
    listener.speech(20)
    listener.utterance.take_back(30)
    assert not listener.utterance.has_speech
    assert listener.utterance.speech_end == pytest.approx(11 * WINDOW / SAMPLE_RATE)


def test_a_guess_over_what_is_taken_back_is_dropped() -> None:
    listener = Listener()
    listener.speech(60)
    (guess,) = listener.silence(PAUSE)
    assert isinstance(guess, Decode)
    assert listener.utterance.take_back(26) == [Drop(guess.segment)]
    assert listener.utterance.phase is UtterancePhase.LISTENING


def test_silence_that_is_taken_back_changes_nothing() -> None:
    listener, guess = paused()
    assert listener.utterance.take_back(PAUSE) == []
    assert listener.utterance.awaits(guess.segment)
    assert Listener().utterance.take_back(5) == []


def test_silence_after_what_was_taken_back_closes_the_segment_even_if_the_worker_is_busy() -> (
    None
):
    listener = Listener()
    listener.speech(60)
    listener.utterance.take_back(26)
    assert listener.silence(CLOSING - 27, guess=False) == []
    decode, close = listener.silence(1, guess=False)
    assert isinstance(decode, Decode)
    assert close == Close(decode.segment)


def test_speech_after_what_was_taken_back_joins_the_speech_before() -> None:
    listener = Listener()
    listener.speech(60)
    listener.utterance.take_back(26)
    listener.silence(PAUSE)
    listener.speech(20)
    decode, *_ = listener.stop()
    assert isinstance(decode, Decode)
    assert decode.segment.speech == (0, 60 + PAUSE + 20)
