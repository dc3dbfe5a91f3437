"""Registry of recognizers: chooses by --stt-library."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from .. import hardware
from ..config.libraries import BUILT_IN, MOONSHINE, REMOTE, WHISPER, find_library
from ..config.settings import Settings
from ..engine.protocol import Engine
from ..engine.recognizer import Loader, Recognizer, RecognizerFactory, RecognizerSettings
from ..models import AUTO, SttLibrary
from .choosing import choose_models
from .limitations import unread
from .moonshine import moonshine
from .onnx_asr import onnx_asr
from .whisper import faster_whisper

_LOGGER = logging.getLogger(__name__)


def choose_recognizer(
    settings: Settings, folders: Sequence[Path], *, loaded: Callable[[], None]
) -> Recognizer:
    """Make the recognizer of --stt-library; faster-whisper if it cannot be imported.

    With --stt-library auto, each model is served by the library that its name belongs to.

    Args:
        settings: the server's settings.
        folders: data folders; downloads go into the first.
        loaded: as for faster_whisper(). Other recognizers do not call it.

    Raises:
        ServerError: a setting cannot be served.
    """
    if settings.stt_library == REMOTE:
        return _remote(settings, folders, loaded)
    if settings.stt_library in BUILT_IN:
        return _built_in(settings, folders, loaded)
    try:
        recognizer = _installed(settings, folders)
    except ImportError as error:
        _LOGGER.warning(
            "--stt-library %s cannot be used (%s); using faster-whisper",
            settings.stt_library,
            error,
        )
        settings = replace(settings, stt_library=SttLibrary.FASTER_WHISPER)
        return _built_in(settings, folders, loaded)
    _warn_of_unread(settings, {settings.stt_library})
    return recognizer


def loaders_of(recognizer: Recognizer) -> Mapping[str, Loader]:
    """Return the loaders of a recognizer's models, the default first.

    A recognizer that loads all its models together has one, for the default model.
    """
    if recognizer.load is not None:
        return {recognizer.models[0].name: Loader(recognizer.load)}
    return recognizer.loaders


def load_default(recognizer: Recognizer) -> Engine:
    """Load the default model. Blocking.

    Raises:
        ServerError: the model cannot be loaded.
    """
    return next(iter(loaders_of(recognizer).values())).load()


def _remote(
    settings: Settings, folders: Sequence[Path], loaded: Callable[[], None]
) -> Recognizer:
    """Make the recognizer of the decode servers, with a local one if there is a --model."""
    # Imported here because it needs an extra.
    from .remote import remote

    if settings.model == (AUTO,):
        _warn_of_unread(settings, {REMOTE})
        return remote(settings)
    here = replace(settings, stt_library=SttLibrary.AUTO)
    local = _built_in(here, folders, loaded)
    return replace(
        remote(settings, local.models[0], partial(load_default, local)), prepare=local.prepare
    )


def _built_in(
    settings: Settings, folders: Sequence[Path], loaded: Callable[[], None]
) -> Recognizer:
    """Make one recognizer of the built-in ones that the models belong to."""
    chosen = choose_models(settings, folders)
    moonshines = [one.model for one in chosen if one.library == MOONSHINE]
    others = [one.onnx_asr for one in chosen if one.onnx_asr is not None]
    whispers = [one.model for one in chosen if one.library in WHISPER]
    parts = [
        *([faster_whisper(whispers, settings, folders, loaded=loaded)] if whispers else []),
        *([moonshine(moonshines, settings, folders)] if moonshines else []),
        *([onnx_asr(others, settings, folders)] if others else []),
    ]
    _warn_of_unread(settings, {one.library for one in chosen})
    if len(parts) == 1:
        return parts[0]

    def prepare(language: str) -> None:
        for part in parts:
            part.prepare(language)

    served = {model.name: model for part in parts for model in part.models}
    loaders = {name: load for part in parts for name, load in part.loaders.items()}
    return Recognizer(
        models=tuple(served[one.model.name] for one in chosen),
        loaders={one.model.name: loaders[one.model.name] for one in chosen},
        prepare=prepare,
        description=", ".join(part.description for part in parts),
        attribution=parts[0].attribution,
    )


def _warn_of_unread(settings: Settings, libraries: Collection[str]) -> None:
    for warning in unread(settings, libraries):
        _LOGGER.warning("%s", warning)


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
