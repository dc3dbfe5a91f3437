"""A tiny model in Moonshine's layout that always writes the same text."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from .onnx_graphs import constants, float_value, node, save

WIDTH, HEADS = 8, 2
TEXT = "Turn on the fan."
WORDS = [" Turn", " on", " the", " fan", "."]
_BEGIN, _END = 1, 2
_CONTROL = ["<unk>", "<s>", "</s>"]
_FILLER = 1000  # further tokens; a real vocabulary has 32000
_POSITIONS = 64
_HOP = 384  # samples per frame of the encoding


def put_moonshine(directory: Path, *, width: int = WIDTH, broken: bool = False) -> Path:
    """Write the graphs and the tokenizer.

    Args:
        width: of the encodings.
        broken: the decoder computes values that are not numbers.
    """
    directory.mkdir(parents=True, exist_ok=True)
    save(_encoder(width), directory / "encoder_model.onnx")
    save(_decoder(width, broken), directory / "decoder_model_merged.onnx")
    put_tokenizer(directory)
    return directory


def put_tokenizer(directory: Path, *, filler: int = _FILLER) -> None:
    """Write the vocabulary, with this number of tokens besides those of the text."""
    data = b""
    for piece in vocabulary(filler):
        data += bytes([len(piece)]) + piece
    (directory / "tokenizer.bin").write_bytes(data)


def vocabulary(filler: int = _FILLER) -> list[bytes]:
    """Return the tokens: those of the text, what they are merged from, and filler."""
    merges: list[str] = []
    for word in WORDS:
        spelt = word.replace(" ", "\u2581")
        merges += [spelt[:length] for length in range(2, len(spelt) + 1)]
    letters = sorted({letter for word in WORDS for letter in word.replace(" ", "\u2581")})
    more = [f"x{number}" for number in range(filler)]
    every_byte = [bytes([value]) for value in range(256)]
    pieces = [*dict.fromkeys(merges), *letters, *more]
    return [*(one.encode() for one in _CONTROL), *every_byte, *(one.encode() for one in pieces)]


def _encoder(width: int) -> Any:
    """Level of each frame, repeated over the width."""
    nodes = [
        node("Unsqueeze", ["input_values", "one"], "channel"),
        node(
            "AveragePool", ["channel"], "pooled", kernel_shape=[_HOP], strides=[_HOP], ceil_mode=1
        ),
        node("Transpose", ["pooled"], "frames", perm=[0, 2, 1]),
        node("MatMul", ["frames", "spread"], "last_hidden_state"),
    ]
    return helper.make_graph(
        nodes,
        "encoder",
        [float_value("input_values", ["batch", "samples"])],
        [float_value("last_hidden_state", ["batch", "steps", width])],
        constants(one=np.array([1]), spread=np.ones((1, width), np.float32)),
    )


def _decoder(width: int, broken: bool) -> Any:
    """The token of a text depends on its position only, which the length of the cache tells."""
    tokens = vocabulary()
    scores = np.full((_POSITIONS, len(tokens)), -20.0, np.float32)
    numbers = [tokens.index(word.replace(" ", "\u2581").encode(), 259) for word in WORDS]
    for position in range(_POSITIONS):
        follows = numbers[position] if position < len(numbers) else _END
        scores[position, follows] = 0.0
        scores[position, _END] = max(scores[position, _END], -3.0)  # a shorter hypothesis
    if broken:
        scores[1:] = np.nan
    nodes = [
        node("Shape", ["past_key_values.0.decoder.key"], "past_shape"),
        node("Gather", ["past_shape", "two"], "past"),
        node("Shape", ["input_ids"], "ids_shape"),
        node("Gather", ["ids_shape", "index_one"], "count"),
        node("Add", ["past", "count"], "all"),
        node("Range", ["past", "all", "step"], "positions"),
        node("Gather", ["scores", "positions"], "row", axis=0),
        node("Unsqueeze", ["row", "zero"], "rows"),
        node("Gather", ["ids_shape", "index_zero"], "batch"),
        node("Unsqueeze", ["batch", "zero"], "batch_1"),
        node("Concat", ["batch_1", "ones"], "repeats", axis=0),
        node("Tile", ["rows", "repeats"], "logits"),
        # The cache of the text: as long as the text.
        node("Unsqueeze", ["count", "zero"], "count_1"),
        node("Concat", ["batch_1", "heads", "count_1", "head_width"], "new_shape", axis=0),
        node("ConstantOfShape", ["new_shape"], "new"),
        # The cache of the audio: the encoding, the first time.
        node("Unsqueeze", ["encoder_hidden_states", "one"], "audio"),
        node("Concat", ["audio"] * HEADS, "heard", axis=1),
        node("Shape", ["encoder_hidden_states"], "audio_shape"),
        node("Slice", ["audio_shape", "one", "two_1"], "audio_count"),
    ]
    inputs = [
        helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "tokens"]),
        float_value("encoder_hidden_states", ["batch", "steps", width]),
    ]
    outputs = [float_value("logits", ["batch", "tokens", len(tokens)])]
    for kind in ("key", "value"):
        own, audio = f"0.decoder.{kind}", f"0.encoder.{kind}"
        nodes += [
            node("Concat", [f"past_key_values.{own}", "new"], f"present.{own}", axis=2),
            node("Concat", [f"past_key_values.{audio}", "heard"], f"both.{kind}", axis=2),
            node("Slice", [f"both.{kind}", "zero", "audio_count", "two_1"], f"present.{audio}"),
        ]
        inputs += [
            float_value(f"past_key_values.{own}", ["batch", HEADS, "past", width]),
            float_value(f"past_key_values.{audio}", ["batch", HEADS, "heard", width]),
        ]
        outputs += [
            float_value(f"present.{own}", ["batch", HEADS, "all", width]),
            float_value(f"present.{audio}", ["batch", HEADS, "heard_", width]),
        ]
    inputs.append(helper.make_tensor_value_info("use_cache_branch", TensorProto.BOOL, [1]))
    return helper.make_graph(
        nodes,
        "decoder",
        inputs,
        outputs,
        constants(
            zero=np.array([0]),
            one=np.array([1]),
            two_1=np.array([2]),
            two=np.array(2),
            step=np.array(1),
            index_zero=np.array(0),
            index_one=np.array(1),
            ones=np.array([1, 1]),
            heads=np.array([HEADS]),
            head_width=np.array([width]),
            scores=scores,
        ),
    )
