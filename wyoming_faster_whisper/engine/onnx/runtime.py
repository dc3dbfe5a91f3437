"""ONNX Runtime: opens graphs and says what is wrong with them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnxruntime

from ...errors import ModelError
from ...models import fault
from .providers import Provider, choose_providers

_LOGGER = logging.getLogger(__name__)

Array = npt.NDArray[Any]

ERROR_LEVEL = 3  # of ONNX Runtime's log; its warnings name graph nodes and say nothing to users


@dataclass(frozen=True, slots=True)
class Runtime:
    """Execution providers and threads for graphs on this machine."""

    providers: tuple[Provider, ...]  # the preferred first
    threads: int = 1  # threads that compute one operator together

    @property
    def cpu_only(self) -> bool:
        return len(self.providers) == 1


def make_runtime(provider: str, device: str, threads: int) -> Runtime:
    """Choose the execution providers; log a warning if the device is not supported.

    Args:
        provider: value of --onnx-provider.
        device: value of --device.
        threads: threads that compute one operator together.

    Raises:
        ModelError: ONNX Runtime does not have the provider.
    """
    providers, warning = choose_providers(provider, device, onnxruntime.get_available_providers())
    if warning is not None:
        _LOGGER.warning("%s", warning)
    return Runtime(tuple(providers), threads)


def session_options(runtime: Runtime) -> Any:
    """Return onnxruntime.SessionOptions for a graph of a model."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = runtime.threads
    options.inter_op_num_threads = 1
    options.log_severity_level = ERROR_LEVEL
    # Idle threads would otherwise spin for a while, on cores that other decodes need.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options


class Graph:
    """A loaded graph. Blocking; run() is safe to call from several threads.

    Args:
        path: an .onnx or .ort file.
        inputs, outputs: names that the graph must have.
        what: what the file should be, for error messages: "a Moonshine encoder".

    Raises:
        ModelError: the file is missing or damaged, or is another graph.
    """

    def __init__(
        self,
        path: Path,
        runtime: Runtime,
        *,
        inputs: Iterable[str],
        outputs: Iterable[str],
        what: str,
    ) -> None:
        if problem := fault(path):
            raise ModelError(problem)
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), sess_options=session_options(runtime), providers=[*runtime.providers]
            )
        except Exception as error:  # ONNX Runtime raises a dozen types with no common base
            raise ModelError(f"{path} cannot be loaded as {what}: {first_line(error)}") from error
        self.path = path
        self.shapes: dict[str, list[Any]] = {
            each.name: each.shape for each in self._session.get_inputs()
        }
        self.output_shapes: dict[str, list[Any]] = {
            each.name: each.shape for each in self._session.get_outputs()
        }
        for kind, wanted, found in (
            ("input", inputs, self.shapes),
            ("output", outputs, self.output_shapes),
        ):
            missing = [name for name in wanted if name not in found]
            if missing:
                raise ModelError(
                    f"{path} is not {what}: it has no {kind} {missing[0]!r}, only "
                    f"{', '.join(list(found)[:6])}"
                )

    @property
    def inputs(self) -> Sequence[str]:
        """Names of the inputs."""
        return list(self.shapes)

    def run(self, outputs: Sequence[str], feeds: Mapping[str, Array]) -> list[Array]:
        """Run the graph.

        Raises:
            RuntimeError: it failed. ONNX Runtime's own exceptions have no common base.
        """
        try:
            results: list[Array] = self._session.run(list(outputs), dict(feeds))
        except Exception as error:
            raise RuntimeError(f"{self.path.name}: {first_line(error)}") from error
        return results


def finite(array: Array, path: Path) -> Array:
    """Return the output of a graph as it is.

    Args:
        path: of the graph, for the error message.

    Raises:
        RuntimeError: a value is infinite or not a number.
    """
    # The sum of finite values is finite: one pass, and no array of booleans.
    if not np.isfinite(array.sum(dtype=np.float64)):
        raise RuntimeError(
            f"{path.name} computed values that are not numbers; the file is damaged, or the "
            "execution provider lacks the precision"
        )
    return array


def log_softmax(logits: Array) -> Array:
    """Return the log-probabilities (natural) over the last axis, of the type of the logits."""
    shifted: Array = logits - logits.max(axis=-1, keepdims=True)
    shifted -= np.log(np.exp(shifted).sum(axis=-1, keepdims=True))
    return shifted


def first_line(error: BaseException) -> str:
    """Return the first line of ONNX Runtime's error message, without its internal prefix."""
    line = (str(error).strip() or type(error).__name__).splitlines()[0]
    return (
        line.rpartition(" : ")[2][:300] if line.startswith("[ONNXRuntimeError]") else line[:300]
    )
