"""Requests that arrive together, decoded in batches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from wyoming_faster_whisper.engine.protocol import Job, Transcript
from wyoming_faster_whisper.engine.recognizer import Capabilities, ServedModel
from wyoming_faster_whisper.engine.remote.contract import transcripts
from wyoming_faster_whisper.engine.remote.contract.tensors import MessageError
from wyoming_faster_whisper.errors import EngineError
from wyoming_faster_whisper.serving.batches import Answer, Request, Withdrawn, answer_all
from wyoming_faster_whisper.testing import FakeEngine, tone

MODEL = ServedModel("fake", ("en", "de"), capabilities=Capabilities(detects_language=True))


class Recorder(FakeEngine):
    """Keeps the batches; a job of SILENT seconds fails, with all of its batch."""

    SILENT = 9.0

    def __init__(self, *, max_batch: int = 8, max_long_batch: int = 8, parallel: int = 1) -> None:
        super().__init__(max_batch=max_batch, parallel=parallel)
        self.max_long_batch = max_long_batch
        self.batches: list[list[float]] = []

    def decode(self, jobs: Sequence[Job]) -> list[Transcript]:
        self.batches.append([job.seconds for job in jobs])
        if any(job.seconds == self.SILENT for job in jobs):
            raise RuntimeError("CUDA error")
        return super().decode(jobs)


def request(seconds: float, options: bytes = b"{}", *, withdrawn: bool = False) -> Request:
    return Request(tone(seconds).reshape(1, -1), options, lambda: withdrawn)


def texts(answers: Sequence[Answer]) -> list[str]:
    """Return the texts, or the classes of the errors."""
    return [
        transcripts.transcript({each.name: each for each in answer}).text
        if isinstance(answer, list)
        else type(answer).__name__
        for answer in answers
    ]


def test_requests_of_different_lengths_share_a_batch() -> None:
    engine = Recorder()
    answers = answer_all(engine, MODEL, [request(1.0), request(3.0), request(2.0)])
    assert texts(answers) == ["1.0 seconds", "3.0 seconds", "2.0 seconds"]
    assert engine.batches == [[1.0, 3.0, 2.0]]


def test_a_batch_has_at_most_as_many_as_the_engine_decodes() -> None:
    engine = Recorder(max_batch=2)
    answers = answer_all(engine, MODEL, [request(float(at)) for at in range(1, 6)])
    assert texts(answers) == [f"{at}.0 seconds" for at in range(1, 6)]
    assert engine.batches == [[1.0, 2.0], [3.0, 4.0], [5.0]]


def test_long_recordings_have_batches_of_their_own_size() -> None:
    engine = Recorder(max_long_batch=2)
    answer_all(engine, MODEL, [request(at) for at in (20.0, 1.0, 21.0, 2.0, 22.0)])
    assert engine.batches == [[1.0, 2.0], [20.0, 21.0], [22.0]]


def test_requests_with_different_options_do_not_share_a_batch() -> None:
    engine = Recorder()
    answer_all(
        engine, MODEL, [request(1, b'{"language":"en"}'), request(2, b'{"language":"de"}')]
    )
    assert engine.batches == [[1.0], [2.0]]


def test_commands_go_before_guesses_and_guesses_before_files_and_long_recordings() -> None:
    engine = Recorder()
    given = [
        request(20.0),
        request(1.0, b'{"kind":"guess"}'),
        request(2.0, b'{"kind":"file"}'),
        request(3.0),
    ]
    assert texts(answer_all(engine, MODEL, given))[0] == "20.0 seconds"
    assert engine.batches == [[3.0], [1.0], [20.0], [2.0]]


def test_a_withdrawn_request_is_not_decoded() -> None:
    engine = Recorder()
    answers = answer_all(engine, MODEL, [request(1.0, withdrawn=True), request(2.0)])
    assert texts(answers) == ["Withdrawn", "2.0 seconds"]
    assert engine.batches == [[2.0]]
    assert isinstance(answers[0], Withdrawn)


def test_a_request_withdrawn_during_another_batch_is_not_decoded() -> None:
    engine = Recorder(max_batch=1)
    late = Request(tone(2.0).reshape(1, -1), b"", lambda: bool(engine.batches))
    assert texts(answer_all(engine, MODEL, [request(1.0), late])) == ["1.0 seconds", "Withdrawn"]


def test_a_request_that_the_model_fails_on_does_not_affect_its_batch() -> None:
    engine = Recorder()
    given = [request(1.0), request(Recorder.SILENT), request(2.0)]
    answers = answer_all(engine, MODEL, given)
    assert texts(answers) == ["1.0 seconds", "EngineError", "2.0 seconds"]
    assert isinstance(answers[1], EngineError)
    assert str(answers[1]) == "the model failed on this audio: RuntimeError"


@pytest.mark.parametrize(
    ("bad", "why"),
    [
        (request(1.0, b'{"colour":"red"}'), "colour"),
        (request(1.0, b'{"prompt":"Hello."}'), "cannot do this: prompt"),
        (request(1.0, b"[1]"), "OPTIONS"),
        (request(31.0), "samples"),
        (Request(np.zeros((2, 16_000), np.float32), b"", lambda: False), "shape"),
        (Request(tone(1.0), b"", lambda: False, elements=2), "one"),
    ],
)
def test_a_malformed_request_does_not_affect_the_others(bad: Request, why: str) -> None:
    engine = Recorder()
    error, other = answer_all(engine, MODEL, [bad, request(2.0)])
    assert isinstance(error, MessageError)
    assert why in str(error)
    assert texts([other]) == ["2.0 seconds"]


def test_the_model_describes_itself_without_a_decode() -> None:
    engine = Recorder()
    [answer] = answer_all(engine, MODEL, [request(1.0, b'{"describe":true}')])
    assert isinstance(answer, list)
    about = transcripts.description({each.name: each for each in answer})
    assert about.languages == ("en", "de")
    assert engine.batches == []


def test_an_engine_with_several_decoders_gets_several_batches() -> None:
    engine = Recorder(max_batch=1, parallel=2)
    answers = answer_all(engine, MODEL, [request(float(at)) for at in range(1, 5)])
    assert texts(answers) == [f"{at}.0 seconds" for at in range(1, 5)]
    assert sorted(engine.batches) == [[1.0], [2.0], [3.0], [4.0]]


def test_no_request_needs_no_decode() -> None:
    assert answer_all(Recorder(), MODEL, []) == []
