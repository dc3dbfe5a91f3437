"""Folder with the graphs of a Whisper model: its files, and what the model's config says."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ....errors import ModelError, install_command, unwritable

if TYPE_CHECKING:
    from .writer import Kinds

VERSION = 2
"""Version of the graphs; a folder of another version is written again."""

_FILE = "model.json"
_ENGLISH_VOCABULARY = 51864  # tokens; a model with more is multilingual


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """Properties of a model that its graphs do not contain."""

    version: int = VERSION
    source: str  # identifies the file with the weights
    bands: int  # mel bands of the features
    vocabulary: int  # tokens
    suppressed: tuple[int, ...] = ()  # tokens that are never generated
    suppressed_first: tuple[int, ...] = ()  # tokens that no text begins with
    languages: tuple[int, ...] = ()  # tokens of the languages

    @property
    def multilingual(self) -> bool:
        return self.vocabulary > _ENGLISH_VOCABULARY


def graphs_folder(directory: Path, folder: Path) -> tuple[Path, Layout]:
    """Return the folder with the graphs of a model; write them if they are not there.

    Blocking; writing takes a few seconds, and the extra `onnx`. Processes that write the same
    graphs at the same time do not disturb each other.

    Args:
        directory: of the model in CTranslate2's format.
        folder: data folder; the graphs get a folder in it.

    Raises:
        ModelError: the model cannot be read or converted, the folder cannot be written, or the
            package onnx is missing.
    """
    source = identity(directory / "model.bin")
    found = folder / "onnx" / f"{directory.name}-{source[:12]}"
    layout = _read(found)
    if layout is None or layout.version != VERSION or layout.source != source:
        layout = _write(directory, found, source)
    return found, layout


def identity(path: Path) -> str:
    """Return a text that changes whenever a file with weights does. Fast: it reads no weights.

    Raises:
        ModelError: the file cannot be read.
    """
    try:
        known = path.stat()
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from None
    what = f"{path.resolve()} {known.st_size} {known.st_mtime_ns}"
    return hashlib.sha256(what.encode()).hexdigest()


def _read(folder: Path) -> Layout | None:
    try:
        values: dict[str, Any] = json.loads((folder / _FILE).read_text("utf-8"))
        lists = {name: tuple(v) for name, v in values.items() if isinstance(v, list)}
        return Layout(**{**values, **lists})
    except (OSError, ValueError, TypeError):
        return None


def _write(directory: Path, folder: Path, source: str) -> Layout:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".writing-", dir=folder.parent))
    except OSError as error:
        raise ModelError(f"{folder} cannot be written: {unwritable(error)}") from None
    try:
        layout = convert(directory, scratch, source)
        scratch.chmod(0o755)
        shutil.rmtree(folder, ignore_errors=True)
        scratch.rename(folder)
    except OSError as error:
        other = _read(folder)
        if other is not None and other.source == source:
            return other  # another process has written it meanwhile
        raise ModelError(f"{folder} cannot be written: {unwritable(error)}") from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return layout


def convert(directory: Path, folder: Path, source: str, *, kinds: Kinds | None = None) -> Layout:
    """Write the graphs of a model and its layout into a folder. Blocking; takes seconds.

    Args:
        directory: of the model in CTranslate2's format.
        folder: to write to.
        source: identity() of the weights.
        kinds: of graphs; None = those that the server needs.

    Raises:
        ModelError: the model cannot be converted, or the package onnx is missing.
        OSError: the folder cannot be written.
    """
    try:
        from .writer import KINDS, layers, write_graphs
    except ImportError as error:
        raise ModelError(
            f"converting a model needs {error.name}: {install_command('onnx')}"
        ) from None
    from .weights import read_weights

    config = _config(directory / "config.json")
    weights = read_weights(directory / "model.bin")
    heads = config.get("alignment_heads") or [
        # Like CTranslate2, if the config names none: all heads of the last layers.
        (layer, head)
        for layer in range(layers(weights, "decoder") // 2, layers(weights, "decoder"))
        for head in range(int(weights["decoder/num_heads"]))
    ]
    try:
        write_graphs(weights, [(int(a), int(b)) for a, b in heads], folder, kinds or KINDS)
        layout = Layout(
            source=source,
            bands=weights["encoder/conv1/weight"].shape[1],
            vocabulary=len(weights["decoder/embeddings/weight"]),
            suppressed=tuple(config.get("suppress_ids", ())),
            suppressed_first=tuple(config.get("suppress_ids_begin", ())),
            languages=tuple(config.get("lang_ids", ())),
        )
    except (KeyError, IndexError) as error:
        raise ModelError(f"{directory / 'model.bin'} has no weights named {error}") from None
    (folder / _FILE).write_text(json.dumps(asdict(layout)), "utf-8")
    return layout


def _config(path: Path) -> dict[str, Any]:
    try:
        config = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from None
    if not isinstance(config, dict):
        raise ModelError(f"{path} is not the config of a model")
    return config
