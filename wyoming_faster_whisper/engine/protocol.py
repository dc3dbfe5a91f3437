"""Interface between the server and its speech-to-text engines. Pure."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol, runtime_checkable

import numpy as np

from ..audio.pcm import SAMPLE_RATE, Samples, room_noise
from ..speech.turn_classifier import EndOfTextScores, TurnClassifier
from ..tenant import HOUSE, Tenant

LONGEST_COMMAND = 10.0
"""Seconds of audio; a recording with more is a dictation or a file."""


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """Options of a decode. Jobs with equal options can share a batch."""

    model: str = ""  # name of the model; "" = the default model
    language: str | None = None  # Whisper's language code; None = detect
    candidate_languages: tuple[str, ...] = ()  # languages that detection may return; () = all
    expected_language: str | None = None  # the likeliest candidate before anything is said
    task: str = "transcribe"  # or "translate" (to English)
    beam_size: int = 0  # 1 = greedy, 0 = as wide as the machine can afford
    prompt: str | None = None  # text that sets style and vocabulary
    hotwords: tuple[str, ...] = ()  # names and terms to favour, most important first
    grammar: bool = False  # prefer orders that Home Assistant understands
    word_times: bool = False  # also return the time of each word
    token_logprobs: bool = False  # also return the log-probability of each token
    temperature: float = 0.0  # 0 = beam search; above 0, the best of beam_size sampled texts
    max_prompt_tokens: int = 200  # prompt and hotwords; the model echoes longer ones


class DecodeKind(Enum):
    """Purpose of a decode. The values are labels of a metric."""

    FINAL = "final"  # an answer, or a part of it
    GUESS = "guess"  # a speculative decode: may be dropped before its text is used
    PARTIAL = "partial"  # text for the client before the end; it may be dropped too
    FILE = "file"  # a part of a file, whose client waits as long as it takes


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """One utterance to decode. Jobs compare by identity."""

    samples: Samples  # float32, shape (n,), 16 kHz mono, at most 30 s
    options: DecodeOptions = field(default_factory=DecodeOptions)
    certain_speech: bool = True  # False where the VAD was not sure that there is speech
    speech_peak: float = 1.0  # highest speech probability by the VAD, 0 to 1
    speech: tuple[tuple[int, int], ...] = ()  # where the VAD heard speech: start, end in samples
    kind: DecodeKind = DecodeKind.FINAL
    quick: bool = False  # first pass only; a doubtful text is returned as provisional
    # Seconds from the beginning of the decode within which a second pass over a doubtful text
    # must end; if it would take longer, the first pass is the answer.
    answer_within: float = float("inf")
    tenant: Tenant = HOUSE  # tenants share the model by their weights
    owner: Hashable = None  # the owners of a tenant's jobs share its part equally
    earlier_seconds: float = 0.0  # seconds of speech before this job in the same recording
    prefix: str = ""  # text that was already sent to the client; the decode continues it
    score_end: bool = False  # also return the end-of-text scores
    leading_silence: int = 0  # samples of room noise to put before the audio
    # When its utterance began, on the event loop's clock: if the model is replaced meanwhile, the
    # old version decodes it.
    utterance_began: float = float("inf")

    @property
    def guess(self) -> bool:
        """True if no client waits for the text: it may be dropped before it is used."""
        return self.kind in (DecodeKind.GUESS, DecodeKind.PARTIAL)

    @property
    def seconds(self) -> float:
        return len(self.samples) / SAMPLE_RATE

    @property
    def long(self) -> bool:
        """True for a part of a long recording."""
        return self.earlier_seconds + self.seconds > LONGEST_COMMAND

    @property
    def background(self) -> bool:
        """True for a part of a long recording or of any file, and for a tenant that waits.

        Commands do not wait for it.
        """
        return self.long or self.kind is DecodeKind.FILE or self.tenant.batch

    @property
    def speech_seconds(self) -> float:
        """Seconds of speech in the job, without its pauses."""
        return sum(end - start for start, end in self.speech) / SAMPLE_RATE

    @property
    def padded_samples(self) -> Samples:
        """Input of the model: the leading silence, as quiet as the room, then the samples."""
        if not self.leading_silence:
            return self.samples
        return np.concatenate((room_noise(self.samples, self.leading_silence), self.samples))


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a text, with its punctuation, and when it was spoken."""

    text: str  # without spaces around it
    start: float  # seconds from the first sample of the job, or of the stream
    end: float  # seconds
    probability: float  # mean over its tokens, 0 to 1
    tokens: tuple[int, ...] = ()  # of all words joined: those of the text


