"""The built-in recognizer: Whisper models on faster-whisper's CTranslate2."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from .. import hardware
from ..config.settings import Settings
from ..engine.recognizer import EVERYTHING, Attribution, Recognizer, ServedModel
from ..errors import SettingError
from ..models import AUTO, Model, auto, canonical, choose, choose_auto, is_distilled
from ..models.languages import MULTILINGUAL_V3, means_detect, normalise
from .loading import load_engines

_LOGGER = logging.getLogger(__name__)

_SYSTRAN = Attribution("SYSTRAN", "https://github.com/SYSTRAN/faster-whisper")
_OPENAI = Attribution("OpenAI", "https://github.com/openai/whisper")


def faster_whisper(
    settings: Settings, folders: Sequence[Path], *, loaded: Callable[[], None]
) -> Recognizer:
    """Choose the models to serve. Quick; does not use the network.

    Args:
        settings: the server's settings.
        folders: data folders; downloads go into the first.
        loaded: called in the thread that loads, after the peak of memory use. The rest takes
            half a second.

    Raises:
        ModelError: a model name is unknown.
        SettingError: a model was given twice.
    """
    models = choose_models(settings, folders)
    return Recognizer(
        models=tuple(
            ServedModel(model.name, model.languages, f"Whisper {model.name}", _OPENAI, EVERYTHING)
            for model in models
        ),
        load=partial(load_engines, models, settings, folders, loaded=loaded),
        description="Whisper on CTranslate2",
        attribution=_SYSTRAN,
    )


def choose_models(settings: Settings, folders: Sequence[Path]) -> list[Model]:
    """Choose the models to serve, the default first. Quick; does not use the network.

    Args:
        settings: the server's settings.
        folders: data folders; the first holds the decode times measured on this machine.

    Raises:
        ModelError: a model name is unknown.
        SettingError: a model was given twice.
    """
    models: list[Model] = []
    for name in settings.model:
        if canonical(name) == AUTO:
            model = choose_auto(
                folders,
                auto.Machine(
                    memory=hardware.available_memory(),
                    arm=hardware.is_arm(),
                    # Only CTranslate2, which is imported later, can resolve the device "auto". It
                    # counts as a CPU here: a model chosen for a CPU also runs on a GPU, but not
                    # the other way round.
                    gpu=settings.device.startswith("cuda") and hardware.may_have_gpu(),
                    compute_type=settings.compute_type,
                ),
                device=settings.device,
                language=_spoken(settings),
                download_budget=0 if settings.local_files_only else settings.model_budget,
            )
        else:
            model = choose(name, folders)
        if model.name in (other.name for other in models):
            raise SettingError(f"--model {model.name} is given twice")
        models.append(model)
        if is_distilled(model.name):
            _LOGGER.warning(
                "Model %s is distilled: prompts and hotwords make it less accurate, "
                "so it gets none",
                model.name,
            )
    return models


def _spoken(settings: Settings) -> str | None:
    return (
        None if means_detect(settings.language) else normalise(settings.language, MULTILINGUAL_V3)
    )
