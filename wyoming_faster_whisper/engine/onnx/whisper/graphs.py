"""Runs the two graphs of a Whisper model (writer.py) in ONNX Runtime."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from onnxruntime import InferenceSession, OrtValue

from ....errors import ModelError
from ...whisper.spectrogram import Features
from ..providers import CPU, CUDA
from ..runtime import Runtime, first_line, make_runtime, session_options
from .layout import Layout, graphs_folder

_LOGGER = logging.getLogger(__name__)

_INT8 = ("default", "auto", "int8")

Floats = npt.NDArray[np.float32]
Tokens = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """Encoding of a batch of clips: what the decoder's layers attend to."""

    clips: int
    positions: int  # 20 ms each
    cross: dict[str, OrtValue]  # by name of the decoder's input

    def clip(self, number: int) -> Encoded:
        """Return the encoding of one clip of the batch."""
        return Encoded(
            1,
            self.positions,
            {
                name: OrtValue.ortvalue_from_numpy(value.numpy()[number : number + 1])
                for name, value in self.cross.items()
            },
        )


class Step(NamedTuple):
    """Output of a step of the decoder."""

    logits: Floats  # (rows, wanted, vocabulary)
    past: dict[str, OrtValue]  # keys and values of all tokens so far
    attention: OrtValue  # (clips, alignment heads, rows of a clip * tokens, positions)


class Graphs:
    """Loaded graphs. Blocking; safe to use from several threads.

    Args:
        folder: with the graphs.
        layout: of the folder.
        runtime: execution providers, and threads that compute one step.
        workers: batches that are decoded at the same time.

    Raises:
        ModelError: a graph is missing or damaged, or has other inputs.
    """

    def __init__(
        self,
        folder: Path,
        layout: Layout,
        runtime: Runtime,
        *,
        workers: int = 1,
    ) -> None:
        self.layout = layout
        self.num_workers = workers
        first = runtime.providers[0][0]
        self.device = {CPU: "cpu", CUDA: "cuda"}.get(first, first)
        kind = "integer" if runtime.cpu_only else "float"  # only CPUs have kernels for integers
        paths = [folder / f"{side}.{kind}.onnx" for side in ("encoder", "decoder")]
        self._encoder, self._decoder = (_open(path, runtime) for path in paths)
        _check(paths[0], self._encoder, {"features"})
        _check(paths[1], self._decoder, {"tokens", "parents", "wanted"})
        shapes = {each.name: each.shape for each in self._decoder.get_inputs()}
        self._past = [name for name in shapes if name.startswith("past.")]
        self._cross = [name for name in shapes if name.startswith("cross.")]
        written = {each.name: each.shape[1:3:2] for each in self._encoder.get_outputs()}
        if written != {name: shapes[name][1:3:2] for name in self._cross}:
            raise ModelError(
                f"{paths[0].name} and {paths[1].name} in {folder} belong to different models; "
                "remove the folder, and it is written again"
            )
        self._heads = int(shapes[self._past[0]][1])
        self._outputs = [each.name for each in self._decoder.get_outputs()]

    @property
    def is_multilingual(self) -> bool:
        return self.layout.multilingual

    @property
    def n_mels(self) -> int:
        return self.layout.bands

    def encode(self, features: Features) -> Encoded:
        """Encode clips.

        Args:
            features: shape (clips, bands, frames); an even number of frames.

        Raises:
            RuntimeError: onnxruntime failed.
        """
        inputs = {"features": OrtValue.ortvalue_from_numpy(features)}
        values = _run(self._encoder, self._cross, inputs)
        clips, _, frames = features.shape
        return Encoded(clips, frames // 2, dict(zip(self._cross, values, strict=True)))

    def step(
        self,
        encoded: Encoded,
        tokens: Tokens,
        *,
        past: dict[str, OrtValue] | None = None,
        parents: Tokens | None = None,
        wanted: Sequence[int] = (0,),
    ) -> Step:
        """Feed tokens to the decoder.

        Args:
            encoded: of the clips.
            tokens: shape (rows, n); each clip has the same number of rows.
            past: of the step before; None = there are no tokens before these.
            parents: the row of the past that each row continues; None = the same row.
            wanted: the tokens whose logits are returned, 0 to n - 1.

        Raises:
            RuntimeError: onnxruntime failed, or the logits are not numbers.
        """
        value = OrtValue.ortvalue_from_numpy
        rows = len(tokens)
        if past is None:
            nothing = value(np.zeros((rows, self._heads, 0, 64), np.float32))
            past = dict.fromkeys(self._past, nothing)
        inputs = {
            "tokens": value(np.ascontiguousarray(tokens)),
            "parents": value(np.arange(rows) if parents is None else parents),
            "wanted": value(np.array(wanted, np.int64)),
        }
        outputs = _run(self._decoder, self._outputs, {**inputs, **past, **encoded.cross})
        found = dict(zip(self._outputs, outputs, strict=True))
        logits = found["logits"].numpy()
        if np.isnan(logits.max()):
            raise RuntimeError("the decoder's output is not a number")
        return Step(
            logits,
            {name: found[name.replace("past", "present")] for name in self._past},
            found["attention"],
        )


def load_graphs(
    directory: Path,
    *,
    folder: Path,
    device: str,
    compute_type: str,
    threads: int,
    workers: int = 1,
    provider: str = "auto",
) -> Graphs:
    """Load a model in CTranslate2's format; write its graphs first if there are none. Blocking.

    Args:
        directory: of the model.
        folder: data folder, for the graphs.
        device: as in --device. Without onnxruntime for it the CPU is used, with a warning.
        compute_type: CTranslate2's name; the graphs have int8 only.
        threads: threads that decode one batch.
        workers: batches that are decoded at the same time, with the same weights.
        provider: as in --onnx-provider.

    Raises:
        ModelError: the model cannot be converted or loaded.
    """
    if compute_type not in _INT8:
        _LOGGER.warning("--compute-type %s is ignored: the graphs are int8", compute_type)
    runtime = make_runtime(provider, device, threads)  # before graphs are written for nothing
    where, layout = graphs_folder(directory, folder)
    graphs = Graphs(where, layout, runtime, workers=workers)
    _LOGGER.info("Loaded %s on %s over ONNX Runtime", where, graphs.device)
    return graphs


def _open(path: Path, runtime: Runtime) -> InferenceSession:
    options = session_options(runtime)
    # Without it, sums of 16 bits overflow on x86 without VNNI.
    options.add_session_config_entry("session.x64quantprecision", "1")
    try:
        return InferenceSession(str(path), sess_options=options, providers=[*runtime.providers])
    except Exception as error:  # onnxruntime's exceptions have no common base
        raise ModelError(
            f"{path} does not load; remove its folder, and it is written again "
            f"({first_line(error)})"
        ) from error


def _run(
    session: InferenceSession, outputs: Sequence[str], inputs: dict[str, OrtValue]
) -> list[OrtValue]:
    try:
        found: list[OrtValue] = session.run_with_ort_values(outputs, inputs)
    except Exception as error:  # onnxruntime's exceptions have no common base
        raise RuntimeError(first_line(error)) from error
    return found


def _check(path: Path, session: Any, needed: set[str]) -> None:
    names = {each.name for each in session.get_inputs()}
    if missing := needed - names:
        raise ModelError(
            f"{path} has the inputs {', '.join(sorted(names))}, but not {', '.join(missing)}"
        )
