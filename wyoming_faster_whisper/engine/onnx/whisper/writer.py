"""Writes the graphs of a Whisper model, from the weights of a CTranslate2 model.

Two graphs make a model. The encoder takes a window of any length, and returns the keys and values
that each layer of the decoder attends to; so the decoder never sees the encoding itself. The
decoder takes some tokens for each row, and the keys and values of the tokens before them.

Matrices are in int8 with one scale per output (the token table: per token), activations are
quantised at run time. The token table is used twice, for the look-up and for the projection.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from .builder import FLOAT, HEAD, INTEGER, Arithmetic, Array, Graph, WeightFile
from .weights import Weights

Kinds = Mapping[str, Callable[[WeightFile], Graph]]
"""Makes an empty graph, by its kind."""

KINDS: Kinds = {each.value: partial(Graph, arithmetic=each) for each in Arithmetic}

_FORBIDDEN = -1e9  # score of a token that may not be attended to


class _Layers:
    """Layers of a transformer, added to a graph.

    Args:
        side: encoder or decoder.
    """

    def __init__(self, graph: Graph, weights: Weights, side: str) -> None:
        self.graph = graph
        self._weights = weights
        self.side = side
        self.heads = int(weights[f"{side}/num_heads"])
        self.width = HEAD * self.heads
        self.count = layers(weights, side)

    def array(self, name: str) -> Array:
        return self._weights[f"{self.side}/{name}"]

    def weight(self, name: str) -> str:
        return self.graph.weight(f"{self.side}/{name}", self.array(name))

    def norm(self, x: str, place: str) -> str:
        name = f"{place}/layer_norm" if place else "layer_norm"
        gamma, beta = self.array(f"{name}/gamma"), self.array(f"{name}/beta")
        return self.graph.norm(x, f"{self.side}/{name}", gamma, beta)

    def linear(self, x: str, name: str) -> str:
        matrix, bias = self.array(f"{name}/weight"), self.array(f"{name}/bias")
        if name.endswith("attention/linear_0"):
            # The queries are divided by the root of 64 here; a power of two changes no digit.
            scale = np.ones((len(matrix), 1), np.float32)
            scale[: self.width] = HEAD**-0.5
            matrix, bias = matrix * scale, bias * scale[:, 0]
        return self.graph.linear(x, f"{self.side}/{name}", matrix, bias)

    def self_attention(self, x: str, layer: int) -> list[str]:
        """Return queries, keys and values, of shape (rows, n, width) each."""
        block = f"layer_{layer}/self_attention"
        together = self.linear(self.norm(x, block), f"{block}/linear_0")
        return self.graph.several("Split", 3, together, axis=-1, num_outputs=3)

    def feed_forward(self, x: str, layer: int) -> str:
        block = f"layer_{layer}/ffn"
        inner = self.graph.add("Gelu", self.linear(self.norm(x, block), f"{block}/linear_0"))
        return self.graph.add("Add", x, self.linear(inner, f"{block}/linear_1"))


def layers(weights: Weights, side: str) -> int:
    """Return the number of layers of the encoder or the decoder."""
    pattern = re.compile(rf"{side}/layer_(\d+)/ffn/linear_0/weight")
    return sum(pattern.fullmatch(name) is not None for name in weights)


def encoder(weights: Weights, graph: Graph) -> None:
    """Add the encoder to an empty graph.

    Input: features (clips, bands, frames). Outputs, for each layer of the decoder: keys
    (clips, heads, 64, frames / 2) and values (clips, heads, frames / 2, 64).
    """
    layer = _Layers(graph, weights, "encoder")
    bands = layer.array("conv1/weight").shape[1]
    x = graph.input("features", FLOAT, "clips", bands, "frames")
    for name, stride in (("conv1", 1), ("conv2", 2)):
        kernel, bias = layer.weight(f"{name}/weight"), layer.weight(f"{name}/bias")
        x = graph.add("Conv", x, kernel, bias, pads=[1, 1], strides=[stride], kernel_shape=[3])
        x = graph.add("Gelu", x)
    x = graph.add("Transpose", x, perm=[0, 2, 1])
    # A window shorter than 30 s takes the first positions only.
    length = graph.add("Slice", graph.add("Shape", x), *map(graph.integers, (1, 2)))
    start, axis = graph.integers(0), graph.integers(0)
    places = graph.add("Slice", layer.weight("position_encodings/encodings"), start, length, axis)
    x = graph.add("Add", x, places)
    for number in range(layer.count):
        query, key, value = layer.self_attention(x, number)
        scores = graph.add(
            "MatMul",
            graph.heads(query, layer.heads),
            graph.heads(key, layer.heads, transposed=True),
        )
        shares = graph.add("Softmax", scores, axis=-1)
        mixed = graph.add("MatMul", shares, graph.heads(value, layer.heads))
        joined = graph.joined(mixed, layer.width)
        x = graph.add("Add", x, layer.linear(joined, f"layer_{number}/self_attention/linear_1"))
        x = layer.feed_forward(x, number)
    _cross_keys_and_values(layer.norm(x, ""), graph, weights)


def _cross_keys_and_values(x: str, graph: Graph, weights: Weights) -> None:
    """Add what the decoder computes of the encoding once: its keys and values."""
    layer = _Layers(graph, weights, "decoder")
    for number in range(layer.count):
        together = layer.linear(x, f"layer_{number}/attention/linear_1")
        key, value = graph.several("Split", 2, together, axis=-1, num_outputs=2)
        clips, heads = "clips", layer.heads
        key = graph.heads(key, heads, transposed=True)
        graph.output(f"cross.{number}.key", key, clips, heads, HEAD, "positions")
        value = graph.heads(value, heads)
        graph.output(f"cross.{number}.value", value, clips, heads, "positions", HEAD)


def decoder(weights: Weights, alignment_heads: Sequence[tuple[int, int]], graph: Graph) -> None:
    """Add the decoder to an empty graph.

    A clip has one row or more, one after another: those of a beam, or several texts. Inputs:

    - tokens (rows, n): tokens that follow those of the past;
    - parents (rows): the row of the past that each row continues;
    - wanted (k): which of the n tokens the logits are wanted of;
    - past.L.key and past.L.value (rows before, heads, tokens before, 64);
    - cross.L.key and cross.L.value, from the encoder.

    Outputs: logits (rows, k, vocabulary), present.L.key and present.L.value (the past of the next
    step), and attention (clips, alignment heads, rows of a clip * n, positions): the scores of
    those heads that follow the audio, before the softmax.

    Args:
        alignment_heads: layer and head of the heads that follow the audio.
    """
    layer = _Layers(graph, weights, "decoder")
    heads, width = layer.heads, layer.width
    tokens = graph.input("tokens", INTEGER, "rows", "n")
    parents = graph.input("parents", INTEGER, "rows")
    wanted = graph.input("wanted", INTEGER, "k")
    past = [
        [
            graph.add(
                "Gather",
                graph.input(f"past.{number}.{part}", FLOAT, "before", heads, "t", HEAD),
                parents,
            )
            for part in ("key", "value")
        ]
        for number in range(layer.count)
    ]
    cross = [
        (
            graph.input(f"cross.{number}.key", FLOAT, "clips", heads, HEAD, "positions"),
            graph.input(f"cross.{number}.value", FLOAT, "clips", heads, "positions", HEAD),
        )
        for number in range(layer.count)
    ]
    table = graph.matrix("decoder/embeddings/weight", layer.array("embeddings/weight"))
    shape = graph.add("Shape", tokens)
    together = graph.add("Concat", shape, graph.integers(width), axis=0)
    clips = graph.add("Slice", graph.add("Shape", cross[0][0]), *map(graph.integers, (0, 1)))
    by_clip = graph.add("Concat", clips, graph.integers(-1, heads, HEAD), axis=0)
    x, mask = _embedded(graph, layer, tokens, shape, past[0][0], table)
    followed: list[str] = []
    for number in range(layer.count):
        query, *new = layer.self_attention(x, number)
        key, value = (
            graph.add("Concat", before, graph.heads(some, heads), axis=2)
            for before, some in zip(past[number], new, strict=True)
        )
        for part, some in (("key", key), ("value", value)):
            graph.output(f"present.{number}.{part}", some, "rows", heads, "tokens", HEAD)
        scores = graph.add(
            "MatMul", graph.heads(query, heads), graph.add("Transpose", key, perm=[0, 1, 3, 2])
        )
        shares = graph.add("Softmax", graph.add("Add", scores, mask), axis=-1)
        mixed = graph.joined(graph.add("MatMul", shares, value), width)
        x = graph.add("Add", x, layer.linear(mixed, f"layer_{number}/self_attention/linear_1"))

        # All rows of a clip attend to its one copy of keys and values.
        block = f"layer_{number}/attention"
        query = layer.linear(layer.norm(x, block), f"{block}/linear_0")
        key, value = cross[number]
        scores = graph.add("MatMul", graph.heads(query, heads, shape=by_clip), key)
        if chosen := [head for where, head in alignment_heads if where == number]:
            followed.append(graph.add("Gather", scores, graph.integers(*chosen), axis=1))
        mixed = graph.add("MatMul", graph.add("Softmax", scores, axis=-1), value)
        mixed = graph.joined(mixed, width, shape=together)
        x = graph.add("Add", x, layer.linear(mixed, f"{block}/linear_2"))
        x = layer.feed_forward(x, number)
    x = graph.add("Gather", layer.norm(x, ""), wanted, axis=1)
    vocabulary = len(layer.array("embeddings/weight"))
    graph.output("logits", graph.multiply(x, table), "rows", "k", vocabulary)
    attention = graph.add("Concat", *followed, axis=1)
    graph.output("attention", attention, "clips", len(alignment_heads), "m", "positions")


def _embedded(
    graph: Graph,
    layer: _Layers,
    tokens: str,
    shape: str,
    past: str,
    table: tuple[str, str],
) -> tuple[str, str]:
    """Add the embedding of the tokens and their positions, and the causal mask."""
    zero = graph.integers(0)
    before = graph.add("Slice", graph.add("Shape", past), *map(graph.integers, (2, 3)))
    count = graph.add("Slice", shape, *map(graph.integers, (1, 2)))
    after = graph.add("Add", before, count)
    places = layer.weight("position_encodings/encodings")
    places = graph.add("Slice", places, before, after, zero)
    whole, scale = table
    found = graph.add("Transpose", graph.add("Gather", whole, tokens, axis=1), perm=[1, 2, 0])
    scales = graph.add("Unsqueeze", graph.add("Gather", scale, tokens), graph.integers(2))
    x = graph.add("Mul", graph.add("Cast", found, to=FLOAT), scales)

    def counted(first: str, end: str) -> str:
        one = graph.number(1)
        return graph.add("Range", graph.add("Squeeze", first), graph.add("Squeeze", end), one)

    rows = graph.add("Unsqueeze", counted(before, after), graph.integers(1))
    later = graph.add("Less", rows, counted(zero, after))
    forbidden = graph.constant("forbidden", np.array(_FORBIDDEN, np.float32))
    allowed = graph.constant("allowed", np.array(0, np.float32))
    return graph.add("Add", x, places), graph.add("Where", later, forbidden, allowed)


def write_graphs(
    weights: Weights,
    alignment_heads: Sequence[tuple[int, int]],
    folder: Path,
    kinds: Kinds,
) -> None:
    """Write the graphs of a model into a folder. Blocking; takes seconds.

    For each kind there are the files encoder.<kind>.onnx and decoder.<kind>.onnx; all of them
    share encoder.weights and decoder.weights.
    """
    for side in ("encoder", "decoder"):
        with (folder / f"{side}.weights").open("wb") as data:
            file = WeightFile(f"{side}.weights", data)
            for kind, make in kinds.items():
                graph = make(file)
                if side == "encoder":
                    encoder(weights, graph)
                else:
                    decoder(weights, alignment_heads, graph)
                path = folder / f"{side}.{kind}.onnx"
                path.write_bytes(graph.model().SerializeToString())
