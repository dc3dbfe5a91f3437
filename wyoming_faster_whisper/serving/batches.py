"""Requests that a framework hands over together, decoded in batches.

For a framework that collects requests itself, such as Triton. With others, slot.py has a queue.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

from ..audio.pcm import Samples
from ..engine.protocol import Engine, Job, Transcript
from ..engine.recognizer import ServedModel, unmet_needs
from ..engine.remote.contract import jobs, transcripts
from ..engine.remote.contract.tensors import MessageError, Tensor
from ..errors import EngineError, ServerError

_LOGGER = logging.getLogger(__name__)

Answer = list[Tensor] | MessageError | ServerError
"""Outputs of a request, or why it has none."""


class Withdrawn(ServerError):
    """The client has cancelled the request."""


@dataclass(frozen=True, slots=True)
class Request:
    """The inputs of one request."""

    audio: Samples  # AUDIO, not checked yet
    options: bytes  # the first element of OPTIONS; b"" = none
    withdrawn: Callable[[], bool]  # returns whether the client has cancelled it
    elements: int = 1  # of OPTIONS


@dataclass(frozen=True, slots=True)
class _Work:
    """A request that needs the model."""

    number: int  # of the request
    job: Job
    withdrawn: Callable[[], bool]


def answer_all(engine: Engine, model: ServedModel, requests: Sequence[Request]) -> list[Answer]:
    """Answer requests, those that may share a batch together. Blocking.

    Args:
        engine: decodes. Called in as many threads as it decodes batches at the same time.
        model: the model of the engine.

    Returns:
        An answer for each request, in order. A request that fails does not affect the others.
    """
    answers: dict[int, Answer] = {}
    work: list[_Work] = []
    for number, request in enumerate(requests):
        try:
            job = _read(request, model)
        except MessageError as error:
            answers[number] = error
            continue
        if job is None:
            answers[number] = transcripts.description_outputs(model)
        else:
            work.append(_Work(number, job, request.withdrawn))
    with ThreadPoolExecutor(engine.parallel) as threads:
        for answered in threads.map(partial(_decode, engine), _batches(engine, work)):
            answers.update(answered)
    return [answers[number] for number in range(len(requests))]


def _read(request: Request, model: ServedModel) -> Job | None:
    """Return the job of a request; None = the client wants the description of the model."""
    if request.elements != 1:
        raise MessageError(f"{jobs.OPTIONS} has {request.elements} elements; it must have one")
    job = jobs.job(request.audio, request.options)
    if job is not None and (unmet := unmet_needs(job, model)):
        raise MessageError(f"model {model.name} cannot do this: {', '.join(unmet)}")
    return job


def _batches(engine: Engine, work: Iterable[_Work]) -> list[list[_Work]]:
    """Return what to decode together: commands, then guesses, then files and recordings."""
    groups: dict[Hashable, list[_Work]] = {}
    for each in sorted(work, key=lambda one: (one.job.background, one.job.guess)):
        job = each.job
        key = (job.background, job.long, job.guess, engine.batch_key(job))
        groups.setdefault(key, []).append(each)
    batches: list[list[_Work]] = []
    for group in groups.values():
        most = engine.max_long_batch if group[0].job.long else engine.max_batch
        batches += [group[at : at + most] for at in range(0, len(group), most)]
    return batches


def _decode(engine: Engine, batch: Sequence[_Work]) -> dict[int, Answer]:
    """Decode a batch without the jobs that were withdrawn while it waited."""
    answers: dict[int, Answer] = {
        each.number: Withdrawn("the client has cancelled the request")
        for each in batch
        if each.withdrawn()
    }
    left = [each for each in batch if each.number not in answers]
    if not left:
        return answers
    try:
        decoded: Sequence[Transcript] = engine.decode([each.job for each in left])
    except Exception as error:
        if len(left) == 1:
            return {**answers, left[0].number: _as_server_error(error)}
        # One job may be the cause, so each is decoded alone: the others succeed.
        for each in left:
            answers |= _decode(engine, [each])
        return answers
    for each, transcript in zip(left, decoded, strict=True):
        answers[each.number] = transcripts.outputs(transcript)
    return answers


def _as_server_error(error: Exception) -> ServerError:
    if isinstance(error, ServerError):
        return error
    _LOGGER.error("the model failed", exc_info=error)
    return EngineError(f"the model failed on this audio: {type(error).__name__}")
