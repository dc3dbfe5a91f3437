"""Tensors of the Open Inference Protocol v2, as bytes and in JSON. Pure.

Sources: the Open Inference Protocol (kserve/open-inference-protocol:
specification/protocol/inference_rest.md) and its binary tensor data extension
(triton-inference-server/server: docs/protocol/extension_binary_data.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

FP32, BYTES = "FP32", "BYTES"
"""Datatypes: float32, and strings of bytes. The contract uses no others."""

_MOST_DIMENSIONS = 8
_LENGTH_BYTES = 4  # before each element of a BYTES tensor


class MessageError(ValueError):
    """The peer's message is not what the contract says; the sentence says where."""


@dataclass(frozen=True, slots=True)
class Floats:
    """A tensor of float32."""

    name: str
    values: npt.NDArray[np.float32]  # in its shape

    datatype = FP32

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape

    def binary(self) -> bytes:
        """Return the elements in row-major order, little-endian."""
        return self.values.astype("<f4", copy=False).tobytes()

    def plain(self) -> list[Any]:
        """Return the elements in row-major order, for JSON."""
        return [float(value) for value in self.values.ravel()]


@dataclass(frozen=True, slots=True)
class Strings:
    """A tensor of byte strings, in shape [1, n]."""

    name: str
    values: tuple[bytes, ...]

    datatype = BYTES

    @property
    def shape(self) -> tuple[int, ...]:
        return (1, len(self.values))

    def binary(self) -> bytes:
        """Return the elements, each after its length in 4 bytes, little-endian."""
        return b"".join(
            len(each).to_bytes(_LENGTH_BYTES, "little") + each for each in self.values
        )

    def plain(self) -> list[Any]:
        """Return the elements for JSON.

        Raises:
            MessageError: an element is not UTF-8.
        """
        return [utf8(each, f"{self.name} is") for each in self.values]


Tensor = Floats | Strings


def read_tensor(about: object, payload: memoryview) -> tuple[Tensor, int]:
    """Return a tensor, and how many bytes of the payload it has taken."""
    if not isinstance(about, dict) or not isinstance(about.get("name"), str):
        raise MessageError("a tensor has no name")
    name, datatype = about["name"], about.get("datatype")
    label = f"tensor {short(name)}"
    shape = _shape(about.get("shape"), label)
    parameters = about.get("parameters", {})
    size = parameters.get("binary_data_size") if isinstance(parameters, dict) else None
    if size is None:
        return _from_json(name, datatype, shape, about.get("data"), label), 0
    if type(size) is not int or not 0 <= size <= len(payload):
        raise MessageError(f"{label} has {short(size)} bytes; {len(payload)} bytes are left")
    data = bytes(payload[:size])
    if datatype == FP32:
        if size != 4 * _count(shape):
            raise MessageError(f"{label} has {size} bytes; its shape {list(shape)} has others")
        return Floats(name, np.frombuffer(data, "<f4").astype(np.float32).reshape(shape)), size
    if datatype == BYTES:
        return Strings(name, _strings(data, _count(shape), label)), size
    raise MessageError(f"{label} is of type {short(datatype)}, not {FP32} or {BYTES}")


def _from_json(
    name: str, datatype: object, shape: tuple[int, ...], data: object, label: str
) -> Tensor:
    values = _flat(data) if isinstance(data, list) else None
    if values is None or len(values) != _count(shape):
        raise MessageError(f"{label} has no data of the shape {list(shape)}")
    if datatype == FP32 and all(type(value) in (int, float) for value in values):
        try:
            return Floats(name, np.array(values, np.float32).reshape(shape))
        except OverflowError:
            raise MessageError(f"{label} has a number out of range") from None
    if datatype == BYTES and all(isinstance(value, str) for value in values):
        return Strings(name, tuple(value.encode(errors="replace") for value in values))
    raise MessageError(f"{label} has data that is not of the type {short(datatype)}")


def _flat(data: list[Any]) -> list[Any] | None:
    """Return the elements of nested lists in row-major order; None = nested too deeply."""
    for _ in range(_MOST_DIMENSIONS):
        if not any(isinstance(each, list) for each in data):
            return data
        data = [one for each in data for one in (each if isinstance(each, list) else [each])]
    return None


def _shape(given: object, label: str) -> tuple[int, ...]:
    if (
        not isinstance(given, list)
        or not 1 <= len(given) <= _MOST_DIMENSIONS
        or not all(type(size) is int and 0 <= size < 2**31 for size in given)
    ):
        raise MessageError(f"{label} has the shape {short(given)}")
    return tuple(given)


def _count(shape: tuple[int, ...]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


def _strings(data: bytes, count: int, label: str) -> tuple[bytes, ...]:
    if count > len(data) // _LENGTH_BYTES:
        raise MessageError(f"{label} has {len(data)} bytes, too few for {count} elements")
    found, at = [], 0
    for _ in range(count):
        size = int.from_bytes(data[at : at + _LENGTH_BYTES], "little")
        at += _LENGTH_BYTES
        if at + size > len(data):
            raise MessageError(f"{label} ends inside an element")
        found.append(data[at : at + size])
        at += size
    if at != len(data):
        raise MessageError(f"{label} has {len(data) - at} bytes after its last element")
    return tuple(found)


def utf8(data: bytes, what: str) -> str:
    """Decode UTF-8.

    Raises:
        MessageError: it is not UTF-8.
    """
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise MessageError(f"{what} not UTF-8") from None


def short(value: object) -> str:
    """Return a peer's value for an error text: printable, at most 40 characters."""
    text = "".join(c if c.isprintable() else "?" for c in str(value)[:41])
    return repr(text if len(text) <= 40 else text[:37] + "...")
