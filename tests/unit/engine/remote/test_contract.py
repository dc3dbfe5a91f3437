"""Jobs and transcripts as tensors, and the messages that carry them."""

from __future__ import annotations

import contextlib
import dataclasses
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wyoming_faster_whisper.engine.protocol import (
    DecodeKind,
    DecodeOptions,
    Job,
    TokenLogprob,
    Transcript,
    Word,
)
from wyoming_faster_whisper.engine.recognizer import EVERYTHING, ServedModel
from wyoming_faster_whisper.engine.remote.contract import jobs, transcripts
from wyoming_faster_whisper.engine.remote.contract.message import read, wanted_as_bytes, write
from wyoming_faster_whisper.engine.remote.contract.tensors import (
    Floats,
    MessageError,
    Strings,
    Tensor,
)
from wyoming_faster_whisper.speech.turn_classifier import (
    FEATURES,
    EndOfTextScores,
    LogisticRegression,
    TurnClassifier,
)
from wyoming_faster_whisper.testing import tone

JOB = Job(
    tone(0.5),
    DecodeOptions(
        language="de",
        candidate_languages=("de", "en"),
        expected_language="de",
        task="translate",
        beam_size=3,
        prompt="Küche",
        hotwords=("Nanit", "Licht 天"),
        word_times=True,
        token_logprobs=True,
        temperature=0.5,
        max_prompt_tokens=100,
        grammar=True,
    ),
    certain_speech=False,
    speech_peak=0.75,
    speech=((0, 100), (200, 8000)),
    kind=DecodeKind.FILE,
    quick=True,
    answer_within=0.5,
    owner="kitchen",
    earlier_seconds=12.5,
    prefix="turn on",
    score_end=True,
    leading_silence=1600,
)
TRANSCRIPT = Transcript(
    "Turn on the light.",
    "en",
    -0.25,
    passes=2,
    verdict="accepted",
    end_scores=EndOfTextScores(-0.1, -5.0, -6.0, -0.01, 0.4),
    turn_classifier=TurnClassifier(
        LogisticRegression(0.5, dict.fromkeys(FEATURES, 0.25)),
        LogisticRegression(-0.5, dict.fromkeys(FEATURES, 0.75)),
        complete=2.0,
        likely=1.0,
        unsure=0.0,
    ),
    language_probability=0.75,
    provisional=True,
    unusable=True,
    tokens=(1, 50_000),
    no_speech_prob=0.125,
    words=(Word("Turn", 0.0, 0.25, 0.5, (1,)), Word("on", 0.25, 0.5, 1.0)),
    token_logprobs=(TokenLogprob("�", b"\xe2\x82", -1.5),),
    temperature=0.5,
)


def over_the_wire(section: str, tensors: list[Tensor], **how: Any) -> dict[str, Tensor]:
    body, length = write(section, tensors, **how)
    return dict(read(section, body, length).tensors)


def read_options(**members: Any) -> Job | None:
    return jobs.job(np.zeros((1, 16_000), np.float32), json.dumps(members).encode())


def test_a_job_arrives_as_it_was_sent() -> None:
    for how in ({}, {"binary": ()}):  # as bytes, and as JSON
        arrived = jobs.job_of_tensors(over_the_wire("inputs", jobs.inputs(JOB), **how))
        assert arrived is not None
        assert np.array_equal(arrived.samples, JOB.samples)
        for field in dataclasses.fields(Job):
            if field.name not in ("samples", "owner"):
                assert getattr(arrived, field.name) == getattr(JOB, field.name), field.name


def test_every_field_of_a_job_is_sent_or_left_out_on_purpose() -> None:
    """A new field fails here until the contract says what becomes of it."""
    sent = json.loads(jobs.inputs(JOB)[1].values[0])
    # The queue of the server that sends the job has shared the model among the tenants.
    left_out = {"samples", "options", "certain_speech", "model", "tenant", "utterance_began"}
    fields = {field.name for kind in (Job, DecodeOptions) for field in dataclasses.fields(kind)}
    assert sent.keys() == (fields - left_out) | {"uncertain_speech"}


def test_the_owner_is_sent_as_a_digest() -> None:
    sent = json.loads(jobs.inputs(Job(tone(0.1), owner="192.168.0.7"))[1].values[0])
    again = json.loads(jobs.inputs(Job(tone(0.2), owner="192.168.0.7"))[1].values[0])
    other = json.loads(jobs.inputs(Job(tone(0.1), owner="192.168.0.8"))[1].values[0])
    assert sent == again != other
    assert "192" not in sent["owner"]


