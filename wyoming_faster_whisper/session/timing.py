"""Times of an answer's segments and words in the client's stream. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ..audio.pcm import SAMPLE_RATE
from ..engine.protocol import Transcript
from ..speech.hysteresis import WINDOW
from ..speech.segmenter import Segment
from .events import TimedSegment


def timed_segments(
    segments: Sequence[Segment], texts: Sequence[Transcript], begin: float
) -> tuple[TimedSegment, ...]:
    """Return the texts with the times at which they were spoken.

    Args:
        segments: all segments of the utterance, in order.
        texts: one per segment; or a single text for all of them, from an upstream server. Empty
            texts are left out.
        begin: seconds of the stream before the utterance.
    """
    if len(texts) == len(segments):
        pairs = [(part, part, text) for part, text in zip(segments, texts, strict=True)]
    else:
        [text] = texts
        pairs = [(segments[0], segments[-1], text)]
    return tuple(_timed(first, last, text, begin) for first, last, text in pairs if text.text)


def _timed(first: Segment, last: Segment, text: Transcript, begin: float) -> TimedSegment:
    offset = begin + first.start / SAMPLE_RATE
    return TimedSegment(
        start=begin + first.speech[0] * WINDOW / SAMPLE_RATE,
        # The last window of the VAD may be longer than the rest of the recording.
        end=begin + min(last.speech[1] * WINDOW, last.end) / SAMPLE_RATE,
        text=text.text,
        tokens=text.tokens,
        avg_logprob=text.avg_logprob,
        no_speech_prob=text.no_speech_prob,
        temperature=text.temperature,
        token_logprobs=text.token_logprobs,
        words=tuple(
            replace(word, start=word.start + offset, end=word.end + offset) for word in text.words
        ),
    )
