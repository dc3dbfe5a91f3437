"""Same texts: Whisper over ONNX Runtime and over CTranslate2, with the same weights.

Both run in float32 and in int8, through the server's pipeline, in this process, with one thread.
In int8 a value that differs in its last digit may round to the next of 255 steps, and every layer
rounds again. So each library is also compared with itself, after noise was added to the samples
that is a hundred times weaker than the last bit of 16-bit audio. Prints a table, and the texts
that differ in float32; progress goes to stderr.
"""

import argparse
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
from whisper_normalizer.english import EnglishTextNormalizer

from wyoming_faster_whisper.engine.onnx.runtime import make_runtime
from wyoming_faster_whisper.engine.onnx.whisper.acoustic_model import OnnxWhisper
from wyoming_faster_whisper.engine.onnx.whisper.builder import (
    Arithmetic,
    Array,
    Graph,
    WeightFile,
)
from wyoming_faster_whisper.engine.onnx.whisper.graphs import Graphs
from wyoming_faster_whisper.engine.onnx.whisper.layout import convert, identity
from wyoming_faster_whisper.engine.protocol import DecodeOptions, Job, Transcript
from wyoming_faster_whisper.engine.whisper.calibration.values import Calibrations
from wyoming_faster_whisper.engine.whisper.ctranslate2 import CTranslate2Whisper
from wyoming_faster_whisper.engine.whisper.engine import WhisperEngine, WhisperModel
from wyoming_faster_whisper.engine.whisper.weights import load_model

from .accuracy import SPEECH
from .engines import Trial
from .speech.noise import noise_of
from .support.arguments import RECORDINGS, add, given_clips, listed, parser
from .support.clips import Samples
from .support.models import cache_directory, load_onnx_whisper, load_whisper, model_directory
from .support.report import align, progress, write_json

FAINT = 2.0**-15 / 100  # standard deviation of the noise; full scale is 1
TYPES = FLOAT32, INT8 = "float32", "int8"
CT2, ORT, FAINTLY = "CTranslate2", "ONNX Runtime", ", faint noise"
PAIRS = (
    (f"{CT2}, {FLOAT32}", f"{ORT}, {FLOAT32}"),
    (f"{CT2}, {INT8}", f"{ORT}, {INT8}"),
    (f"{CT2}, {INT8}", f"{CT2}, {INT8}{FAINTLY}"),
    (f"{ORT}, {INT8}", f"{ORT}, {INT8}{FAINTLY}"),
    (f"{CT2}, {FLOAT32}", f"{CT2}, {INT8}"),
)