def test_a_plain_job_has_no_options() -> None:
    assert jobs.inputs(Job(tone(0.1), DecodeOptions(model="base")))[1].values == (b"{}",)


def test_options_may_be_missing() -> None:
    arrived = jobs.job_of_tensors({"AUDIO": Floats("AUDIO", np.zeros((1, 5), np.float32))})
    assert arrived is not None
    assert arrived.options == DecodeOptions()


def test_a_transcript_arrives_as_it_was_sent() -> None:
    for sent in (TRANSCRIPT, Transcript("")):
        for how in ({}, {"binary": ("TEXT",)}):
            arrived = over_the_wire("outputs", transcripts.outputs(sent), **how)
            assert transcripts.transcript(arrived) == sent


def test_every_field_of_a_transcript_is_sent_or_left_out_on_purpose() -> None:
    sent = json.loads(transcripts.outputs(TRANSCRIPT)[3].values[0])
    elsewhere = {"text", "language", "avg_logprob", "queued"}
    fields = {field.name for field in dataclasses.fields(Transcript)}
    assert sent.keys() == fields - elsewhere


def test_scores_that_json_does_not_have_become_the_nearest_number() -> None:
    scores = EndOfTextScores(float("-inf"), float("nan"), 0.0, 0.0, 0.0)
    sent = over_the_wire("outputs", transcripts.outputs(Transcript("Hi.", end_scores=scores)))
    arrived = transcripts.transcript(sent).end_scores
    assert arrived == EndOfTextScores(-1e9, 0.0, 0.0, 0.0, 0.0)


def test_a_model_describes_itself() -> None:
    assert jobs.job_of_tensors(over_the_wire("inputs", jobs.describe_inputs())) is None
    about = ServedModel("base", ("en", "de"), capabilities=EVERYTHING)
    sent = over_the_wire("outputs", transcripts.description_outputs(about))
    assert transcripts.description(sent) == about


def test_another_version_of_the_contract_is_rejected() -> None:
    def description(**members: Any) -> None:
        details = Strings("DETAILS", (json.dumps(members).encode(),))
        transcripts.description({"DETAILS": details})

    with pytest.raises(MessageError, match="version 2 of the contract, and this server 1"):
        description(contract=2)
    with pytest.raises(MessageError, match="does not describe itself"):
        description()


@pytest.mark.parametrize(
    ("audio", "error"),
    [
        (np.zeros((1, 0), np.float32), "0 samples; it must have 1 to 480000"),
        (np.zeros((1, 480_001), np.float32), "480001 samples"),
        (np.zeros((2, 5), np.float32), r"shape \[2, 5\]"),
        (np.zeros((1, 5), np.float64), "float64"),
        (np.full((1, 5), np.nan, np.float32), "out of range"),
        (np.full((1, 5), 1e30, np.float32), "out of range"),
    ],
)
def test_malformed_audio_is_rejected(audio: Any, error: str) -> None:
    with pytest.raises(MessageError, match=error):
        jobs.job(audio, b"{}")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"beam": 5}, "OPTIONS has 'beam', which is not known here"),
        ({"beam_size": 1000}, "'1000' for 'beam_size'; it must be a whole number from 0 to 100"),
        ({"beam_size": True}, "'True' for 'beam_size'"),
        ({"temperature": 2}, "a number from 0 to 1"),
        ({"language": 5}, "a text of at most 20 characters"),
        ({"prompt": "\ud800"}, "a text of at most 10000 characters"),
        ({"kind": "urgent"}, "one of final, guess, partial, file"),
        ({"task": ["translate"]}, "one of transcribe, translate"),
        ({"quick": 1}, "true or false"),
        ({"hotwords": "Nanit"}, "a list of at most 2000 items"),
        ({"hotwords": ["Nanit"] * 2001}, "a list of at most 2000 items"),
        ({"hotwords": [["Nanit"]]}, "a malformed item in 'hotwords'"),
        ({"hotwords": ["x" * 201]}, "a malformed item in 'hotwords'"),
        ({"speech": [[0, 16_001]]}, "a malformed item in 'speech'"),
        ({"speech": [[5, 4]]}, "a malformed item in 'speech'"),
        ({"speech": [5]}, "a malformed item in 'speech'"),
        ({"leading_silence": 10**400}, "a whole number"),
    ],
)
def test_a_malformed_option_is_one_sentence(options: dict[str, Any], error: str) -> None:
    with pytest.raises(MessageError, match=error) as raised:
        read_options(**options)
    assert len(str(raised.value)) < 200


