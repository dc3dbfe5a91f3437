"""Whisper over ONNX Runtime beside CTranslate2, with the real tiny.en and the same recordings."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest

from tests.support.clips import CLIPS
from wyoming_faster_whisper.audio.pcm import SAMPLE_RATE, Samples
from wyoming_faster_whisper.engine.onnx.runtime import make_runtime
from wyoming_faster_whisper.engine.onnx.whisper.acoustic_model import OnnxWhisper
from wyoming_faster_whisper.engine.onnx.whisper.graphs import Graphs, load_graphs
from wyoming_faster_whisper.engine.onnx.whisper.layout import Layout, graphs_folder
from wyoming_faster_whisper.engine.protocol import DecodeOptions, Job
from wyoming_faster_whisper.engine.whisper.acoustic_model import Encoding
from wyoming_faster_whisper.engine.whisper.calibration.values import Calibrations
from wyoming_faster_whisper.engine.whisper.engine import WhisperEngine, WhisperModel
from wyoming_faster_whisper.errors import EngineError, ModelError
from wyoming_faster_whisper.models import choose, locate

from .conftest import loaded

pytestmark = pytest.mark.model

NAME = "tiny.en"
_UNLIKELY = -7.0  # log-probability
SOUNDS = {name: said.samples for name, said in CLIPS.items()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def directory(folder: Path) -> Path:
    return locate(choose(NAME, [folder]), folder, local_files_only=True)


def copied_graphs(directory: Path, folder: Path, to: Path) -> tuple[Path, Layout]:
    """Return a copy of the model's graphs, for a test that damages them."""
    where, layout = graphs_folder(directory, folder)
    return Path(shutil.copytree(where, to / "graphs")), layout


@pytest.fixture(scope="module")
def reference(folder: Path) -> Iterator[WhisperEngine]:
    with loaded(NAME, folder) as engine:
        yield engine


@pytest.fixture(scope="module")
def engine(directory: Path, folder: Path) -> WhisperEngine:
    graphs = load_graphs(
        directory, folder=folder, device="cpu", compute_type="default", threads=1
    )
    model = OnnxWhisper(graphs, directory / "tokenizer.json")
    return WhisperEngine(model, calibrations=Calibrations(NAME))


def prompt(model: WhisperModel, prefix: str = "") -> list[int]:
    return model.tokenizer.prompt(DecodeOptions(), "en", prefix=prefix)


def encoded(model: WhisperModel, *sounds: Samples, frames: int = 1000) -> Encoding:
    return model.encode([model.features(samples) for samples in sounds], frames)


def words(text: str) -> list[str]:
    return re.findall(r"[\w']+", text.lower())


def test_both_libraries_write_the_same_words(
    engine: WhisperEngine, reference: WhisperEngine
) -> None:
    for samples in SOUNDS.values():
        ours, theirs = (
            one.model.generate(encoded(one.model, samples), [prompt(one.model)], 5, [40])[0]
            for one in (engine, reference)
        )
        assert words(ours.text) == words(theirs.text)
        assert ours.avg_logprob == pytest.approx(theirs.avg_logprob, abs=0.1)
        assert ours.no_speech_prob == pytest.approx(theirs.no_speech_prob, abs=0.05)


@pytest.mark.parametrize("clip", CLIPS)
def test_the_pipeline_hears_the_words_of_every_clip(engine: WhisperEngine, clip: str) -> None:
    [said] = engine.decode([Job(SOUNDS[clip], DecodeOptions(beam_size=1))])
    assert CLIPS[clip].heard_in(said.text)


def test_the_ends_of_texts_have_the_same_scores(
    engine: WhisperEngine, reference: WhisperEngine
) -> None:
    sounds = [SOUNDS[name] for name in ("weather", "lights", "stop")]
    texts = ["What's the weather tomorrow?", "", "Stop."]
    seconds = [len(samples) / SAMPLE_RATE for samples in sounds]
    ours, theirs = (
        one.model.score_end_of_text(
            encoded(one.model, *sounds), prompt(one.model), texts, seconds
        )
        for one in (engine, reference)
    )
    assert ours[1] is theirs[1] is None
    for one, other in ((ours[0], theirs[0]), (ours[2], theirs[2])):
        assert one is not None
        assert other is not None
        assert one.text_end == pytest.approx(other.text_end, abs=0.1)
        # Of what hardly ever follows, only that it hardly ever does: rounding to 8 bits, which
        # differs between processors, moves a log-probability of -11 by 0.8.
        for name, tolerance in (("full_stop", 0.5), ("dash", 1.0), ("last_word", 0.5)):
            scores = (max(getattr(each, name), _UNLIKELY) for each in (one, other))
            assert next(scores) == pytest.approx(next(scores), abs=tolerance), name