@dataclass(frozen=True, slots=True)
class TokenLogprob:
    """A token of a text, and how probable the model found it."""

    token: str  # with the space before a word; an incomplete character is U+FFFD
    bytes: bytes  # the bytes of all tokens joined are the text in UTF-8, after a space
    logprob: float  # natural log


@dataclass(frozen=True, slots=True)
class Transcript:
    """Result of a decode."""

    text: str  # stripped; "" = no speech
    language: str | None = None  # Whisper's code, given or detected
    avg_logprob: float = 0.0  # mean over tokens, natural log
    passes: int = 0  # number of decoder passes, over one or two encodings
    verdict: str = ""  # final result of the hallucination check
    end_scores: EndOfTextScores | None = None  # if requested and supported by the engine
    # Classifier for end_scores, of the model and the language; None if there are none.
    turn_classifier: TurnClassifier | None = field(default=None, repr=False)
    language_probability: float = 1.0  # 0 to 1; 1 where the language was given
    provisional: bool = False  # audio after the last word, or a second pass, may change the text
    # The text is known to be wrong, because it loops, leaves out speech or has no words: a second
    # pass is worth any wait.
    unusable: bool = False
    tokens: tuple[int, ...] = ()  # of the text; () if the engine has no tokens
    no_speech_prob: float = 0.0  # the model's no-speech probability, 0 to 1
    words: tuple[Word, ...] = ()  # if requested and supported by the engine
    token_logprobs: tuple[TokenLogprob, ...] = ()  # if requested and supported by the engine
    temperature: float = 0.0  # at which the text was decoded
    queued: float = field(default=0.0, compare=False)  # seconds in the queue


class Engine(Protocol):
    """Speech-to-text engine. Blocking: call it from the worker's threads only.

    Jobs have only the options that its recognizer's capabilities include (recognizer.py).
    """

    @property
    def max_batch(self) -> int:
        """Maximum number of jobs per decode, at least 1."""
        ...

    @property
    def max_long_batch(self) -> int:
        """The same for jobs of long recordings, of up to 30 s each; at least 1."""
        ...

    @property
    def parallel(self) -> int:
        """Maximum number of decodes that run at the same time, at least 1."""
        ...

    def batch_key(self, job: Job) -> Hashable:
        """Return the key that all jobs of a batch share; it includes what they decode with."""
        ...

    def decode(self, jobs: Sequence[Job]) -> list[Transcript]:
        """Decode a batch.

        Args:
            jobs: 1 to max_batch jobs with the same batch_key().

        Returns:
            One Transcript per job, in order.

        Raises:
            EngineError: the model failed, and none of the jobs has a result.
            Busy: an engine on another machine has too much work.
        """
        ...

    def warm_up(self, needed: Callable[[], bool]) -> None:
        """Run test decodes, so that the first real decode is fast, and measure their time.

        The worker calls this after the load and again from time to time while the server is
        idle, because other programs may have been busy during an earlier measurement.

        Args:
            needed: returns True when a speaker needs the model. The engine calls it before
                every test decode, and stops when it is true.
        """
        ...

    def unload(self) -> None:
        """Free the memory that load() can restore. Called only while no decode runs."""
        ...

    def load(self) -> None:
        """Restore what unload() freed.

        Raises:
            ModelError: the weights are no longer on disk, or there is not enough memory.
        """
        ...


@runtime_checkable
class Withdrawable(Protocol):
    """Engine that can end a decode early, such as one on another machine."""

    def withdraw(self, job: Job) -> None:
        """Take note that no client waits for a job any longer.

        Called in the event loop while the job may be in decode(), which then may raise
        EngineError at once.
        """
        ...
