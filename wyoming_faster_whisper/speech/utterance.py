"""State machine of one utterance: what to decode, when to guess, when the turn ends. Pure.

A guess is a speculative decode: it begins in a pause, before the turn is known to be over.

    LISTENING --pause--> GUESSING --speech--> LISTENING
        |                    |
        +---------+----------+
                  | a silence or a length that ends the turn
                  v
                ENDED
                  | stop(), which may also come in LISTENING and GUESSING
                  v
              FINALIZED

Any other input raises IllegalTransition and changes nothing.

The unit of decoding is a segment. At a pause, decodes begin for all segments that have none yet.
If the speaker goes on, the last segment grows and its guess is dropped, unless the silence was
long enough to close that segment. The segments before it are closed and keep their decodes. At
the end the answer is made of the decodes that exist, and only missing segments are decoded: none
after a pause, the tail of a dictation, everything if the speaker never paused.

Where the server ends the turn (Endpointing), silence counts only after the speech before it has
been decoded. A segment that the hallucination check rejects as noise ends no turn, and a finished
sentence may end it sooner than an unfinished one. If the speaker may just have begun again, the
end is delayed until the VAD is certain.

A paced utterance is one of several in a stream. Where a turn ends then depends on its audio only,
not on how fast that arrives or is decoded: after a silence that may end the turn no more windows
are taken until the text before it is known.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum, auto

from ..audio.pcm import SAMPLE_RATE
from ..errors import IllegalTransition
from .endpointing import EndOfTurn, Endpointing, EndReason
from .hysteresis import WINDOW, Hysteresis, windows
from .segmenter import PAUSE, Segment, SpeechRules, closing_silence, complete, segments

# A speaker who paused and went on is likely to do so again: each dropped guess adds _MORE_SILENCE
# windows to the silence before the next guess, up to _LONGEST_PAUSE windows in all.
_MORE_SILENCE = 3
_LONGEST_PAUSE = 20

# Speech longer than a command (15 s at most in Home Assistant) is dictation, with a pause between
# any two sentences. There a guess needs silence for 1/_DICTATION_SHARE of the speech that it
# would decode: the longer that is, the more a guess costs and the more often it is dropped.
_DICTATION = windows(15.0)
_DICTATION_SHARE = 8

# Maximum delay of the end of a turn, in windows (0.3 s), while speech may have resumed: Silero
# needs up to 0.26 s of a word to reach the threshold, and 0.14 s to reach the low one.
_SPEECH_ONSET = 10


# Minimum growth of a segment, in samples (0.1 s), before a provisional guess is decoded again:
# the new decode takes time, and if the client stops meanwhile, the speaker waits for it.
_MORE_SOUND = SAMPLE_RATE // 10


@dataclass(frozen=True, slots=True)
class UtteranceRules(SpeechRules):
    """What counts as speech, and when it is decoded."""

    guess_after: float = 0.13  # seconds of silence before a guess begins; 0 = never


def for_files(rules: UtteranceRules) -> UtteranceRules:
    """Return the rules for files: no guesses; a segment is decoded once a pause has closed it."""
    return replace(rules, guess_after=PAUSE * WINDOW / SAMPLE_RATE)


class UtterancePhase(Enum):
    """State of an utterance; see the diagram above."""

    LISTENING = auto()
    GUESSING = auto()
    ENDED = auto()
    FINALIZED = auto()


@dataclass(frozen=True, slots=True)
class Decode:
    """Begin to decode a segment, or turn its guess into a final decode."""

    segment: Segment
    guess: bool  # speculative: it is dropped if the speaker goes on
    quick: bool = False  # first pass only: a doubtful text is decoded again with more audio


@dataclass(frozen=True, slots=True)
class Drop:
    """Withdraw a guess: its segment has changed."""

    segment: Segment


@dataclass(frozen=True, slots=True)
class Close:
    """Commit the text of a segment: no more speech can be added to it."""

    segment: Segment


@dataclass(frozen=True, slots=True)
class AnnounceSpeech:
    """Report that speech began; at most once per utterance."""

    seconds: float  # start of the speech, from the first sample


@dataclass(frozen=True, slots=True)
class EndTurn:
    """End the turn: answer it as if the client had sent `audio-stop`."""

    reason: EndReason


@dataclass(frozen=True, slots=True)
class Finalize:
    """Answer with the texts of these segments, in this order; without any, the text is empty."""

    segments: tuple[Segment, ...]


Action = Decode | Drop | Close | AnnounceSpeech | EndTurn | Finalize


class Utterance:
    """Takes VAD windows and decode results, returns actions; the caller performs them in order.

    Lives on the event loop; no call blocks.

    Args:
        rules: what counts as speech, and when a guess begins.
        endpointing: when the server ends the turn; default never. May be changed at any time.
        paced: wait for the text before a silence that may end the turn.
    """

    def __init__(
        self,
        rules: UtteranceRules,
        *,
        endpointing: Endpointing | None = None,
        paced: bool = False,
    ) -> None:
        self.phase = UtterancePhase.LISTENING
        self.endpointing = endpointing or Endpointing()
        self.dropped_guesses = 0  # guesses dropped so far
        self._rules = rules
        self._paced = paced
        self._hysteresis = Hysteresis(rules.threshold, PAUSE)  # as in segments()
        self.guess_after = windows(rules.guess_after)
        self._min_speech = max(1, windows(rules.min_speech))  # windows of speech in total
        self._probabilities: list[float] = []
        self._complete: Sequence[Segment] = ()  # segments that no longer change
        self._silent_until = 0  # window before which there is no speech but theirs
        self._speech_start: int | None = None  # its window; None before it, and after noise
        self._speech_windows = 0  # windows of speech since _speech_start
        self._speech_end = 0  # window after the last speech
        self._silent_windows = 0  # windows since the last speech; 0 before the first speech
        self._announced = False
        self._final_begun = False  # the final decode after this silence has begun
        # Windows of silence that close the last segment, and that start a guess of it. Both are
        # set once in each silence: 0 = not yet; infinite without certain speech.
        self._close_after: float = 0
        self._guess_delay: float = 0
        self._is_closed = False  # this silence has closed the last segment
        self._provisional: Segment | None = None  # the segment whose text more audio may change
        self._may_guess = False  # the model had time for a guess at the last feed()
        self._end_of_turn: EndOfTurn | None = None  # None while the speaker goes on
        self._may_end = True
        self._decoding: dict[tuple[int, int], Segment] = {}  # by Segment.speech
        self._recorded: int | None = None  # samples of the whole recording; None until stop()

    def __repr__(self) -> str:
        return (
            f"<Utterance {self.phase.name.lower()}, {len(self._probabilities)} windows, "
            f"{len(self._decoding)} segments>"
        )

    @property
    def has_ended(self) -> bool:
        """True once the turn is over: no more windows are taken."""
        return self.phase in (UtterancePhase.ENDED, UtterancePhase.FINALIZED)

    @property
    def holds(self) -> bool:
        """True while a paced utterance takes no windows, until decoded()."""
        waits = self._final_begun and self._end_of_turn is None
        return self._paced and waits and self.phase is UtterancePhase.GUESSING

    @property
    def has_speech(self) -> bool:
        """True once there was enough speech, other than noise."""
        return self._speech_windows >= self._min_speech

    @property
    def samples(self) -> int:
        """Number of samples that the VAD has processed; constant once the turn is over."""
        return len(self._probabilities) * WINDOW

    @property
    def speech_end(self) -> float:
        """Second at which the last speech ended; 0 before the first."""
        return self._speech_end * WINDOW / SAMPLE_RATE

    @property
    def speaking(self) -> bool:
        """True if the last window was speech."""
        return self._speech_start is not None and not self._silent_windows

    @property
    def in_pause(self) -> bool:
        """True if there was speech and the last window was silent: the turn may be over."""
        return self._speech_start is not None and self._silent_windows > 0

    def feed(
        self, probabilities: Iterable[float], *, may_guess: bool, may_end: bool = True
    ) -> list[Action]:
        """Take the next VAD windows.

        Args:
            probabilities: speech probability of each window, 0 to 1.
            may_guess: whether the model has time for a guess now.
            may_end: whether silence may end the turn now.

        Returns:
            The actions to perform. If a window ends the turn, or makes holds true, those after
            it are not taken; samples tells how many were.

        Raises:
            IllegalTransition: the turn has ended.
        """
        if self.has_ended:
            raise IllegalTransition(f"windows in {self.phase.name}")
        self._may_end = may_end
        self._may_guess = may_guess
        actions: list[Action] = []
        for probability in probabilities:
            if self.phase is UtterancePhase.ENDED or self.holds:
                break
            self._probabilities.append(probability)
            if self._hysteresis.feed(probability):
                actions += self._on_speech()
            else:
                actions += self._on_silence(may_guess=may_guess)
            actions += self._end_if_due()
        return actions

    def awaits(self, segment: Segment) -> bool:
        """Return whether the result of this segment's decode still matters to decoded()."""
        is_open = bool(self._decoding) and self._decoding[max(self._decoding)] is segment
        return is_open and self.phase is UtterancePhase.GUESSING

    def decoded(
        self, segment: Segment, end_of_turn: EndOfTurn, *, provisional: bool = False
    ) -> list[Action]:
        """Take the result of a segment's decode.

        Args:
            segment: ignored unless awaits() is true: a result for any but the last segment, or
                one that comes after the speaker went on.
            end_of_turn: class of its text.
            provisional: more audio after the last word may change the text. The segment is
                decoded once more, with its full pad of silence or with as much as there is at the
                end.

        Returns:
            The actions to perform.
        """
        if not self.awaits(segment):
            return []
        self._provisional = segment if provisional else None
        if end_of_turn is EndOfTurn.NO_SPEECH and not provisional:
            self._speech_start, self._speech_windows, self._silent_windows = None, 0, 0
            self._hysteresis.reset()
            self.phase = UtterancePhase.LISTENING
            return []
        self._end_of_turn = end_of_turn
        return self._end_if_due()

    def take_back(self, count: int) -> list[Action]:
        """Count the last windows as silence after all: they are a voice in the background.

        Args:
            count: number of windows.

        Returns:
            The actions to perform.
        """
        if self.has_ended or self._silent_windows >= count or self._speech_start is None:
            return []
        length = len(self._probabilities)
        before = max(self._speech_start + 1, length - count)
        kept = Hysteresis(self._rules.threshold, PAUSE)
        self._speech_windows = sum(
            map(kept.feed, self._probabilities[self._speech_start : before])
        )
        self._probabilities[before:] = [0.0] * (length - before)
        self._speech_end = before
        self._silent_windows = length - before
        self._hysteresis.reset()
        self._end_of_turn, self._final_begun = None, False
        self._is_closed, self._close_after = False, 0
        self._provisional = None
        if self.phase is not UtterancePhase.GUESSING:
            return []
        self.phase = UtterancePhase.LISTENING
        return [self._drop(self._decoding[max(self._decoding)])]

    def stop(self, samples: int) -> list[Action]:
        """End the utterance.

        Args:
            samples: length of the whole recording in samples.

        Returns:
            The actions to perform, the last one a Finalize.

        Raises:
            IllegalTransition: it has been stopped already.
        """
        if self.phase is UtterancePhase.FINALIZED:
            raise IllegalTransition("stop in FINALIZED")
        if self.phase is UtterancePhase.ENDED:  # later audio is not part of the turn
            samples = min(samples, self.samples)
        self._recorded = samples
        self.phase = UtterancePhase.FINALIZED
        parts = self._segments(samples)
        renewed = self._drop_outgrown(parts) if self._may_guess else []
        actions = renewed + self._decode(parts, guess=False)
        answer = tuple(self._decoding[part.speech] for part in parts)
        return [*actions, Finalize(answer)]

    def open_segment(self) -> Segment | None:
        """Return the last segment so far, which may still grow; None without certain speech."""
        parts = self._segments_so_far()
        return parts[-1] if parts else None

    def as_of_now(self, segment: Segment) -> Segment:
        """Return a segment with the silence that has followed since, up to the pad.

        The segment itself if the utterance is paced, or if its speech has changed since.
        """
        if self._paced:
            return segment  # what is decoded there must not depend on how fast audio arrives
        samples = self.samples if self._recorded is None else self._recorded
        found = (part for part in self._segments(samples) if part.speech == segment.speech)
        return next(found, segment)

    def needed_from(self, committed: int) -> int:
        """Return the sample from which later decodes may need the audio.

        Args:
            committed: window after the last speech whose text is final; 0 = none.
        """
        parts = self._segments(self.samples)
        for at, part in enumerate(parts):
            if at >= len(self._complete) or part.speech[1] > committed:
                return part.start
        return max(0, self.samples - round(self._rules.pad * SAMPLE_RATE))

    def _on_speech(self) -> list[Action]:
        self._silent_windows = 0
        self._provisional = None
        self._end_of_turn, self._final_begun = None, False
        if self._speech_start is None:
            self._speech_start = len(self._probabilities) - 1
        self._speech_windows += 1
        self._speech_end = len(self._probabilities)
        actions: list[Action] = []
        if self._speech_windows == self._min_speech and not self._announced:
            self._announced = True
            actions.append(AnnounceSpeech(self._speech_start * WINDOW / SAMPLE_RATE))
        if self.phase is UtterancePhase.GUESSING:
            self.phase = UtterancePhase.LISTENING
            last = max(self._decoding)
            if not self._is_closed:
                self.dropped_guesses += 1
                actions.append(self._drop(self._decoding[last]))
        self._is_closed, self._close_after = False, 0
        return actions

    def _on_silence(self, *, may_guess: bool) -> list[Action]:
        if self._speech_start is None:
            return []
        self._silent_windows += 1
        if self._final_due() and self._may_end and not self._final_begun:
            # The final decode begins here, with or without a guess before it.
            self._final_begun = True
            return self._begin_decodes(guess=False)
        if self.phase is UtterancePhase.GUESSING:
            again: list[Action] = []
            if may_guess and self._silent_windows >= windows(self._rules.pad):
                parts = self._segments_so_far()
                if dropped := self._drop_outgrown(parts):
                    again = [*dropped, *self._decode(parts, guess=True)]
            return [*again, *self._close_if_due()]
        if not self.guess_after or self._silent_windows < self.guess_after:
            return []
        actions: list[Action] = []
        if not self._close_after:
            # Closed segments must be decoded in any case, so begin now.
            parts = self._segments_so_far()
            actions = self._decode(parts[:-1], guess=True)
            self._close_after = self._guess_delay = math.inf
            if parts:
                length = _window_count(parts[-1].speech)
                self._close_after = closing_silence(length, self._rules)
                self._guess_delay = self._delay_for(length)
        guess_due = may_guess and self._silent_windows >= self._guess_delay
        if guess_due or self._silent_windows >= self._close_after:
            actions += self._begin_decodes(guess=True)
        return [*actions, *self._close_if_due()]

    def _final_due(self) -> bool:
        ending = self.endpointing
        if not ending.min_silence:
            return False
        if self._paced:
            return self._silent_windows >= ending.least_silence(self._speech_windows)
        return self._silent_windows >= ending.final_decode

    def _drop_outgrown(self, parts: list[Segment]) -> list[Action]:
        """Drop the provisional guess if its segment has grown enough for another decode."""
        old, self._provisional = self._provisional, None
        if old is None or self._is_closed or self._decoding.get(old.speech) is not old:
            return []
        least = old.end + _MORE_SOUND
        more = any(part.speech == old.speech and part.end >= least for part in parts)
        return [self._drop(old)] if more else []

    def _delay_for(self, length: int) -> int:
        """Return the silence after which a guess is worth its time, in windows.

        Args:
            length: of the segment to decode, in windows.
        """
        pause = self.guess_after + self.dropped_guesses * _MORE_SILENCE
        longest = max(self.guess_after, _LONGEST_PAUSE)
        if (
            self._speech_start is not None
            and len(self._probabilities) - self._speech_start > _DICTATION
        ):
            return max(longest, length // _DICTATION_SHARE)
        return min(pause, longest)

    def _begin_decodes(self, *, guess: bool) -> list[Action]:
        """Decode all segments so far, the last one included."""
        parts = self._segments_so_far()
        if not parts:
            return []
        self.phase = UtterancePhase.GUESSING
        actions = self._decode(parts, guess=True, quick=guess)
        if not guess:
            actions.append(Decode(self._decoding[parts[-1].speech], guess=False))
        return actions

    def _close_if_due(self) -> list[Action]:
        """Close the last segment, once, if the silence is long enough."""
        if self.phase is not UtterancePhase.GUESSING or self._is_closed:
            return []
        last = max(self._decoding)
        self._is_closed = self._silent_windows >= closing_silence(
            _window_count(last), self._rules
        )
        return [Close(self._decoding[last])] if self._is_closed else []

    def _end_if_due(self) -> list[Action]:
        why = self._end_reason()
        if why is None:
            return []
        self.phase = UtterancePhase.ENDED
        return [EndTurn(why)]

    def _end_reason(self) -> EndReason | None:
        ending, elapsed = self.endpointing, len(self._probabilities)
        if self.has_ended:
            return None
        if not self.has_speech:
            timed_out = ending.no_speech and elapsed >= windows(ending.no_speech)
            return EndReason.NO_SPEECH if timed_out and not self.speaking else None
        assert self._speech_start is not None
        if ending.longest and elapsed - self._speech_start >= windows(ending.longest):
            return EndReason.LONGEST
        late = ending.within and elapsed > windows(ending.within)
        if not ending.min_silence or late or not self._may_end or self._end_of_turn is None:
            return None
        needed = ending.silence_after(self._end_of_turn, self._speech_windows)
        if self._probabilities[-1] >= self._rules.low_threshold:
            needed += _SPEECH_ONSET
        return EndReason.SILENCE if self._silent_windows >= needed else None

    def _segments_so_far(self) -> list[Segment]:
        return [part for part in self._segments(self.samples) if part.certain_speech]

    def _segments(self, samples: int) -> list[Segment]:
        """Return all segments of the recording so far.

        Args:
            samples: length of the recording in samples.
        """
        parts = segments(
            self._probabilities,
            self._rules,
            samples,
            complete=self._complete,
            begin=self._silent_until,
        )
        length = len(self._probabilities)
        self._complete = complete(parts, self._rules, length)
        if len(self._complete) == len(parts):
            self._silent_until = length
        return parts

    def _decode(self, parts: list[Segment], *, guess: bool, quick: bool = False) -> list[Action]:
        """Begin the missing decodes of these segments, and drop those of all others.

        Args:
            parts: all segments to decode.
            guess: nothing waits for the decodes yet.
            quick: the last segment may still grow, so a first pass is enough for it.
        """
        wanted = {part.speech for part in parts}
        stale = [part for speech, part in self._decoding.items() if speech not in wanted]
        actions: list[Action] = [self._drop(part) for part in stale]
        for part in parts:
            if part.speech not in self._decoding:
                self._decoding[part.speech] = part
                actions.append(Decode(part, guess, quick and part is parts[-1]))
        return actions

    def _drop(self, part: Segment) -> Drop:
        del self._decoding[part.speech]
        return Drop(part)


def _window_count(speech: tuple[int, int]) -> int:
    return speech[1] - speech[0]
