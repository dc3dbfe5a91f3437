"""Weights in CTranslate2's file format, written here as CTranslate2 writes them."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from wyoming_faster_whisper.engine.onnx.whisper.weights import Array, read_weights
from wyoming_faster_whisper.errors import ModelError

_KINDS = {"float32": 0, "int8": 1, "float16": 4}


def written(
    path: Path, arrays: dict[str, Array], *, name: str = "WhisperSpec", version: int = 6
) -> Path:
    def text(value: str) -> bytes:
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    data = struct.pack("<I", version) + text(name) + struct.pack("<II", 3, len(arrays))
    for key, array in arrays.items():
        data += text(key) + struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)
        data += struct.pack("<BI", _KINDS[array.dtype.name], array.nbytes) + array.tobytes()
    path.write_bytes(data)
    return path


def test_arrays_keep_their_shape_and_type(tmp_path: Path) -> None:
    arrays: dict[str, Array] = {
        "a": np.arange(6, dtype=np.float16).reshape(2, 3),
        "b": np.array([1.5], np.float32),
    }
    found = read_weights(written(tmp_path / "model.bin", arrays))
    assert {name: array.tolist() for name, array in found.items()} == {
        "a": [[0, 1, 2], [3, 4, 5]],
        "b": [1.5],
    }
    assert found["a"].dtype == np.float16


def test_quantised_arrays_become_floats(tmp_path: Path) -> None:
    arrays: dict[str, Array] = {
        "weight": np.array([[127, -127], [64, 0]], np.int8),
        "weight_scale": np.array([127.0, 32.0], np.float32),
    }
    found = read_weights(written(tmp_path / "model.bin", arrays))
    assert list(found) == ["weight"]
    assert found["weight"].tolist() == [[1.0, -1.0], [2.0, 0.0]]


@pytest.mark.parametrize("kept", [0, 3, 20, 60])
def test_a_file_that_is_cut_off_is_named(tmp_path: Path, kept: int) -> None:
    path = written(tmp_path / "model.bin", {"a": np.zeros(20, np.float32)})
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ModelError, match=r"model\.bin is cut off or damaged"):
        read_weights(path)


@pytest.mark.parametrize(("name", "version"), [("TransformerSpec", 6), ("WhisperSpec", 7)])
def test_a_file_of_another_kind_is_named(tmp_path: Path, name: str, version: int) -> None:
    path = written(tmp_path / "model.bin", {}, name=name, version=version)
    with pytest.raises(ModelError, match=f"holds a {name}, format {version}"):
        read_weights(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read: No such file"):
        read_weights(tmp_path / "model.bin")
