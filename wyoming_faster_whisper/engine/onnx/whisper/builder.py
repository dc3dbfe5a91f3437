"""Builds ONNX graphs of transformers, with the package onnx (extra `onnx`).

Large weights go into a file of their own beside the graph. So the graph of another kind of
quantisation can share them, and onnxruntime maps them into memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

OPSET = 20  # the first version with Gelu
_IR_VERSION = 10
_INLINE = 1024  # bytes; smaller weights are part of the graph
_STEPS = np.float32(127)  # of int8 on each side of zero
_SMALL = np.float32(1e-8)  # instead of zero, by which nothing can be divided
HEAD = 64
"""Width of an attention head, in every Whisper model."""

Array = npt.NDArray[Any]
FLOAT, INTEGER = TensorProto.FLOAT, TensorProto.INT64


class Arithmetic(Enum):
    """Method by which matrices in int8 are multiplied."""

    INTEGER = "integer"  # the other factor is quantised at run time: fast on CPUs
    FLOAT = "float"  # the matrix is converted to float32: for devices without integer kernels


class WeightFile:
    """The file with the large weights of one or more graphs.

    Args:
        name: its name, relative to the graphs.
        file: opened for writing; owned by the caller.
    """

    def __init__(self, name: str, file: BinaryIO) -> None:
        self.name = name
        self._file = file
        self._places: dict[str, tuple[int, int]] = {}  # offset and length, by name of a weight

    def place(self, name: str, data: bytes) -> tuple[int, int]:
        """Write a weight unless it is in the file already; return its offset and length."""
        if name not in self._places:
            self._file.write(bytes(-self._file.tell() % 64))  # alignment for SIMD
            self._places[name] = self._file.tell(), len(data)
            self._file.write(data)
        return self._places[name]


class Graph:
    """Collects nodes and weights, and names every result.

    Names of results are returned as strings, and are inputs of further nodes. Weights are given
    as CTranslate2 stores them, with one row per output.
    """

    def __init__(self, file: WeightFile, arithmetic: Arithmetic) -> None:
        self._nodes: list[NodeProto] = []
        self._constants: dict[str, TensorProto] = {}
        self._inputs: list[ValueInfoProto] = []
        self._outputs: list[ValueInfoProto] = []
        self._file = file
        self._arithmetic = arithmetic

    def input(self, name: str, kind: int, *shape: str | int) -> str:
        """Declare an input of the graph."""
        self._inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def output(self, name: str, result: str, *shape: str | int, kind: int = FLOAT) -> None:
        """Make a result an output of the graph."""
        self.add("Identity", result, names=[name])
        self._outputs.append(helper.make_tensor_value_info(name, kind, shape))

    def add(self, kind: str, *inputs: str, names: Sequence[str] = (), **attributes: Any) -> str:
        """Add a node; return the name of its first result."""
        names = names or [f"{kind}_{len(self._nodes)}"]
        self._nodes.append(helper.make_node(kind, inputs, names, **attributes))
        return names[0]

    def several(self, kind: str, count: int, *inputs: str, **attributes: Any) -> list[str]:
        """Add a node with several results; return their names."""
        names = [f"{kind}_{len(self._nodes)}_{at}" for at in range(count)]
        self.add(kind, *inputs, names=names, **attributes)
        return names

    def constant(self, name: str, array: Array) -> str:
        """Add a constant, once for each name."""
        if name not in self._constants:
            array = np.ascontiguousarray(array)
            tensor = numpy_helper.from_array(array, name)
            if array.nbytes >= _INLINE:
                offset, length = self._file.place(name, array.tobytes())
                tensor.ClearField("raw_data")
                tensor.data_location = TensorProto.EXTERNAL
                where = {"location": self._file.name, "offset": offset, "length": length}
                for key, value in where.items():
                    tensor.external_data.add(key=key, value=str(value))
            self._constants[name] = tensor
        return name

    def integers(self, *numbers: int) -> str:
        """Add a list of integers."""
        return self.constant("i_" + "_".join(map(str, numbers)), np.array(numbers, np.int64))

    def number(self, value: int) -> str:
        """Add a single integer, without dimensions."""
        return self.constant(f"n_{value}", np.array(value, np.int64))

    def weight(self, name: str, array: Array) -> str:
        """Add float weights; the runtime converts large ones from float16 while loading."""
        if array.nbytes < _INLINE:
            return self.constant(name, array.astype(np.float32))
        return self.add("Cast", self.constant(name, array.astype(np.float16)), to=FLOAT)

    def matrix(self, name: str, array: Array) -> tuple[str, str]:
        """Add a matrix in int8 with a scale per row, transposed; return the names of both."""
        array = array.astype(np.float32)
        steps = _STEPS / np.maximum(np.abs(array).max(axis=1), _SMALL)
        whole = np.rint(array * steps[:, None]).astype(np.int8)
        return self.constant(name, whole.T), self.constant(f"{name}.scale", 1 / steps)

    def multiply(self, x: str, quantised: tuple[str, str]) -> str:
        """Multiply (…, inputs) by a matrix of matrix()."""
        whole, scale = quantised
        if self._arithmetic is Arithmetic.FLOAT:
            # The zero point may be left out, but onnxruntime 1.32 then adds one of another shape.
            columns = self._constants[scale].dims[0]
            zeros = self.constant(f"{whole}.zero", np.zeros(columns, np.int8))
            matrix = self.add("DequantizeLinear", whole, scale, zeros, axis=1)
            return self.add("MatMul", x, matrix)
        # Each row gets a scale of its own, as in CTranslate2: one for all rows would be that of
        # the loudest. The operations are CTranslate2's too (quantize_s8 in src/cpu/kernels.cc),
        # since the last digit of a value may decide which way it is rounded.
        largest = self.add("ReduceMax", self.add("Abs", x), self.integers(-1), keepdims=1)
        small = self.constant("small", np.array(_SMALL, np.float32))
        top = self.constant("top", np.array(_STEPS, np.float32))
        steps = self.add("Div", top, self.add("Max", largest, small))
        # Kernels are fast for unsigned rows and signed columns only.
        middle = self.constant("middle", np.array(128, np.float32))
        zero = self.constant("middle.u8", np.array(128, np.uint8))
        rounded = self.add("Round", self.add("Add", self.add("Mul", x, steps), middle))
        rows = self.add("Cast", rounded, to=TensorProto.UINT8)
        product = self.add("Cast", self.add("MatMulInteger", rows, whole, zero), to=FLOAT)
        return self.add("Mul", self.add("Div", product, steps), scale)

    def linear(self, x: str, name: str, matrix: Array, bias: Array) -> str:
        """Add a linear layer."""
        product = self.multiply(x, self.matrix(f"{name}/weight", matrix))
        return self.add("Add", product, self.weight(f"{name}/bias", bias))

    def norm(self, x: str, name: str, gamma: Array, beta: Array) -> str:
        """Add a layer normalisation over the last axis."""
        weights = self.weight(f"{name}/gamma", gamma), self.weight(f"{name}/beta", beta)
        return self.add("LayerNormalization", x, *weights, axis=-1, epsilon=1e-5)

    def heads(self, x: str, heads: int, *, shape: str = "", transposed: bool = False) -> str:
        """Turn (rows, n, width) into (rows, heads, n, 64).

        Args:
            shape: shape of four axes to read the input in; "" = (rows, n, heads, 64).
            transposed: the last two axes are exchanged.
        """
        apart = self.add("Reshape", x, shape or self.integers(0, 0, heads, HEAD))
        return self.add("Transpose", apart, perm=[0, 2, 3, 1] if transposed else [0, 2, 1, 3])

    def joined(self, x: str, width: int, *, shape: str = "") -> str:
        """Turn (rows, heads, n, 64) into (rows, n, width), or into the given shape."""
        apart = self.add("Transpose", x, perm=[0, 2, 1, 3])
        return self.add("Reshape", apart, shape or self.integers(0, 0, width))

    def model(self) -> ModelProto:
        """Return the whole graph."""
        constants = list(self._constants.values())
        graph = helper.make_graph(self._nodes, "whisper", self._inputs, self._outputs, constants)
        opsets = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=_IR_VERSION)
