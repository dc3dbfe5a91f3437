"""Utterances of several sentences."""

from __future__ import annotations

from bench.speech.sentences import paragraphs
from bench.support.clips import Clip
from wyoming_faster_whisper.audio.pcm import to_pcm16
from wyoming_faster_whisper.testing import tone

CLIPS = [Clip(str(at), to_pcm16(tone(0.5)), b"", f"Sentence {at}.") for at in range(7)]


def test_each_clip_is_used_once_and_a_rest_is_left_out() -> None:
    some = list(paragraphs(CLIPS, 3))
    assert len(some) == 2
    used = [name for each in some for name in each.name.split(" + ")]
    assert len(set(used)) == 6
    for each in some:
        assert each.text == " ".join(f"Sentence {at}." for at in each.name.split(" + "))
        assert 3 * 0.5 + 2 * 0.3 < each.seconds < 3 * 0.5 + 2 * 0.8 + 0.5


def test_two_runs_make_the_same_utterances() -> None:
    assert list(paragraphs(CLIPS, 3)) == list(paragraphs(CLIPS, 3))
