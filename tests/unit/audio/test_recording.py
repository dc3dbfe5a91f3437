"""Recording: what is freed of it, and where the rest stays."""

from __future__ import annotations

import numpy as np
import pytest

from wyoming_faster_whisper.audio.pcm import Samples
from wyoming_faster_whisper.audio.recording import Recording

RAMP: Samples = np.arange(1000, dtype=np.float32) / np.float32(32768)


def recorded() -> Recording:
    recording = Recording()
    recording.append(RAMP)
    return recording


def test_positions_stay_the_same_when_the_beginning_is_freed() -> None:
    recording = recorded()
    assert recording.free(400) == 400
    assert (len(recording), recording.stored) == (1000, 600)
    assert np.array_equal(recording.samples(400, 500), RAMP[400:500])
    assert recording.pcm(400, 402) == b"\x90\x01\x91\x01"
    recording.append(RAMP[:10])
    assert np.array_equal(recording.samples(999), [RAMP[999], *RAMP[:10]])


def test_only_audio_that_is_there_is_freed() -> None:
    recording = recorded()
    assert [recording.free(at) for at in (0, 300, 200, 2000)] == [0, 300, 0, 700]
    assert (len(recording), recording.stored) == (1000, 0)


def test_freed_audio_cannot_be_read() -> None:
    recording = recorded()
    recording.free(400)
    with pytest.raises(AssertionError, match="sample 399 has been freed"):
        recording.samples(399, 500)
