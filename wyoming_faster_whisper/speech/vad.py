"""Voice activity detection with Silero VAD v6: one speech probability per 32 ms.

The model is the ONNX file in the faster-whisper package. One onnxruntime session serves all
streams; each stream keeps its own state between windows (the LSTM's, and the last 64 samples).
"""

from __future__ import annotations

import importlib.util
import json
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from ..audio.pcm import Samples
from ..errors import ModelError
from .gain_control import Gain, LevelControl
from .hysteresis import WINDOW, Probabilities

if TYPE_CHECKING:
    import onnxruntime

_CONTEXT = 64  # samples of the previous window that precede each window
_STATE = (1, 1, 128)  # shape of the LSTM's h and c


class SpeechStream(Protocol):
    """One stream of audio, one probability per window; blocking."""

    def feed(self, samples: Samples) -> Probabilities: ...


class SpeechDetector(Protocol):
    """A voice activity detector, loaded once."""

    def stream(self) -> SpeechStream: ...


class Vad:
    """The Silero model, loaded once. Blocking; safe to use from several threads.

    Args:
        gain: levels of the gain control; None = those that were fitted for the model.

    Raises:
        ModelError: the model file is missing.
    """

    def __init__(self, gain: Gain | None = None) -> None:
        # Imported late, because it takes 0.1 s and commands without a VAD need not wait for it.
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # Waking more threads costs more than the 0.1 ms of work that they would share.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.enable_cpu_mem_arena = False
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            str(model_file()), sess_options=options, providers=["CPUExecutionProvider"]
        )
        self._gain = gain or calibrated_gain()

    def stream(self) -> VadStream:
        """Return a detector for one new stream of audio."""
        return VadStream(self._session, self._gain)

    def probabilities(self, samples: Samples) -> Probabilities:
        """Return the probabilities of a whole clip, padded with zeros to whole windows."""
        missing = -len(samples) % WINDOW
        return self.stream().feed(np.pad(samples, (0, missing)))


class VadStream:
    """VAD state of one stream. Takes chunks of any length and evaluates whole windows.

    Blocking; one thread at a time.
    """

    def __init__(self, session: onnxruntime.InferenceSession, gain: Gain) -> None:
        self._session = session
        self._h = np.zeros(_STATE, np.float32)
        self._c = np.zeros(_STATE, np.float32)
        self._context: Samples = np.zeros(_CONTEXT, np.float32)
        self._incomplete_window: Samples = np.zeros(0, np.float32)
        self._level_control = LevelControl(gain)

    def feed(self, samples: Samples) -> Probabilities:
        """Return the probabilities of the windows that are complete now."""
        samples = np.concatenate((self._incomplete_window, samples))
        count = len(samples) // WINDOW
        self._incomplete_window = samples[count * WINDOW :]
        if not count:
            return np.zeros(0, np.float32)
        amplified = self._level_control.feed(samples[: count * WINDOW].reshape(count, WINDOW))
        # Row i holds the 64 samples before window i, then window i.
        rows = np.empty((count, _CONTEXT + WINDOW), np.float32)
        rows[:, _CONTEXT:] = amplified
        rows[0, :_CONTEXT] = self._context
        rows[1:, :_CONTEXT] = rows[:-1, WINDOW:]
        self._context = rows[-1, WINDOW:].copy()
        # The model processes the rows in order and returns its last state.
        output, self._h, self._c = self._session.run(
            None, {"input": rows, "h": self._h, "c": self._c}
        )
        out: Probabilities = output.reshape(-1)
        return out


def calibrated_gain() -> Gain:
    """Return the levels of the gain control that were fitted for the model."""
    file = resources.files(__package__) / "calibration" / "silero_v6.json"
    return Gain(**json.loads(file.read_text("utf-8"))["gain_control"]["values"])


def model_file() -> Path:
    """Return the path of the model.

    Raises:
        ModelError: faster-whisper, which contains it, is not installed completely.
    """
    # Find the file without importing faster_whisper, which takes half a second.
    spec = importlib.util.find_spec("faster_whisper")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        path = Path(folder) / "assets" / "silero_vad_v6.onnx"
        if path.is_file():
            return path
    raise ModelError("faster-whisper's silero_vad_v6.onnx is missing; reinstall faster-whisper")
