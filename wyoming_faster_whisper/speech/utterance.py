"""One utterance: what to decode, when to guess, when it is over. Pure.

    LISTENING --pause--> GUESSING --speech--> LISTENING
        |                    |
        |      full_stop(), or a silence that ends the turn
        v                    v
      ENDED                ENDED

What is decoded are segments. At a pause, every segment of what was said so far
that is not being decoded is begun. Speech that goes on makes the last segment
longer, so its guess is dropped, unless the silence was long enough to close it;
the segments before it are closed and stay. At the end those that are there
already are the answer, and only what is missing is decoded: nothing at all after
a pause, the tail of a dictation, all of what was said without a pause.

Where the server ends the turn (Endpointing), what was said is read before the silence
counts: nothing, the gate's word for noise, ends no turn, and a sentence that is
finished may end it sooner than one that is not. Where somebody might just have
begun to speak again, the end waits for the VAD to be sure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto

from ..audio.pcm import SAMPLE_RATE
from .endpointing import EndOfTurn, Endpointing, EndReason
from .hysteresis import WINDOW, offset_threshold, windows
from .segmenter import PAUSE, Segment, SpeechRules, closing_silence, segments

# Who has paused and gone on is likely to do so again: each dropped guess asks for this many
# windows more of silence before the next, up to so many in all.
_MORE_SILENCE = 3
_LONGEST_PAUSE = 20

# Who speaks for longer than a command, Home Assistant's longest being 15 s, dictates, and pauses
# between any two sentences. A guess there asks for as much silence as that part of what it would
# decode: it is the dearer, and the likelier to be dropped, the more that is.
_DICTATION = windows(15.0)
_DICTATION_SHARE = 8

# Windows, 0.3 s, that a silence ends a turn later at most while somebody may have begun to speak
# again: Silero takes up to 0.26 s of a word to be sure of it, and 0.14 s to doubt.
_SPEECH_ONSET = 10


# Samples, 0.1 s, by which the sound must have grown since a provisional guess for another decode:
# that costs time, and the speaker waits for it where the client stops.
_MORE_SOUND = SAMPLE_RATE // 10


class UtterancePhase(Enum):
    """Where an utterance is."""

    LISTENING = auto()
    GUESSING = auto()
    ENDED = auto()


@dataclass(frozen=True, slots=True)
class Decode:
    """Begin to decode a segment; if that was begun as a guess, it is none any more."""

    segment: Segment
    guess: bool  # nobody waits for it yet; the speaker may go on and have it dropped
    quick: bool = False  # a first pass will do: what it doubts is decoded again, with more sound


@dataclass(frozen=True, slots=True)
class Drop:
    """Withdraw a guess: more was said."""

    segment: Segment


@dataclass(frozen=True, slots=True)
class Close:
    """Nothing more can come to a segment: its text is certain."""

    segment: Segment


@dataclass(frozen=True, slots=True)
class AnnounceSpeech:
    """Somebody began to speak; once in an utterance."""

    seconds: float  # since the first sample


@dataclass(frozen=True, slots=True)
class EndTurn:
    """The turn is over: answer it as if the client had stopped."""

    reason: EndReason


@dataclass(frozen=True, slots=True)
class Finalize:
    """Send the texts of these segments, in this order; none means that nobody spoke."""

    segments: tuple[Segment, ...]


Action = Decode | Drop | Close | AnnounceSpeech | EndTurn | Finalize


class Utterance:
    """Takes facts, returns actions; the caller performs them in order.

    Args:
        guess_after: windows of silence behind speech after which to guess; 0 = never guess.
        endpointing: when it is over by itself; both may be changed while it runs.
    """

    def __init__(
        self, rules: SpeechRules, *, guess_after: int, endpointing: Endpointing | None = None
    ) -> None:
        self.phase = UtterancePhase.LISTENING
        self.endpointing = endpointing or Endpointing()
        self.dropped_guesses = 0  # guesses
        self._rules = rules
        self.guess_after = guess_after
        self._min_speech = max(1, windows(rules.min_speech))  # windows of speech, in all
        self._probabilities: list[float] = []
        self._speech_start: int | None = None  # window of speech; None before it, and after noise
        self._speech_windows = 0  # windows of speech since then
        self._speech_end = 0  # the window after the last of speech
        self._silent_windows = 0  # windows since the last of speech; 0 before the first too
        self._announced = False
        self._final_begun = False  # what was said is being decoded for whoever waits for it
        self._close_after = 0  # windows of silence that close what is being said; 0 = none do
        self._guess_delay = guess_after  # and that ask for a guess of it
        self._is_closed = False  # this silence has closed it
        self._provisional: Segment | None = None  # whose text more sound may change
        self._may_guess = False  # there is time for guesses
        self._end_of_turn: EndOfTurn | None = None  # of what was said, as long as silence follows
        self._may_end = True
        self._decoding: dict[tuple[int, int], Segment] = {}  # by their windows of speech

    def __repr__(self) -> str:
        return (
            f"<Utterance {self.phase.name.lower()}, {len(self._probabilities)} windows, "
            f"{len(self._decoding)} segments>"
        )

    @property
    def samples(self) -> int:
        """That were judged. Once the turn is over no more are."""
        return len(self._probabilities) * WINDOW

    @property
    def speech_end(self) -> float:
        """The second at which the last speech ended; 0 before the first."""
        return self._speech_end * WINDOW / SAMPLE_RATE

    @property
    def speaking(self) -> bool:
        """Somebody speaks just now."""
        return self._speech_start is not None and not self._silent_windows

    @property
    def in_pause(self) -> bool:
        """Somebody spoke and is silent: that was all, perhaps."""
        return self._speech_start is not None and self._silent_windows > 0

    def feed(
        self, probabilities: Iterable[float], *, may_guess: bool, may_end: bool = True
    ) -> list[Action]:
        """Take more windows.

        Args:
            may_guess: whether there is time for a guess now.
            may_end: whether silence may end the turn now.
        """
        self._may_end = may_end
        self._may_guess = may_guess
        actions: list[Action] = []
        for probability in probabilities:
            if self.phase is UtterancePhase.ENDED:
                break
            self._probabilities.append(probability)
            # As in stretches(): speech goes on at less than it takes to begin.
            begun = self._speech_start is not None and self._silent_windows < PAUSE
            threshold = self._rules.threshold
            if probability >= (offset_threshold(threshold) if begun else threshold):
                actions += self._on_speech()
            else:
                actions += self._on_silence(may_guess=may_guess)
            actions += self._end_if_due()
        return actions

    def decoded(
        self, segment: Segment, end_of_turn: EndOfTurn, *, provisional: bool = False
    ) -> list[Action]:
        """Take what the decode of a segment says.

        Args:
            provisional: more sound after the last word may change the text. It is decoded once
                more with all the silence that a segment has, or with what there is at the end.
        """
        is_open = self._decoding and self._decoding[max(self._decoding)] is segment
        if not is_open or self.phase is not UtterancePhase.GUESSING:
            return []
        self._provisional = segment if provisional else None
        if end_of_turn is EndOfTurn.NO_SPEECH and not provisional:
            self._speech_start, self._speech_windows, self._silent_windows = None, 0, 0
            self.phase = UtterancePhase.LISTENING
            return []
        self._end_of_turn = end_of_turn
        return self._end_if_due()

    def stop(self, samples: int) -> list[Action]:
        """End the utterance.

        Args:
            samples: of the whole recording.
        """
        if (
            self.phase is UtterancePhase.ENDED
        ):  # by itself: what came after that is not part of it
            samples = min(samples, self.samples)
        self.phase = UtterancePhase.ENDED
        parts = segments(self._probabilities, self._rules, samples)
        renewed = self._drop_outgrown(parts) if self._may_guess else []
        actions = renewed + self._decode(parts, guess=False)
        answer = tuple(self._decoding[part.speech] for part in parts)
        return [*actions, Finalize(answer)]

    def open_segment(self) -> Segment | None:
        """What is being said, and may go on; None where nobody surely speaks."""
        parts = self._segments_so_far()
        return parts[-1] if parts else None

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
        self._is_closed = False
        return actions

    def _on_silence(self, *, may_guess: bool) -> list[Action]:
        if self._speech_start is None:
            return []
        self._silent_windows += 1
        final_due = (
            self.endpointing.min_silence and self._silent_windows >= self.endpointing.final_decode
        )
        if final_due and self._may_end and not self._final_begun:
            # Somebody waits for it now; where there was no time for a guess it begins here.
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
        if self._silent_windows == self.guess_after:
            # What is closed is decoded in any case, now or at the end.
            parts = self._segments_so_far()
            actions = self._decode(parts[:-1], guess=True)
            length = _window_count(parts[-1].speech) if parts else 0
            self._close_after = closing_silence(length, self._rules) if parts else 0
            self._guess_delay = self._delay_for(length)
        if (
            may_guess and self._silent_windows >= self._guess_delay
        ) or 0 < self._close_after <= self._silent_windows:
            actions += self._begin_decodes(guess=True)
        return [*actions, *self._close_if_due()]

    def _drop_outgrown(self, parts: list[Segment]) -> list[Action]:
        """Drop the provisional guess where its segment has grown enough for another decode."""
        old, self._provisional = self._provisional, None
        if old is None or self._is_closed or self._decoding.get(old.speech) is not old:
            return []
        least = old.end + _MORE_SOUND
        more = any(part.speech == old.speech and part.end >= least for part in parts)
        return [self._drop(old)] if more else []

    def _delay_for(self, length: int) -> int:
        """Windows of silence after which a guess of that many windows is worth its time."""
        pause = self.guess_after + self.dropped_guesses * _MORE_SILENCE
        longest = max(self.guess_after, _LONGEST_PAUSE)
        if (
            self._speech_start is not None
            and len(self._probabilities) - self._speech_start > _DICTATION
        ):
            return max(longest, length // _DICTATION_SHARE)
        return min(pause, longest)

    def _begin_decodes(self, *, guess: bool) -> list[Action]:
        """Decode all that was said, the last segment included."""
        parts = self._segments_so_far()
        if not parts:
            return []
        self.phase = UtterancePhase.GUESSING
        actions = self._decode(parts, guess=True, quick=guess)
        if not guess:
            actions.append(Decode(self._decoding[parts[-1].speech], guess=False))
        return actions

    def _close_if_due(self) -> list[Action]:
        """Where what is being decoded is closed by now: say so, once."""
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
        ending, heard = self.endpointing, len(self._probabilities)
        if self.phase is UtterancePhase.ENDED:
            return None
        if self._speech_windows < self._min_speech:
            nobody = ending.no_speech and heard >= windows(ending.no_speech)
            return EndReason.NO_SPEECH if nobody and not self.speaking else None
        assert self._speech_start is not None
        if ending.longest and heard - self._speech_start >= windows(ending.longest):
            return EndReason.LONGEST
        late = ending.within and heard > windows(ending.within)
        if not ending.min_silence or late or not self._may_end or self._end_of_turn is None:
            return None
        needed = ending.silence_after(self._end_of_turn)
        if self._probabilities[-1] >= self._rules.low_threshold:
            needed += _SPEECH_ONSET
        return EndReason.SILENCE if self._silent_windows >= needed else None

    def _segments_so_far(self) -> list[Segment]:
        parts = segments(self._probabilities, self._rules, self.samples)
        return [part for part in parts if part.certain_speech]

    def _decode(self, parts: list[Segment], *, guess: bool, quick: bool = False) -> list[Action]:
        """Begin what is not being decoded, and drop what is not wanted any more.

        Args:
            quick: the last part may go on, so that a first pass over it will do.
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
