"""OpenAI's settings of a VAD that cuts audio at pauses. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ServerVad:
    """OpenAI's `server_vad`: how files are cut into segments, and when realtime turns end.

    The defaults are OpenAI's for files.
    """

    threshold: float = 0.5  # speech probability, 0 to 1
    prefix_padding_ms: int = 300
    silence_duration_ms: int = 200
