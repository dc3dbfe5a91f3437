"""Moonshine's tokens."""

from __future__ import annotations

import json

import pytest

from wyoming_faster_whisper.engine.onnx.moonshine.vocabulary import (
    Vocabulary,
    read_binary,
    read_json,
)
from wyoming_faster_whisper.errors import ModelError

# In the order of their merges: "ol", " t" ... A vocabulary has the single characters last.
MERGES = ["\u2581t", "ur", "on", "urn", "\u2581turn", "ff", "o\u2581", "\u2581o", "\u2581on"]
LETTERS = ["\u2581", *"abcdefghijklmnopqrstuvwxyz"]
FILLER = [f"x{number}" for number in range(1000)]


def pieces() -> list[bytes]:
    control = [b"<unk>", b"<s>", b"</s>"]
    every_byte = [bytes([value]) for value in range(256)]
    return [*control, *every_byte, *(piece.encode() for piece in MERGES + LETTERS + FILLER)]


def packed(pieces: list[bytes]) -> bytes:
    data = b""
    for piece in pieces:
        size = len(piece)
        data += bytes([size]) if size < 128 else bytes([size % 128 + 128, size // 128])
        data += piece
    return data


@pytest.fixture
def vocabulary() -> Vocabulary:
    return Vocabulary(pieces())


def test_neighbours_are_merged_in_the_order_of_the_vocabulary(vocabulary: Vocabulary) -> None:
    tokens = vocabulary.encode("turn on")
    assert [vocabulary.piece(token) for token in tokens] == [b" turn", b" on"]


def test_a_merge_that_is_blocked_by_an_earlier_one_is_not_made(vocabulary: Vocabulary) -> None:
    # " t" comes before "tu" could, "on" before " o".
    tokens = vocabulary.encode("tu off")
    assert [vocabulary.piece(token) for token in tokens] == [b" t", b"u", b" o", b"ff"]


def test_characters_without_a_token_are_spelt_in_bytes(vocabulary: Vocabulary) -> None:
    tokens = vocabulary.encode("é")
    assert [vocabulary.piece(token) for token in tokens] == [b" ", b"\xc3", b"\xa9"]
    assert vocabulary.decode(tokens) == "é"


def test_decoding_leaves_out_control_tokens_and_unknown_ones(vocabulary: Vocabulary) -> None:
    assert vocabulary.decode([1, *vocabulary.encode("turn on"), 2, 40_000]) == "turn on"


@pytest.mark.parametrize("text", ["", "  ", "turn  on", "turn on the fan", "Ünïcode, fan."])
def test_a_text_survives_both_ways(vocabulary: Vocabulary, text: str) -> None:
    assert vocabulary.decode(vocabulary.encode(text)) == " ".join(text.split())


def test_both_files_give_the_same_tokens(vocabulary: Vocabulary) -> None:
    long = b"y" * 300  # its length takes two bytes
    binary = read_binary(packed([*pieces(), long]), "tokenizer.bin")
    assert binary.encode("turn on the fan") == vocabulary.encode("turn on the fan")
    assert binary.piece(len(binary) - 1) == long
    names = {
        f"<0x{number - 3:02X}>" if 3 <= number < 259 else piece.decode(): number
        for number, piece in enumerate(pieces())
    }
    from_json = read_json(json.dumps({"model": {"vocab": names}}), "tokenizer.json")
    assert from_json.encode("turn on é") == vocabulary.encode("turn on é")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (packed(pieces())[:-3], "tokenizer.bin is cut off"),
        (packed(pieces()) + b"\x90", "tokenizer.bin is cut off"),
        (b"", "tokenizer of another model"),
        (packed([b"<pad>", *pieces()]), "tokenizer of another model: Moonshine's has <s> and"),
    ],
)
def test_a_file_of_something_else_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        read_binary(data, "tokenizer.bin")


@pytest.mark.parametrize("text", ["", "[]", '{"model": {}}', '{"model": {"vocab": {}}}'])
def test_a_damaged_json_is_refused(text: str) -> None:
    with pytest.raises(ModelError, match=r"x\.json"):
        read_json(text, "x.json")
