"""What the rest of the server knows of a model. Pure."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from ..audio.pcm import SAMPLE_RATE, Samples, room_noise
from ..speech.turn_classifier import EndOfTextScores


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """How to decode. Jobs with equal options can share a batch."""

    model: str = ""  # its name, where there are several
    language: str | None = None  # Whisper's code; None = detect
    candidate_languages: tuple[str, ...] = ()  # languages that may be detected; () = all
    task: str = "transcribe"  # or "translate" (to English)
    beam_size: int = 0  # 1 = greedy, 0 = what the machine can afford
    prompt: str | None = None  # text that sets style and vocabulary
    hotwords: tuple[str, ...] = ()  # words to expect, most important first
    max_prompt_tokens: int = 200  # tokens of prompt and names; more and the model echoes them


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One utterance to decode. Two jobs are never equal, only identical."""

    samples: Samples  # float32, shape (n,), 16 kHz mono, at most 30 s
    options: DecodeOptions = field(default_factory=DecodeOptions)
    certain_speech: bool = True  # the VAD heard speech, not only something that might be
    speech: tuple[tuple[int, int], ...] = ()  # samples from and to which the VAD heard speech
    guess: bool = False  # may be dropped before it is used
    quick: bool = False  # a first pass will do: what it doubts is decoded again
    owner: Hashable = None  # whose it is; for fairness
    prefix: str = ""  # text that the decode goes on from: it has been sent already
    score_end: bool = False  # say what the decoder thought of the end of the text
    leading_silence: int = 0  # samples of silence to be heard before it

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE

    @property
    def speech_seconds(self) -> float:
        """Seconds of speech in it, pauses not counted."""
        return sum(end - start for start, end in self.speech) / SAMPLE_RATE

    @property
    def padded_samples(self) -> Samples:
        """What the model hears: the samples, and before them the lead, as quiet as the room."""
        if not self.leading_silence:
            return self.samples
        return np.concatenate((room_noise(self.samples, self.leading_silence), self.samples))


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said."""

    text: str  # stripped; "" = nothing
    language: str | None = None  # Whisper's code, spoken or detected
    avg_logprob: float = 0.0  # mean over tokens, natural log
    passes: int = 0  # of the decoder, over one or two encodings
    verdict: str = ""  # the gate's last word
    end_scores: EndOfTextScores | None = None  # where it was asked for, and the engine says
    language_probability: float = 1.0  # 0 to 1; 1 where the language was given
    provisional: bool = False  # more sound after the last word, or a second pass, may change it
    queued: float = field(default=0.0, compare=False)  # seconds that it waited for the model


class Engine(Protocol):
    """Turns audio into text. Blocking: call it from the worker's threads only."""

    @property
    def max_batch(self) -> int:
        """Jobs per decode, at least 1."""
        ...

    @property
    def parallel(self) -> int:
        """Decodes at the same time, at least 1."""
        ...

    def batch_key(self, job: Job) -> Hashable:
        """What jobs must have in common to be decoded together: their options at least."""
        ...

    def decode(self, jobs: Sequence[Job]) -> list[Transcript]:
        """Decode 1 to max_batch jobs of one kind.

        Returns:
            One Transcript per job, in order.

        Raises:
            EngineError: the model failed; no job has an answer.
        """
        ...

    def warm_up(self, needed: Callable[[], bool]) -> None:
        """Decode something, so that the first speaker need not wait for it, and measure that.

        Called after the load, and again now and then while the server is idle: other programs
        may have been busy before.

        Args:
            needed: a speaker waits; to be asked before every decode, and obeyed.
        """
        ...

    def unload(self) -> None:
        """Free what load() can bring back. Called only while nothing is decoded."""
        ...

    def load(self) -> None:
        """Undo unload().

        Raises:
            ModelError: the weights are not there any more, or there is no memory.
        """
        ...
