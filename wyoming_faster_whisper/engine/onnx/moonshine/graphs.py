"""Moonshine's two graphs: the encoder, and the decoder with its key-value cache.

The encoder takes samples of any length and has no mask, so it takes clips one by one. The decoder
has hypotheses on its batch axis: the first step is computed once, without a cache, and the
others for all hypotheses together.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ....audio.pcm import SAMPLE_RATE, Samples
from ....errors import ModelError
from ..runtime import Array, Graph, Runtime, finite, log_softmax

Logprobs = npt.NDArray[np.float32]
"""Log-probabilities (natural) of all tokens, shape (hypotheses, tokens)."""

# The convolutions at the start of the encoder see 895 samples; less than a word is not decoded.
_FEWEST = SAMPLE_RATE // 4


@dataclass(frozen=True, slots=True)
class Cache:
    """Keys and values of the decoder, one array per layer and kind, by name of the input."""

    own: dict[str, Array]  # of the text, shape (hypotheses, heads, tokens, width)
    audio: dict[str, Array]  # of the encoding, shape (hypotheses, heads, frames, width)

    def select(self, rows: Sequence[int]) -> Cache:
        """Return the cache of some hypotheses, in the given order."""
        if self.hypotheses == len(rows):
            # All hypotheses have the same audio.
            return Cache({name: one[rows] for name, one in self.own.items()}, self.audio)
        return Cache(
            {name: one[rows] for name, one in self.own.items()},
            {name: one[rows] for name, one in self.audio.items()},
        )

    @property
    def hypotheses(self) -> int:
        return len(next(iter(self.own.values())))


class MoonshineGraphs:
    """Loaded graphs of a Moonshine model. Blocking; safe to call from several threads.

    Args:
        encoder, decoder: encoder_model and decoder_model_merged, as .onnx or .ort.

    Raises:
        ModelError: a file is missing, damaged, or belongs to another model.
    """

    def __init__(self, encoder: Path, decoder: Path, runtime: Runtime) -> None:
        self._encoder = Graph(
            encoder,
            runtime,
            inputs=["input_values"],
            outputs=["last_hidden_state"],
            what="a Moonshine encoder",
        )
        self._decoder = Graph(
            decoder,
            runtime,
            inputs=["input_ids", "encoder_hidden_states", "use_cache_branch"],
            outputs=["logits"],
            what="a Moonshine decoder with a key-value cache (decoder_model_merged)",
        )
        self._own = [n for n in self._decoder.inputs if ".decoder." in n]
        self._audio = [n for n in self._decoder.inputs if ".encoder." in n]
        if not self._own or len(self._own) != len(self._audio):
            raise ModelError(f"{decoder} has no key-value cache; it must be decoder_model_merged")
        width = self._decoder.shapes["encoder_hidden_states"][-1]
        other = self._encoder.output_shapes["last_hidden_state"][-1]
        if width != other:
            raise ModelError(
                f"{decoder} and {encoder.name} are of different models: the decoder takes "
                f"encodings of width {width}, the encoder writes {other}"
            )
        self.vocabulary_size = self._decoder.output_shapes["logits"][-1]
        self._outputs = ["logits", *map(_present, self._own)]
        self._first_outputs = [*self._outputs, *map(_present, self._audio)]

    def encode(self, samples: Samples) -> Array:
        """Encode a clip.

        Returns:
            Shape (1, frames, width).

        Raises:
            RuntimeError: the encoder failed.
        """
        if len(samples) < _FEWEST:
            samples = np.pad(samples, (0, _FEWEST - len(samples)))
        [encoding] = self._encoder.run(
            ["last_hidden_state"], {"input_values": samples[None].astype(np.float32, copy=False)}
        )
        return finite(encoding, self._encoder.path)

    def begin(
        self, encoding: Array, texts: Sequence[Sequence[int]]
    ) -> tuple[npt.NDArray[np.float32], Cache]:
        """Run the decoder over texts of the same length, without a cache.

        Args:
            texts: tokens, the first of which begins the text.

        Returns:
            The log-probabilities after each token, shape (texts, tokens, vocabulary), and the
            cache for the next step.

        Raises:
            RuntimeError: the decoder failed.
        """
        empty = {
            name: np.zeros((len(texts), *self._decoder.shapes[name][1:2], 0, self._width(name)))
            for name in (*self._own, *self._audio)
        }
        logits, *present = self._decoder.run(
            self._first_outputs,
            {
                "input_ids": np.array(texts, np.int64),
                "encoder_hidden_states": np.repeat(encoding, len(texts), axis=0),
                "use_cache_branch": np.array([False]),
                **{name: one.astype(np.float32) for name, one in empty.items()},
            },
        )
        own = dict(zip(self._own, present, strict=False))
        audio = dict(zip(self._audio, present[len(self._own) :], strict=True))
        return log_softmax(finite(logits, self._decoder.path)), Cache(own, audio)

    def step(
        self, encoding: Array, tokens: Sequence[int], cache: Cache
    ) -> tuple[Logprobs, Cache]:
        """Continue each hypothesis with one token.

        Returns:
            The log-probabilities of the next token, and the cache for the next step.

        Raises:
            RuntimeError: the decoder failed.
        """
        logits, *present = self._decoder.run(
            self._outputs,
            {
                "input_ids": np.array(tokens, np.int64)[:, None],
                "encoder_hidden_states": np.broadcast_to(
                    encoding, (len(tokens), *encoding.shape[1:])
                ),
                "use_cache_branch": np.array([True]),
                **cache.own,
                **cache.audio,
            },
        )
        own = dict(zip(self._own, present, strict=True))
        return log_softmax(finite(logits[:, -1], self._decoder.path)), Cache(own, cache.audio)

    def _width(self, name: str) -> int:
        return int(self._decoder.shapes[name][-1])


def _present(name: str) -> str:
    return name.replace("past_key_values.", "present.")