@pytest.mark.parametrize(
    "options", [b"[]", b"{", b"\xff", b'{"temperature": NaN}', b"[" * 10_000]
)
def test_options_that_are_not_a_json_object_are_rejected(options: bytes) -> None:
    with pytest.raises(MessageError, match="OPTIONS is not"):
        jobs.job(np.zeros((1, 5), np.float32), options)


def test_options_without_end_are_rejected() -> None:
    with pytest.raises(MessageError, match="more than 524288"):
        jobs.job(np.zeros((1, 5), np.float32), b" " * 600_000)


def changed(**tensors: Tensor | None) -> dict[str, Tensor]:
    """Return the tensors of a transcript, some replaced or missing."""
    usual = {tensor.name: tensor for tensor in transcripts.outputs(TRANSCRIPT)}
    return {name: each for name, each in (usual | tensors).items() if each is not None}


def detail(**members: Any) -> Strings:
    return Strings("DETAILS", (json.dumps(members).encode(),))


@pytest.mark.parametrize(
    ("tensors", "error"),
    [
        ({"TEXT": None}, "no output TEXT"),
        ({"TEXT": Strings("TEXT", (b"a", b"b"))}, "no output TEXT with one element"),
        ({"TEXT": Floats("TEXT", np.zeros((1, 1), np.float32))}, "no output TEXT"),
        ({"TEXT": Strings("TEXT", (b"\xff",))}, "TEXT is not UTF-8"),
        ({"TEXT": Strings("TEXT", (b"\x1b[2Jhi",))}, r"TEXT has the control character U\+001B"),
        ({"TEXT": Strings("TEXT", (b"x" * 10_000_000,))}, "TEXT has 10000000 characters"),
        ({"LANGUAGE": Strings("LANGUAGE", (b"x" * 100,))}, "LANGUAGE is"),
        ({"AVG_LOGPROB": Strings("AVG_LOGPROB", (b"-1",))}, "no output AVG_LOGPROB"),
        (
            {"AVG_LOGPROB": Floats("AVG_LOGPROB", np.full((1, 1), np.inf, np.float32))},
            "AVG_LOGPROB is not finite",
        ),
        ({"DETAILS": None}, "no output DETAILS"),
        ({"DETAILS": Strings("DETAILS", (b"{",))}, "DETAILS is not JSON"),
        ({"DETAILS": detail(tokens=[-1])}, "a malformed item in 'tokens'"),
        ({"DETAILS": detail(words=[["Turn", 0, 1]])}, "a malformed item in 'words'"),
        ({"DETAILS": detail(words=[["Turn", -1, 1, 1]])}, "a malformed item in 'words'"),
        ({"DETAILS": detail(words=[["Turn", 2, 1, 1]])}, "a malformed item in 'words'"),
        ({"DETAILS": detail(words=[["Turn", 0, 9999, 1]])}, "a malformed item in 'words'"),
        ({"DETAILS": detail(words=[["\x00", 0, 1, 1]])}, "a malformed item in 'words'"),
        ({"DETAILS": detail(words=[["\ud800", 0, 1, 1]])}, "a malformed item in 'words'"),
        ({"DETAILS": detail(words=[["Turn", 0, 10**400, 1]])}, "a malformed item in 'words'"),
        ({"DETAILS": detail(token_logprobs=[["a", "!", 0]])}, "item in 'token_logprobs'"),
        ({"DETAILS": detail(end_scores={"dash": 0})}, "a malformed 'end_scores'"),
        ({"DETAILS": detail(end_scores=[1])}, "it must be an object"),
        ({"DETAILS": detail(turn_classifier={"quiet": 5})}, "a malformed 'turn_classifier'"),
    ],
)
def test_a_malformed_transcript_is_one_sentence(
    tensors: dict[str, Tensor | None], error: str
) -> None:
    with pytest.raises(MessageError, match=error) as raised:
        transcripts.transcript(changed(**tensors))
    assert len(str(raised.value)) < 200
    assert str(raised.value).isprintable()


def test_details_of_a_newer_server_are_ignored() -> None:
    arrived = transcripts.transcript(changed(DETAILS=detail(mood="good", passes=1)))
    assert arrived.passes == 1


BODY, HEAD = write("inputs", jobs.inputs(JOB))


def with_head(**members: Any) -> tuple[bytes, int]:
    """Return the body with members of AUDIO's description replaced."""
    head = json.loads(BODY[:HEAD])
    head["inputs"][0] |= members
    text = json.dumps(head).encode()
    return text + BODY[HEAD:], len(text)


