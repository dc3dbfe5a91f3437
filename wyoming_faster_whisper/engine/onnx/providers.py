"""Execution providers of ONNX Runtime: which one an option chooses, and what it needs. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ...errors import ModelError

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"

# Value of --onnx-provider: ONNX Runtime's name, and the package that has it.
PROVIDERS: dict[str, tuple[str, str]] = {
    "cpu": (CPU, "onnxruntime"),
    "cuda": (CUDA, "onnxruntime-gpu"),
    "tensorrt": ("TensorrtExecutionProvider", "onnxruntime-gpu"),
    "openvino": ("OpenVINOExecutionProvider", "onnxruntime-openvino"),
    "coreml": ("CoreMLExecutionProvider", "its build for macOS, on a Mac"),
    "directml": ("DmlExecutionProvider", "onnxruntime-directml"),
    "migraphx": ("MIGraphXExecutionProvider", "onnxruntime-migraphx"),
    "qnn": ("QNNExecutionProvider", "onnxruntime-qnn"),
}

AUTO = "auto"

Provider = tuple[str, dict[str, Any]]
"""ONNX Runtime's name of an execution provider, and its options."""


def choose_providers(
    wanted: str, device: str, available: Sequence[str]
) -> tuple[list[Provider], str | None]:
    """Return the execution providers to use, the preferred first.

    The CPU is always the last: it runs the operators that the preferred one does not have.

    Args:
        wanted: value of --onnx-provider; "auto" = the one for the device.
        device: value of --device: cpu, cuda, cuda:N or auto.
        available: providers of the installed ONNX Runtime, by its names.

    Returns:
        The providers, and a warning, or None. As in the reference server, a GPU that --device
        names and ONNX Runtime does not support is replaced by the CPU.

    Raises:
        ModelError: ONNX Runtime does not have the provider that --onnx-provider names.
    """
    kind, _, number = device.partition(":")
    gpu = kind == "cuda" or (kind == "auto" and CUDA in available)
    choice = wanted if wanted != AUTO else "cuda" if gpu else "cpu"
    name, package = PROVIDERS[choice]
    if name not in available:
        missing = (
            f"needs {name}, which the installed ONNX Runtime does not have "
            f"(it has {', '.join(available)}); replace the package onnxruntime by {package}"
        )
        if wanted != AUTO:
            raise ModelError(f"--onnx-provider {wanted} {missing}")
        return [(CPU, {})], f"--device {device} {missing}; using the CPU"
    if name == CPU:
        return [(CPU, {})], None
    options = {"device_id": int(number)} if number.isdigit() and kind == "cuda" else {}
    return [(name, options), (CPU, {})], None