def test_both_libraries_find_the_same_hypotheses(
    engine: WhisperEngine, reference: WhisperEngine
) -> None:
    [ours], [theirs] = (
        one.model.generate(encoded(one.model, SOUNDS["weather"]), [prompt(one.model)], 5, [40])
        for one in (engine, reference)
    )
    assert len(ours.alternatives) == 4
    assert len({ours.text, *ours.alternatives} & {theirs.text, *theirs.alternatives}) >= 4
    assert ours.scores == pytest.approx(theirs.scores, abs=1.0)


def test_the_jobs_of_a_batch_get_the_texts_that_each_gets_alone(engine: WhisperEngine) -> None:
    options = DecodeOptions(beam_size=5)
    # A second pass is never a batch.
    jobs = [Job(SOUNDS[name], options, quick=True) for name in ("lights", "kitchen", "timer")]
    alone = [engine.decode([job])[0].text for job in jobs]
    assert [one.text for one in engine.decode(jobs)] == alone


def test_prompts_of_different_lengths_share_no_rows(engine: WhisperEngine) -> None:
    model = engine.model
    prompts = [prompt(model), prompt(model, "Turn")]
    sounds = SOUNDS["weather"], SOUNDS["lights"]
    both = model.generate(encoded(model, *sounds), prompts, 2, [30, 30])
    for one, sound, some in zip(both, sounds, prompts, strict=True):
        [alone] = model.generate(encoded(model, sound), [some], 2, [30])
        assert one.text == alone.text


def test_a_clip_of_a_batch_is_decoded_from_the_encoding_of_the_batch(
    engine: WhisperEngine, reference: WhisperEngine
) -> None:
    sounds = SOUNDS["weather"], SOUNDS["lights"]
    for model in (engine.model, reference.model):
        # The batch itself is freed.
        _, clip = model.clip_encodings(encoded(model, *sounds), 2)
        [cut], [alone] = (
            model.generate(each, [prompt(model)], 2, [30])
            for each in (clip, encoded(model, sounds[1]))
        )
        assert cut.text == alone.text


def test_texts_have_the_same_scores_and_times(
    engine: WhisperEngine, reference: WhisperEngine
) -> None:
    samples, text = SOUNDS["weather"], reference.decode([Job(SOUNDS["weather"])])[0].text
    texts = [text, "Turn on the lights.", "no " * 500]
    seconds = len(samples) / SAMPLE_RATE
    scores, starts, logprobs = [], [], []
    for one in (engine, reference):
        encoding = encoded(one.model, samples)
        scores.append(
            [row[0] for row in one.model.score([encoding], prompt(one.model), texts).values()]
        )
        aligned = one.model.align(encoding, prompt(one.model), text, seconds)
        assert aligned is not None
        starts.append((*aligned.starts, aligned.end))
        logprobs.append(aligned.logprobs)
    assert scores[0][2] == scores[1][2] == -np.inf
    assert scores[0][0] == pytest.approx(scores[1][0], abs=0.5)
    assert scores[0][1] == pytest.approx(scores[1][1], rel=0.1)
    assert starts[0] == pytest.approx(starts[1], abs=0.1)
    assert logprobs[0] == pytest.approx(logprobs[1], abs=0.3)


def test_a_decode_continues_a_prefix(engine: WhisperEngine, reference: WhisperEngine) -> None:
    [alone] = reference.decode([Job(SOUNDS["thermostat"])])
    begun = " ".join(alone.text.split()[:3])
    [ours], [theirs] = (
        one.model.generate(
            encoded(one.model, SOUNDS["thermostat"]), [prompt(one.model, begun)], 5, [40]
        )
        for one in (engine, reference)
    )
    assert ours.text == theirs.text
    assert ours.tokens == theirs.tokens
    assert ours.scores[0] == pytest.approx(theirs.scores[0], abs=0.5)


def test_the_decoder_writes_allowed_words_only(engine: WhisperEngine) -> None:
    model = engine.model
    allowed = model.tokenizer.spellings(["open", "the", "blinds"])
    [bound] = model.generate(
        encoded(model, SOUNDS["lights"]), [prompt(model)], 1, [20], allowed=allowed
    )
    assert set(re.findall("[a-z]+", bound.text.lower())) <= {"open", "the", "blinds"}


