"""The recognizer of Moonshine models."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from .. import hardware
from ..config.settings import Settings
from ..engine.protocol import Engine
from ..engine.recognizer import Attribution, Capabilities, Loader, Recognizer, ServedModel
from ..models import Measurements, Model, auto
from ..models.moonshine import locate_moonshine, refreshed_moonshine
from .language_data import load_language_data
from .loading import remember, version_of, workers_for

_LOGGER = logging.getLogger(__name__)

_AUTHOR = Attribution("Moonshine AI", "https://github.com/moonshine-ai/moonshine")

CAPABILITIES = Capabilities(
    takes_hotwords=True, takes_beam_size=True, continues_prefix=True, scores_tokens=True
)


def moonshine(models: Sequence[Model], settings: Settings, folders: Sequence[Path]) -> Recognizer:
    """Describe Moonshine models. Quick; does not use the network.

    Args:
        models: from choose_moonshine().
        settings: the server's settings.
        folders: data folders; downloads and converted graphs go into the first.
    """
    return Recognizer(
        models=tuple(
            ServedModel(
                model.name,
                model.languages,
                f"Moonshine {model.name.removeprefix('moonshine-')}",
                _AUTHOR,
                CAPABILITIES,
            )
            for model in models
        ),
        loaders={
            model.name: Loader(
                partial(_load, model, settings, folders),
                partial(version_of, partial(refreshed_moonshine, model, folders)),
            )
            for model in models
        },
        prepare=partial(load_language_data, grammar=False),
        description="Moonshine on ONNX Runtime",
        attribution=_AUTHOR,
    )


def _load(model: Model, settings: Settings, folders: Sequence[Path]) -> Engine:
    """Load a model; download or convert it if necessary. Blocking.

    Raises:
        ModelError: the model is not available or cannot be loaded.
    """
    files = locate_moonshine(
        refreshed_moonshine(model, folders),
        folders[0],
        local_files_only=settings.local_files_only,
    )
    # Imported here because importing them takes longer than everything before listening.
    from ..engine.onnx.moonshine.engine import MoonshineEngine
    from ..engine.onnx.moonshine.judgement import thresholds_of
    from ..engine.onnx.moonshine.loading import load_decoder
    from ..engine.onnx.runtime import make_runtime

    threads = hardware.threads_to_use(settings.cpu_threads)
    figures = Measurements(folders[0], settings.device)
    together = auto.threads_together(
        model.name, threads, arm=hardware.is_arm(), figures=figures.read()
    )
    runtime = make_runtime(settings.onnx_provider, settings.device, together)
    thresholds, calibrated = thresholds_of(model.name)
    if not calibrated:
        _LOGGER.info(
            "Model %s is not calibrated; its texts are checked for loops, not for noise",
            model.name,
        )
    return MoonshineEngine(
        partial(load_decoder, files, folders[0] / model.name.rpartition("/")[2], runtime),
        language=model.languages[0],
        thresholds=thresholds,
        parallel=workers_for(threads, together),
        measured=remember(figures, model.name, model.name, together, settings.beam_size),
    )
