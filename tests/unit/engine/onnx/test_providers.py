"""Choice of the execution provider of ONNX Runtime."""

from __future__ import annotations

import pytest

from wyoming_faster_whisper.config.settings import ONNX_PROVIDERS
from wyoming_faster_whisper.engine.onnx.providers import (
    AUTO,
    CPU,
    CUDA,
    PROVIDERS,
    Provider,
    choose_providers,
)
from wyoming_faster_whisper.errors import ModelError

OPENVINO = "OpenVINOExecutionProvider"


def test_the_option_has_the_names_of_the_engine() -> None:
    assert (AUTO, *PROVIDERS) == ONNX_PROVIDERS


@pytest.mark.parametrize(
    ("wanted", "device", "available", "chosen"),
    [
        ("auto", "cpu", [CUDA, CPU], [(CPU, {})]),
        ("auto", "cuda", [CUDA, CPU], [(CUDA, {}), (CPU, {})]),
        ("auto", "cuda:1", [CUDA, CPU], [(CUDA, {"device_id": 1}), (CPU, {})]),
        ("auto", "auto", [CUDA, CPU], [(CUDA, {}), (CPU, {})]),
        ("auto", "auto", [CPU], [(CPU, {})]),
        ("openvino", "cpu", [OPENVINO, CPU], [(OPENVINO, {}), (CPU, {})]),
    ],
)
def test_the_device_chooses_unless_the_option_does(
    wanted: str, device: str, available: list[str], chosen: list[Provider]
) -> None:
    assert choose_providers(wanted, device, available) == (chosen, None)


@pytest.mark.parametrize(
    ("wanted", "name", "package"),
    [
        ("cuda", CUDA, "onnxruntime-gpu"),
        ("openvino", OPENVINO, "onnxruntime-openvino"),
        ("coreml", "CoreMLExecutionProvider", "its build for macOS, on a Mac"),
    ],
)
def test_a_missing_provider_is_one_sentence_that_names_the_package(
    wanted: str, name: str, package: str
) -> None:
    with pytest.raises(ModelError) as caught:
        choose_providers(wanted, "cpu", [CPU])
    assert str(caught.value) == (
        f"--onnx-provider {wanted} needs {name}, which the installed ONNX Runtime does not have "
        f"(it has CPUExecutionProvider); replace the package onnxruntime by {package}"
    )


def test_a_gpu_that_onnx_runtime_does_not_support_is_replaced_by_the_cpu() -> None:
    providers, warning = choose_providers("auto", "cuda", [CPU])
    assert providers == [(CPU, {})]
    assert warning is not None
    assert "--device cuda needs CUDAExecutionProvider" in warning
    assert warning.endswith("onnxruntime-gpu; using the CPU")