def test_sampled_texts_differ_and_are_ranked(engine: WhisperEngine) -> None:
    model = engine.model
    [said] = model.generate(
        encoded(model, SOUNDS["weather"]), [prompt(model)], 5, [30], temperature=1.5
    )
    texts = [said.text, *said.alternatives]
    assert len(set(texts)) > 1
    assert said.avg_logprob < 0


def test_weights_are_freed_and_loaded_again(directory: Path, folder: Path) -> None:
    def load() -> Graphs:
        return load_graphs(directory, folder=folder, device="cpu", compute_type="int8", threads=1)

    model = OnnxWhisper(load(), directory / "tokenizer.json", reload=load)
    model.unload()
    assert not hasattr(model, "graphs")
    model.load()
    [said] = model.generate(encoded(model, SOUNDS["lights"]), [prompt(model)], 1, [20])
    assert CLIPS["lights"].heard_in(said.text)


def test_a_model_that_computes_no_numbers_is_refused(
    directory: Path, folder: Path, tmp_path: Path
) -> None:
    where, layout = copied_graphs(directory, folder, tmp_path)
    graph = onnx.load(where / "decoder.integer.onnx", load_external_data=False).graph
    [scale] = [one for one in graph.initializer if one.name.endswith("embeddings/weight.scale")]
    place = {entry.key: entry.value for entry in scale.external_data}
    with (where / place["location"]).open("r+b") as file:
        file.seek(int(place["offset"]))
        file.write(np.full(layout.vocabulary, np.nan, np.float32).tobytes())
    graphs = Graphs(where, layout, make_runtime("cpu", "cpu", 1))
    broken = WhisperEngine(OnnxWhisper(graphs, directory / "tokenizer.json"))
    with pytest.raises(EngineError, match="is not a number"):
        broken.decode([Job(SOUNDS["lights"])])


# Folders that cannot be used -------------------------------------------------------------


def copied(directory: Path, to: Path) -> Path:
    to.mkdir()
    for name in ("model.bin", "config.json", "tokenizer.json"):
        shutil.copy(directory / name, to / name)
    return to


def test_a_truncated_model_is_named(directory: Path, tmp_path: Path) -> None:
    mine = copied(directory, tmp_path / "mine")
    whole = (mine / "model.bin").read_bytes()
    (mine / "model.bin").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ModelError, match=r"model\.bin is cut off or damaged"):
        graphs_folder(mine, tmp_path)
    assert not list((tmp_path / "onnx").iterdir())


def test_a_file_of_another_kind_is_named(directory: Path, tmp_path: Path) -> None:
    mine = copied(directory, tmp_path / "mine")
    (mine / "model.bin").write_bytes(b"\x06\0\0\0\x10\0TransformerSpec\0" + bytes(100))
    with pytest.raises(ModelError, match="holds a TransformerSpec"):
        graphs_folder(mine, tmp_path)


def test_a_damaged_graph_is_named(directory: Path, folder: Path, tmp_path: Path) -> None:
    where, layout = copied_graphs(directory, folder, tmp_path)
    (where / "decoder.integer.onnx").write_bytes(b"not a graph")
    with pytest.raises(ModelError, match=r"decoder\.integer\.onnx does not load; remove"):
        Graphs(where, layout, make_runtime("cpu", "cpu", 1))
    # Its encoder is a valid graph too, but not a decoder.
    shutil.copy(where / "encoder.integer.onnx", where / "decoder.integer.onnx")
    with pytest.raises(ModelError, match="has the inputs features, but not"):
        Graphs(where, layout, make_runtime("cpu", "cpu", 1))


def test_a_missing_provider_is_found_before_graphs_are_written(
    directory: Path, tmp_path: Path
) -> None:
    with pytest.raises(ModelError, match=r"^--onnx-provider coreml needs CoreML"):
        load_graphs(
            directory,
            folder=tmp_path,
            device="cpu",
            compute_type="default",
            threads=1,
            provider="coreml",
        )
    assert not list(tmp_path.iterdir())


def test_a_new_version_of_the_weights_gets_new_graphs(directory: Path, tmp_path: Path) -> None:
    mine = copied(directory, tmp_path / "mine")
    first, _ = graphs_folder(mine, tmp_path)
    again, _ = graphs_folder(mine, tmp_path)
    assert again == first
    shutil.copy(mine / "model.bin", mine / "copy")
    (mine / "copy").replace(mine / "model.bin")
    assert graphs_folder(mine, tmp_path)[0] != first
