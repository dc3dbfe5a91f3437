"""What the names of models mean: repositories, sizes. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

AUTO = "auto"

# faster-whisper's own names (faster_whisper/utils.py), so that they can be
# known before it is imported, which takes longer than to begin to listen.
REPOSITORIES = {
    "tiny.en": "Systran/faster-whisper-tiny.en",
    "tiny": "Systran/faster-whisper-tiny",
    "base.en": "Systran/faster-whisper-base.en",
    "base": "Systran/faster-whisper-base",
    "small.en": "Systran/faster-whisper-small.en",
    "small": "Systran/faster-whisper-small",
    "medium.en": "Systran/faster-whisper-medium.en",
    "medium": "Systran/faster-whisper-medium",
    "large-v1": "Systran/faster-whisper-large-v1",
    "large-v2": "Systran/faster-whisper-large-v2",
    "large-v3": "Systran/faster-whisper-large-v3",
    "large": "Systran/faster-whisper-large-v3",
    "distil-large-v2": "Systran/faster-distil-whisper-large-v2",
    "distil-medium.en": "Systran/faster-distil-whisper-medium.en",
    "distil-small.en": "Systran/faster-distil-whisper-small.en",
    "distil-large-v3": "Systran/faster-distil-whisper-large-v3",
    "distil-large-v3.5": "distil-whisper/distil-large-v3.5-ct2",
    "large-v3-turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
    "turbo": "mobiuslabsgmbh/faster-whisper-large-v3-turbo",
}

# The reference server's aliases: models that were quantised before upload.
for _size in ("tiny", "base", "small", "medium"):
    REPOSITORIES[f"{_size}-int8"] = f"rhasspy/faster-whisper-{_size}-int8"


@dataclass(frozen=True, slots=True)
class Model:
    """A model that was chosen: what clients are told, and where to look for it."""

    name: str
    languages: tuple[str, ...]  # Whisper's codes
    repository: str | None = None  # hub id; None = only what directory holds
    directory: Path | None = None  # where it was found, if it was

    @property
    def multilingual(self) -> bool:
        return len(self.languages) > 1


def canonical(name: str) -> str:
    """Return a name as REPOSITORIES has it, whatever its case; others as they are.

    The reference server takes base.int8 as well.
    """
    known = re.sub(r"\.int8$", "-int8", name.lower())
    return known if known == AUTO or known in REPOSITORIES else name


def size_of(name: str) -> str:
    """The size in a model's name: tiny, base, small, medium, large, or "" for others.

    Distilled and turbo models have a large encoder and a small decoder; they are others.
    """
    lowered = name.lower()
    if is_distilled(lowered) or "turbo" in lowered:
        return ""
    for size in ("tiny", "base", "small", "medium", "large"):
        if size in lowered:
            return size
    return ""


def is_distilled(name: str) -> bool:
    """True for the distil-whisper models: made from English alone, and without prompts."""
    return "distil" in name.lower()


class SttLibrary(StrEnum):
    """The reference server's speech-to-text libraries, by its names for them."""

    AUTO = "auto"
    FASTER_WHISPER = "faster-whisper"
    TRANSFORMERS = "transformers"
    SHERPA = "sherpa"
    ONNX_ASR = "onnx-asr"
    FUNASR = "funasr"
    QWEN3_ASR = "qwen3-asr"


def guess_stt_library(
    preferred_stt_library: SttLibrary, model: str | None, language: str | None, **has: bool
) -> SttLibrary:
    """Say which library will serve: always faster-whisper.

    Home Assistant's add-on asks the reference server this, with this signature,
    to find out what else to install.
    """
    return SttLibrary.FASTER_WHISPER
