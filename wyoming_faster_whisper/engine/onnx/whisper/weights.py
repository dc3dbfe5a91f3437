"""Reads the weights of a CTranslate2 Whisper model, without CTranslate2.

The file is a flat list of named arrays. Its layout is defined by CTranslate2's
`model_spec._serialize`.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ....errors import ModelError

Array = NDArray[Any]
Weights = Mapping[str, Array]

_VERSION = 6  # of the file format
_SPECIFICATION = "WhisperSpec"
_DTYPES = ("f4", "i1", "i2", "i4", "f2")  # indexed by CTranslate2's data type
_SCALE = "_scale"  # ends the name of the scales of a quantised array


def read_weights(path: Path) -> dict[str, Array]:
    """Read the arrays of a model.bin. Blocking; arrays in int8 are converted to float32.

    Raises:
        ModelError: the file is cut off, of another version or of another kind of model.
    """
    weights: dict[str, Array] = {}
    try:
        with path.open("rb") as file:
            (version,) = _numbers(file, "I")
            name, _revision = _string(file), _numbers(file, "I")
            if version != _VERSION or name != _SPECIFICATION:
                raise ModelError(
                    f"{path} holds a {name or 'model'}, format {version}; "
                    f"only a {_SPECIFICATION} of format {_VERSION} can be converted"
                )
            (count,) = _numbers(file, "I")
            for _ in range(count):
                name = _string(file)
                (rank,) = _numbers(file, "B")
                shape = _numbers(file, f"{rank}I")
                kind, size = _numbers(file, "BI")
                data = np.frombuffer(_bytes(file, size), f"<{_DTYPES[kind]}")
                weights[name] = data.reshape(shape)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from None
    except (struct.error, ValueError, IndexError, UnicodeDecodeError):
        raise ModelError(f"{path} is cut off or damaged; copy or download it again") from None
    return _dequantised(weights)


def _dequantised(weights: dict[str, Array]) -> dict[str, Array]:
    """Replace arrays in int8 or int16, which CTranslate2 multiplied by a scale per row."""
    for name in [name for name in weights if name.endswith(_SCALE)]:
        scale = weights.pop(name).astype(np.float32)
        whole = weights[name.removesuffix(_SCALE)].astype(np.float32)
        weights[name.removesuffix(_SCALE)] = whole / scale.reshape(-1, *[1] * (whole.ndim - 1))
    return weights


def _numbers(file: BinaryIO, layout: str) -> tuple[int, ...]:
    layout = f"<{layout}"
    return struct.unpack(layout, file.read(struct.calcsize(layout)))


def _string(file: BinaryIO) -> str:
    (size,) = _numbers(file, "H")
    return _bytes(file, size)[:-1].decode()  # it ends with a zero


def _bytes(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) < size:
        raise ValueError(size)
    return data
