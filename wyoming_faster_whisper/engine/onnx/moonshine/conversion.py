"""Convert Moonshine's graphs from ORT format to ONNX, which needs the package onnx.

ONNX Runtime optimises a graph in ORT format no further when it loads it: Moonshine's quantised
weights would be dequantised in every step of the decoder, which takes most of the time.
"""

from __future__ import annotations

import contextlib
import logging
import os
import tempfile
from pathlib import Path

import onnxruntime

from ....errors import ModelError, install_command, unwritable
from ..runtime import ERROR_LEVEL, first_line
from .eight_bits import keep_eight_bits

_LOGGER = logging.getLogger(__name__)


def to_onnx(source: Path, target: Path, *, eight_bits: bool) -> None:
    """Convert one graph, unless the target exists. Blocking; takes seconds.

    Args:
        source: the .ort file.
        target: the .onnx file; it appears with its whole content at once.
        eight_bits: keep quantised weights in 8 bits; see eight_bits.py.

    Raises:
        ModelError: the source is damaged, the target cannot be written, or the package onnx is
            not installed.
    """
    if target.is_file():
        return
    try:
        import onnx
    except ImportError:
        raise ModelError(
            f"{source} has to be converted once, which needs the package onnx: "
            f"{install_command('onnx')}"
        ) from None
    scratch: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(prefix=".converting-", dir=target.parent)
        os.close(handle)
        scratch = Path(name)
        _write(source, scratch)
        model = onnx.load(scratch)
        _name_nodes(model.graph)
        if eight_bits:
            keep_eight_bits(model)
        onnx.save(model, scratch)
        scratch.chmod(0o644)
        scratch.replace(target)
    except OSError as error:
        raise ModelError(
            f"cannot write {target}: {unwritable(error)}, or choose another folder with "
            "--download-dir"
        ) from None
    finally:
        if scratch is not None:
            with contextlib.suppress(OSError):
                scratch.unlink(missing_ok=True)  # gone already if it was renamed
    _LOGGER.info("Converted %s to %s", source, target)


def _write(source: Path, target: Path) -> None:
    """Let ONNX Runtime write a graph as ONNX, without any optimisation for this machine."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = ERROR_LEVEL
    options.optimized_model_filepath = str(target)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.save_model_format", "ONNX")
    try:
        onnxruntime.InferenceSession(
            str(source), sess_options=options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime raises a dozen types with no common base
        raise ModelError(f"{source} cannot be converted: {first_line(error)}") from error


def _name_nodes(graph: object) -> None:
    """Name the nodes and subgraphs that have no name: ONNX Runtime does not load them without."""
    for number, node in enumerate(graph.node):  # type: ignore[attr-defined]
        node.name = node.name or f"{node.op_type}_{number}"
        for attribute in node.attribute:
            if attribute.HasField("g"):
                attribute.g.name = attribute.g.name or f"{node.name}_{attribute.name}"
                _name_nodes(attribute.g)
