"""Settings that the chosen recognizer cannot serve: each is replaced, with one warning. Pure."""

from __future__ import annotations

import dataclasses
from typing import Any

from ..config.options import options
from ..config.settings import Settings
from ..engine.recognizer import Recognizer
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

# Settings that only faster-whisper reads.
_WHISPER_ONLY = ("model_budget", "compute_type", "max_batch", "audio_context")


def fit(settings: Settings, recognizer: Recognizer) -> tuple[Settings, list[str]]:
    """Replace the settings that a recognizer cannot serve.

    Returns:
        The settings that are served, and a warning for each that was replaced.
    """
    can, name = recognizer.capabilities, settings.stt_library
    defaults = {option.name: option for option in options(Settings)}
    served: dict[str, Any] = {}
    warnings: list[str] = []
    for setting, capability, limitation in _NEEDS:
        option = defaults[setting]
        if getattr(settings, setting) != option.default and not getattr(can, capability):
            served[setting] = option.default
            warnings.append(f"{option.flag} is ignored; {name} {limitation}")
    if settings.vad_endpointing == "auto" and not can.scores_end:
        served["vad_endpointing"] = silence = SENSITIVITIES["default"]
        warnings.append(
            f"--vad-endpointing auto needs end-of-turn scores, which {name} does not have; "
            f"{silence:g} s of silence end a turn"
        )
    if settings.partials != "off" and not can.continues_prefix:
        warnings.append(
            f"--partials {settings.partials} sends text after long pauses only; {name} cannot "
            "continue a text"
        )
    model = recognizer.models[0]
    if means_detect(settings.language) and not can.detects_language and len(model.languages) > 1:
        served["language"] = model.languages[0]
        warnings.append(
            f"{name} does not detect languages; requests that name none are decoded as "
            f"{model.languages[0]}, which --language changes"
        )
    return dataclasses.replace(settings, **served), warnings


def whisper_only(settings: Settings) -> list[str]:
    """Return a warning for each setting that was given and that only faster-whisper has."""
    return [
        f"{option.flag} is ignored; only faster-whisper has it"
        for option in options(Settings)
        if option.name in _WHISPER_ONLY and getattr(settings, option.name) != option.default
    ]
