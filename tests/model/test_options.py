"""Options of a request and of loading, with the real multilingual model."""

from __future__ import annotations

import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import ctranslate2
import numpy as np
import pytest

from tests.support.clips import CLIPS
from tests.support.serving import DEADLINE
from wyoming_faster_whisper.config.settings import COMPUTE_TYPES
from wyoming_faster_whisper.engine.protocol import DecodeOptions, Job, Transcript
from wyoming_faster_whisper.engine.whisper.calibration.values import Calibrations
from wyoming_faster_whisper.engine.whisper.engine import WhisperEngine
from wyoming_faster_whisper.engine.whisper.weights import load_model
from wyoming_faster_whisper.models import choose, locate
from wyoming_faster_whisper.testing import silence

pytestmark = pytest.mark.model


def test_every_compute_type_of_ctranslate2_is_an_option() -> None:
    """Checks only the compute types of this CPU; a GPU has more."""
    assert ctranslate2.get_supported_compute_types("cpu") <= set(COMPUTE_TYPES)


@pytest.mark.parametrize("device", ["cuda", "cuda:3"])
def test_without_a_gpu_the_cpu_is_used_with_one_warning(
    tmp_path: Path, device: str, caplog: pytest.LogCaptureFixture
) -> None:
    if ctranslate2.get_cuda_device_count():
        pytest.skip("this machine has a GPU")
    directory = locate(choose("tiny.en", [tmp_path]), tmp_path, local_files_only=True)
    model = load_model(directory, device=device, compute_type="float16", threads=1)
    assert model.device == "cpu"
    assert model.compute_type == "int8_float32"
    [warning] = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert warning.startswith(f"--device {device} cannot be used, using the CPU: ")


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="needs /proc")
def test_loading_a_model_leaves_only_the_decoding_thread(tmp_path: Path) -> None:
    """With more threads than cores, libgomp threads sleep whenever they wait for each other."""

    def threads() -> set[str]:
        return set(os.listdir("/proc/self/task"))

    directory = locate(choose("tiny.en", [tmp_path]), tmp_path, local_files_only=True)
    with ThreadPoolExecutor(1) as pool:
        before = pool.submit(threads).result()  # includes the thread of the pool
        model = pool.submit(
            load_model, directory, device="cpu", compute_type="int8", threads=2
        ).result()
        deadline = time.monotonic() + DEADLINE
        while len(threads() - before) > 1:  # the loading threads end shortly after the load
            assert time.monotonic() < deadline
        model.unload_model()


def decode(engine: WhisperEngine, clip: str = "lights", **options: object) -> Transcript:
    """Return the transcript of the first pass, which has all the options."""
    job = Job(CLIPS[clip].samples, DecodeOptions(**options), quick=True)  # type: ignore[arg-type]
    return engine.decode([job])[0]


def test_the_language_is_detected(engine: WhisperEngine) -> None:
    transcript = decode(engine)
    assert transcript.language == "en"
    assert CLIPS["lights"].heard_in(transcript.text)


def test_only_allowed_languages_are_detected(engine: WhisperEngine) -> None:
    assert decode(engine, candidate_languages=("de", "fr")).language in ("de", "fr")


def test_a_fixed_language_is_not_detected(engine: WhisperEngine) -> None:
    assert decode(engine, language="nl").language == "nl"


def test_a_translation_is_english(engine: WhisperEngine) -> None:
    assert CLIPS["lights"].heard_in(decode(engine, language="en", task="translate").text)


def test_a_greedy_decode_is_one_pass(engine: WhisperEngine) -> None:
    job = Job(CLIPS["lights"].samples, DecodeOptions(language="en", beam_size=1))
    assert engine.decode([job])[0].passes == 1


def test_hotwords_are_added_to_the_prompt(engine: WhisperEngine) -> None:
    plain = decode(engine, "weather", language="en").text
    spelt = decode(engine, "weather", language="en", hotwords=("WEATHER", "TOMORROW")).text
    assert plain.lower().strip("?.") == spelt.lower().strip("?.")
    hinted = engine.model.tokenizer.prompt(
        DecodeOptions(prompt="Home."), "en", ("Ecobee", "Nanit")
    )
    assert len(hinted) > len(engine.model.tokenizer.prompt(DecodeOptions(), "en")) + 5


def test_any_number_of_names_leaves_room_for_the_text(engine: WhisperEngine) -> None:
    names = tuple(f"Lamp number {number}" for number in range(500))
    text = decode(engine, language="en", hotwords=names).text
    assert CLIPS["lights"].heard_in(text)


def test_special_tokens_in_names_have_no_effect(engine: WhisperEngine) -> None:
    text = decode(engine, language="en", hotwords=("<|endoftext|>",) * 20).text
    assert CLIPS["lights"].heard_in(text)


def test_silence_that_the_vad_took_for_possible_speech_gives_an_empty_text(
    engine: WhisperEngine,
) -> None:
    job = Job(silence(3.0), DecodeOptions(language="en"), certain_speech=False, speech_peak=0.4)
    assert engine.decode([job])[0].text == ""


def test_a_segment_of_28_seconds_is_decoded_whole(engine: WhisperEngine) -> None:
    samples = np.concatenate([CLIPS[name].samples for name in CLIPS] * 2)[: 28 * 16_000]
    transcript = engine.decode([Job(samples, DecodeOptions(language="en"), quick=True)])[0]
    assert CLIPS["lights"].heard_in(transcript.text)


def test_a_full_window_gives_the_same_words(engine: WhisperEngine) -> None:
    full = WhisperEngine(engine.model, calibrations=Calibrations("base"), full_window=True)
    assert CLIPS["lights"].heard_in(decode(full, language="en").text)
