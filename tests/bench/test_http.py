"""Long files of bench.http."""

from __future__ import annotations

import io

import pytest

from bench.http import EVERY, FORMATS, PAUSE, PCM, encode, film
from bench.support.clips import SAMPLE_RATE, WIDTH, Clip
from wyoming_faster_whisper.audio.files import decode
from wyoming_faster_whisper.audio.pcm import PcmFormat
from wyoming_faster_whisper.testing import pcm16, tone

CLIP = Clip("tone", pcm16(tone(2.0)), tail=b"")


def seconds(pcm: bytes) -> float:
    return len(pcm) / WIDTH / SAMPLE_RATE


def test_a_film_has_each_clip_once() -> None:
    made = film([CLIP, CLIP], EVERY)
    assert seconds(made) == 2 * EVERY
    assert made.count(CLIP.audio) == 2


def test_a_dense_film_has_a_pause_after_each_clip() -> None:
    assert seconds(film([CLIP, CLIP], 0.0)) == 2 * (2.0 + PAUSE)


@pytest.mark.parametrize("kind", FORMATS)
def test_a_file_of_each_format_has_the_length_that_was_asked_for(kind: str) -> None:
    file = encode(film([CLIP], EVERY), kind, 3 * EVERY)
    raw = PcmFormat() if kind == PCM else None
    pcm = b"".join(decode(io.BytesIO(file), "film", raw=raw))
    assert seconds(pcm) == pytest.approx(3 * EVERY, abs=0.2)
