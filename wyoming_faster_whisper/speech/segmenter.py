"""Cuts a recording into the segments that the model decodes. Pure.

Silence at both ends of a segment is trimmed to a short pad, and so is long silence between
segments. When speech begins with the first sample there is no pad, and without one the model
omits words: the segment says how much silence to add in front. Speech that is longer than the
model's window is cut at pauses, where a sentence may end; a cut at exactly 30 s would fall into a
word.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from ..audio.pcm import SAMPLE_RATE
from .hysteresis import WINDOW, Stretch, join, stretches, windows

LONGEST = 28.0
"""Longest segment in seconds: Whisper's window of 30 s, less a margin to detect the end."""

PAUSE = 4
"""Shortest pause at which long speech may be cut, in windows: 0.13 s."""

# A closed segment is decoded while the speaker goes on, so that only the tail is left at the end.
# A segment longer than ENOUGH is closed at a pause between sentences, one longer than TOO_MUCH at
# any pause. Whisper makes fewer errors with neighbouring sentences as context: an eighth fewer
# than with 10 and 20 s, and no fewer with still longer segments (docs/performance.md, Dictation).
# No command is that long, so none is cut.
ENOUGH = 16.0  # seconds
TOO_MUCH = 26.0  # seconds
# The same where the model encodes 30 s, however short a segment is: longer segments cost less,
# and with a file no listener waits for the tail. Of two lengths tried by python -m
# bench.long_files --segments on 300 s of Italian prompts by one speaker (base, int8, 2026-11-30):
# 43.5 CPU seconds and 45 word errors of 523, with 16 s 51.4 and 47. Other languages and models
# were not tried.
_FULL_ENOUGH = 22.0  # seconds
_SENTENCE = 16  # windows, 0.5 s: a pause between sentences

FRAGMENT = 4.0
"""Seconds of speech below which a segment is a fragment."""

FRAGMENT_SILENCE_FACTOR = 2.5
"""Factor by which the silence after a fragment must be longer, because more speech may follow."""


@dataclass(frozen=True, slots=True)
class SpeechRules:
    """VAD thresholds and times that decide what counts as speech, and what is a segment."""

    threshold: float = 0.5  # probability at which speech begins
    # Probability of possible speech, for whispers, which stay below the threshold. Kitchen noise,
    # clicks, tones and hum rarely reach it; the hallucination check rejects those that do.
    low_threshold: float = 0.15
    min_speech: float = 0.064  # minimum seconds of speech; with less it is only possible
    min_silence: float = 2.0  # seconds of silence between two segments
    clip_threshold: float = 0.5  # probability at which the ends are trimmed, if below threshold
    pad: float = 0.4  # seconds of silence kept at both ends
    # A fragment shorter than a sentence is decoded together with what follows it: "Okay" says
    # little about the language, and "Set a timer for" needs the rest of the command, even 4 s
    # later. Set by hand on 2026-11-29; python -m bench.calibration.fragments tries other lengths,
    # and its figures are in docs/performance-notes.md.
    fragment: float = FRAGMENT  # seconds; a longer segment is not a fragment
    # Times min_silence: the silence that closes a fragment.
    fragment_silence: float = FRAGMENT_SILENCE_FACTOR
    enough: float = ENOUGH  # seconds


Rules = TypeVar("Rules", bound=SpeechRules)


def fill_window(rules: Rules) -> Rules:
    """Return rules whose segments fill the model's window, for files."""
    return replace(rules, fragment=_FULL_ENOUGH, enough=_FULL_ENOUGH)


@dataclass(frozen=True, slots=True)
class Segment:
    """Samples start to end (exclusive) of a recording, decoded as one piece."""

    start: int
    end: int
    certain_speech: bool  # False: possible speech, below the threshold
    speech: tuple[int, int] = (0, 0)  # first and last window (exclusive), without the pad
    leading_silence: int = 0  # samples of silence to add in front where the pad is missing
    stretches: tuple[Stretch, ...] = field(default=(), compare=False)  # speech in it
    earlier_seconds: float = field(default=0.0, compare=False)  # of speech, before it
    peak: float = field(default=1.0, compare=False)  # highest speech probability in it

    @property
    def speech_samples(self) -> tuple[tuple[int, int], ...]:
        """Start and end of each stretch of speech, in samples from the segment's start."""
        return tuple(
            (each.start * WINDOW - self.start, min(self.end, each.end * WINDOW) - self.start)
            for each in self.stretches
        )

    @property
    def speech_seconds(self) -> float:
        """Seconds of speech in the segment, without its pauses."""
        return sum(map(len, self.stretches)) * WINDOW / SAMPLE_RATE

    @property
    def speech_end(self) -> int:
        """End of the last speech, in samples from the segment's start."""
        return self.speech[1] * WINDOW - self.start


