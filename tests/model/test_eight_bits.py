"""Products with 8-bit weights give what the dequantised weights gave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper

from tests.support.onnx_graphs import constants, float_value, node
from wyoming_faster_whisper.engine.onnx.moonshine.eight_bits import keep_eight_bits

WORDS, WIDTH = 96, 64
SCALE, ZERO = np.float32(0.02), -20


def model(matrix: np.ndarray[Any, Any], *, quantised: bool = True) -> Any:
    """An embedding whose matrix also computes the scores of words, as in Moonshine's decoder."""
    dequantised = [
        node("Cast", ["stored"], "float", to=TensorProto.FLOAT),
        node("Mul", ["float", "scale"], "scaled"),
        node("Add", ["scaled", "shift"], "matrix"),
    ]
    body = [
        node("Gather", ["matrix", "ids"], "rows"),
        node("Transpose", ["matrix"], "flipped", perm=[1, 0]),
        node("MatMul", ["rows", "flipped"], "scores"),
        node("MatMul", ["scores", "matrix"], "mixed"),
        node("Add", ["mixed", "rows"], "output"),
    ]
    branch = helper.make_graph(body, "branch", [], [float_value("output", ["count", WIDTH])])
    choice = helper.make_node(
        "If", ["yes"], ["result"], "choice", then_branch=branch, else_branch=branch
    )
    graph = helper.make_graph(
        [*dequantised, choice] if quantised else [choice],
        "decoder",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["count"])],
        [float_value("result", ["count", WIDTH])],
        constants(
            stored=matrix,
            scale=np.array([SCALE]),
            shift=np.array([-SCALE * ZERO], np.float32),
            yes=np.array(True),
        ),
    )
    for at, each in enumerate(graph.node):
        each.name = each.name or f"node-{at}"
    return helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", 14), helper.make_opsetid("com.microsoft", 1)],
        ir_version=9,
    )


def run(graph: Any, path: Path) -> Any:
    onnx.save(graph, path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(["result"], {"ids": np.array([3, 95, 0, 41])})[0]


@pytest.fixture
def matrix() -> np.ndarray[Any, Any]:
    return np.random.default_rng(0).integers(-128, 128, (WORDS, WIDTH)).astype(np.int8)


def test_the_result_stays_the_same(tmp_path: Path, matrix: np.ndarray[Any, Any]) -> None:
    graph = model(matrix)
    expected = run(graph, tmp_path / "before.onnx")
    assert keep_eight_bits(graph) == 4  # two in each branch
    result = run(graph, tmp_path / "after.onnx")
    assert np.abs(result - expected).max() < 0.02 * np.abs(expected).max()


def test_no_float_matrix_is_left(matrix: np.ndarray[Any, Any]) -> None:
    graph = model(matrix)
    keep_eight_bits(graph)
    assert not any(each.op_type == "Add" for each in graph.graph.node)
    large = [each for each in graph.graph.initializer if np.prod(each.dims) >= matrix.size]
    assert {each.data_type for each in large} <= {TensorProto.INT8, TensorProto.UINT8}


def test_a_graph_without_such_weights_stays_as_it_is(matrix: np.ndarray[Any, Any]) -> None:
    graph = model(matrix.astype(np.float32))
    before = graph.SerializeToString()
    assert keep_eight_bits(graph) == 0
    assert graph.SerializeToString() == before
