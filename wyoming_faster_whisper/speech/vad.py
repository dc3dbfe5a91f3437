"""Voice activity detection with Silero VAD v6: one speech probability per 32 ms.

The model is the ONNX file in the faster-whisper package. One onnxruntime session serves all
streams; each stream keeps its own state between windows (the LSTM's, and the last 64 samples).
"""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

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
        before: audio that determines the initial state of each stream, in whole windows; none =
            zeros, None = the noise that was fitted for the model.

    Raises:
        ModelError: the model file is missing.
    """

    def __init__(self, gain: Gain | None = None, before: Samples | None = None) -> None:
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
        # A stream may begin with speech: after a wake word, or in a recording that was cut there.
        # From a state of zeros the model is less sure of it than after soft noise.
        self._initial_state = State()
        before = noise(**_calibrated("initial_state")) if before is None else before
        if len(before):
            self._initial_state.run(self._session, before.reshape(-1, WINDOW))

    def stream(self) -> VadStream:
        """Return a detector for one new stream of audio."""
        return VadStream(self._session, self._gain, replace(self._initial_state))

    def probabilities(self, samples: Samples) -> Probabilities:
        """Return the probabilities of a whole clip, padded with zeros to whole windows."""
        missing = -len(samples) % WINDOW
        return self.stream().feed(np.pad(samples, (0, missing)))


@dataclass(slots=True)
class State:
    """Recurrent state of the model, and the end of the last window."""

    h: Samples = field(default_factory=lambda: np.zeros(_STATE, np.float32))
    c: Samples = field(default_factory=lambda: np.zeros(_STATE, np.float32))
    context: Samples = field(default_factory=lambda: np.zeros(_CONTEXT, np.float32))

    def run(self, session: onnxruntime.InferenceSession, windows: Samples) -> Probabilities:
        """Return the probabilities of the next windows, shape (n, samples), and move on."""
        # Row i holds the 64 samples before window i, then window i.
        rows = np.empty((len(windows), _CONTEXT + WINDOW), np.float32)
        rows[:, _CONTEXT:] = windows
        rows[0, :_CONTEXT] = self.context
        rows[1:, :_CONTEXT] = rows[:-1, WINDOW:]
        self.context = rows[-1, WINDOW:].copy()
        # The model processes the rows in order and returns its last state.
        output, self.h, self.c = session.run(None, {"input": rows, "h": self.h, "c": self.c})
        out: Probabilities = output.reshape(-1)
        return out


class VadStream:
    """VAD of one stream. Takes chunks of any length and evaluates whole windows.

    Blocking; one thread at a time.

    Args:
        state: the initial state; the stream updates it.
    """

    def __init__(self, session: onnxruntime.InferenceSession, gain: Gain, state: State) -> None:
        self._session = session
        self._state = state
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
        return self._state.run(self._session, amplified)


def noise(level: float, windows: int) -> Samples:
    """Return white noise, the same on each call.

    Args:
        level: dBFS, RMS.
        windows: its length.
    """
    scale = 10 ** (level / 20)
    return np.random.default_rng(0).normal(0, scale, windows * WINDOW).astype(np.float32)


def calibrated_gain() -> Gain:
    """Return the levels of the gain control that were fitted for the model."""
    return Gain(**_calibrated("gain_control"))


def _calibrated(section: str) -> dict[str, Any]:
    file = resources.files(__package__) / "calibration" / "silero_v6.json"
    values: dict[str, Any] = json.loads(file.read_text("utf-8"))[section]["values"]
    return values


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
