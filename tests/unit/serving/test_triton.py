"""Triton's Python model, with stand-ins for the classes of Triton's module."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wyoming_faster_whisper.engine.recognizer import Capabilities, Recognizer, ServedModel
from wyoming_faster_whisper.errors import Busy
from wyoming_faster_whisper.serving.triton import TritonPythonModel, spec_in
from wyoming_faster_whisper.serving.triton_repository import OPTIONS_FILE
from wyoming_faster_whisper.testing import FakeEngine, tone

MODEL = ServedModel("fake", ("en",), capabilities=Capabilities())


class Tensor:
    """A tensor of Triton's."""

    def __init__(self, name: str, values: Any) -> None:
        self.name = name
        self.values = values

    def as_numpy(self) -> Any:
        return self.values


class TritonError:
    INTERNAL, INVALID_ARG, UNAVAILABLE, CANCELLED = range(4)

    def __init__(self, message: str, code: int) -> None:
        self.message = message
        self.code = code


class InferenceResponse:
    def __init__(
        self, output_tensors: Sequence[Tensor] = (), error: TritonError | None = None
    ) -> None:
        self.outputs = {tensor.name: tensor.values for tensor in output_tensors}
        self.error = error


class Request:
    def __init__(
        self, *inputs: Tensor, cancelled: bool = False, outputs: Sequence[str] = ("TEXT",)
    ) -> None:
        self.inputs = {tensor.name: tensor for tensor in inputs}
        self._cancelled = cancelled
        self._outputs = list(outputs)

    def is_cancelled(self) -> bool:
        return self._cancelled

    def requested_output_names(self) -> list[str]:
        return self._outputs


class Backend:
    """Stands for triton_python_backend_utils."""

    Tensor = Tensor
    TritonError = TritonError
    InferenceResponse = InferenceResponse

    @staticmethod
    def get_input_tensor_by_name(request: Request, name: str) -> object:
        return request.inputs.get(name)


def loaded(engine: FakeEngine) -> TritonPythonModel:
    model = TritonPythonModel()
    model.load(Recognizer(models=(MODEL,), load=lambda: engine), Backend)
    return model


def audio(seconds: float) -> Tensor:
    return Tensor("AUDIO", tone(seconds).reshape(1, -1))


def options(*given: bytes) -> Tensor:
    return Tensor("OPTIONS", np.array([given], np.object_))


def test_a_model_is_warmed_up_before_it_is_ready() -> None:
    engine = FakeEngine()
    loaded(engine)
    assert engine.warmed_up


def test_only_the_outputs_that_were_asked_for_are_sent() -> None:
    model = loaded(FakeEngine())
    [one, all_of_them] = model.execute(
        [
            Request(audio(1.0), options(b"{}")),
            Request(audio(2.0), outputs=("TEXT", "LANGUAGE", "AVG_LOGPROB", "DETAILS")),
        ]
    )
    assert one.outputs == {"TEXT": np.array([[b"1.0 seconds"]], np.object_)}
    assert all_of_them.outputs["TEXT"].tolist() == [[b"2.0 seconds"]]
    assert all_of_them.outputs["LANGUAGE"].tolist() == [[b""]]
    assert all_of_them.outputs["AVG_LOGPROB"].dtype == np.float32
    assert json.loads(all_of_them.outputs["DETAILS"].item()) == {}


def test_each_request_has_an_error_of_its_own() -> None:
    def say(job: object) -> str:
        raise Busy("64 jobs are waiting already")

    model = loaded(FakeEngine(say))
    responses = model.execute(
        [
            Request(audio(1.0), options(b'{"colour":"red"}')),
            Request(audio(1.0), options(b"{}", b"{}")),
            Request(audio(1.0), cancelled=True),
            Request(audio(1.0)),
        ]
    )
    codes = [response.error.code for response in responses]
    invalid = TritonError.INVALID_ARG
    assert codes == [invalid, invalid, TritonError.CANCELLED, TritonError.UNAVAILABLE]
    assert "colour" in responses[0].error.message


def test_an_error_of_the_model_is_internal() -> None:
    def say(job: object) -> str:
        raise RuntimeError("out of memory")

    [response] = loaded(FakeEngine(say)).execute([Request(audio(1.0))])
    assert response.error.code == TritonError.INTERNAL


def test_a_version_is_loaded_from_its_folder_with_the_exported_flags(tmp_path: Path) -> None:
    folder = tmp_path / "base" / "7"
    folder.mkdir(parents=True)
    (folder / OPTIONS_FILE).write_text('{"model": "base-int8", "flags": ["--device=cuda"]}')
    spec = spec_in(folder, "base")
    assert (spec.name, spec.version) == ("base", "7")
    assert spec.options == (f"--model={folder / 'base-int8'}", "--device=cuda")
