"""onnx-asr's classes on tiny graphs in the layouts of real models."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.support.onnx_graphs import put_ctc, put_tdt
from tests.support.serving import frames, serving, utterance
from tests.support.web import address, get
from wyoming_faster_whisper.app.recognizers import choose_recognizer, load_default, loaders_of
from wyoming_faster_whisper.audio.pcm import Samples
from wyoming_faster_whisper.config.settings import Settings
from wyoming_faster_whisper.engine.protocol import DecodeOptions, Engine, Job
from wyoming_faster_whisper.engine.queue import Worker
from wyoming_faster_whisper.engine.timing import Timing
from wyoming_faster_whisper.errors import EngineError, ModelError
from wyoming_faster_whisper.models import Measurements
from wyoming_faster_whisper.models.auto import Measurement
from wyoming_faster_whisper.testing import LoudnessVad, silence, tone

CTC, TDT = "my-ctc", "my-tdt"
DETAILS = DecodeOptions(language="en", word_times=True, token_logprobs=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    put_ctc(tmp_path / CTC)
    put_tdt(tmp_path / TDT)
    return tmp_path


def tones(count: int) -> Samples:
    """Return a clip with short tones, one a second, the first after half a second."""
    parts = [silence(0.5), *(part for _ in range(count) for part in (tone(0.15), silence(0.85)))]
    clip = np.concatenate(parts)
    noise = np.random.default_rng(0).normal(0, 1e-3, len(clip))
    return clip + noise.astype(np.float32)


def load(directory: Path, **given: object) -> Engine:
    settings = Settings(model=(str(directory),), local_files_only=True, **given)  # type: ignore[arg-type]
    return load_default(choose_recognizer(settings, [directory.parent], loaded=lambda: None))


@pytest.mark.parametrize("name", [CTC, TDT])
def test_a_batch_of_clips_of_different_lengths_is_decoded_together(
    folder: Path, name: str
) -> None:
    engine = load(folder / name)
    counts = (1, 3, 2)
    together = engine.decode([Job(tones(count), DETAILS) for count in counts])
    assert [one.text for one in together] == [" ".join(["loud"] * count) for count in counts]
    alone = [engine.decode([Job(tones(count), DETAILS)])[0] for count in counts]
    assert [one.text for one in alone] == [one.text for one in together]


def test_its_decode_time_is_stored_for_the_next_start(folder: Path) -> None:
    engine = load(folder / CTC)
    engine.warm_up(lambda: False)
    assert engine.max_batch >= 1
    assert Measurements(folder).read()[CTC].seconds > 0


def test_batch_sizes_of_an_earlier_start_hold_within_the_limit(folder: Path) -> None:
    Measurements(folder).write(CTC, Measurement(0.1, threads=1, batch=4, long_batch=3))
    engine = load(folder / CTC)
    assert (engine.max_batch, engine.max_long_batch) == (4, 3)
    limited = load(folder / CTC, max_batch=2)
    assert (limited.max_batch, limited.max_long_batch) == (2, 2)


def test_a_batch_must_not_take_longer_than_the_option_says(folder: Path) -> None:
    engine = load(folder / CTC, max_batch_seconds=0.0)
    engine.warm_up(lambda: False)
    assert engine.max_batch == 1


@pytest.mark.parametrize("name", [CTC, TDT])
def test_words_have_times_and_tokens_log_probabilities(folder: Path, name: str) -> None:
    [heard] = load(folder / name).decode([Job(tones(2), DETAILS)])
    starts = [word.start for word in heard.words]
    assert starts == pytest.approx([0.5, 1.5], abs=0.1)  # a step of the encoder takes 0.08 s
    assert all(word.start < word.end <= 2.5 for word in heard.words)
    assert b"".join(token.bytes for token in heard.token_logprobs).decode() == " loud loud"
    assert all(-0.2 < token.logprob <= 0 for token in heard.token_logprobs)
    assert -0.2 < heard.avg_logprob <= 0


def test_leading_silence_does_not_move_the_words(folder: Path) -> None:
    engine = load(folder / CTC)
    [heard] = engine.decode([Job(tones(1), DETAILS, leading_silence=8000)])
    [word] = heard.words
    assert word.start == pytest.approx(0.5, abs=0.1)


def test_silence_is_an_empty_text(folder: Path) -> None:
    clip = np.random.default_rng(0).normal(0, 1e-3, 100).astype(np.float32)
    for name in (CTC, TDT):
        [heard] = load(folder / name).decode([Job(clip, DETAILS)])
        assert heard.text.replace("loud", "").strip() == ""


def test_names_are_corrected_in_the_text(folder: Path) -> None:
    options = DecodeOptions(language="en", hotwords=("Lowd",), word_times=True)
    [heard] = load(folder / CTC).decode([Job(tones(1), options)])
    assert [word.text for word in heard.words] == heard.text.split()


def test_the_recognizer_says_what_each_family_can_do(folder: Path) -> None:
    settings = Settings(model=(str(folder / CTC), str(folder / TDT), "nemo-canary-1b-v2"))
    recognizer = choose_recognizer(settings, [folder], loaded=lambda: None)
    ctc, tdt, canary = recognizer.models
    assert ctc.capabilities.names == ["takes_hotwords", "times_words", "scores_tokens"]
    assert tdt.capabilities == ctc.capabilities
    assert canary.capabilities.names == ["translates", "takes_hotwords"]
    assert ctc.languages == ("en",)
    assert len(canary.languages) == 25


@pytest.mark.parametrize(("wanted", "file"), [("auto", "int8"), ("none", "model.onnx")])
def test_auto_takes_the_quantised_form_on_a_cpu(folder: Path, wanted: str, file: str) -> None:
    # The other form is broken, so a wrong choice fails.
    put_ctc(folder / "both", quantisation=".int8", broken=wanted == "none")
    put_ctc(folder / "both", broken=wanted == "auto")
    [heard] = load(folder / "both", onnx_quantization=wanted).decode([Job(tones(1), DETAILS)])
    assert heard.text == "loud"


def test_after_an_unload_it_is_loaded_again(folder: Path) -> None:
    engine = load(folder / CTC)
    engine.unload()
    engine.load()
    assert engine.decode([Job(tones(1), DETAILS)])[0].text == "loud"


def test_a_model_that_computes_nan_is_refused(folder: Path) -> None:
    put_ctc(folder / "broken", broken=True)
    with pytest.raises(ModelError, match="the model computed values that are not numbers"):
        load(folder / "broken")


def test_a_missing_file_is_named(folder: Path) -> None:
    (folder / TDT / "decoder_joint-model.onnx").unlink()
    with pytest.raises(
        ModelError, match=r"my-tdt is not a nemo-conformer-tdt: decoder_joint-model\.onnx is"
    ):
        load(folder / TDT)


def test_a_damaged_graph_is_named(folder: Path) -> None:
    (folder / CTC / "model.onnx").write_bytes(b"not a graph")
    with pytest.raises(ModelError, match=r"my-ctc cannot be loaded as nemo-conformer-ctc: .+"):
        load(folder / CTC)


@pytest.mark.parametrize("provider", ["cuda", "openvino", "coreml"])
def test_a_missing_execution_provider_is_one_sentence(folder: Path, provider: str) -> None:
    with pytest.raises(ModelError, match=rf"^--onnx-provider {provider} needs .*; replace the"):
        load(folder / CTC, onnx_provider=provider)


def test_a_vocabulary_that_is_smaller_than_the_graph_is_refused(folder: Path) -> None:
    (folder / CTC / "vocab.txt").write_text("<blk> 0\n")
    with pytest.raises(
        ModelError, match=r"my-ctc does not decode as .* model\.onnx, vocab\.txt$"
    ):
        load(folder / CTC)


def test_a_graph_with_other_inputs_is_refused(folder: Path) -> None:
    (folder / TDT / "encoder-model.onnx").replace(folder / CTC / "model.onnx")
    with pytest.raises(ModelError, match=r"my-ctc does not decode as nemo-conformer-ctc \("):
        load(folder / CTC)


def test_nan_for_some_audio_fails_on_that_audio_only(folder: Path) -> None:
    engine = load(folder / CTC)
    with pytest.raises(EngineError, match="the model failed on this audio"):
        engine.decode([Job(np.full(16_000, np.nan, np.float32), DETAILS)])
    assert engine.decode([Job(tones(1), DETAILS)])[0].text == "loud"


def test_the_log_says_that_there_is_no_hallucination_check(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    load(folder / CTC)
    assert "Model my-ctc has no hallucination check" in caplog.text


def flags(*directories: Path) -> Settings:
    return Settings(
        uri="tcp://127.0.0.1:0",
        model=tuple(map(str, directories)),
        http_port=0,
        local_files_only=True,
    )


async def test_a_server_goes_on_without_the_model_that_is_broken(folder: Path) -> None:
    await asyncio.to_thread(put_ctc, folder / "broken-ctc", broken=True)
    settings = flags(folder / "broken-ctc", folder / CTC, folder / TDT)
    async with serving(settings, folder, real=True, load_vad=LoudnessVad) as server:
        async with server.client() as client:
            client.client.read_timeout = 30.0
            [program] = (await client.describe()).asr
            await client.say(tones(2), model=CTC)
            assert (await client.answer()).text == "loud loud"
            await client.say(tones(1), model=TDT)
            assert (await client.answer()).text == "loud"
        async with server.peer() as peer:
            error = await peer.send(frames(utterance(tones(1)))).error()
        assert error.code == "model"
        assert "broken-ctc does not decode as nemo-conformer-ctc" in error.text
        # The API names the same models as Info.
        listed = json.loads((await get(address(server), "/v1/models")).text)["data"]
        names = [model.name for model in program.models]
        assert [one["id"] for one in listed] == [*names, "whisper-1"]


async def says_quiet_after(change: Callable[[], None], settings: Settings, data: Path) -> None:
    """Serve a model that writes "loud", change its files, and wait until it writes "quiet"."""
    choose = partial(choose_recognizer, settings, [data], loaded=lambda: None)
    recognizer = await asyncio.to_thread(choose)
    worker = Worker(loaders_of(recognizer), Timing(check_files=0.05))
    worker.start()
    await worker.ready()

    async def text() -> str:
        return (await worker.submit(Job(tones(1), DETAILS))).text

    assert await text() == "loud"
    await asyncio.to_thread(change)
    async with asyncio.timeout(15):
        while await text() != "quiet":
            pass
    await worker.close()


def put_quiet(directory: Path) -> Path:
    put_ctc(directory)
    (directory / "vocab.txt").write_text("\u2581quiet 0\n<blk> 1\n", encoding="utf-8")
    return directory


async def test_a_folder_is_replaced_while_it_serves(folder: Path) -> None:
    def replace_folder() -> None:
        new = put_quiet(folder / "new")
        (folder / CTC).rename(folder / "old")
        new.rename(folder / CTC)

    await says_quiet_after(replace_folder, flags(folder / CTC), folder)


async def test_a_newer_snapshot_of_the_hub_replaces_the_model(tmp_path: Path) -> None:
    cache = tmp_path / "models--istupakov--parakeet-ctc-0.6b-onnx"

    def download(revision: str, put: Callable[[Path], Path]) -> None:
        (cache / "refs").mkdir(parents=True, exist_ok=True)
        (cache / "refs" / "main").write_text(revision, encoding="utf-8")
        put(cache / "snapshots" / revision)

    await asyncio.to_thread(download, "1", put_ctc)
    settings = Settings(model=("nemo-parakeet-ctc-0.6b",), local_files_only=True)
    await says_quiet_after(partial(download, "2", put_quiet), settings, tmp_path)
