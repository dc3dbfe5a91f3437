"""Inserts pauses of room tone between two words of a clip, as when a speaker hesitates.

The word boundaries are faster-whisper's word timestamps, refined to the quietest moment nearby.
They are cached, because finding them takes a second per clip.
"""

import hashlib
import json
from collections.abc import Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np

from wyoming_faster_whisper.audio.pcm import to_pcm16

from ..support.clips import SAMPLE_RATE, Clip, Samples, to_samples
from ..support.models import cache_directory, model_directory
from ..support.report import progress
from .noise import coloured

PAUSES = (0.3, 0.5, 0.7, 1.0)  # seconds
PER_CLIP = 2  # quietest word boundaries of a clip that get a pause, one at a time

_REACH = 0.08  # seconds: error of the timestamps
_FRAME = SAMPLE_RATE // 100  # samples: resolution of the search for a quiet moment
_EDGE = 0.25  # least seconds of speech on either side
_FADE = 80  # samples: 5 ms, to avoid clicks
_LEAST_TAIL = 0.3  # least seconds of recorded room noise that are worth repeating
_QUIET_ROOM = 10 ** (-70 / 20)  # of full scale


def room(clip: Clip, seconds: float) -> bytes:
    """Return room tone: the end of the recording, forwards and backwards, else soft noise."""
    tail = to_samples(clip.tail)
    if len(tail) < _LEAST_TAIL * SAMPLE_RATE or not tail.any():
        tail = _soft_noise(clip.name)
    # Mirrored, so that it repeats without a step.
    there_and_back = np.concatenate([tail, tail[::-1]])
    return to_pcm16(np.resize(there_and_back, round(seconds * SAMPLE_RATE)))


@lru_cache(maxsize=1024)
def _soft_noise(seed: str) -> Samples:
    return np.asarray(_QUIET_ROOM * coloured(2 * SAMPLE_RATE, 0.5, seed), np.float32)


def pause_set(clips: Sequence[Clip], model: Path) -> list[tuple[float, Clip]]:
    """Return each clip with each pause at each of its PER_CLIP quietest word boundaries.

    Each of them has one pause. A clip with fewer boundaries yields fewer. Neighbours in the list
    have different pauses.
    """
    between = gaps(clips, model)
    return [
        (seconds, with_pause(clip, at, seconds))
        for clip in clips
        for at in between[clip.name][:PER_CLIP]
        for seconds in PAUSES
    ]


def with_pause(clip: Clip, at: int, seconds: float) -> Clip:
    """Return a clip with room tone inserted before sample `at`."""
    before, after = np.split(to_samples(clip.audio), [at])
    tone = to_samples(room(clip, seconds))
    fade = np.linspace(0, 1, _FADE, dtype=np.float32)
    tone[:_FADE] = tone[:_FADE] * fade + before[-1] * (1 - fade)
    tone[-_FADE:] = tone[-_FADE:] * fade[::-1] + after[0] * fade
    return Clip(
        f"{clip.name}, {seconds:g} s at {at / SAMPLE_RATE:.2f} s",
        to_pcm16(np.concatenate([before, tone, after])),
        clip.tail,
        clip.text,
        clip.phrases,
    )


def quietest(samples: Samples, first: int, last: int) -> tuple[int, float]:
    """Return the middle sample of the quietest 10 ms from first to last, and its power."""
    first, last = max(0, first), min(len(samples), last)
    frames = samples[first : first + (last - first) // _FRAME * _FRAME].reshape(-1, _FRAME)
    power = np.mean(frames**2, axis=1)
    number = int(power.argmin())
    return first + number * _FRAME + _FRAME // 2, float(power[number])


def gaps(clips: Sequence[Clip], model: Path) -> dict[str, list[int]]:
    """Return the word boundaries of each clip in samples, the quietest first."""
    kept = cache_directory() / "words.json"
    known: dict[str, list[tuple[float, float]]] = (
        json.loads(kept.read_text()) if kept.exists() else {}
    )
    keys = {clip.name: hashlib.sha256(clip.audio).hexdigest()[:32] for clip in clips}
    missing = [clip for clip in clips if keys[clip.name] not in known]
    if missing:
        from faster_whisper import WhisperModel

        # Another family gives no times of words, so base does.
        aligner = model if (model / "model.bin").exists() else model_directory("base")
        whisper = WhisperModel(str(aligner), device="cpu", compute_type="int8")
        for number, clip in enumerate(missing, start=1):
            progress(f"finding word boundaries: {number}/{len(missing)}")
            parts, _ = whisper.transcribe(
                to_samples(clip.audio), language="en", word_timestamps=True
            )
            words = [word for part in parts for word in part.words]
            known[keys[clip.name]] = [
                (one.end, following.start) for one, following in pairwise(words)
            ]
        progress("")
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_text(json.dumps(known))
    return {clip.name: _places(clip, known[keys[clip.name]]) for clip in clips}


def _places(clip: Clip, gaps: Sequence[tuple[float, float]]) -> list[int]:
    samples = to_samples(clip.audio)
    reach, edge = round(_REACH * SAMPLE_RATE), round(_EDGE * SAMPLE_RATE)
    found = {
        quietest(samples, round(end * SAMPLE_RATE) - reach, round(start * SAMPLE_RATE) + reach)
        for end, start in gaps
        if end <= start and edge < end * SAMPLE_RATE and start * SAMPLE_RATE < len(samples) - edge
    }
    return [at for at, _ in sorted(found, key=lambda place: place[1])]
