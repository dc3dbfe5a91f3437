"""The recordings in tests/data, with the words that a correct transcript must contain."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from wyoming_faster_whisper.audio.pcm import decode_pcm
from wyoming_faster_whisper.client import read_wav

_FOLDER = Path(__file__).parent.parent / "data"


@dataclass(frozen=True)
class Said:
    """One recording, 16 kHz mono, and words that it certainly contains."""

    samples: npt.NDArray[np.float32]
    words: frozenset[str]

    def heard_in(self, text: str) -> bool:
        return self.words <= set(re.findall(r"\w+", text.lower()))


def _said(name: str, words: list[str]) -> Said:
    clip = read_wav(_FOLDER / name)
    return Said(decode_pcm(clip.data, clip.pcm), frozenset(words))


# Read at import, because tests must not block the event loop.
CLIPS = {
    name.removesuffix(".wav"): _said(name, about["words"])
    for name, about in json.loads((_FOLDER / "clips.json").read_text(encoding="utf-8")).items()
}
