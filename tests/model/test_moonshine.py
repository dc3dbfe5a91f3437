"""Real speech with Moonshine base-en from its package, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.clips import CLIPS
from tests.support.serving import serving, until
from tests.support.web import browser
from wyoming_faster_whisper.app.recognizers import choose_recognizer, load_default
from wyoming_faster_whisper.audio.pcm import SAMPLE_RATE, Samples, decode_pcm
from wyoming_faster_whisper.client import read_wav
from wyoming_faster_whisper.config.settings import Settings
from wyoming_faster_whisper.engine.protocol import DecodeOptions, Engine, Job, Transcript
from wyoming_faster_whisper.engine.whisper.repetition import plain_words
from wyoming_faster_whisper.models.moonshine import choose_moonshine, is_moonshine_at_hand
from wyoming_faster_whisper.speech.vad import Vad
from wyoming_faster_whisper.testing import silence

NAME = "moonshine-base-en"
_model = choose_moonshine(NAME, [])
pytestmark = [
    pytest.mark.model,
    pytest.mark.skipif(
        _model is None or not is_moonshine_at_hand(_model),
        reason="moonshine-cpp is not installed: it has a wheel for Linux on x86-64 only",
    ),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the graphs are converted, once for all tests."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[Engine]:
    settings = Settings(model=(NAME,), local_files_only=True, cpu_threads=1)
    loaded = load_default(choose_recognizer(settings, [folder], loaded=lambda: None))
    yield loaded
    loaded.unload()


def transcript(engine: Engine, samples: Samples, **more: Any) -> Transcript:
    [heard] = engine.decode([Job(np.concatenate([samples, silence(0.3)]), **more)])
    return heard


@pytest.mark.parametrize("name", sorted(CLIPS))
def test_the_words_of_an_order_are_heard(engine: Engine, name: str) -> None:
    heard = transcript(engine, CLIPS[name].samples)
    assert CLIPS[name].heard_in(heard.text)
    assert heard.avg_logprob > -0.5


def test_a_human_voice_is_understood(engine: Engine) -> None:
    """Ten seconds of a recording in the package; the text is Samuel Beckett's."""
    path = distribution("moonshine-cpp").locate_file("moonshine_cpp/test-data/beckett.wav")
    clip = read_wav(Path(str(path)))
    heard = transcript(engine, decode_pcm(clip.data, clip.pcm)[: 10 * SAMPLE_RATE])
    words = plain_words(heard.text)
    assert words.count("failed") + words.count("fail") >= 2, heard.text
    assert "matter" in words
    assert heard.verdict == "believe"


def test_scores_of_a_text_are_those_of_its_decode(engine: Engine) -> None:
    options = DecodeOptions(token_logprobs=True)
    heard = transcript(engine, CLIPS["kitchen"].samples, options=options)
    tokens = heard.token_logprobs
    assert b"".join(token.bytes for token in tokens).decode() == f" {heard.text}"
    assert tuple(token.token for token in tokens[:2]) == (" Turn", " off")
    # The mean of the decode includes the end of the text.
    assert heard.avg_logprob * (len(tokens) + 1) == pytest.approx(
        sum(token.logprob for token in tokens), abs=0.1
    )


def test_a_text_that_was_sent_is_continued(engine: Engine) -> None:
    heard = transcript(engine, CLIPS["kitchen"].samples, prefix="Turn off the")
    assert heard.text.startswith("Turn off the kitchen light")


def test_a_name_of_the_home_wins_over_what_it_sounds_like(engine: Engine) -> None:
    options = DecodeOptions(hotwords=("Kitchen Lite",))
    heard = transcript(engine, CLIPS["kitchen"].samples, options=options)
    assert "Kitchen Lite" in heard.text


def test_noise_gives_an_empty_text(engine: Engine) -> None:
    noise = np.random.default_rng(1).normal(0, 0.02, 32_000).astype(np.float32)
    assert transcript(engine, noise, certain_speech=False).text == ""


async def test_the_guess_in_a_pause_is_the_answer_at_audio_stop(folder: Path) -> None:
    settings = Settings(
        uri="tcp://127.0.0.1:0",
        model=(NAME,),
        language="en",
        local_files_only=True,
        download_dir=str(folder),
        http_port=0,
        cpu_threads=1,
        max_batch=1,  # a short warm-up
    )
    clip = CLIPS["kitchen"]
    async with serving(settings, folder, real=True, load_vad=Vad) as server:
        await until(lambda: server.service.statistics().worker.ready)
        async with browser(server) as page:
            await page.start()
            await page.hear(np.concatenate([silence(0.5), clip.samples, silence(0.6)]))
            await until(lambda: server.service.statistics().worker.decoded >= 1)
            await page.stop()
            while (message := await page.receive())["type"] == "partial":
                pass
    assert clip.heard_in(message["text"])
    assert message["guess"] == "used"
