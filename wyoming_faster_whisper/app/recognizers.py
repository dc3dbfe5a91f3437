"""Registry of recognizers: chooses by --stt-library."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from pathlib import Path

from .. import hardware
from ..config.libraries import BUILT_IN, find_library
from ..config.settings import Settings
from ..engine.recognizer import Recognizer, RecognizerFactory, RecognizerSettings
from .limitations import whisper_only
from .whisper import faster_whisper

_LOGGER = logging.getLogger(__name__)


def choose_recognizer(
    settings: Settings, folders: Sequence[Path], *, loaded: Callable[[], None]
) -> Recognizer:
    """Make the recognizer of --stt-library; faster-whisper if it cannot be imported.

    Args:
        settings: the server's settings.
        folders: data folders; downloads go into the first.
        loaded: as for faster_whisper(). Other recognizers do not call it.

    Raises:
        ServerError: a setting cannot be served.
    """
    if settings.stt_library not in BUILT_IN:
        try:
            recognizer = _installed(settings, folders)
        except ImportError as error:
            _LOGGER.warning(
                "--stt-library %s cannot be used (%s); using faster-whisper",
                settings.stt_library,
                error,
            )
        else:
            for warning in whisper_only(settings):
                _LOGGER.warning("%s", warning)
            return recognizer
    return faster_whisper(settings, folders, loaded=loaded)


def _installed(settings: Settings, folders: Sequence[Path]) -> Recognizer:
    """Make the recognizer of an installed package.

    Raises:
        ImportError: the package, or one that it needs, is not installed.
        ServerError: a setting cannot be served.
    """
    entry_point = find_library(settings.stt_library)
    if entry_point is None:
        raise ImportError("it is not installed")
    make: RecognizerFactory = entry_point.load()
    return make(
        RecognizerSettings(
            models=settings.model,
            folders=tuple(folders),
            local_files_only=settings.local_files_only,
            device=settings.device,
            threads=hardware.threads_to_use(settings.cpu_threads),
        )
    )
