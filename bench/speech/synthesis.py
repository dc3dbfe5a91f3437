"""Speech synthesis with piper, flite or espeak-ng, at several rates, cached.

piper and its voice are installed in .venv-clips by script/make-clips; flite and espeak-ng come
from the system. They run as child processes; the package imports none of them.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import wave
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from wyoming_faster_whisper.audio.pcm import to_pcm16

from ..support.clips import SAMPLE_RATE, Clip, cut, read_wav
from ..support.models import cache_directory

ROOT = Path(__file__).resolve().parent.parent.parent
PIPER = ROOT / ".venv-clips" / "bin" / "python"
LEAD = 0.3  # seconds of silence before the first word
WORDS_A_MINUTE = 160  # speed of espeak-ng at rate 1

# Runs in .venv-clips: reads lines of [text, rate, path], writes the speech to each path.
_SPEAK = """
import importlib.metadata, json, sys, wave
from pathlib import Path
from piper import PiperVoice, SynthesisConfig
files = importlib.metadata.files(sys.argv[1])
voice = PiperVoice.load(next(Path(f.locate()) for f in files if f.suffix == ".onnx"))
for line in sys.stdin:
    text, rate, path = json.loads(line)
    # Without noise the voice says a sentence the same way twice.
    config = SynthesisConfig(length_scale=1 / rate, noise_scale=0.0, noise_w_scale=0.0)
    with wave.open(path, "wb") as file:
        voice.synthesize_wav(text, file, syn_config=config)
"""


@dataclass(frozen=True, slots=True)
class Voice:
    """A voice of a speech synthesiser, and its rate."""

    engine: str  # piper, flite or espeak-ng
    name: str  # of the voice; for piper, of the package that contains it
    rate: float = 1.0

    def __str__(self) -> str:
        return f"{self.engine} {self.name} {self.rate:g}"

    @property
    def installed(self) -> bool:
        return PIPER.exists() if self.engine == "piper" else shutil.which(self.engine) is not None


def say(sentences: Sequence[tuple[str, Voice]]) -> list[Clip]:
    """Return a clip of each sentence; synthesise those that are not cached."""
    missing = [
        (text, voice)
        for text, voice in dict.fromkeys(sentences)
        if not _path(text, voice).exists()
    ]
    for voice in dict.fromkeys(voice for _, voice in missing):
        _speak(voice, [text for text, other in missing if other == voice])
    return [
        cut(f"{voice}: {text}", read_wav(_path(text, voice)), text) for text, voice in sentences
    ]


def _path(text: str, voice: Voice) -> Path:
    key = hashlib.sha256(repr((text, str(voice), LEAD)).encode()).hexdigest()[:24]
    return cache_directory() / "speakers" / f"{key}.wav"


def _speak(voice: Voice, texts: Sequence[str]) -> None:
    raws = [_path(text, voice).with_suffix(".raw.wav") for text in texts]
    raws[0].parent.mkdir(parents=True, exist_ok=True)
    lines = "".join(
        json.dumps([text, voice.rate, str(raw)]) + "\n"
        for text, raw in zip(texts, raws, strict=True)
    )
    if voice.engine == "piper":
        command = [str(PIPER), "-c", _SPEAK, voice.name]
        subprocess.run(command, check=True, input=lines, text=True)
    else:
        for text, raw in zip(texts, raws, strict=True):
            subprocess.run(
                [voice.engine, *_arguments(voice, text, raw)],
                check=True,
                stdin=subprocess.DEVNULL,
            )
    for text, raw in zip(texts, raws, strict=True):
        _keep(raw, _path(text, voice))


def _arguments(voice: Voice, text: str, path: Path) -> Iterator[str]:
    if voice.engine == "flite":
        yield from ("-voice", voice.name, "--setf", f"duration_stretch={1 / voice.rate:g}")
        yield from ("-t", text, "-o", str(path))
    else:
        speed = round(WORDS_A_MINUTE * voice.rate)
        yield from ("-v", voice.name, "-s", str(speed), "-w", str(path), "--", text)


def _keep(raw: Path, path: Path) -> None:
    """Convert a synthesised file to the format of the clips, with silence in front."""
    with wave.open(str(raw), "rb") as file:
        rate = file.getframerate()
        spoken = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    raw.unlink()
    samples = soxr.resample(spoken.astype(np.float32) / np.float32(32768), rate, SAMPLE_RATE)
    lead = np.zeros(round(LEAD * SAMPLE_RATE), np.float32)
    # Write under another name first, so that an interrupted run leaves no partial clip.
    half = path.with_suffix(".half")
    with wave.open(str(half), "wb") as out:
        out.setparams((1, 2, SAMPLE_RATE, 0, "NONE", "not compressed"))
        out.writeframes(to_pcm16(np.concatenate((lead, samples))))
    half.rename(path)
