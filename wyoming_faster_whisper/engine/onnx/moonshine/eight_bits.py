"""Keep Moonshine's weights in 8 bits: they stay as they are stored, a quarter of float32.

The graphs store their weights as int8, with one scale and zero point for each matrix, and
dequantise them by Cast, Mul and Add. ONNX Runtime computes that once, when it loads the graph,
and keeps float32 matrices, all of which every step of the decoder reads. MatMulNBits multiplies
by 8-bit weights instead. The weights are the same; the inputs of the products are rounded to
8 bits, in blocks of 32.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

_BLOCK = 32  # inputs that share a scale; divides all widths of Moonshine
_INT8_INPUTS = 4  # MatMulNBits: accuracy_level
_DOMAIN = "com.microsoft"


@dataclass(frozen=True, slots=True)
class Matrix:
    """A quantised matrix of a graph: (stored - zero) * scale."""

    name: str  # of the dequantised matrix
    stored: str  # name of the initializer
    values: npt.NDArray[np.int8]  # shape (inputs, outputs)
    scale: np.float32
    zero: int


def keep_eight_bits(model: Any) -> int:
    """Replace products with dequantised matrices by products with the stored ones.

    Args:
        model: an onnx.ModelProto, which is changed.

    Returns:
        The number of products that were replaced; 0 for a graph whose weights are not quantised
        in this way, which stays as it is.
    """
    matrices = {matrix.name: matrix for matrix in _matrices(model.graph)}
    if not matrices:
        return 0
    packed: dict[tuple[str, bool], list[str]] = {}
    count = 0
    for graph in _graphs(model.graph):
        transposed = {
            node.output[0]: node.input[0]
            for node in graph.node
            if node.op_type == "Transpose" and node.input[0] in matrices
        }
        for node in graph.node:
            if node.op_type == "MatMul":
                name = transposed.get(node.input[1], node.input[1])
                if name in matrices:
                    flip = node.input[1] in transposed
                    if (name, flip) not in packed:
                        packed[name, flip] = _pack(model.graph, matrices[name], flip)
                    _multiply(node, packed[name, flip], matrices[name], flip)
                    count += 1
        unused = [node for node in graph.node if node.op_type == "Transpose"]
        for node in unused:
            if node.output[0] in transposed:
                graph.node.remove(node)
        _look_up(graph, matrices)
    _remove_unused(model.graph, matrices)
    return count


def _matrices(graph: Any) -> Iterator[Matrix]:
    from onnx import TensorProto, numpy_helper

    constants = {each.name: each for each in graph.initializer}
    users: dict[str, Any] = {name: node for node in graph.node for name in node.input}
    for node in graph.node:
        source = constants.get(node.input[0]) if node.op_type == "Cast" else None
        if source is None or source.data_type != TensorProto.INT8 or len(source.dims) != 2:
            continue
        scaled = users.get(node.output[0])
        shifted = users.get(scaled.output[0]) if scaled is not None else None
        if (
            scaled is None
            or shifted is None
            or (scaled.op_type, shifted.op_type) != ("Mul", "Add")
        ):
            continue
        [scale] = (numpy_helper.to_array(constants[i]) for i in scaled.input if i in constants)
        [shift] = (numpy_helper.to_array(constants[i]) for i in shifted.input if i in constants)
        if scale.size != 1 or shift.size != 1:
            continue
        zero = -float(shift.item()) / float(scale.item())
        if abs(zero - round(zero)) > 1e-3:
            continue
        yield Matrix(
            shifted.output[0],
            source.name,
            numpy_helper.to_array(source),
            np.float32(scale.item()),
            round(zero),
        )


def _graphs(graph: Any) -> Iterator[Any]:
    """Yield a graph and the graphs in its nodes."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g)


def _pack(graph: Any, matrix: Matrix, flip: bool) -> list[str]:
    """Add a matrix in the layout of MatMulNBits; return the names of its parts."""
    from onnx import numpy_helper

    values = matrix.values if flip else matrix.values.T  # shape (outputs, inputs)
    outputs, inputs = values.shape
    blocks = inputs // _BLOCK
    stored = (values.astype(np.int16) + 128).astype(np.uint8).reshape(outputs, blocks, _BLOCK)
    parts = {
        "bits": np.ascontiguousarray(stored),
        "scales": np.full(outputs * blocks, matrix.scale, np.float32),
        "zeros": np.full(outputs * blocks, matrix.zero + 128, np.uint8),
    }
    suffix = "_flipped" if flip else ""
    names = [f"{matrix.name}_{part}{suffix}" for part in parts]
    graph.initializer.extend(
        numpy_helper.from_array(array, name)
        for name, array in zip(names, parts.values(), strict=True)
    )
    return names


def _multiply(node: Any, parts: list[str], matrix: Matrix, flip: bool) -> None:
    from onnx import helper

    inputs, outputs = matrix.values.shape[::-1] if flip else matrix.values.shape
    node.op_type, node.domain = "MatMulNBits", _DOMAIN
    node.input[1:] = parts
    for name, value in (
        ("K", inputs),
        ("N", outputs),
        ("bits", 8),
        ("block_size", _BLOCK),
        ("accuracy_level", _INT8_INPUTS),
    ):
        node.attribute.append(helper.make_attribute(name, value))


def _look_up(graph: Any, matrices: dict[str, Matrix]) -> None:
    """Dequantise only the rows of an embedding that are looked up."""
    from onnx import TensorProto, helper

    nodes = []
    for node in graph.node:
        matrix = matrices.get(node.input[0]) if node.op_type == "Gather" else None
        if matrix is None:
            nodes.append(node)
            continue
        result = node.output[0]
        node.input[0], node.output[0] = matrix.stored, f"{result}_stored"
        # Mul and Add take the constants with which the graph dequantises the whole matrix.
        cast = helper.make_node(
            "Cast", [node.output[0]], [f"{result}_cast"], f"{result}_cast", to=TensorProto.FLOAT
        )
        scale, shift = (
            _constant(float(matrix.scale)),
            _constant(-float(matrix.scale) * matrix.zero),
        )
        nodes += [
            node,
            cast,
            helper.make_node("Constant", [], [f"{result}_scale"], f"{result}_scale", value=scale),
            helper.make_node("Constant", [], [f"{result}_shift"], f"{result}_shift", value=shift),
            helper.make_node(
                "Mul", [cast.output[0], f"{result}_scale"], [f"{result}_mul"], f"{result}_mul"
            ),
            helper.make_node(
                "Add", [f"{result}_mul", f"{result}_shift"], [result], f"{result}_add"
            ),
        ]
    del graph.node[:]
    graph.node.extend(nodes)


def _constant(value: float) -> Any:
    from onnx import numpy_helper

    return numpy_helper.from_array(np.array(value, np.float32))


def _remove_unused(graph: Any, matrices: dict[str, Matrix]) -> None:
    """Remove the dequantised matrices, and the stored ones, that nothing uses."""
    used = {name for each in _graphs(graph) for node in each.node for name in node.input}
    gone = {name for name in matrices if name not in used}
    while gone:
        dead = [node for node in graph.node if node.output[0] in gone]
        for node in dead:
            graph.node.remove(node)
        used = {name for each in _graphs(graph) for node in each.node for name in node.input}
        gone = {name for node in dead for name in node.input if name not in used}
    for constant in [each for each in graph.initializer if each.name not in used]:
        graph.initializer.remove(constant)
