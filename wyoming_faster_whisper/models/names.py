"""Model names: the repository and the size that each stands for. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

AUTO = "auto"

# faster-whisper's names (faster_whisper/utils.py). They are copied because importing it takes
# longer than everything else before the server listens.
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

# The reference server's aliases for models that were quantised before upload.
for _size in ("tiny", "base", "small", "medium"):
    REPOSITORIES[f"{_size}-int8"] = f"rhasspy/faster-whisper-{_size}-int8"

# The longest first, so that base.en is not taken for base.
_STANDARD = {
    known: rf"(?<![a-z0-9]){re.escape(known)}(?![a-z0-9])"
    for known in sorted(REPOSITORIES, key=len, reverse=True)
    if not known.endswith("-int8")
}


@dataclass(frozen=True, slots=True)
class Model:
    """A chosen model: what clients are told about it, and where its files are."""

    name: str
    languages: tuple[str, ...]  # Whisper codes
    repository: str | None = None  # hub id; None = the files in directory are the only copy
    directory: Path | None = None  # directory with the files; None = not found locally

    @property
    def multilingual(self) -> bool:
        return len(self.languages) > 1


def canonical(name: str) -> str:
    """Return the spelling of a name in REPOSITORIES, ignoring case; other names unchanged.

    The reference server also accepts base.int8 for base-int8.
    """
    known = re.sub(r"\.int8$", "-int8", name.lower())
    return known if known == AUTO or known in REPOSITORIES else name


def standard_name(name: str) -> str:
    """Return the name in REPOSITORIES that a model's name contains, "" if none.

    It is base for base-int8, for a hub id such as Systran/faster-whisper-base, and for a folder
    such as whisper-base-german.
    """
    lowered = name.lower()
    if is_moonshine(lowered):
        return ""
    return next((known for known in _STANDARD if re.search(_STANDARD[known], lowered)), "")


def size_of(name: str) -> str:
    """Return the size in a model's name: tiny, base, small, medium or large, "" if none.

    It is "" for distilled and turbo models as well: they combine a large encoder with a small
    decoder. It is "" for other families than Whisper, whose sizes have the same names.
    """
    lowered = name.lower()
    if is_distilled(lowered) or is_moonshine(lowered) or "turbo" in lowered:
        return ""
    for size in ("tiny", "base", "small", "medium", "large"):
        if size in lowered:
            return size
    return ""


def is_distilled(name: str) -> bool:
    """Return True for distil-whisper models.

    They were trained on English only, and without prompts.
    """
    return "distil" in name.lower()


def is_moonshine(name: str) -> bool:
    """Return True for Moonshine's models, whose sizes are named as Whisper's are."""
    return "moonshine" in name.lower()


class SttLibrary(StrEnum):
    """The speech-to-text libraries of the reference server, under its names."""

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
    """Return the library that will serve, which is always faster-whisper.

    Home Assistant's add-on calls this function of the reference server, with this signature,
    to find out which packages to install.
    """
    return SttLibrary.FASTER_WHISPER
