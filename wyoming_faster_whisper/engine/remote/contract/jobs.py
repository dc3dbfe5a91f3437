"""A job as tensors. Pure.

inputs() writes it, and job() reads it. What has its default is not sent, and what is read is
checked. docs/remote.md describes the tensors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import fields
from hashlib import blake2b
from typing import Any

import numpy as np

from ....audio.pcm import SAMPLE_RATE, Samples
from ...protocol import DecodeKind, DecodeOptions, Job
from .members import Members, dump
from .message import json_object
from .tensors import BYTES, FP32, Floats, MessageError, Strings, Tensor, short

AUDIO, OPTIONS = "AUDIO", "OPTIONS"

INPUTS = {AUDIO: FP32, OPTIONS: BYTES}
"""Datatypes of the inputs by name. Each has two dimensions, of which the first is 1."""

MOST_SAMPLES = 30 * SAMPLE_RATE
"""Most samples of a job: Whisper's window."""

MOST_OPTION_BYTES = 512 * 1024
"""Largest OPTIONS: 1,000 names of 100 characters, a prompt and a prefix, in any script."""

_LONGEST_NAME = 200  # characters
_LONGEST_PROMPT = 10_000  # characters


def inputs(job: Job) -> list[Tensor]:
    """Return a job as tensors. The name of its model is not among them: it is in the URL."""
    return [
        Floats(AUDIO, job.samples.reshape(1, -1)),
        Strings(OPTIONS, (dump(_options(job)),)),
    ]


def describe_inputs() -> list[Tensor]:
    """Return a request for the description of the model, as tensors."""
    return [
        Floats(AUDIO, np.zeros((1, 1), np.float32)),
        Strings(OPTIONS, (dump({"describe": True}),)),
    ]


def job(audio: Samples, options: bytes) -> Job | None:
    """Read a job; None = the client wants the description of the model.

    Args:
        audio: AUDIO, of shape (1, n) or (n,). The job keeps it.
        options: the only element of OPTIONS.

    Raises:
        MessageError: the tensors are not a job.
    """
    if len(options) > MOST_OPTION_BYTES:
        raise MessageError(f"OPTIONS has {len(options)} bytes, more than {MOST_OPTION_BYTES}")
    given = Members(json_object(options or b"{}", "OPTIONS"), "OPTIONS")
    if given.flag("describe"):
        return None
    samples = _samples(audio)
    made = Job(
        samples,
        DecodeOptions(
            language=given.text("language", None, longest=20),
            candidate_languages=given.texts("candidate_languages", longest=20),
            expected_language=given.text("expected_language", None, longest=20),
            task=given.choice("task", ("transcribe", "translate")),
            beam_size=given.whole("beam_size", 0, most=100),
            prompt=given.text("prompt", None, longest=_LONGEST_PROMPT),
            hotwords=given.texts("hotwords", longest=_LONGEST_NAME),
            grammar=given.flag("grammar"),
            word_times=given.flag("word_times"),
            token_logprobs=given.flag("token_logprobs"),
            temperature=given.number("temperature", 0.0, least=0.0, most=1.0),
            max_prompt_tokens=given.whole(
                "max_prompt_tokens", DecodeOptions().max_prompt_tokens, most=10_000
            ),
        ),
        certain_speech=not given.flag("uncertain_speech"),
        speech_peak=given.number("speech_peak", 1.0, least=0.0, most=1.0),
        speech=given.items("speech", _stretch(len(samples))),
        kind=DecodeKind(given.choice("kind", tuple(kind.value for kind in DecodeKind))),
        quick=given.flag("quick"),
        answer_within=given.number("answer_within", math.inf, least=0.0, most=1e6),
        owner=given.text("owner", None, longest=64),
        earlier_seconds=given.number("earlier_seconds", 0.0, least=0.0, most=1e6),
        prefix=given.text("prefix", "", longest=_LONGEST_PROMPT) or "",
        score_end=given.flag("score_end"),
        leading_silence=given.whole("leading_silence", 0, most=MOST_SAMPLES),
    )
    given.end()
    return made


def job_of_tensors(tensors: Mapping[str, Tensor]) -> Job | None:
    """Read a job from the inputs of a request; see job().

    Raises:
        MessageError: the tensors are not a job.
    """
    if unknown := tensors.keys() - INPUTS.keys():
        raise MessageError(f"there is no input {short(min(unknown))}")
    audio, options = tensors.get(AUDIO), tensors.get(OPTIONS)
    if not isinstance(audio, Floats):
        raise MessageError(f"there is no input {AUDIO} of type {FP32}")
    if options is None:
        return job(audio.values, b"")
    if not isinstance(options, Strings) or len(options.values) != 1:
        raise MessageError(f"{OPTIONS} is not one element of type {BYTES}")
    return job(audio.values, options.values[0])


def _options(job: Job) -> dict[str, Any]:
    usual, options = Job(job.samples), job.options
    sent: dict[str, Any] = {
        field.name: getattr(options, field.name)
        for field in fields(DecodeOptions)
        if field.name != "model"
        and getattr(options, field.name) != getattr(usual.options, field.name)
    }
    for name in (
        *("speech", "speech_peak", "quick", "answer_within", "earlier_seconds", "prefix"),
        *("score_end", "leading_silence"),
    ):
        if getattr(job, name) != getattr(usual, name):
            sent[name] = getattr(job, name)
    if not job.certain_speech:
        sent["uncertain_speech"] = True
    if job.kind is not usual.kind:
        sent["kind"] = job.kind.value
    if job.owner is not None:
        # A digest, because the key of a client without authentication is its address.
        sent["owner"] = blake2b(repr(job.owner).encode(), digest_size=8).hexdigest()
    return sent


def _samples(audio: Samples) -> Samples:
    if audio.dtype != np.float32 or audio.ndim > 2 or (audio.ndim == 2 and len(audio) != 1):
        raise MessageError(
            f"{AUDIO} is {audio.dtype} of shape {list(audio.shape)}; it must be float32 of "
            "shape [1, n]"
        )
    samples = audio.reshape(-1)
    if not 1 <= len(samples) <= MOST_SAMPLES:
        raise MessageError(
            f"{AUDIO} has {len(samples)} samples; it must have 1 to {MOST_SAMPLES}"
        )
    if not np.isfinite(samples).all() or np.abs(samples).max() > 1e3:
        raise MessageError(f"{AUDIO} has samples out of range; they must be from -1 to 1")
    return samples


def _stretch(length: int) -> Callable[[Any], tuple[int, int]]:
    def read(item: Any) -> tuple[int, int]:
        start, end = item
        if type(start) is not int or type(end) is not int or not 0 <= start <= end <= length:
            raise ValueError(item)
        return start, end

    return read
