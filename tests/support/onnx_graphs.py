"""Tiny models in the layouts of real ones, which tell only when the audio is loud.

A clip with three tones gives "loud loud loud". The graphs have the inputs and outputs of the real
ones and get the real features.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_OPSET = 17
_STEP = 8  # frames of 10 ms per step of the encoder
_SCALE = 10.0  # of the logits: the tones are certain
_WORD, _BLANK = 0, 1
_VOCABULARY = "\u2581loud 0\n<blk> 1\n"
_DURATIONS = 5  # 0 to 4 steps


def put_ctc(directory: Path, *, broken: bool = False, quantisation: str = "") -> Path:
    """Write a model in the layout of NeMo's Conformer with CTC.

    Args:
        broken: it computes values that are not numbers.
        quantisation: part of the file's name, like ".int8".
    """
    directory.mkdir(parents=True, exist_ok=True)
    level = _level("audio_signal")
    nodes = [
        *level,
        node("Unsqueeze", ["level", "two"], "score"),
        node("Mul", ["score", "signs"], "logits"),
        node("LogSoftmax", ["logits"], "certain", axis=-1),
        node("Mul" if broken else "Sub", ["certain", "nan" if broken else "zero"], "logprobs"),
    ]
    graph = helper.make_graph(
        nodes,
        "ctc",
        [float_value("audio_signal", ["batch", 80, "frames"]), int_value("length", ["batch"])],
        [float_value("logprobs", ["batch", "steps", 2])],
        constants(
            two=np.array([2]),
            signs=np.array([_SCALE, -_SCALE], np.float32),
            zero=np.array(0, np.float32),
            nan=np.array(np.nan, np.float32),
        ),
    )
    save(graph, directory / f"model{quantisation}.onnx")
    (directory / "vocab.txt").write_text(_VOCABULARY, encoding="utf-8")
    return directory


def put_tdt(directory: Path) -> Path:
    """Write a model in the layout of NeMo's Conformer with a token-and-duration transducer.

    A tone is one word: after it the decoder skips four steps, 0.32 s.
    """
    directory.mkdir(parents=True, exist_ok=True)
    encoder = helper.make_graph(
        [
            *_level("audio_signal"),
            node("Unsqueeze", ["level", "one"], "outputs"),
            node("Add", ["length", "seven"], "longer"),
            node("Div", ["longer", "eight"], "encoded_lengths"),
        ],
        "encoder",
        [float_value("audio_signal", ["batch", 80, "frames"]), int_value("length", ["batch"])],
        [float_value("outputs", ["batch", 1, "steps"]), int_value("encoded_lengths", ["batch"])],
        constants(one=np.array([1]), seven=np.array([7]), eight=np.array([_STEP])),
    )
    # Loud: the word, then four steps on. Quiet: no word, one step on.
    signs = np.array([1, -1, -1, -1, -1, -1, 1], np.float32) * _SCALE
    bias = np.array([0, 0, -99, 0, -99, -99, 0], np.float32)
    joint = helper.make_graph(
        [
            node("Reshape", ["encoder_outputs", "scalar"], "level"),
            node("Mul", ["level", "signs"], "scores"),
            node("Add", ["scores", "bias"], "outputs"),
            node("Identity", ["input_states_1"], "output_states_1"),
            node("Identity", ["input_states_2"], "output_states_2"),
        ],
        "decoder_joint",
        [
            float_value("encoder_outputs", ["batch", 1, "steps"]),
            helper.make_tensor_value_info("targets", TensorProto.INT32, ["batch", "tokens"]),
            helper.make_tensor_value_info("target_length", TensorProto.INT32, ["batch"]),
            float_value("input_states_1", [1, "batch", 4]),
            float_value("input_states_2", [1, "batch", 4]),
        ],
        [
            float_value("outputs", [1, 1, 1, 2 + _DURATIONS]),
            float_value("output_states_1", [1, "batch", 4]),
            float_value("output_states_2", [1, "batch", 4]),
        ],
        constants(scalar=np.array([1, 1, 1, 1]), signs=signs, bias=bias, unused=np.array([0]))[
            :-1
        ],
    )
    save(encoder, directory / "encoder-model.onnx")
    save(joint, directory / "decoder_joint-model.onnx")
    (directory / "vocab.txt").write_text(_VOCABULARY, encoding="utf-8")
    (directory / "config.json").write_text('{"model_type": "nemo-conformer-tdt"}')
    return directory


def _level(features: str) -> list[Any]:
    """Nodes that compute how loud each step is, shape (batch, steps)."""
    return [
        node(
            "AveragePool",
            [features],
            "pooled",
            kernel_shape=[_STEP],
            strides=[_STEP],
            ceil_mode=1,
        ),
        node("ReduceMean", ["pooled"], "level", axes=[1], keepdims=0),
    ]


def node(kind: str, inputs: list[str], output: str, **attributes: Any) -> Any:
    return helper.make_node(kind, inputs, [output], **attributes)


def float_value(name: str, shape: list[Any]) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def int_value(name: str, shape: list[Any]) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.INT64, shape)


def constants(**values: Any) -> list[Any]:
    return [numpy_helper.from_array(value, name) for name, value in values.items()]


def save(graph: Any, path: Path) -> None:
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", _OPSET)], ir_version=9
    )
    onnx.checker.check_model(model)
    onnx.save(model, path)
