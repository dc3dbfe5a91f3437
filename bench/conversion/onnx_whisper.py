"""Converts a CTranslate2 Whisper model for onnx-asr.

Writes two graphs with the names and shapes of an Optimum export, quantised to int8 like ONNX
Runtime's dynamic quantisation: weights per output channel, activations at run time. Needs the
package onnx.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper, numpy_helper, save

from ..support.models import cache_directory, model_directory
from .ggml import Array, openai_names, read_weights

_OPSET = 17  # the first version with LayerNormalization
_POSITIONS = 448  # length of the decoder's context in tokens
_HEAD = 64  # width of an attention head, in every Whisper model


class Graph:
    """Builds a graph: collects nodes and weights, and names every result."""

    def __init__(self, weights: dict[str, Array], prefix: str = "") -> None:
        self.nodes: list[NodeProto] = []
        self.initializers: dict[str, TensorProto] = {}
        self._weights = weights
        self._prefix = prefix

    def branch(self, prefix: str) -> Graph:
        """Return a graph for a branch of an If node; it shares the weights of this graph."""
        graph = Graph(self._weights, prefix)
        graph.initializers = self.initializers
        return graph

    def add(self, kind: str, *inputs: str, outputs: Sequence[str] | int = 1, **more: Any) -> Any:
        """Add a node; return the name of its output, or a list if it has several."""
        if isinstance(outputs, int):
            count = f"{self._prefix}{len(self.nodes)}"
            outputs = [f"{kind}_{count}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(kind, inputs, outputs, **more))
        return outputs[0] if len(outputs) == 1 else list(outputs)

    def constant(self, name: str, array: Array) -> str:
        self.initializers.setdefault(name, numpy_helper.from_array(np.asarray(array), name))
        return name

    def ints(self, *numbers: int) -> str:
        return self.constant("ints_" + "_".join(map(str, numbers)), np.array(numbers, np.int64))

    def weight(self, name: str) -> str:
        return self.constant(name, self._weights[name].astype(np.float32))

    def matmul(self, x: str, name: str) -> str:
        """Multiply x by the transposed weights in int8."""
        matrix = self._weights[name].astype(np.float32).T
        scales = np.maximum(np.abs(matrix).max(axis=0), 1e-8) / 127
        whole = self.constant(name, np.rint(matrix / scales).astype(np.int8))
        zeros = self.constant(f"{name}_zero", np.zeros(len(scales), np.int8))
        scale = self.constant(f"{name}_scale", scales.astype(np.float32))
        x, x_scale, x_zero = self.add("DynamicQuantizeLinear", x, outputs=3)
        product = self.add("MatMulInteger", x, whole, x_zero, zeros)
        product = self.add("Cast", product, to=TensorProto.FLOAT)
        return str(self.add("Mul", product, self.add("Mul", x_scale, scale)))

    def linear(self, x: str, name: str) -> str:
        y = self.matmul(x, f"{name}.weight")
        if f"{name}.bias" in self._weights:
            y = self.add("Add", y, self.weight(f"{name}.bias"))
        return y

    def norm(self, x: str, name: str) -> str:
        return str(
            self.add(
                "LayerNormalization",
                x,
                self.weight(f"{name}.weight"),
                self.weight(f"{name}.bias"),
                axis=-1,
                epsilon=1e-5,
            )
        )

    def gelu(self, x: str) -> str:
        root, one, half = (
            self.constant(f"float_{v}", np.array(v, np.float32)) for v in (2**0.5, 1.0, 0.5)
        )
        erf = self.add("Add", self.add("Erf", self.add("Div", x, root)), one)
        return str(self.add("Mul", self.add("Mul", x, erf), half))

    def heads(self, x: str, heads: int) -> str:
        """Reshape (1, n, width) to (1, heads, n, width / heads)."""
        return str(
            self.add(
                "Transpose",
                self.add("Reshape", x, self.ints(1, -1, heads, _HEAD)),
                perm=[0, 2, 1, 3],
            )
        )

    def attention(self, query: str, key: str, value: str, mask: str = "") -> str:
        """Add attention over inputs of shape (1, heads, n, 64); the result is (1, n, width)."""
        eighth = self.constant("eighth", np.array(_HEAD**-0.5, np.float32))
        scores = self.add(
            "MatMul",
            self.add("Mul", query, eighth),
            self.add("Transpose", key, perm=[0, 1, 3, 2]),
        )
        if mask:
            scores = self.add("Add", scores, mask)
        mixed = self.add("MatMul", self.add("Softmax", scores, axis=-1), value)
        mixed = self.add("Transpose", mixed, perm=[0, 2, 1, 3])
        return str(self.add("Reshape", mixed, self.constant("flat", np.array([1, 0, -1]))))

    def mlp(self, x: str, block: str) -> str:
        y = self.linear(self.norm(x, f"{block}.mlp_ln"), f"{block}.mlp.0")
        return str(self.add("Add", x, self.linear(self.gelu(y), f"{block}.mlp.2")))


def encoder(weights: dict[str, Array], heads: int, layers: int) -> ModelProto:
    graph = Graph(weights)
    x = "input_features"
    for name, stride in (("conv1", 1), ("conv2", 2)):
        bias = graph.constant(
            f"{name}_bias", weights[f"encoder.{name}.bias"][:, 0].astype(np.float32)
        )
        x = graph.add(
            "Conv",
            x,
            graph.weight(f"encoder.{name}.weight"),
            bias,
            pads=[1, 1],
            strides=[stride],
            kernel_shape=[3],
        )
        x = graph.gelu(x)
    x = graph.add("Transpose", x, perm=[0, 2, 1])
    x = graph.add("Add", x, graph.weight("encoder.positional_embedding"))
    for layer in range(layers):
        block = f"encoder.blocks.{layer}"
        y = graph.norm(x, f"{block}.attn_ln")
        query, key, value = (
            graph.heads(graph.linear(y, f"{block}.attn.{part}"), heads)
            for part in ("query", "key", "value")
        )
        y = graph.linear(graph.attention(query, key, value), f"{block}.attn.out")
        x = graph.mlp(graph.add("Add", x, y), block)
    x = graph.norm(x, "encoder.ln_post")
    graph.add("Identity", x, outputs=["last_hidden_state"])
    bands = weights["encoder.conv1.weight"].shape[1]
    width = heads * _HEAD
    return _model(
        graph,
        [helper.make_tensor_value_info("input_features", TensorProto.FLOAT, [1, bands, 3000])],
        [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, [1, 1500, width])],
    )


def decoder(weights: dict[str, Array], heads: int, layers: int) -> ModelProto:
    graph = Graph(weights)
    width = heads * _HEAD
    inputs = [
        helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, "tokens"]),
        helper.make_tensor_value_info(
            "encoder_hidden_states", TensorProto.FLOAT, [1, "frames", width]
        ),
        helper.make_tensor_value_info("use_cache_branch", TensorProto.BOOL, [1]),
    ]
    logits = helper.make_tensor_value_info(
        "logits",
        TensorProto.FLOAT,
        [1, "tokens", weights["decoder.token_embedding.weight"].shape[0]],
    )
    outputs = [logits]
    # In the first step the past has no rows; as (1, heads, 0, 64) it can be concatenated.
    shape = graph.ints(1, heads, -1, _HEAD)
    pasts: dict[tuple[int, str], str] = {}
    for layer in range(layers):
        for side in ("decoder", "encoder"):
            for part in ("key", "value"):
                name = f"{layer}.{side}.{part}"
                state: list[str | int | None] = ["rows", heads, f"past_{side}", _HEAD]
                inputs.append(
                    helper.make_tensor_value_info(
                        f"past_key_values.{name}", TensorProto.FLOAT, state
                    )
                )
                outputs.append(
                    helper.make_tensor_value_info(
                        f"present.{name}", TensorProto.FLOAT, [None] * 4
                    )
                )
                if side == "decoder":
                    pasts[layer, part] = graph.add("Reshape", f"past_key_values.{name}", shape)

    before = graph.add("Gather", graph.add("Shape", pasts[0, "key"]), graph.ints(2))
    count = graph.add("Gather", graph.add("Shape", "input_ids"), graph.ints(1))
    after = graph.add("Add", before, count)
    axis = graph.ints(0)
    places = graph.add("Slice", graph.weight("decoder.positional_embedding"), before, after, axis)
    table = graph.weight("decoder.token_embedding.weight")
    x = graph.add("Add", graph.add("Gather", table, "input_ids"), places)
    triangle = graph.constant(
        "triangle", np.triu(np.full((_POSITIONS, _POSITIONS), -1e9, np.float32), 1)
    )
    mask = graph.add("Slice", triangle, before, after, axis)
    mask = graph.add("Slice", mask, axis, after, graph.ints(1))
    for layer in range(layers):
        block = f"decoder.blocks.{layer}"
        y = graph.norm(x, f"{block}.attn_ln")
        query = graph.heads(graph.linear(y, f"{block}.attn.query"), heads)
        joined = [
            graph.add(
                "Concat",
                pasts[layer, part],
                graph.heads(graph.linear(y, f"{block}.attn.{part}"), heads),
                axis=2,
                outputs=[f"present.{layer}.decoder.{part}"],
            )
            for part in ("key", "value")
        ]
        y = graph.linear(graph.attention(query, joined[0], joined[1], mask), f"{block}.attn.out")
        x = graph.add("Add", x, y)
        y = _cross_attention(graph, x, layer, heads)
        x = graph.mlp(graph.add("Add", x, y), block)
    x = graph.norm(x, "decoder.ln")
    # A second name for the quantised matrix: the embedding lookup uses float32.
    weights["projection"] = weights["decoder.token_embedding.weight"]
    graph.add("Identity", graph.matmul(x, "projection"), outputs=["logits"])
    return _model(graph, inputs, outputs)


def _cross_attention(graph: Graph, x: str, layer: int, heads: int) -> str:
    """Add cross-attention; only the first step computes keys and values of the encoding."""
    block = f"decoder.blocks.{layer}"
    query = graph.norm(x, f"{block}.cross_attn_ln")
    query = graph.heads(graph.linear(query, f"{block}.cross_attn.query"), heads)
    kept = [f"past_key_values.{layer}.encoder.{part}" for part in ("key", "value")]
    none = graph.constant("nothing", np.zeros((0, heads, 1, _HEAD), np.float32))
    branches: list[GraphProto] = []
    for first in (False, True):
        inner = graph.branch(f"{'first' if first else 'later'}_{layer}_")
        pair = kept
        if first:
            pair = [
                inner.heads(
                    inner.linear("encoder_hidden_states", f"{block}.cross_attn.{part}"), heads
                )
                for part in ("key", "value")
            ]
        mixed = inner.attention(query, pair[0], pair[1])
        new = pair if first else [none, none]
        names = [inner.add("Identity", each) for each in (mixed, *new)]
        infos = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in names]
        branches.append(helper.make_graph(inner.nodes, f"branch_{layer}_{first}", [], infos))
    mixed, *_ = graph.add(
        "If",
        "use_cache_branch",
        outputs=[f"cross_{layer}", *(f"present.{layer}.encoder.{p}" for p in ("key", "value"))],
        then_branch=branches[0],
        else_branch=branches[1],
    )
    return graph.linear(mixed, f"{block}.cross_attn.out")


def _model(graph: Graph, inputs: Sequence[Any], outputs: Sequence[Any]) -> ModelProto:
    made = helper.make_graph(
        graph.nodes, "whisper", inputs, outputs, list(graph.initializers.values())
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=8)


def onnx_folder(model: str) -> Path:
    """Return the onnx-asr folder of a local model; convert it on first use."""
    folder = cache_directory() / f"onnx-{Path(model).name}-int8"
    if not folder.exists():
        partial = folder.with_suffix(".partial")
        write(model_directory(model), partial)
        partial.rename(folder)
    return folder


def write(directory: Path, folder: Path) -> None:
    """Convert a CTranslate2 model to an int8 folder that onnx-asr reads as "whisper"."""
    raw = read_weights(directory / "model.bin")
    weights = dict(openai_names(raw))
    folder.mkdir(parents=True, exist_ok=True)
    for side, build in (("encoder", encoder), ("decoder", decoder)):
        layers = sum(n.startswith(f"{side}.") and ".mlp_ln.weight" in n for n in weights)
        name = "encoder_model" if side == "encoder" else "decoder_model_merged"
        save(build(weights, int(raw[f"{side}/num_heads"]), layers), folder / f"{name}_int8.onnx")
    tokenizer = json.loads((directory / "tokenizer.json").read_text())
    added = {token["content"]: token["id"] for token in tokenizer["added_tokens"]}
    (folder / "vocab.json").write_text(json.dumps(tokenizer["model"]["vocab"]))
    # Depending on its version, onnx-asr reads one or the other.
    for name in ("added_tokens.json", "added_tokens_int8.json"):
        (folder / name).write_text(json.dumps(added))
    bands = weights["encoder.conv1.weight"].shape[1]
    (folder / "config.json").write_text(
        json.dumps({"model_type": "whisper", "num_mel_bins": bands})
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.conversion.onnx_whisper", description=__doc__)
    parser.add_argument("--model", default="base", help="name or directory; never downloaded")
    arguments = parser.parse_args()
    print(onnx_folder(arguments.model))


if __name__ == "__main__":
    main()
