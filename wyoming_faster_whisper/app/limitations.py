"""Settings that the chosen models cannot serve, with one warning each. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from ..config.libraries import MOONSHINE, ONNX_WHISPER, REMOTE, WHISPER
from ..config.options import options
from ..config.settings import Settings
from ..engine.recognizer import Recognizer, ServedModel
from ..models import SttLibrary
from ..models.languages import means_detect
from ..speech.endpointing import SENSITIVITIES

# Setting, the capability that it needs, and what the recognizer does instead.
_NEEDS = (
    ("whisper_task", "translates", "does not translate"),
    ("initial_prompt", "takes_prompt", "takes no prompt"),
    ("hass_token", "takes_hotwords", "takes no names"),
    ("beam_size", "takes_beam_size", "has no beam"),
    ("languages", "detects_language", "does not detect languages"),
)

_ONNX_RUNTIME = frozenset({ONNX_WHISPER, MOONSHINE, SttLibrary.ONNX_ASR})

# Settings that not every library reads: the libraries that do, and why others ignore it.
_READERS: Mapping[str, tuple[Collection[str], str]] = {
    **{
        name: (WHISPER, "only faster-whisper has it")
        for name in (*("model_budget", "compute_type", "gpu_memory_pool", "audio_context"),)
    },
    **{
        name: (WHISPER | {SttLibrary.ONNX_ASR}, "only faster-whisper and onnx-asr have it")
        for name in ("max_batch", "max_batch_seconds")
    },
    "grammar": (WHISPER | {REMOTE}, "only Whisper's decoder has hypotheses to choose from"),
    "onnx_provider": (_ONNX_RUNTIME, "no model runs on ONNX Runtime"),
    "onnx_quantization": ({SttLibrary.ONNX_ASR}, "only onnx-asr has it"),
}


# Settings that only models on this machine have.
_LOCAL = ("device", "cpu_threads", "unload_after")


def fit(settings: Settings, recognizer: Recognizer) -> tuple[Settings, list[str]]:
    """Replace the settings that no model of a recognizer can serve.

    A setting that some models can serve stays. Sessions leave it out for the others.

    Returns:
        The settings that are served, and a warning for each that cannot be served as given, or
        not with every model.
    """
    name, models = settings.stt_library, recognizer.models
    defaults = {option.name: option for option in options(Settings)}
    served: dict[str, Any] = {}
    warnings: list[str] = []
    for setting, capability, limitation in _NEEDS:
        option, limited = defaults[setting], _limited(name, models, capability)
        if getattr(settings, setting) == option.default:
            continue
        if limited == [name]:
            served[setting] = option.default
        warnings += [f"{option.flag} is ignored; {who} {limitation}" for who in limited]
    if settings.vad_endpointing == "auto":
        warnings += [
            f"--vad-endpointing auto needs end-of-turn scores, which {who} does not have; "
            f"{SENSITIVITIES['default']:g} s of silence end a turn"
            for who in _limited(name, models, "scores_end")
        ]
    if settings.partials != "off":
        warnings += [
            f"--partials {settings.partials} sends text after long pauses only; {who} cannot "
            "continue a text"
            for who in _limited(name, models, "continues_prefix")
        ]
    if means_detect(settings.language):
        for model in models:
            if len(model.languages) > 1 and not model.capabilities.detects_language:
                warnings.append(
                    f"model {model.name} does not detect languages; requests that name none are "
                    f"decoded as {model.languages[0]}, which --language changes"
                )
    return dataclasses.replace(settings, **served), warnings


def _limited(name: str, models: Sequence[ServedModel], capability: str) -> list[str]:
    """Return the subjects of warnings: the library, or those of its models that are unable."""
    unable = [model.name for model in models if not getattr(model.capabilities, capability)]
    if len(unable) == len(models):
        return [name]
    return [f"model {model}" for model in unable]


def unread(settings: Settings, libraries: Collection[str]) -> list[str]:
    """Return a warning for each setting that was given and that no library reads.

    Args:
        libraries: those of the served models, as in --stt-library.
    """
    given = [opt for opt in options(Settings) if getattr(settings, opt.name) != opt.default]
    warnings = [
        f"{option.flag} is ignored; {_READERS[option.name][1]}"
        for option in given
        if option.name in _READERS
        and not any(library in _READERS[option.name][0] for library in libraries)
    ]
    if set(libraries) == {REMOTE}:
        warnings += [
            f"{option.flag} is ignored; no model runs on this machine"
            for option in given
            if option.name in _LOCAL
        ]
    return warnings
