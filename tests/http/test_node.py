"""Clients for Node: OpenAI's, and Vercel's AI SDK. npm installs them once."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio

from tests.support.clips import CLIPS

from .conftest import TIMER, Api

pytestmark = [
    pytest.mark.model,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),  # the first test installs the clients
]

SAID = CLIPS["timer"]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def answers(api: Api) -> Any:
    """Return what OpenAI's client got."""
    return await api.answer("node", "openai_sdk.cjs", TIMER)


async def test_a_file_may_be_given_in_any_way(answers: Any) -> None:
    assert set(answers["files"]) == {"read stream", "buffer", "File with a type", "Blob"}
    assert all(SAID.heard_in(text) for text in answers["files"].values())


async def test_a_blob_without_a_name_is_a_file(answers: Any) -> None:
    assert SAID.heard_in(answers["blob"]["text"])


async def test_each_format_is_what_the_client_expects(answers: Any) -> None:
    formats = answers["formats"]
    assert SAID.heard_in(formats["json"]["text"])
    assert SAID.heard_in(formats["text"])
    assert formats["srt"].startswith("1\n00:00:0")
    assert formats["vtt"].startswith("WEBVTT\n\n")
    assert formats["verbose_json"]["language"] == "english"


async def test_words_have_their_times(answers: Any) -> None:
    assert answers["words"]["words"][0]["word"] == "Set"


async def test_a_stream_has_its_events(answers: Any) -> None:
    *deltas, done = answers["stream"]
    assert done["type"] == "transcript.text.done"
    assert done["text"] == "".join(event["delta"] for event in deltas)
    assert SAID.heard_in(done["text"])


@pytest.mark.parametrize(
    ("call", "kind", "status", "param"),
    [
        ("model", "NotFoundError", 404, "model"),
        ("text", "BadRequestError", 400, "file"),
        ("temperature", "BadRequestError", 400, "temperature"),
    ],
)
async def test_an_error_has_its_class(
    answers: Any, call: str, kind: str, status: int, param: str
) -> None:
    error = answers["errors"][call]
    assert (error["class"], error["status"], error["param"]) == (kind, status, param)
    assert error["requestID"].startswith("req_")


async def test_models_are_listed_and_retrieved(answers: Any) -> None:
    assert answers["models"]["list"] == ["base", "whisper-1"]
    assert answers["models"]["retrieved"] == "Systran/faster-whisper-base"


async def test_answers_have_the_id_of_their_request(answers: Any) -> None:
    assert answers["requestID"] == answers["header"]
    assert answers["requestID"].startswith("req_")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def transcripts(api: Api) -> Any:
    """Return what the AI SDK got."""
    return await api.answer("node", "ai_sdk.cjs", TIMER)


async def test_the_ai_sdk_accepts_a_bare_answer(transcripts: Any) -> None:
    assert SAID.heard_in(transcripts["bare"]["text"])


@pytest.mark.parametrize("call", ["timed", "gpt-4o-transcribe"])
async def test_the_ai_sdk_accepts_segments(transcripts: Any, call: str) -> None:
    answer = transcripts[call]
    assert SAID.heard_in(answer["text"])
    assert answer["segments"]
    assert answer["segments"][0]["endSecond"] <= 2.1


async def test_the_ai_sdk_knows_the_language_and_the_duration(transcripts: Any) -> None:
    assert transcripts["timed"]["language"] == "en"
    assert transcripts["timed"]["durationInSeconds"] == pytest.approx(2.0, abs=0.1)
