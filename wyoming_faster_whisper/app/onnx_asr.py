"""The recognizer of onnx-asr's models."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from .. import hardware
from ..config.settings import Settings
from ..engine.protocol import Engine
from ..engine.recognizer import Attribution, Capabilities, Loader, Recognizer, ServedModel
from ..models import Measurements
from ..models.onnx_asr import Decoding, OnnxAsrModel, locate_onnx_asr, refreshed_onnx_asr
from .loading import batch_limits, remember, version_of

_LOGGER = logging.getLogger(__name__)

_AUTHOR = Attribution("onnx-asr", "https://github.com/istupakov/onnx-asr")

# The languages of a multilingual CTC or transducer model are recognised without being requested
# or reported, so none of the models detects languages. Names are corrected in the text.
_CAPABILITIES: Mapping[Decoding, Capabilities] = {
    Decoding.CTC: Capabilities(takes_hotwords=True, times_words=True, scores_tokens=True),
    Decoding.TRANSDUCER: Capabilities(takes_hotwords=True, times_words=True, scores_tokens=True),
    Decoding.ATTENTION: Capabilities(takes_hotwords=True, translates=True),
    Decoding.WHISPER: Capabilities(takes_hotwords=True),
}


def onnx_asr(
    models: Sequence[OnnxAsrModel], settings: Settings, folders: Sequence[Path]
) -> Recognizer:
    """Describe models of onnx-asr. Quick; does not use the network.

    Args:
        models: from choose_onnx_asr().
        settings: the server's settings.
        folders: data folders; downloads go into the first.
    """
    loaders = {
        chosen.model.name: Loader(
            partial(_load, chosen, settings, folders),
            partial(version_of, partial(refreshed_onnx_asr, chosen, folders)),
        )
        for chosen in models
    }
    return Recognizer(
        models=tuple(
            ServedModel(
                chosen.model.name,
                chosen.model.languages,
                f"{chosen.model.name} ({chosen.family.type})",
                _AUTHOR,
                _CAPABILITIES[chosen.family.decoding],
            )
            for chosen in models
        ),
        loaders=loaders,
        description="onnx-asr on ONNX Runtime",
        attribution=_AUTHOR,
    )


def _load(chosen: OnnxAsrModel, settings: Settings, folders: Sequence[Path]) -> Engine:
    """Load a model; download it if necessary. Blocking.

    Raises:
        ModelError: the model is not available or cannot be loaded.
    """
    # Imported here because importing them takes longer than everything before listening.
    from ..engine.onnx.onnx_asr import OnnxAsrEngine, load_onnx_asr
    from ..engine.onnx.runtime import make_runtime

    name, family = chosen.model.name, chosen.family
    threads = hardware.threads_to_use(settings.cpu_threads)
    runtime = make_runtime(settings.onnx_provider, settings.device, threads)
    files = locate_onnx_asr(
        replace(chosen, model=refreshed_onnx_asr(chosen, folders)),
        folders[0],
        quantisation=settings.onnx_quantization,
        gpu=not runtime.cpu_only,
        local_files_only=settings.local_files_only,
    )
    if family.decoding in (Decoding.CTC, Decoding.TRANSDUCER):
        _LOGGER.info("Model %s has no hallucination check", name)
    else:
        _LOGGER.info(
            "Model %s is not calibrated: its texts are checked for loops, not for noise", name
        )
    figures = Measurements(folders[0], settings.device)
    return OnnxAsrEngine(
        partial(load_onnx_asr, family.type, files.directory, files.quantisation, runtime),
        decoding=family.decoding,
        language=chosen.model.languages[0],
        limits=batch_limits(
            settings, gpu=not runtime.cpu_only, workers=1, figure=figures.read().get(name)
        ),
        measured=remember(figures, name, name, threads, 1),
    )