def segments(
    probabilities: Sequence[float],
    rules: SpeechRules,
    samples: int,
    *,
    complete: Sequence[Segment] = (),
    begin: int = 0,
) -> list[Segment]:
    """Cut a recording into segments.

    Args:
        probabilities: speech probability of each window of the recording.
        rules: what counts as speech.
        samples: length of the recording in samples.
        complete: complete() of an earlier result for the beginning of this recording. The result
            is the same with and without it, but without it the time grows with the recording.
        begin: window before which there is no speech but that in `complete`.

    Returns:
        The segments in order; an empty list if there is no speech. With less than min_speech of
        certain speech, the segments hold possible speech instead (certain_speech is False).
    """
    begin = max(begin, complete[-1].speech[1] if complete else 0)
    new = probabilities[begin:] if begin else probabilities
    speech = stretches(new, threshold=rules.threshold, min_silence=PAUSE)
    certain = bool(complete) or sum(map(len, speech)) * WINDOW >= max(
        rules.min_speech * SAMPLE_RATE, WINDOW
    )
    if not certain:
        threshold = min(rules.low_threshold, rules.threshold)
        speech = stretches(new, threshold=threshold, min_silence=PAUSE)
    elif rules.clip_threshold < rules.threshold:
        speech = stretches(new, threshold=rules.clip_threshold, min_silence=PAUSE)
    speech = [Stretch(begin + each.start, begin + each.end) for each in speech]
    pad = round(rules.pad * SAMPLE_RATE)
    # However wide the pad, at least 1 s of speech must fit into a segment.
    longest = max(SAMPLE_RATE, round(LONGEST * SAMPLE_RATE) - 2 * pad)
    parts = join(
        speech,
        longest=longest // WINDOW,
        closing_silence=lambda length: closing_silence(length, rules),
    )
    found = list(complete)
    for at, part in enumerate(parts):
        # Neighbours split the silence between them. A word in both would be transcribed twice.
        last = found[-1] if found else None
        before = (part.start - last.speech[1]) * WINDOW // 2 if last else pad
        after = (parts[at + 1].start - part.end) * WINDOW // 2 if parts[at + 1 :] else pad
        start = part.start * WINDOW - min(pad, before)
        lead, start = max(0, -start), max(0, start)
        end = min(samples, part.end * WINDOW + min(pad, after))
        voice = tuple(
            Stretch(max(each.start, part.start), min(each.end, part.end))
            for each in speech
            if each.start < part.end and each.end > part.start
        )
        earlier = last.earlier_seconds + last.speech_seconds if last else 0.0
        peak = max(probabilities[part.start : part.end])
        found.append(
            Segment(start, end, certain, (part.start, part.end), lead, voice, earlier, peak)
        )
    return found


def complete(found: Sequence[Segment], rules: SpeechRules, length: int) -> Sequence[Segment]:
    """Return the segments at the beginning of the recording that later audio cannot change.

    The last segment may grow, and it may still be split, until the silence after it closes it and
    leaves room for the pads of both neighbours. A segment that was cut in the middle of speech
    does not count, because the speech cannot be found from there on.

    Args:
        found: all segments of the recording so far.
        length: of the recording so far, in windows.
    """
    next_speech, needed = length, PAUSE
    if found:
        first, last = found[-1].speech
        pads = math.ceil(2 * rules.pad * SAMPLE_RATE / WINDOW)
        needed = max(PAUSE, pads, closing_silence(last - first, rules))
    for at in range(len(found) - 1, -1, -1):
        if found[at].certain_speech and next_speech - found[at].speech[1] >= needed:
            return found[: at + 1]
        next_speech, needed = found[at].speech[0], PAUSE
    return ()


def closing_silence(length: int, rules: SpeechRules) -> int:
    """Return the silence that closes a segment of a length; both in windows.

    It is longer for a fragment, and gets shorter between `enough` and TOO_MUCH.
    """
    gap = max(1, windows(rules.min_silence))
    seconds = length * WINDOW / SAMPLE_RATE
    if seconds < rules.fragment:
        return round(rules.fragment_silence * gap)
    if seconds < rules.enough:
        return gap
    share = min(1.0, (seconds - rules.enough) / (TOO_MUCH - rules.enough))
    return min(gap, round(_SENTENCE + share * (PAUSE - _SENTENCE)))
