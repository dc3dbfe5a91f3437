"""Decode server on Triton: the model of its Python backend.

`wyoming-faster-whisper export-triton` writes the model repository, whose model.py imports
TritonPythonModel. Triton calls execute() with the requests that have arrived while the last ones
were decoded. Tensors and errors: docs/remote.md.

Sources: Triton's python_backend (README.md), for the methods of the class and of its requests.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..engine.recognizer import Recognizer
from ..engine.remote.contract import jobs
from ..engine.remote.contract.tensors import Floats, MessageError, Tensor
from ..errors import Busy, printable
from .batches import Answer, Request, Withdrawn, answer_all
from .configuration import ModelSpec
from .loading import recognizer_of
from .triton_repository import OPTIONS_FILE

_LOGGER = logging.getLogger(__name__)


def spec_in(folder: Path, name: str) -> ModelSpec:
    """Return what to load for a version. Blocking: it reads the file of the exporter."""
    given = json.loads((folder / OPTIONS_FILE).read_text(encoding="utf-8"))
    model = f"--model={folder / given['model']}"
    return ModelSpec(name, folder.name, (model, *given["flags"]))


class TritonPythonModel:
    """One version of a model. Triton creates it in a process of its own and calls its methods."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the model; the version is ready when this returns.

        Args:
            args: of the backend: the paths and names of the version.

        Raises:
            ServerError: the model cannot be loaded; Triton keeps the versions that it has.
        """
        # A module of Triton, which only its process can import.
        import triton_python_backend_utils as backend

        logging.basicConfig(level=logging.INFO, format="%(levelname)s:%(name)s:%(message)s")
        folder = Path(args["model_repository"]) / args["model_version"]
        spec = spec_in(folder, args["model_name"])
        self.load(recognizer_of(spec), backend)
        _LOGGER.info("Model %s is ready", spec)

    def load(self, recognizer: Recognizer, backend: Any) -> None:
        """Load a recognizer, whose default model decodes.

        Args:
            backend: Triton's module with the classes of tensors and responses.
        """
        self._backend = backend
        self._recognizer = recognizer
        assert recognizer.load is not None
        self._engine = recognizer.load()
        self._engine.warm_up(lambda: False)

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """Answer requests, each with its tensors or an error of its own."""
        answers = answer_all(
            self._engine, self._recognizer.models[0], [self._read(each) for each in requests]
        )
        return [
            self._response(request, answer)
            for request, answer in zip(requests, answers, strict=True)
        ]

    def finalize(self) -> None:
        """Free the model."""
        self._recognizer.close()

    def _read(self, request: Any) -> Request:
        audio = self._backend.get_input_tensor_by_name(request, jobs.AUDIO)
        options = self._backend.get_input_tensor_by_name(request, jobs.OPTIONS)
        elements = [] if options is None else options.as_numpy().ravel().tolist()
        withdrawn: Callable[[], bool] = request.is_cancelled
        return Request(
            audio.as_numpy(), b"".join(elements[:1]), withdrawn, elements=max(1, len(elements))
        )

    def _response(self, request: Any, answer: Answer) -> Any:
        backend = self._backend
        if isinstance(answer, Exception):
            code = getattr(backend.TritonError, _CODES.get(type(answer), "INTERNAL"))
            error = backend.TritonError(printable(answer, 500), code)
            return backend.InferenceResponse(error=error)
        wanted = set(request.requested_output_names())
        tensors = [self._tensor(each) for each in answer if each.name in wanted]
        return backend.InferenceResponse(output_tensors=tensors)

    def _tensor(self, tensor: Tensor) -> Any:
        if isinstance(tensor, Floats):
            return self._backend.Tensor(tensor.name, tensor.values)
        return self._backend.Tensor(tensor.name, np.array([tensor.values], np.object_))


# Triton's HTTP statuses for these are 400, 503 and 499; others are 500.
_CODES: dict[type[Exception], str] = {
    MessageError: "INVALID_ARG",
    Busy: "UNAVAILABLE",
    Withdrawn: "CANCELLED",
}