@pytest.mark.parametrize(
    ("body", "head", "error"),
    [
        (b"", None, "the message is not JSON"),
        (b"<html>", None, "the message is not JSON"),
        (b"[]", None, "the message is not a JSON object"),
        (b"{}", None, "no list 'inputs'"),
        (BODY, len(BODY) + 1, "the body has"),
        (BODY, -1, "the JSON has -1 bytes"),
        (BODY[:-1], HEAD, "bytes are left"),
        (BODY[: HEAD + 100], HEAD, "bytes are left"),
        (BODY + b"x", HEAD, "1 bytes follow the last tensor"),
        (b'{"inputs": [5]}', None, "a tensor has no name"),
        (json.dumps({"inputs": [{"name": "A"}] * 17}).encode(), None, "17 tensors"),
        (b'{"inputs": [{"name": "A", "datatype": "FP32", "shape": [1]}]}', None, "no data"),
        (*with_head(shape=[1, 5]), "its shape"),
        (*with_head(shape=[1, -8000]), "has the shape"),
        (*with_head(shape=[2**31, 2**31]), "has the shape"),
        (*with_head(shape="big"), "has the shape 'big'"),
        (*with_head(datatype="FP64"), "of type 'FP64', not FP32 or BYTES"),
        (*with_head(datatype="BYTES", shape=[1, 8000]), "AUDIO"),
        (*with_head(parameters={"binary_data_size": 2.5}), "'2.5' bytes"),
        (*with_head(name="OPTIONS"), "duplicate tensor 'OPTIONS'"),
    ],
)
def test_a_malformed_message_is_one_sentence(body: bytes, head: int | None, error: str) -> None:
    with pytest.raises(MessageError, match=error) as raised:
        read("inputs", body, head)
    assert len(str(raised.value)) < 200


@pytest.mark.parametrize(
    ("tensor", "error"),
    [
        ({"datatype": "FP32", "shape": [1, 2], "data": [1.0]}, "no data of the shape"),
        ({"datatype": "FP32", "shape": [1], "data": ["x"]}, "not of the type"),
        ({"datatype": "FP32", "shape": [1], "data": [10**400]}, "out of range"),
        ({"datatype": "BYTES", "shape": [1], "data": [1]}, "not of the type"),
        ({"datatype": "INT8", "shape": [1], "data": [1]}, "not of the type 'INT8'"),
        ({"datatype": "FP32", "shape": [0], "data": [[[[[[[[[[]]]]]]]]]]}, "no data"),
    ],
)
def test_malformed_data_in_json_is_one_sentence(tensor: dict[str, Any], error: str) -> None:
    body = json.dumps({"inputs": [{"name": "A", **tensor}]}).encode()
    with pytest.raises(MessageError, match=error):
        read("inputs", body, None)


def test_data_in_json_may_be_nested() -> None:
    tensor = {"name": "A", "datatype": "FP32", "shape": [1, 2], "data": [[1, 2.5]]}
    found = read("inputs", json.dumps({"inputs": [tensor]}).encode(), None).tensors["A"]
    assert isinstance(found, Floats)
    assert found.values.tolist() == [[1.0, 2.5]]


def test_a_request_chooses_its_outputs() -> None:
    names = ("TEXT", "DETAILS")
    assert wanted_as_bytes({}, names) == {"TEXT": False, "DETAILS": False}
    every = {"parameters": {"binary_data_output": True}}
    assert wanted_as_bytes(every, names) == {"TEXT": True, "DETAILS": True}
    one = {"outputs": [{"name": "TEXT", "parameters": {"binary_data": True}}]}
    assert wanted_as_bytes(one, names) == {"TEXT": True}
    malformed: list[dict[str, Any]]
    malformed = [{"outputs": 5}, {"outputs": [{"name": "WORDS"}]}, {"parameters": []}]
    for wrong in malformed:
        with pytest.raises(MessageError):
            wanted_as_bytes(wrong, names)


@given(st.data())
@settings(max_examples=100, deadline=None)
def test_a_damaged_message_raises_only_message_errors(data: st.DataObject) -> None:
    body, head = write("outputs", transcripts.outputs(TRANSCRIPT))
    damaged = bytearray(body)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(damaged) - 1))
        damaged[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(damaged)))
    for received, length in ((damaged, head), (damaged[:cut], min(head, cut))):
        with contextlib.suppress(MessageError):
            transcripts.transcript(read("outputs", bytes(received), length).tensors)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    ),
    st.sampled_from(sorted(json.loads(jobs.inputs(JOB)[1].values[0]))),
)
@settings(max_examples=100, deadline=None)
def test_any_value_of_an_option_is_taken_or_a_message_error(value: Any, name: str) -> None:
    with contextlib.suppress(MessageError):
        read_options(**{name: value})