class FloatGraph(Graph):
    """Graph whose matrices are in float32."""

    def __init__(self, file: WeightFile) -> None:
        super().__init__(file, Arithmetic.FLOAT)

    def matrix(self, name: str, array: Array) -> tuple[str, str]:
        ones = np.ones(len(array), np.float32)
        whole = self.constant(name, array.astype(np.float32).T)
        return whole, self.constant(f"{name}.scale", ones)

    def multiply(self, x: str, quantised: tuple[str, str]) -> str:
        return self.add("MatMul", x, quantised[0])


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two models agree."""

    one: str
    other: str
    texts: float  # share of clips with the same text
    words: float  # the same, without case and punctuation, and with numbers in one form
    logprob_mean: float  # mean difference of avg_logprob
    logprob_most: float  # largest


def main() -> None:
    arguments = parse_arguments()
    noise = noise_of(arguments.noise)
    trials = [
        Trial(clip, condition)
        for condition in arguments.conditions
        for clip in given_clips(arguments)
    ]
    sounds = [trial.samples(noise) for trial in trials]
    faint = [add_noise(sound, trial.name) for sound, trial in zip(sounds, trials, strict=True)]
    directory, calibrations = model_directory(arguments.model), Calibrations(arguments.model)
    heard: dict[str, list[Transcript]] = {}
    for name, load_model_of in MODELS.items():
        if not name.endswith(arguments.types):
            continue
        engine = WhisperEngine(load_model_of(directory), calibrations=calibrations)
        heard[name] = decode(engine, sounds, name)
        if name.endswith(INT8):
            heard[name + FAINTLY] = decode(engine, faint, name + FAINTLY)
    progress("")

    print(f"{arguments.model}; {len(trials)} clips, beam 5")
    pairs = [(one, other) for one, other in PAIRS if one in heard and other in heard]
    found = [agreement(one, other, heard[one], heard[other]) for one, other in pairs]
    print(table(found))
    one, other = PAIRS[0]
    for trial, a, b in zip(trials, heard.get(one, []), heard.get(other, []), strict=False):
        if a.text != b.text:
            print(trial.name)
            print(*(f"  {x.avg_logprob:.4f} {x.text}" for x in (a, b)), sep="\n")
    if arguments.json:
        texts = {
            name: {trial.name: each.text for trial, each in zip(trials, answers, strict=True)}
            for name, answers in heard.items()
        }
        agreements = [asdict(each) for each in found]
        write_json(
            arguments.json, {"model": arguments.model, "agreement": agreements, "texts": texts}
        )


def parse_arguments() -> argparse.Namespace:
    flags = parser("same_texts", __doc__)
    add(flags, "--model", "--limit", "--json", "--noise")
    add(flags, "--recordings", help=f"{RECORDINGS}, in English")
    flags.add_argument(
        "--types",
        type=listed(TYPES),
        default=TYPES,
        help="types of the weights (default: float32,int8)",
    )
    flags.add_argument("--conditions", type=listed(SPEECH), default=("clean",))
    return flags.parse_args()


def load_float_ctranslate2(directory: Path) -> WhisperModel:
    weights = load_model(directory, device="cpu", compute_type="float32", threads=1)
    return CTranslate2Whisper(weights, directory / "tokenizer.json")


def load_float_onnx(directory: Path) -> WhisperModel:
    source = identity(directory / "model.bin")
    folder = cache_directory() / "onnx-float32" / source[:12]
    folder.mkdir(parents=True, exist_ok=True)
    # Graphs opens those of this name on a CPU.
    layout = convert(directory, folder, source, kinds={Arithmetic.INTEGER.value: FloatGraph})
    graphs = Graphs(folder, layout, make_runtime("cpu", "cpu", 1))
    return OnnxWhisper(graphs, directory / "tokenizer.json")


MODELS: Mapping[str, Callable[[Path], WhisperModel]] = {
    f"{CT2}, {FLOAT32}": load_float_ctranslate2,
    f"{ORT}, {FLOAT32}": load_float_onnx,
    f"{CT2}, {INT8}": partial(load_whisper, threads=1),
    f"{ORT}, {INT8}": partial(load_onnx_whisper, threads=1),
}


def add_noise(samples: Samples, seed: str) -> Samples:
    random = np.random.default_rng(list(seed.encode()))
    faint = random.normal(0, FAINT, len(samples))
    return np.asarray(samples + faint, np.float32)


def decode(engine: WhisperEngine, sounds: Sequence[Samples], name: str) -> list[Transcript]:
    options = DecodeOptions(language="en", beam_size=5)
    heard: list[Transcript] = []
    for number, sound in enumerate(sounds, start=1):
        progress(f"{name}: clip {number}/{len(sounds)}")
        heard += engine.decode([Job(sound, options)])
    return heard


def agreement(
    one: str, other: str, first: Sequence[Transcript], second: Sequence[Transcript]
) -> Agreement:
    plain = EnglishTextNormalizer()
    pairs = list(zip(first, second, strict=True))
    apart = [abs(a.avg_logprob - b.avg_logprob) for a, b in pairs]
    return Agreement(
        one,
        other,
        texts=statistics.fmean(a.text == b.text for a, b in pairs),
        words=statistics.fmean(plain(a.text) == plain(b.text) for a, b in pairs),
        logprob_mean=statistics.fmean(apart),
        logprob_most=max(apart),
    )


def table(found: Sequence[Agreement]) -> str:
    cells = [["", "and", "same text", "same words", "difference of avg_logprob", "largest"]]
    cells += [
        [
            each.one,
            each.other,
            f"{100 * each.texts:.1f}%",
            f"{100 * each.words:.1f}%",
            f"{each.logprob_mean:.5f}",
            f"{each.logprob_most:.5f}",
        ]
        for each in found
    ]
    return align(cells)


if __name__ == "__main__":
    main()
