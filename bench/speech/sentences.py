"""Utterances of several sentences, joined from clips by different speakers."""

import random
from collections.abc import Iterator, Sequence

import numpy as np

from wyoming_faster_whisper.audio.pcm import to_pcm16

from ..support.clips import Clip, Samples, to_samples
from .pauses import room
from .variations import SPEECH_LEVEL, at_level

PAUSE = (0.3, 0.8)  # range of seconds between two sentences
TRAILING = 0.4  # seconds of room tone after the last sentence


def joined(clips: Sequence[Clip], chance: random.Random) -> Samples:
    """Return an utterance of several clips at the same level, with room tone between them."""
    parts: list[Samples] = []
    for clip in clips:
        pause = TRAILING if clip is clips[-1] else chance.uniform(*PAUSE)
        whole = to_samples(clip.audio + room(clip, pause))
        parts.append(at_level(whole, SPEECH_LEVEL))
    return np.concatenate(parts)


def paragraphs(clips: Sequence[Clip], size: int) -> Iterator[Clip]:
    """Yield utterances of `size` clips each, in random order; the same in each run.

    Args:
        clips: with a full transcript; each is used once at most.
    """
    chance = random.Random(0)
    mixed = chance.sample(clips, len(clips))
    for first in range(0, len(mixed) - size + 1, size):
        some = mixed[first : first + size]
        text = " ".join(clip.text or "" for clip in some)
        name = " + ".join(clip.name for clip in some)
        yield Clip(name, to_pcm16(joined(some, chance)), b"", text)
