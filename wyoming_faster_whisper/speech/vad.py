"""Is somebody speaking? Silero VAD v6, one probability per 32 ms.

The model is the ONNX file that faster-whisper carries. One onnxruntime session
serves all streams; what it must remember between windows (the state of its
LSTM, and the last 64 samples) belongs to the stream.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..audio.pcm import Samples
from ..errors import ModelError
from .gain_control import LevelControl
from .hysteresis import WINDOW, Probabilities

if TYPE_CHECKING:
    import onnxruntime

_CONTEXT = 64  # samples of the window before, in front of each
_STATE = (1, 1, 128)  # shape of the LSTM's h and c


class Vad:
    """The model, loaded once. Blocking; safe to use from several threads."""

    def __init__(self) -> None:
        # Here, because it takes 0.1 s: a command that listens to nothing need not wait for it.
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # More threads cost more to wake than 0.1 ms of work is worth.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            str(_model_file()), sess_options=options, providers=["CPUExecutionProvider"]
        )

    def stream(self) -> VadStream:
        """Begin to listen to one stream of audio, from its first sample."""
        return VadStream(self._session)

    def probabilities(self, samples: Samples) -> Probabilities:
        """Judge a whole clip; its last, incomplete window is filled with zeros."""
        missing = -len(samples) % WINDOW
        return self.stream().feed(np.pad(samples, (0, missing)))


class VadStream:
    """One stream: takes samples in chunks of any length, judges whole windows."""

    def __init__(self, session: onnxruntime.InferenceSession) -> None:
        self._session = session
        self._h = np.zeros(_STATE, np.float32)
        self._c = np.zeros(_STATE, np.float32)
        self._context: Samples = np.zeros(_CONTEXT, np.float32)
        self._rest: Samples = np.zeros(0, np.float32)
        self._level = LevelControl()

    def feed(self, samples: Samples) -> Probabilities:
        """Return the probabilities of the windows that are complete now."""
        samples = np.concatenate((self._rest, samples))
        count = len(samples) // WINDOW
        self._rest = samples[count * WINDOW :]
        if not count:
            return np.zeros(0, np.float32)
        amplified = self._level.feed(samples[: count * WINDOW].reshape(count, WINDOW))
        whole = np.concatenate((self._context, amplified.reshape(-1)))
        # Row i: the 64 samples before window i, then window i.
        rows = whole[np.newaxis]  # one window, as a live stream brings them
        if count > 1:
            rows = np.lib.stride_tricks.sliding_window_view(whole, _CONTEXT + WINDOW)[::WINDOW]
        self._context = whole[-_CONTEXT:]
        # The model walks along the rows itself and hands back its last state.
        output, self._h, self._c = self._session.run(
            None, {"input": np.ascontiguousarray(rows), "h": self._h, "c": self._c}
        )
        out: Probabilities = output.reshape(-1)
        return out


def _model_file() -> Path:
    # Looked up without importing faster_whisper, which takes half a second.
    spec = importlib.util.find_spec("faster_whisper")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "assets" / "silero_vad_v6.onnx"
        if path.is_file():
            return path
    raise ModelError("faster-whisper's silero_vad_v6.onnx is missing; install it again")
