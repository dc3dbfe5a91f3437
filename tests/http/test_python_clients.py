"""Other Python clients, each in an environment of its own."""

from __future__ import annotations

import pytest

from tests.support.clips import CLIPS

from .conftest import TIMER, Api

pytestmark = [
    pytest.mark.model,
    pytest.mark.clients,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),
]

SAID = CLIPS["timer"]


async def test_groq_appends_its_prefix(api: Api) -> None:
    answer = await api.answer("groq", "groq_client.py", TIMER)
    assert SAID.heard_in(answer["text"])
    assert answer["words"][0]["word"] == "Set"
    assert "fetches no URL" in answer["refused"]


async def test_litellm_asks_for_verbose_json(api: Api) -> None:
    offline = {"LITELLM_LOCAL_MODEL_COST_MAP": "True"}
    answer = await api.answer("litellm", "litellm_client.py", TIMER, **offline)
    assert SAID.heard_in(answer["answer"]["text"])
    assert answer["answer"]["duration"] == pytest.approx(2.0, abs=0.1)
    assert all(SAID.heard_in(text) for text in answer["formats"].values())
    assert SAID.heard_in(answer["routed"])


async def test_speech_recognition_recognizes(api: Api) -> None:
    answer = await api.answer("speech-recognition", "speech_recognition_client.py", TIMER)
    assert SAID.heard_in(answer["text"])


async def test_langchain_parses_audio(api: Api) -> None:
    answer = await api.answer("langchain", "langchain_client.py", TIMER)
    assert SAID.heard_in("".join(answer["texts"]))


async def test_the_agents_sdk_transcribes_a_file(api: Api) -> None:
    assert SAID.heard_in(await api.answer("agents", "agents_client.py", TIMER, "-"))


async def test_livekit_reads_the_language(api: Api) -> None:
    answer = await api.answer("livekit", "livekit_client.py", TIMER, "-")
    assert set(answer) == {"whisper-1", "gpt-4o-mini-transcribe"}
    assert all(SAID.heard_in(speech["text"]) for speech in answer.values())
    assert {speech["language"] for speech in answer.values()} == {"en"}


async def test_pipecat_gets_the_text_of_a_file(api: Api) -> None:
    assert SAID.heard_in(" ".join(await api.answer("pipecat", "pipecat_client.py", TIMER, "-")))
