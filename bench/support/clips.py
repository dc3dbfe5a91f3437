"""Clips with reference texts: loading, trimming of silence, scoring."""

import json
import random
import re
import wave
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import jiwer
import numpy as np
from faster_whisper.vad import VadOptions, get_speech_timestamps
from numpy.typing import NDArray
from whisper_normalizer.basic import BasicTextNormalizer
from whisper_normalizer.english import EnglishTextNormalizer

SAMPLE_RATE = 16000
WIDTH = 2  # bytes

Samples = NDArray[np.float32]
FRAME = SAMPLE_RATE // 100  # samples: 10 ms, resolution of the ends of speech

TEST_CLIPS = Path(__file__).resolve().parent.parent.parent / "tests" / "data"


@dataclass(frozen=True, slots=True)
class Clip:
    """Audio to play and its expected transcript. The audio is PCM, 16-bit, 16 kHz, mono."""

    name: str
    audio: bytes  # ends with the last spoken sample
    tail: bytes  # the rest of the recording
    text: str | None = None  # full transcript, for the word error rate
    phrases: tuple[str, ...] = ()  # a text is accepted if it contains each of these

    @property
    def seconds(self) -> float:
        return len(self.audio) / WIDTH / SAMPLE_RATE

    def silence(self, seconds: float) -> bytes:
        """Return the recording's room noise, repeated as needed; zeros if it has none."""
        size = round(seconds * SAMPLE_RATE) * WIDTH
        room = self.tail or bytes(WIDTH)
        return (room * (size // len(room) + 1))[:size]


def load(folders: Iterable[Path], limit: int | None = None) -> list[Clip]:
    """Load the clips of some folders, or a random sample of `limit`, the same in each run."""
    found = [entry for folder in folders for entry in _entries(folder)]
    if limit is not None and limit < len(found):
        found = sorted(random.Random(0).sample(found, limit), key=lambda truth: truth.path)
    return [_load(truth) for truth in found]


@dataclass(frozen=True, slots=True)
class Truth:
    """A WAV file and its reference text."""

    path: Path
    text: str | None = None
    phrases: tuple[str, ...] = ()


def _entries(folder: Path) -> Iterator[Truth]:
    """Find the WAV files of a folder that clips.json, labels.json or .txt files describe."""
    if (folder / "clips.json").exists():
        for name, clip in json.loads((folder / "clips.json").read_text()).items():
            yield Truth(folder / name, clip["text"], tuple(clip["words"]))
    elif (folder / "labels.json").exists():
        for name, label in json.loads((folder / "labels.json").read_text()).items():
            yield Truth(folder / name, phrases=tuple(label["slots"].values()))
    else:
        for path in sorted(folder.glob("*.wav")):
            if path.with_suffix(".txt").exists():
                yield Truth(path, path.with_suffix(".txt").read_text().strip())


def _load(truth: Truth) -> Clip:
    return cut(truth.path.name, read_wav(truth.path), truth.text, truth.phrases)


def read_wav(path: Path) -> bytes:
    """Return the PCM of a WAV file.

    Raises:
        ValueError: the format is not 16 kHz, 16-bit, mono.
    """
    with wave.open(str(path), "rb") as file:
        shape = (file.getframerate(), file.getsampwidth(), file.getnchannels())
        if shape != (SAMPLE_RATE, WIDTH, 1):
            raise ValueError(f"{path} is {shape}; it must be 16 kHz, 16-bit, mono")
        return file.readframes(file.getnframes())


def to_samples(pcm: bytes) -> Samples:
    return np.frombuffer(pcm, dtype="<i2").astype(np.float32) / np.float32(32768)


def cut(name: str, pcm: bytes, text: str | None = None, phrases: tuple[str, ...] = ()) -> Clip:
    """Make a clip of a recording, split after its last word."""
    end = speech_end(to_samples(pcm)) * WIDTH
    return Clip(name, pcm[:end], pcm[end:], text, phrases)


def spoken(samples: Samples) -> NDArray[np.bool_]:
    """Return for each sample whether Silero finds speech; all True if it finds none."""
    found = np.zeros(len(samples), np.bool_)
    for part in _speech(samples):
        found[part["start"] : part["end"]] = True
    return found if found.any() else ~found


def speech_end(samples: Samples) -> int:
    """Return the number of samples up to the end of the last word.

    Silero finds the approximate place, the loudness near it the exact one. Without speech, it is
    the number of all samples.
    """
    speech = _speech(samples)
    if not speech:
        return len(samples)
    about = speech[-1]["end"]
    # Silero works in 32 ms windows, and in an echoing room it is several of them late.
    loud = _loud(samples, about - SAMPLE_RATE // 2, about + SAMPLE_RATE // 5)
    return (loud[-1] + 1) * FRAME if loud else about


def speech_start(samples: Samples) -> int:
    """Return the number of samples before the first word; 0 if there is no speech."""
    speech = _speech(samples)
    if not speech:
        return 0
    about = speech[0]["start"]
    loud = _loud(samples, about - SAMPLE_RATE // 5, about + SAMPLE_RATE // 5)
    return loud[0] * FRAME if loud else about


def _loud(samples: Samples, first: int, last: int) -> list[int]:
    """Return the numbers of the frames between two samples that are louder than the room."""
    frames = samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME)
    loudness = 20 * np.log10(np.sqrt(np.mean(frames**2, axis=1)) + 1e-6)
    room, voice = np.percentile(loudness, [10, 95])
    # 10 dB above the room, but low enough to keep a soft last consonant.
    threshold = max(min(room + 10, voice - 20), voice - 40)
    start = max(0, first // FRAME)
    found: list[int] = (
        start + np.flatnonzero(loudness[start : last // FRAME] > threshold)
    ).tolist()
    return found


def _speech(samples: Samples) -> list[dict[str, int]]:
    options = VadOptions(min_silence_duration_ms=100, speech_pad_ms=0)
    found: list[dict[str, int]] = get_speech_timestamps(samples, options)
    return found


_normalisers: dict[str, Callable[[str], str]] = {"en": EnglishTextNormalizer()}
_basic = BasicTextNormalizer()


def word_error_rate(
    truths: Sequence[str], texts: Sequence[str], *, language: str = "en"
) -> float:
    """Return the word error rate over all clips together.

    English text is normalised by Whisper's English normaliser, other languages by its basic one.
    """
    normalise = _normalisers.get(language, _basic)
    return jiwer.wer([normalise(truth) for truth in truths], [normalise(text) for text in texts])


def accepted(clip: Clip, text: str) -> bool:
    """Return whether the text contains every phrase of the clip."""
    heard = _plain(text)
    return all(_plain(phrase) in heard for phrase in clip.phrases)


def heard_words(clip: Clip, text: str) -> bool:
    """Return the same as accepted(), but for whole words only: "no" is not in "now"."""
    heard = f" {_plain(text)} "
    return all(f" {_plain(phrase)} " in heard for phrase in clip.phrases)


def _plain(text: str) -> str:
    """Normalise a text: lower case, numbers as words, "iced" as "ice", single spaces."""
    text = re.sub(r"\d+", lambda number: f" {_number(int(number[0]))} ", text.lower())
    words = re.sub(r"[^\w']+", " ", text).split()
    return " ".join("ice" if word == "iced" else word for word in words)


# fmt: off
_SMALL = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
    "ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen",
    "eighteen", "nineteen",
]
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]
# fmt: on


def _number(number: int) -> str:
    """Spell a number below 100; larger ones, which no command contains, stay digits."""
    if number < 20:
        return _SMALL[number]
    if number < 100:
        tens, ones = divmod(number, 10)
        return f"{_TENS[tens - 2]} {_SMALL[ones]}" if ones else _TENS[tens - 2]
    return str(number)
