"""Writes the files with which the web page works without the server."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..config.settings import Settings
from ..errors import ModelError, SettingError, install_command, unwritable
from ..models import (
    AUTO,
    Model,
    canonical,
    choose,
    is_at_hand,
    is_distilled,
    locate,
    locate_tokenizer,
    size_of,
)

if TYPE_CHECKING:
    from ..transports.http.offline import OfflineFiles

_LOGGER = logging.getLogger(__name__)

_MANIFEST = "manifest.json"
_LAYOUT = "model.json"  # engine/onnx/whisper/layout.py writes it; the page does not need it
_VERSION = 1  # of the files; older ones are written again
_SIZES = ("tiny", "base")  # that a phone can decode with
_SMALL_MODELS = ("base", "base.en", "tiny", "tiny.en")  # instead of a larger one, best first
_NICE = 10  # of the thread that writes: utterances go first

# onnxruntime-web, by what runs the graphs; script/onnxruntime-web fetches it.
RUNTIME = {
    "cpu": (
        "ort.wasm.min.mjs",
        "ort-wasm-simd-threaded.mjs",
        "ort-wasm-simd-threaded.wasm",
    ),
    "gpu": (
        "ort.webgpu.min.mjs",
        "ort-wasm-simd-threaded.asyncify.mjs",
        "ort-wasm-simd-threaded.asyncify.wasm",
    ),
}


def offline_files(
    settings: Settings, served: str, folders: Sequence[Path]
) -> OfflineFiles | None:
    """Return what the page needs to work without the server; None if it cannot. Quick.

    Args:
        settings: the server's settings.
        served: name of the model that the server uses.
        folders: data folders.

    Raises:
        SettingError: the chosen model cannot be used.
    """
    from ..transports.http.offline import OfflineFiles

    if settings.offline_model == "off":
        return None
    wanted = settings.offline_model != "auto"
    can = runtime_folder() is not None and importlib.util.find_spec("onnx") is not None
    if wanted and not can:
        raise SettingError(
            "--offline-model needs onnxruntime-web (script/onnxruntime-web) and onnx "
            f"({install_command('onnx')})"
        )
    model = _chosen(settings, served, folders) if can else None
    if model is None:
        return None
    folder = folders[0] / "offline" / model.name.replace("/", "--")

    def write() -> None:
        # In Linux each thread has a niceness of its own.
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
        export(model, folder, folders, local_files_only=settings.local_files_only)

    return OfflineFiles(folder, write)


def _chosen(settings: Settings, served: str, folders: Sequence[Path]) -> Model | None:
    if settings.offline_model != "auto":
        return choose(settings.offline_model, folders)
    if size_of(served) in _SIZES and not is_distilled(served):
        given = settings.model[0]  # a directory, perhaps
        return choose(served if canonical(given) == AUTO else given, folders)
    smaller = (choose(name, folders) for name in _SMALL_MODELS)
    return next((model for model in smaller if is_at_hand(model)), None)


def runtime_folder() -> Path | None:
    """Return the folder with onnxruntime-web; None if it was not fetched."""
    spec = importlib.util.find_spec("wyoming_faster_whisper")
    for place in (spec.submodule_search_locations or []) if spec else []:
        folder = Path(place) / "transports" / "http" / "static" / "onnxruntime-web"
        if all((folder / name).is_file() for names in RUNTIME.values() for name in names):
            return folder
    return None


def export(
    model: Model, folder: Path, folders: Sequence[Path], *, local_files_only: bool
) -> None:
    """Write the files of a model into a folder, unless current ones are there. Blocking.

    The manifest is written last, so a folder with a manifest is complete.

    Args:
        folder: it gets nothing else; an older export in it is replaced.
        folders: data folders; downloads go into the first.

    Raises:
        ModelError: the model is not available or cannot be converted, or the folder cannot be
            written.
    """
    from ..engine.onnx.whisper.layout import identity

    directory = locate(model, folders[0], local_files_only=local_files_only)
    source = identity(directory / "model.bin")
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        there = json.loads((folder / _MANIFEST).read_text("utf-8"))
        if (
            there["version"] == _VERSION
            and there["source"] == source
            and _complete(folder, there)
        ):
            return
    try:
        _make_sure_it_is_ours(folder)
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=".writing-", dir=folder.parent))
        try:
            tokenizer = locate_tokenizer(directory, folders[0], local_files_only=local_files_only)
            manifest = _write(model, directory, tokenizer, scratch, source)
            (scratch / _MANIFEST).write_text(json.dumps(manifest), "utf-8")
            scratch.chmod(0o755)
            shutil.rmtree(folder, ignore_errors=True)
            scratch.rename(folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:
        raise ModelError(f"{folder} cannot be written: {unwritable(error)}") from None
    size = sum(file["bytes"] for file in manifest["files"]) / 1e6
    _LOGGER.info(
        "Wrote %s for the page without the server: %s, %.0f MB", folder, model.name, size
    )


def _make_sure_it_is_ours(folder: Path) -> None:
    """Check that a folder has nothing but an older export, since it is replaced as a whole.

    Raises:
        ModelError: it has other files.
    """
    there = set(os.listdir(folder)) if folder.is_dir() else set()
    ours = {_MANIFEST, _LAYOUT}
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        manifest = json.loads((folder / _MANIFEST).read_text("utf-8"))
        ours |= {file["name"] for file in manifest["files"]}
    if others := sorted(there - ours):
        raise ModelError(
            f"{folder} has other files ({others[0]}); "
            "give a new folder, or one of an older export"
        )


def _complete(folder: Path, manifest: dict[str, Any]) -> bool:
    return all(
        (folder / file["name"]).stat().st_size == file["bytes"] for file in manifest["files"]
    )


def _write(
    model: Model, directory: Path, tokenizer: Path, folder: Path, source: str
) -> dict[str, Any]:
    """Write all files but the manifest; return its content."""
    from ..engine.onnx.whisper.layout import convert
    from ..engine.whisper.spectrogram import Spectrogram
    from ..engine.whisper.token_budget import LARGEST_RATE, TOKENS_PER_SECOND
    from ..engine.whisper.tokens import WhisperTokenizer
    from ..speech.vad import model_file

    runtime = runtime_folder()
    if runtime is None:
        raise ModelError("onnxruntime-web is missing; script/onnxruntime-web fetches it")
    layout = convert(directory, folder, source)
    names = WhisperTokenizer(tokenizer, multilingual=layout.multilingual)
    (folder / "mel.bin").write_bytes(Spectrogram(layout.bands).filters.astype("<f4").tobytes())
    spelled = [token[:255] for token in names.vocabulary()]
    (folder / "vocabulary.bin").write_bytes(b"".join(bytes([len(t)]) + t for t in spelled))
    shutil.copyfile(model_file(), folder / "vad.onnx")
    for file in {name for files in RUNTIME.values() for name in files}:
        shutil.copyfile(runtime / file, folder / file)
    no_times = names.token("<|notimestamps|>")
    return {
        "version": _VERSION,
        "source": source,
        "model": model.name,
        "multilingual": layout.multilingual,
        "tokens": {
            "start": names.token("<|startoftranscript|>"),
            "end": names.end,
            "transcribe": names.token("<|transcribe|>"),
            "no_times": no_times,
            "no_speech": no_times - 1,
            "languages": {names.name(token).strip("<|>"): token for token in layout.languages},
        },
        "suppressed": layout.suppressed,
        "suppressed_first": layout.suppressed_first,
        "tokens_per_second": TOKENS_PER_SECOND,
        "most_tokens_per_second": LARGEST_RATE,
        "files": list(_listed(folder)),
    }


def _listed(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the entry of each file; "for" says what needs it: cpu, gpu or both."""
    for path in sorted(folder.iterdir()):
        if path.name == _LAYOUT:
            continue
        users = [kind for kind in RUNTIME if path.name in RUNTIME[kind]] or ["cpu", "gpu"]
        if path.name.endswith(".float.onnx"):
            users = ["gpu"]
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        yield {
            "name": path.name,
            "bytes": path.stat().st_size,
            "sha256": digest,
            "for": users,
        }
