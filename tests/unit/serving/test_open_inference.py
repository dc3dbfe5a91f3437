"""Requests of the Open Inference Protocol, as a decode server answers them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wyoming_faster_whisper.engine.protocol import DecodeOptions, Job, Transcript
from wyoming_faster_whisper.engine.recognizer import EVERYTHING, Capabilities, ServedModel
from wyoming_faster_whisper.engine.remote.contract import jobs, transcripts
from wyoming_faster_whisper.engine.remote.contract.message import HEAD_LENGTH, read, write
from wyoming_faster_whisper.errors import Busy, EngineError, ModelError
from wyoming_faster_whisper.serving.open_inference import (
    LARGEST_BODY,
    Reply,
    UnknownModel,
    answer,
)
from wyoming_faster_whisper.testing import tone


class Model:
    """A model whose text is the length of the audio, or which raises an error."""

    name, version, ready = "base", "2", True

    def __init__(self, capabilities: Capabilities = EVERYTHING) -> None:
        self.served = ServedModel("tiny.en", ("en", "de"), capabilities=capabilities)
        self.error: Exception | None = None
        self.decoded: list[Job] = []

    async def recognize(self, job: Job) -> Transcript:
        self.decoded.append(job)
        if self.error is not None:
            raise self.error
        return Transcript(f"{job.seconds:g} seconds", "en", -0.5)


class Models:
    """One model."""

    def __init__(self, capabilities: Capabilities = EVERYTHING) -> None:
        self.model = Model(capabilities)

    def loaded(self) -> Sequence[Model]:
        return [self.model]

    async def find(self, name: str, version: str) -> Model:
        if name != "base" or version not in ("", "2"):
            raise UnknownModel(f"there is no model {name}")
        return self.model

    async def get(self, path: str) -> Reply:
        return await answer(self, "GET", path, {}, b"")

    async def infer(self, job: Job, **members: Any) -> Reply:
        body, length = write("inputs", jobs.inputs(job), members=members)
        headers = {HEAD_LENGTH: str(length)}
        return await answer(self, "POST", "/v2/models/base/infer", headers, body)


def error_of(reply: Reply) -> str:
    said = json.loads(reply.body)["error"]
    assert isinstance(said, str)
    return said


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v2", 200),
        ("/v2/health/live", 200),
        ("/v2/health/ready", 200),
        ("/v2/models/base/ready", 200),
        ("/v2/models/base/versions/2/ready", 200),
        ("/v2/models/base/versions/1/ready", 404),
        ("/v2/models/tiny/ready", 404),
        ("/v2/models/base/infer", 404),  # only POST
        ("/v2/models/../base", 404),
        ("/v2/models/base/versions//ready", 404),
        ("/", 404),
        ("/v2/models/\x1b[2J", 404),
    ],
)
async def test_paths(path: str, status: int) -> None:
    reply = await Models().get(path)
    assert reply.status == status
    if status == 404:
        assert error_of(reply).isprintable()


async def test_a_model_that_loads_is_not_ready() -> None:
    models = Models()
    models.model.ready = False
    for path in ("/v2/health/ready", "/v2/models/base/ready"):
        assert (await models.get(path)).status == 503
    assert (await models.get("/v2/health/live")).status == 200


async def test_the_metadata_has_the_tensors_of_the_contract() -> None:
    for path in ("/v2/models/base", "/v2/models/base/versions/2"):
        metadata = json.loads((await Models().get(path)).body)
        assert (metadata["name"], metadata["versions"]) == ("base", ["2"])
        found = {each["name"]: each["datatype"] for each in metadata["inputs"]}
        assert found == jobs.INPUTS
        found = {each["name"]: each["datatype"] for each in metadata["outputs"]}
        assert found == transcripts.OUTPUTS


async def test_outputs_are_json_unless_bytes_are_wanted() -> None:
    reply = await Models().infer(Job(tone(0.5)), id="17")
    assert reply.status == 200
    assert HEAD_LENGTH not in reply.headers
    answered = json.loads(reply.body)
    assert (answered["id"], answered["model_version"]) == ("17", "2")
    assert answered["outputs"][0]["data"] == ["0.5 seconds"]
    assert transcripts.transcript(read("outputs", reply.body, None).tensors).language == "en"


async def test_a_request_in_json_needs_only_the_audio() -> None:
    models = Models()
    audio = {"name": "AUDIO", "datatype": "FP32", "shape": [1, 1600], "data": [0.25] * 1600}
    wanted = [{"name": "TEXT"}]
    body = json.dumps({"inputs": [audio], "outputs": wanted}).encode()
    reply = await answer(models, "POST", "/v2/models/base/infer", {}, body)
    [text] = json.loads(reply.body)["outputs"]
    assert (text["name"], text["data"]) == ("TEXT", ["0.1 seconds"])


async def test_some_outputs_as_bytes() -> None:
    wanted = [{"name": "TEXT", "parameters": {"binary_data": True}}, {"name": "LANGUAGE"}]
    reply = await Models().infer(Job(tone(0.5)), outputs=wanted)
    tensors = read("outputs", reply.body, int(reply.headers[HEAD_LENGTH])).tensors
    assert list(tensors) == ["TEXT", "LANGUAGE"]


async def test_a_model_describes_itself_without_decoding() -> None:
    models = Models()
    body, length = write("inputs", jobs.describe_inputs())
    headers = {HEAD_LENGTH: str(length)}
    reply = await answer(models, "POST", "/v2/models/base/infer", headers, body)
    assert transcripts.description(read("outputs", reply.body, None).tensors) == ServedModel(
        "tiny.en", ("en", "de"), capabilities=EVERYTHING
    )
    assert models.model.decoded == []


@pytest.mark.parametrize(
    ("error", "status", "said"),
    [
        (Busy("the queue is full"), 503, "the queue is full"),
        (ModelError("the model is loading"), 503, "the model is loading"),
        (EngineError("too cold"), 500, "too cold"),
        (KeyError("secret"), 500, "the server failed: KeyError"),
    ],
)
async def test_errors_have_a_status_and_a_sentence(
    error: Exception, status: int, said: str
) -> None:
    models = Models()
    models.model.error = error
    reply = await models.infer(Job(tone(0.5)))
    assert (reply.status, error_of(reply)) == (status, said)
    assert ("retry-after" in reply.headers) == (status == 503)


async def test_a_malformed_request_is_one_sentence() -> None:
    async def error(body: bytes, **headers: str) -> str:
        reply = await answer(Models(), "POST", "/v2/models/base/infer", headers, body)
        assert reply.status == 400
        return error_of(reply)

    assert await error(b"") == "the message is not JSON"
    assert "the header" in await error(b"{}", **{HEAD_LENGTH: "-1"})
    assert "there is no input AUDIO" in await error(b'{"inputs": []}')
    other = {"name": "OTHER", "datatype": "FP32", "shape": [1], "data": [0]}
    audio = {"name": "AUDIO", "datatype": "FP32", "shape": [1, 1], "data": [0]}
    assert "no input 'OTHER'" in await error(json.dumps({"inputs": [audio, other]}).encode())
    body = json.dumps({"inputs": [audio], "outputs": [{"name": "WORDS"}]}).encode()
    assert "there is no output 'WORDS'" in await error(body)


@pytest.mark.parametrize(
    ("job", "unmet"),
    [
        (Job(tone(0.1), DecodeOptions(language="fr")), "language"),
        (Job(tone(0.1), DecodeOptions(candidate_languages=("fr", "en"))), "language"),
        (Job(tone(0.1)), "language"),  # it cannot detect it
        (Job(tone(0.1), DecodeOptions(language="en", task="translate")), "task"),
        (Job(tone(0.1), DecodeOptions(language="en"), prefix="turn"), "prefix"),
        (Job(tone(0.1), DecodeOptions(language="en"), score_end=True), "score_end"),
    ],
)
async def test_what_the_model_cannot_do_is_refused(job: Job, unmet: str) -> None:
    models = Models(Capabilities())
    reply = await models.infer(job)
    assert (reply.status, error_of(reply)) == (400, f"model tiny.en cannot do this: {unmet}")
    assert models.model.decoded == []


def test_the_longest_job_fits_into_a_body() -> None:
    names = tuple("天" * 100 for _ in range(1000))
    longest = Job(np.zeros(jobs.MOST_SAMPLES, np.float32), DecodeOptions(hotwords=names))
    body, _ = write("inputs", jobs.inputs(longest))
    assert len(body) < LARGEST_BODY


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_a_damaged_request_is_never_a_failure_of_the_server(data: st.DataObject) -> None:
    options = DecodeOptions(language="en", hotwords=("Nanit",))
    body, length = write("inputs", jobs.inputs(Job(tone(0.01), options, speech=((0, 5),))))
    damaged = bytearray(body)
    for _ in range(data.draw(st.integers(1, 3))):
        # Most of them in the JSON, and in that of the options, which comes last.
        at = data.draw(st.integers(0, length - 1) | st.integers(len(body) - 60, len(body) - 1))
        damaged[at] = data.draw(st.sampled_from(b'0199-.eE[]{}",:\x00\xffn'))
    headers = {HEAD_LENGTH: str(data.draw(st.just(length) | st.integers(-1, 2 * len(body))))}
    path = "/v2/models/base/infer"
    reply = asyncio.run(answer(Models(), "POST", path, headers, bytes(damaged)))
    assert reply.status in (200, 400), reply.body
