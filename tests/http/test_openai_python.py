"""OpenAI's Python client: the version of this project's environment, and older ones."""

from __future__ import annotations

from typing import Any

import pytest
import pytest_asyncio

from tests.support.clips import CLIPS

from .conftest import TIMER, Api

pytestmark = [
    pytest.mark.model,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),  # for a busy machine; usually a few seconds
]

SAID = CLIPS["timer"]
VERSIONS = [
    "ours",
    pytest.param("openai-2", marks=pytest.mark.clients),
    pytest.param("openai-1", marks=pytest.mark.clients),
]


@pytest_asyncio.fixture(scope="module", loop_scope="session", params=VERSIONS)
async def answers(request: pytest.FixtureRequest, api: Api) -> Any:
    return await api.answer(request.param, "openai_sdk.py", TIMER)


async def test_each_format_is_what_the_client_expects(answers: Any) -> None:
    formats = answers["formats"]
    assert SAID.heard_in(formats["json"]["text"])
    assert SAID.heard_in(formats["text"])
    assert formats["srt"].startswith("1\n00:00:0")
    assert formats["vtt"].startswith("WEBVTT\n\n")
    verbose = formats["verbose_json"]
    assert SAID.heard_in(verbose["text"])
    assert verbose["language"] == "english"
    assert verbose["segments"][0]["avg_logprob"] < 0
    assert verbose["usage"]["type"] == "duration"


async def test_words_have_their_times(answers: Any) -> None:
    words = answers["words"]["words"]
    assert [word["word"].strip(" .").lower() for word in words][-1] == "minutes"
    assert all(0 <= word["start"] <= word["end"] <= 2.1 for word in words)
    assert answers["words"]["segments"]


async def test_a_file_may_be_given_in_any_way(answers: Any) -> None:
    assert len(answers["files"]) == 5
    assert all(SAID.heard_in(text) for text in answers["files"].values())


async def test_log_probabilities_are_given_for_each_token(answers: Any) -> None:
    assert all(token["logprob"] <= 0 for token in answers["logprobs"])
    text = b"".join(bytes(map(int, token["bytes"])) for token in answers["logprobs"])
    assert SAID.heard_in(text.decode())


async def test_a_stream_has_its_events(answers: Any) -> None:
    *deltas, done = answers["stream"]
    assert {event["type"] for event in deltas} == {"transcript.text.delta"}
    assert done["type"] == "transcript.text.done"
    assert done["text"] == "".join(event["delta"] for event in deltas)
    assert SAID.heard_in(done["text"])


async def test_the_asynchronous_client_gets_the_same(answers: Any) -> None:
    assert answers["async"]["text"] == answers["formats"]["json"]["text"]
    assert answers["async"]["types"] == [event["type"] for event in answers["stream"]]


async def test_responses_have_an_id_and_a_processing_time(answers: Any) -> None:
    headers = answers["raw"]["headers"]
    assert headers["x-request-id"].startswith("req_")
    assert int(headers["openai-processing-ms"]) > 0
    assert answers["errors"]["model"]["request_id"].startswith("req_")


async def test_models_are_listed_and_retrieved(answers: Any) -> None:
    assert answers["models"]["list"] == ["base", "whisper-1"]
    assert answers["models"]["retrieved"] == [
        "base",
        "whisper-1",
        "Systran/faster-whisper-base",
    ]


@pytest.mark.parametrize(
    ("call", "kind", "param", "code"),
    [
        ("model", "NotFoundError", "model", "model_not_found"),
        ("temperature", "BadRequestError", "temperature", None),
        ("format", "BadRequestError", "response_format", None),
        ("text", "BadRequestError", "file", "unsupported_value"),
        ("empty", "BadRequestError", "file", "audio_too_short"),
    ],
)
async def test_an_error_has_its_class(
    answers: Any, call: str, kind: str, param: str, code: str | None
) -> None:
    error = answers["errors"][call]
    assert (error["class"], error["param"], error["code"]) == (kind, param, code)
    assert error["type"] == "invalid_request_error"


async def test_a_base_url_with_the_whole_path_is_explained(answers: Any) -> None:
    assert answers["doubled_path"]["class"] == "NotFoundError"
    assert "base URL" in answers["doubled_path"]["message"]


async def test_english_is_translated_to_english(answers: Any) -> None:
    assert SAID.heard_in(answers["translation"])
