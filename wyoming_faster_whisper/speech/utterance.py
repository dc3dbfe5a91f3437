"""One utterance: what to decode, when to guess, when it is over. Pure.

    LISTENING --pause--> GUESSING --speech--> LISTENING
        |                    |
        |      stop(), or a silence that ends the turn
        v                    v
      ENDED                ENDED

What is decoded are segments. At a pause, every segment of what was said so far
that is not being decoded is begun. Speech that goes on makes the last segment
longer, so its guess is dropped, unless the silence was long enough to close it;
the segments before it are closed and stay. At the end those that are there
already are the answer, and only what is missing is decoded: nothing at all after
a pause, the tail of a dictation, all of what was said without a pause.

Where the server ends the turn (Ending), what was said is read before the silence
counts: nothing, the gate's word for noise, ends no turn, and a sentence that is
finished may end it sooner than one that is not. Where somebody might just have
begun to speak again, the end waits for the VAD to be sure.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum, auto

from ..audio.pcm import SAMPLE_RATE
from .endpointing import Ended, Ending, Reading
from .hysteresis import WINDOW, ends_below, windows
from .segmenter import PAUSE, Segment, SpeechRules, parting, segments

# Who has paused and gone on is likely to do so again: each dropped guess asks for this many
# windows more of silence before the next, up to so many in all.
_MORE = 3
_LONGEST_PAUSE = 20

# Who speaks for longer than a command, Home Assistant's longest being 15 s, dictates, and pauses
# between any two sentences. A guess there asks for as much silence as that part of what it would
# decode: it is the dearer, and the likelier to be dropped, the more that is.
_DICTATION = windows(15.0)
_DEAR = 8

# Windows, 0.3 s, that a silence ends a turn later at most while somebody may have begun to speak
# again: Silero takes up to 0.26 s of a word to be sure of it, and 0.14 s to doubt.
_BEGINNING = 10


# Samples, 0.1 s, by which the sound must have grown since a provisional guess for another decode:
# that costs time, and the speaker waits for it where the client stops.
_MORE_SOUND = SAMPLE_RATE // 10


class Phase(Enum):
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
class Started:
    """Somebody began to speak; once in an utterance."""

    seconds: float  # since the first sample


@dataclass(frozen=True, slots=True)
class End:
    """The turn is over: answer it as if the client had stopped."""

    why: Ended


@dataclass(frozen=True, slots=True)
class Answer:
    """Send the texts of these segments, in this order; none means that nobody spoke."""

    segments: tuple[Segment, ...]


Action = Decode | Drop | Close | Started | End | Answer


class Utterance:
    """Takes facts, returns actions; the caller performs them in order.

    Args:
        pause: windows of silence behind speech after which to guess; 0 = never guess.
        ending: when it is over by itself; both may be changed while it runs.
    """

    def __init__(self, rules: SpeechRules, *, pause: int, ending: Ending | None = None) -> None:
        self.phase = Phase.LISTENING
        self.ending = ending or Ending()
        self.dropped = 0  # guesses
        self._rules = rules
        self.pause = pause
        self._least = max(1, windows(rules.min_speech))  # windows of speech, in all
        self._probabilities: list[float] = []
        self._first: int | None = None  # window of speech; None before it, and after noise
        self._spoken = 0  # windows of speech since then
        self._last = 0  # the window after the last of speech
        self._quiet = 0  # windows since the last of speech; 0 before the first too
        self._started = False
        self._due = False  # what was said is being decoded for whoever waits for it
        self._closes = 0  # windows of silence that close what is being said; 0 = none do
        self._guesses = pause  # and that ask for a guess of it
        self._is_closed = False  # this silence has closed it
        self._provisional: Segment | None = None  # whose text more sound may change
        self._idle = False  # there is time for guesses
        self._reading: Reading | None = None  # of what was said, as long as silence follows
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
    def spoken_until(self) -> float:
        """The second at which the last speech ended; 0 before the first."""
        return self._last * WINDOW / SAMPLE_RATE

    @property
    def speaking(self) -> bool:
        """Somebody speaks just now."""
        return self._first is not None and not self._quiet

    @property
    def pausing(self) -> bool:
        """Somebody spoke and is silent: that was all, perhaps."""
        return self._first is not None and self._quiet > 0

    def heard(
        self, probabilities: Iterable[float], *, guess: bool, may_end: bool = True
    ) -> list[Action]:
        """Take more windows.

        Args:
            guess: whether there is time for a guess now.
            may_end: whether silence may end the turn now.
        """
        self._may_end = may_end
        self._idle = guess
        actions: list[Action] = []
        for probability in probabilities:
            if self.phase is Phase.ENDED:
                break
            self._probabilities.append(probability)
            # As in stretches(): speech goes on at less than it takes to begin.
            begun = self._first is not None and self._quiet < PAUSE
            threshold = self._rules.threshold
            if probability >= (ends_below(threshold) if begun else threshold):
                actions += self._speech()
            else:
                actions += self._silence(guess=guess)
            actions += self._over()
        return actions

    def read(
        self, segment: Segment, reading: Reading, *, provisional: bool = False
    ) -> list[Action]:
        """Take what the decode of a segment says.

        Args:
            provisional: more sound after the last word may change the text. It is decoded once
                more with all the silence that a segment has, or with what there is at the end.
        """
        is_open = self._decoding and self._decoding[max(self._decoding)] is segment
        if not is_open or self.phase is not Phase.GUESSING:
            return []
        self._provisional = segment if provisional else None
        if reading is Reading.NOTHING and not provisional:
            self._first, self._spoken, self._quiet = None, 0, 0
            self.phase = Phase.LISTENING
            return []
        self._reading = reading
        return self._over()

    def stop(self, samples: int) -> list[Action]:
        """End the utterance.

        Args:
            samples: of the whole recording.
        """
        if self.phase is Phase.ENDED:  # by itself: what came after that is not part of it
            samples = min(samples, self.samples)
        self.phase = Phase.ENDED
        parts = segments(self._probabilities, self._rules, samples)
        renewed = self._renewed(parts) if self._idle else []
        actions = renewed + self._decode(parts, guess=False)
        answer = tuple(self._decoding[part.speech] for part in parts)
        return [*actions, Answer(answer)]

    def open(self) -> Segment | None:
        """What is being said, and may go on; None where nobody surely speaks."""
        parts = self._now()
        return parts[-1] if parts else None

    def _speech(self) -> list[Action]:
        self._quiet = 0
        self._provisional = None
        self._reading, self._due = None, False
        if self._first is None:
            self._first = len(self._probabilities) - 1
        self._spoken += 1
        self._last = len(self._probabilities)
        actions: list[Action] = []
        if self._spoken == self._least and not self._started:
            self._started = True
            actions.append(Started(self._first * WINDOW / SAMPLE_RATE))
        if self.phase is Phase.GUESSING:
            self.phase = Phase.LISTENING
            last = max(self._decoding)
            if not self._is_closed:
                self.dropped += 1
                actions.append(self._drop(self._decoding[last]))
        self._is_closed = False
        return actions

    def _silence(self, *, guess: bool) -> list[Action]:
        if self._first is None:
            return []
        self._quiet += 1
        due = self.ending.silence and self._quiet >= self.ending.due
        if due and self._may_end and not self._due:
            # Somebody waits for it now; where there was no time for a guess it begins here.
            self._due = True
            return self._begin(guess=False)
        if self.phase is Phase.GUESSING:
            again: list[Action] = []
            if guess and self._quiet >= windows(self._rules.pad):
                parts = self._now()
                if dropped := self._renewed(parts):
                    again = [*dropped, *self._decode(parts, guess=True)]
            return [*again, *self._closed()]
        if not self.pause or self._quiet < self.pause:
            return []
        actions: list[Action] = []
        if self._quiet == self.pause:
            # What is closed is decoded in any case, now or at the end.
            parts = self._now()
            actions = self._decode(parts[:-1], guess=True)
            length = _length(parts[-1].speech) if parts else 0
            self._closes = parting(length, self._rules) if parts else 0
            self._guesses = self._patience(length)
        if (guess and self._quiet >= self._guesses) or 0 < self._closes <= self._quiet:
            actions += self._begin(guess=True)
        return [*actions, *self._closed()]

    def _renewed(self, parts: list[Segment]) -> list[Action]:
        """Drop the provisional guess where its segment has grown enough for another decode."""
        old, self._provisional = self._provisional, None
        if old is None or self._is_closed or self._decoding.get(old.speech) is not old:
            return []
        least = old.end + _MORE_SOUND
        more = any(part.speech == old.speech and part.end >= least for part in parts)
        return [self._drop(old)] if more else []

    def _patience(self, length: int) -> int:
        """Windows of silence after which a guess of that many windows is worth its time."""
        pause = self.pause + self.dropped * _MORE
        longest = max(self.pause, _LONGEST_PAUSE)
        if self._first is not None and len(self._probabilities) - self._first > _DICTATION:
            return max(longest, length // _DEAR)
        return min(pause, longest)

    def _begin(self, *, guess: bool) -> list[Action]:
        """Decode all that was said, the last segment included."""
        parts = self._now()
        if not parts:
            return []
        self.phase = Phase.GUESSING
        actions = self._decode(parts, guess=True, quick=guess)
        if not guess:
            actions.append(Decode(self._decoding[parts[-1].speech], guess=False))
        return actions

    def _closed(self) -> list[Action]:
        """Where what is being decoded is closed by now: say so, once."""
        if self.phase is not Phase.GUESSING or self._is_closed:
            return []
        last = max(self._decoding)
        self._is_closed = self._quiet >= parting(_length(last), self._rules)
        return [Close(self._decoding[last])] if self._is_closed else []

    def _over(self) -> list[Action]:
        why = self._why_over()
        if why is None:
            return []
        self.phase = Phase.ENDED
        return [End(why)]

    def _why_over(self) -> Ended | None:
        ending, heard = self.ending, len(self._probabilities)
        if self.phase is Phase.ENDED:
            return None
        if self._spoken < self._least:
            nobody = ending.no_speech and heard >= windows(ending.no_speech)
            return Ended.NO_SPEECH if nobody and not self.speaking else None
        assert self._first is not None
        if ending.longest and heard - self._first >= windows(ending.longest):
            return Ended.LONGEST
        late = ending.within and heard > windows(ending.within)
        if not ending.silence or late or not self._may_end or self._reading is None:
            return None
        needed = ending.needed(self._reading)
        if self._probabilities[-1] >= self._rules.doubt:
            needed += _BEGINNING
        return Ended.SILENCE if self._quiet >= needed else None

    def _now(self) -> list[Segment]:
        parts = segments(self._probabilities, self._rules, self.samples)
        return [part for part in parts if part.sure]

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


def _length(speech: tuple[int, int]) -> int:
    return speech[1] - speech[0]
