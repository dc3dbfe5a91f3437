"""bench.dictation: recordings are segmented and decoded as by the server."""

from __future__ import annotations

from itertools import islice

import numpy as np

from bench.dictation import Heard, dictations, table, this_server
from bench.support.clips import SAMPLE_RATE, Clip
from wyoming_faster_whisper.audio.pcm import to_pcm16
from wyoming_faster_whisper.speech.hysteresis import WINDOW
from wyoming_faster_whisper.testing import FakeEngine, LoudnessVad, silence, tone


def heard(text: str, reference: str | None) -> Heard:
    return Heard("recorded, clean", "one", "turn it on", text, reference, 1.0, 2.0, 3, (27.5,))


def test_each_closed_segment_is_decoded_once_and_in_order() -> None:
    sound = np.concatenate([tone(18), silence(0.6), tone(3), silence(0.7)])
    whole = sound[: len(sound) // WINDOW * WINDOW]
    engine = FakeEngine()
    text, decodes, parts = this_server(engine, LoudnessVad().feed(whole), whole)
    assert decodes == len(parts) == 2
    assert text == "18.4 seconds 3.7 seconds"
    assert parts[0].end >= parts[1].start  # nothing is left out


def test_dictations_are_reproducible() -> None:
    known = [Clip(name, to_pcm16(tone(1)), b"", f"said {name}") for name in "abcdef"]
    unknown = Clip("g", to_pcm16(tone(1)), b"")
    first, again = (
        [clip for _, clip in islice(dictations([*known, unknown], 2, 20), 2)] for _ in range(2)
    )
    assert [clip.text for clip in first] == [clip.text for clip in again]
    assert first[0].text != first[1].text
    assert all(20 <= len(clip.audio) / 2 / SAMPLE_RATE < 23 for clip in first)


def test_the_table_has_a_row_for_each_kind_and_one_for_all() -> None:
    lines = table([heard("turn it on", "turn it off"), heard("turn it", "turn it on")]).split(
        "\n"
    )
    assert [line.split()[0] for line in lines[1:]] == ["recorded,", "all"]
    assert lines[1].split()[2:] == ["2", "16.7%", "16.7%", "1.0", "2.0", "3.0", "27.5", "s"]
    assert " - " in table([heard("turn it on", None)])
