"""Which parts of a recording the model is to hear. Pure.

Silence at both ends is cut off but for a little, long silence in the middle as well.
Where somebody speaks from the first sample on that little is missing, and the model
leaves out words without it: a segment says how much has to be put in front. Speech
that is longer than the model can hear at once is cut at pauses, where a sentence ends
anyway: at 30 s sharp it would be in the middle of a word.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from ..audio.pcm import SAMPLE_RATE
from .hysteresis import WINDOW, Stretch, stretches, windows

LONGEST = 28.0
"""Seconds of one segment: the model's 30, less room to notice the end."""

PAUSE = 4
"""Windows of silence, 0.13 s, at which long speech may be cut."""

# What is closed is decoded while the speaker goes on, so that only the tail is left at the
# end. From ENOUGH on a part is cut at a pause between sentences, at TOO_MUCH at any pause.
# The model hears a sentence better beside its neighbours, up to here: from 10 and 20 s to these
# it mistakes an eighth fewer words, and no fewer beyond (docs/performance.md, Dictation). No
# command is that long, so none is cut.
ENOUGH = 16.0  # seconds
TOO_MUCH = 26.0  # seconds
# What is shorter than a sentence is heard beside what follows: "Okay" says little about the
# language, and "Set a timer for" asks for the rest of the order, be it after 4 s.
_FRAGMENT = 4.0  # seconds
_PATIENCE = 2.5  # times min_silence
_SENTENCE = 16  # windows, 0.5 s


@dataclass(frozen=True, slots=True)
class SpeechRules:
    """What counts as speech."""

    threshold: float = 0.5  # probability from which somebody speaks
    # Probability from which somebody might: whispers stay below the threshold. Kitchen
    # noise, clicks, tones and hum rarely get there; what does is for the gate to refuse.
    low_threshold: float = 0.15
    min_speech: float = 0.064  # seconds in all below which nobody surely speaks
    min_silence: float = 2.0  # seconds that part two segments
    clip_threshold: float = 0.5  # probability up to which both ends are cut off
    pad: float = 0.4  # seconds kept at both ends


@dataclass(frozen=True, slots=True)
class Segment:
    """Samples start to end (exclusive) that go to the model together."""

    start: int
    end: int
    certain_speech: bool  # somebody speaks; False: somebody might
    speech: tuple[int, int] = (0, 0)  # its windows, without the silence kept around them
    leading_silence: int = 0  # samples of silence that are missing in front of it
    stretches: tuple[Stretch, ...] = field(default=(), compare=False)  # its windows of speech

    @property
    def speech_samples(self) -> tuple[tuple[int, int], ...]:
        """Samples of the segment from and to which somebody speaks."""
        return tuple(
            (each.start * WINDOW - self.start, min(self.end, each.end * WINDOW) - self.start)
            for each in self.stretches
        )

    @property
    def speech_seconds(self) -> float:
        """Seconds of speech in it, pauses not counted."""
        return sum(map(len, self.stretches)) * WINDOW / SAMPLE_RATE

    @property
    def speech_end(self) -> int:
        """Samples from its start to the end of its speech."""
        return self.speech[1] * WINDOW - self.start


def segments(probabilities: Sequence[float], rules: SpeechRules, samples: int) -> list[Segment]:
    """Say what of a recording is to be decoded; nothing if nobody spoke.

    Args:
        probabilities: of speech, one per window of the recording.
        samples: of the recording.
    """
    speech = stretches(probabilities, threshold=rules.threshold, min_silence=PAUSE)
    certain = sum(map(len, speech)) * WINDOW >= max(rules.min_speech * SAMPLE_RATE, WINDOW)
    if not certain:
        threshold = min(rules.low_threshold, rules.threshold)
        speech = stretches(probabilities, threshold=threshold, min_silence=PAUSE)
    elif rules.clip_threshold < rules.threshold:
        speech = stretches(probabilities, threshold=rules.clip_threshold, min_silence=PAUSE)
    pad = round(rules.pad * SAMPLE_RATE)
    # However wide the pad, some speech must fit between two of them.
    longest = max(SAMPLE_RATE, round(LONGEST * SAMPLE_RATE) - 2 * pad)
    parts = _joined(speech, longest=longest // WINDOW, rules=rules)
    found: list[Segment] = []
    for at, part in enumerate(parts):
        # Neighbours share the silence between them: what both heard would be said twice.
        before = (part.start - parts[at - 1].end) * WINDOW // 2 if at else pad
        after = (parts[at + 1].start - part.end) * WINDOW // 2 if parts[at + 1 :] else pad
        start = part.start * WINDOW - min(pad, before)
        lead, start = max(0, -start), max(0, start)
        end = min(samples, part.end * WINDOW + min(pad, after))
        voice = tuple(
            Stretch(max(each.start, part.start), min(each.end, part.end))
            for each in speech
            if each.start < part.end and each.end > part.start
        )
        found.append(Segment(start, end, certain, (part.start, part.end), lead, voice))
    return found


def closing_silence(length: int, rules: SpeechRules) -> int:
    """Windows of silence that close a part which is that many windows long."""
    gap = max(1, windows(rules.min_silence))
    seconds = length * WINDOW / SAMPLE_RATE
    if seconds < _FRAGMENT:
        return round(_PATIENCE * gap)
    if seconds < ENOUGH:
        return gap
    share = min(1.0, (seconds - ENOUGH) / (TOO_MUCH - ENOUGH))
    return min(gap, round(_SENTENCE + share * (PAUSE - _SENTENCE)))


def _joined(speech: Sequence[Stretch], *, longest: int, rules: SpeechRules) -> list[Stretch]:
    """Join stretches that no silence parts, up to longest windows.

    A stretch that is longer than that by itself is cut, for want of a pause.
    """
    found: list[Stretch] = []
    for stretch in speech:
        start = stretch.start
        while stretch.end - start > longest:
            found.append(Stretch(start, start + longest))
            start += longest
        last = found[-1] if found and start == stretch.start else None
        close = last is not None and start - last.end < closing_silence(len(last), rules)
        if last and close and stretch.end - last.start <= longest:
            found[-1] = Stretch(last.start, stretch.end)
        else:
            found.append(Stretch(start, stretch.end))
    return found
