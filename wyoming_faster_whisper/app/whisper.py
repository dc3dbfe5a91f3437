"""The built-in recognizer: Whisper models on CTranslate2 or ONNX Runtime."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from .. import hardware
from ..config.libraries import ONNX_WHISPER, measured_device
from ..config.settings import Settings
from ..engine.recognizer import EVERYTHING, Attribution, Loader, Recognizer, ServedModel
from ..engine.whisper.calibration.values import Calibrations
from ..engine.whisper.window import FULL_SECONDS
from ..models import AUTO, Model, auto, canonical, choose, choose_auto, is_distilled
from ..models.folders import refreshed
from ..models.languages import MULTILINGUAL_V3, means_detect, normalise
from .build import uses_grammar
from .language_data import load_language_data
from .loading import load_engine, version_of

_LOGGER = logging.getLogger(__name__)

_SYSTRAN = Attribution("SYSTRAN", "https://github.com/SYSTRAN/faster-whisper")
_MICROSOFT = Attribution("Microsoft", "https://github.com/microsoft/onnxruntime")
_OPENAI = Attribution("OpenAI", "https://github.com/openai/whisper")


def faster_whisper(
    models: Sequence[Model],
    settings: Settings,
    folders: Sequence[Path],
    *,
    loaded: Callable[[], None],
) -> Recognizer:
    """Describe Whisper models. Quick; does not use the network.

    Args:
        models: from choose_whisper().
        settings: the server's settings.
        folders: data folders; downloads go into the first.
        loaded: called in the thread that loads, after the peak of memory use. The rest takes
            half a second.
    """
    for model in models:
        if is_distilled(model.name):
            _LOGGER.warning(
                "Model %s is distilled: prompts and hotwords make it less accurate, "
                "so it gets none",
                model.name,
            )
    onnx = settings.stt_library == ONNX_WHISPER
    return Recognizer(
        models=tuple(
            ServedModel(
                model.name,
                model.languages,
                f"Whisper {model.name}",
                _OPENAI,
                EVERYTHING,
                padded_languages(model, full_window=settings.audio_context == "full"),
            )
            for model in models
        ),
        loaders={
            model.name: Loader(
                partial(load_engine, model, settings, folders, loaded=loaded),
                partial(version_of, partial(refreshed, model, folders)),
            )
            for model in models
        },
        prepare=partial(load_language_data, grammar=uses_grammar(settings)),
        description=f"Whisper on {'ONNX Runtime' if onnx else 'CTranslate2'}",
        attribution=_MICROSOFT if onnx else _SYSTRAN,
    )


def padded_languages(model: Model, *, full_window: bool) -> frozenset[str]:
    """Return the languages in which a model uses the full window for all audio.

    Args:
        full_window: it does in every language, as the operator wishes.
    """
    calibrations = Calibrations(model.name)
    return frozenset(
        code
        for code in (*model.languages, "")
        if full_window or calibrations.find(code)[0].window.floor >= FULL_SECONDS
    )


def choose_whisper(
    name: str, settings: Settings, folders: Sequence[Path], *, moonshine: bool = False
) -> Model:
    """Choose a Whisper model. Quick; does not use the network.

    Args:
        name: a name, a hub id, a directory, or auto.
        moonshine: auto may choose a Moonshine model instead.
        settings: the server's settings.
        folders: data folders; the first holds the decode times measured on this machine.

    Raises:
        ModelError: the name is unknown.
    """
    if canonical(name) != AUTO:
        return choose(name, folders)
    return choose_auto(
        folders,
        machine(settings),
        device=measured_device(settings.stt_library, settings.device),
        language=spoken(settings),
        download_budget=0 if settings.local_files_only else settings.model_budget,
        moonshine=moonshine,
    )


def machine(settings: Settings) -> auto.Machine:
    """Return the properties of this machine that the choice of a model depends on."""
    return auto.Machine(
        memory=hardware.memory_left(settings.max_memory),
        arm=hardware.is_arm(),
        # Only CTranslate2, which is imported later, can resolve the device "auto". It counts as a
        # CPU here: a model chosen for a CPU also runs on a GPU, but not the other way round.
        gpu=settings.device.startswith("cuda") and hardware.may_have_gpu(),
        compute_type=settings.compute_type,
    )


def spoken(settings: Settings) -> str | None:
    """Return the code of the default language; None = any."""
    return (
        None if means_detect(settings.language) else normalise(settings.language, MULTILINGUAL_V3)
    )
