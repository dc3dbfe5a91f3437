"""A sentence in each language whose words base recognises in a voice of espeak-ng.

Other languages are left out, because base hardly recognises their voices by espeak-ng: Dutch,
Czech, Turkish, Finnish, Greek, Korean, Hindi, Arabic and the Scandinavian languages among them.
"""

from __future__ import annotations

import shutil
import subprocess
import wave
from pathlib import Path

import numpy as np
import pytest
import soxr

from tests.support.clips import CLIPS
from wyoming_faster_whisper.audio.pcm import SAMPLE_RATE, Samples
from wyoming_faster_whisper.engine.protocol import DecodeOptions, Job, Transcript
from wyoming_faster_whisper.engine.whisper.engine import WhisperEngine

pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed"),
]

# Voice: (sentence, words of it that must be in the text).
SENTENCES = {
    "ca": ("Bon dia, com està vostè avui?", "bon dia"),
    "de": ("Guten Morgen, wie geht es Ihnen heute?", "guten morgen"),
    "es": ("Buenos días, ¿cómo está usted hoy?", "buenos días"),
    "fr-fr": ("Bonjour, comment allez-vous aujourd’hui ?", "comment allez-vous"),
    "hu": ("Jó reggelt, hogy van ma?", "jó reggelt"),
    "id": ("Selamat pagi, apa kabar hari ini?", "selamat pagi"),
    "it": ("Buongiorno, come sta oggi?", "giorno, come"),
    "ja": ("おはようございます、おげんきですか", "おはようございます"),
    "pl": ("Dzień dobry, jak się pan dzisiaj czuje?", "jak się"),
    "pt": ("Bom dia, como está você hoje?", "bom dia"),
    "ru": ("Доброе утро, как ваши дела сегодня?", "доброе утро"),
}


@pytest.mark.parametrize("voice", SENTENCES)
def test_a_language_is_recognised(engine: WhisperEngine, tmp_path: Path, voice: str) -> None:
    sentence, words = SENTENCES[voice]
    options = DecodeOptions(language=voice.partition("-")[0], beam_size=5)
    job = Job(spoken(voice, sentence, tmp_path / "sentence.wav"), options, quick=True)
    [transcript] = engine.decode([job])
    assert words in transcript.text.lower()


def detected(engine: WhisperEngine, samples: Samples, silence: int) -> Transcript:
    """Decode a sentence of an unnamed language, padded with silence on both sides."""
    speech = ((silence, len(samples) - silence),)
    job = Job(samples, DecodeOptions(beam_size=5), speech=speech, quick=True)
    [transcript] = engine.decode([job])
    return transcript


@pytest.mark.parametrize("voice", ["es", "fr-fr"])  # the short window takes Spanish for Latin
def test_a_language_that_is_not_named_is_detected(
    engine: WhisperEngine, tmp_path: Path, voice: str
) -> None:
    sentence, words = SENTENCES[voice]
    samples = spoken(voice, sentence, tmp_path / "sentence.wav")
    transcript = detected(engine, samples, SAMPLE_RATE // 2)
    assert transcript.language == voice.partition("-")[0]
    assert words in transcript.text.lower()


def test_english_that_is_not_named_is_recognised_in_the_short_window(
    engine: WhisperEngine,
) -> None:
    transcript = detected(engine, CLIPS["lights"].samples, 0)
    assert transcript.language == "en"
    assert transcript.language_probability > 0.9
    assert CLIPS["lights"].heard_in(transcript.text)


def spoken(voice: str, sentence: str, path: Path) -> Samples:
    """Return a sentence by espeak-ng, at 16 kHz, with half a second of silence around it."""
    command = ("espeak-ng", "-v", voice, "-s", "128", "-w", str(path), "--", sentence)
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    with wave.open(str(path), "rb") as file:
        rate = file.getframerate()
        pcm = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    samples = soxr.resample(pcm.astype(np.float32) / np.float32(32768), rate, SAMPLE_RATE)
    return np.pad(samples, SAMPLE_RATE // 2).astype(np.float32)
