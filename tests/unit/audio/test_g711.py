"""G.711 against the standard, and against Python's own decoder where there is one."""

from __future__ import annotations

import numpy as np
import pytest

from wyoming_faster_whisper.audio.g711 import decode_alaw, decode_ulaw

ALL = bytes(range(256))


def samples(pcm: bytes) -> list[int]:
    return [int(each) for each in np.frombuffer(pcm, "<i2")]


def test_ulaw_follows_the_table_of_the_standard() -> None:
    """ITU-T G.711, table 2a and 2b, on the 16-bit scale."""
    assert samples(decode_ulaw(bytes([0x00, 0x01, 0x0F, 0x10, 0x7E, 0x7F]))) == [
        *(-32124, -31100, -16764, -15996, -8, 0)
    ]
    assert samples(decode_ulaw(bytes([0x80, 0xEF, 0xFE, 0xFF]))) == [32124, 132, 8, 0]


def test_alaw_follows_the_table_of_the_standard() -> None:
    """ITU-T G.711, table 1a and 1b, on the 16-bit scale."""
    assert samples(decode_alaw(bytes([0x2A, 0xAA, 0x55, 0xD5]))) == [-32256, 32256, -8, 8]
    assert samples(decode_alaw(bytes([0x54, 0xD4, 0x45, 0xC5]))) == [-24, 24, -264, 264]


@pytest.mark.parametrize("decode", [decode_ulaw, decode_alaw])
def test_each_byte_has_its_own_sample_and_its_negative(decode: object) -> None:
    assert callable(decode)
    found = samples(decode(ALL))
    assert len(set(found)) in (255, 256)  # μ-law has two zeros
    assert sorted(found) == sorted(-each for each in found)


@pytest.mark.filterwarnings("ignore:'audioop' is deprecated:DeprecationWarning")
def test_the_decoders_agree_with_those_of_python() -> None:
    audioop = pytest.importorskip("audioop")  # removed in Python 3.13
    assert decode_ulaw(ALL) == audioop.ulaw2lin(ALL, 2)
    assert decode_alaw(ALL) == audioop.alaw2lin(ALL, 2)


def test_nothing_gives_nothing() -> None:
    assert decode_ulaw(b"") == decode_alaw(b"") == b""
