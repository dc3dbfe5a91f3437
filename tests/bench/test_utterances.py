"""Utterances of bench.kinds that are made from recordings."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import pytest

from bench.speech.utterances import TRAILING, Utterance, utterances
from bench.speech.variations import at_level
from bench.support.clips import SAMPLE_RATE, WIDTH, to_samples
from wyoming_faster_whisper.testing import pcm16, tone

ROOM = round(TRAILING * SAMPLE_RATE) * WIDTH


@pytest.fixture
def speech(tmp_path: Path) -> Path:
    """Create a folder with one recorded command of one second."""
    folder = tmp_path / "commands"
    folder.mkdir()
    with wave.open(str(folder / "4f3a-order.wav"), "wb") as file:
        file.setparams((1, WIDTH, SAMPLE_RATE, 0, "NONE", "not compressed"))
        file.writeframes(pcm16(tone(1.0)))
    (folder / "labels.json").write_text(
        json.dumps({"4f3a-order.wav": {"slots": {"drink": "latte"}}})
    )
    return tmp_path


def order(condition: str, speech: Path) -> Utterance:
    [only] = utterances(f"orders-{condition}", speech)
    return only


def test_a_recorded_command_is_followed_by_its_room_noise(speech: Path) -> None:
    plain = order("plain", speech)
    assert (plain.name, plain.phrases, plain.text) == ("4f3a", ("latte",), None)
    assert plain.audio == pcm16(tone(1.0))
    assert len(plain.room) == ROOM


def test_a_command_starts_with_silence(speech: Path) -> None:
    later = order("silence", speech)
    assert later.audio[2 * SAMPLE_RATE * WIDTH :] == order("plain", speech).audio
    assert 0 < abs(to_samples(later.audio)[: 2 * SAMPLE_RATE]).max() < 0.005


def test_a_dc_offset_continues_after_the_command(speech: Path) -> None:
    assert to_samples(order("dc", speech).room).mean() == pytest.approx(0.1, abs=0.001)


def test_a_quiet_command_is_at_50_db_below_full_scale(speech: Path) -> None:
    quiet = to_samples(order("quiet", speech).audio)
    assert abs(quiet).max() == pytest.approx(abs(at_level(tone(1.0), -50)).max(), rel=0.05)


def test_commands_without_recordings_are_left_out(tmp_path: Path) -> None:
    assert list(utterances("orders-plain", tmp_path)) == []
