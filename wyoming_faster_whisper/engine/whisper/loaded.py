"""Common part of Whisper's acoustic models, whichever library runs them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

from ...audio.pcm import Samples
from ...hardware import release_memory
from .end_marks import EndMarks
from .spectrogram import Features, Spectrogram, to_features
from .tokens import WhisperTokenizer

W = TypeVar("W", bound=Any)
"""Loaded weights, with num_workers, is_multilingual and n_mels, as in CTranslate2."""


class LoadedModel(Generic[W]):
    """Weights, the tokenizer, and the features of a model. See WhisperModel.

    Args:
        weights: from load_model() or load_graphs().
        tokenizer: path of the model's tokenizer.json.
        takes_prompt: False for distilled models, which are less accurate with a prompt.
        reload: loads the weights again after unload(); None = never unload them.

    Raises:
        ModelError: the tokenizer is missing or damaged.
    """

    def __init__(
        self,
        weights: W,
        tokenizer: Path,
        *,
        takes_prompt: bool = True,
        reload: Callable[[], W] | None = None,
    ) -> None:
        self.weights = weights  # missing while unloaded
        self.parallel: int = weights.num_workers
        self.tokenizer = WhisperTokenizer(
            tokenizer, multilingual=bool(weights.is_multilingual), takes_prompt=takes_prompt
        )
        self.spectrogram = Spectrogram(weights.n_mels)
        self.marks = EndMarks(self.tokenizer)
        self._reload = reload
        self._set_up()

    def _set_up(self) -> None:
        """Prepare what a library needs in addition; called at the end of the constructor."""

    def unload(self) -> None:
        """See WhisperModel.unload."""
        if self._reload is not None:
            # CTranslate2's own unload_model() sometimes leaves the weights in memory.
            del self.weights
            release_memory()

    def load(self) -> None:
        """See WhisperModel.load."""
        if self._reload is not None:
            self.weights = self._reload()

    def features(self, samples: Samples) -> Features:
        """See AcousticModel.features."""
        return to_features(self.spectrogram.power(samples))
