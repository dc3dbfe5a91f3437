"""Load a Moonshine model: its files, converted if necessary, to a decoder."""

from __future__ import annotations

import hashlib
from pathlib import Path

from ....errors import ModelError
from ....models.moonshine import MoonshineFiles
from ..runtime import Runtime
from .conversion import to_onnx
from .decoder import MoonshineDecoder
from .graphs import MoonshineGraphs
from .vocabulary import Vocabulary, read_binary, read_json


def load_decoder(files: MoonshineFiles, converted: Path, runtime: Runtime) -> MoonshineDecoder:
    """Load a model. Blocking; the first time, graphs in ORT format are converted.

    Args:
        files: of the model.
        converted: folder to write converted graphs to.

    Raises:
        ModelError: a file is damaged, or they belong to different models.
    """
    encoder, decoder = (
        _as_onnx(path, converted, runtime) for path in (files.encoder, files.decoder)
    )
    graphs = MoonshineGraphs(encoder, decoder, runtime)
    vocabulary = load_vocabulary(files.tokenizer)
    size = graphs.vocabulary_size
    if isinstance(size, int) and not 0 <= size - len(vocabulary) < len(vocabulary) // 2:
        raise ModelError(
            f"{files.tokenizer} is the tokenizer of another model: it has {len(vocabulary)} "
            f"tokens, and {decoder.name} has {size}"
        )
    return MoonshineDecoder(graphs, vocabulary)


def load_vocabulary(path: Path) -> Vocabulary:
    """Read a tokenizer.bin or tokenizer.json.

    Raises:
        ModelError: the file cannot be read, or is of another model.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from None
    if path.suffix == ".json":
        return read_json(data.decode(errors="replace"), str(path))
    return read_binary(data, str(path))


def _as_onnx(path: Path, folder: Path, runtime: Runtime) -> Path:
    if path.suffix != ".ort":
        return path
    # A file that was replaced is converted again.
    stat = path.stat()
    version = hashlib.sha256(f"{path} {stat.st_size} {stat.st_mtime_ns}".encode()).hexdigest()[:8]
    # Other execution providers than the CPU's may have no product with 8-bit weights.
    form = "8-bit" if runtime.cpu_only else "float"
    target = folder / f"{path.stem}-{form}-{version}.onnx"
    to_onnx(path, target, eight_bits=runtime.cpu_only)
    return target
