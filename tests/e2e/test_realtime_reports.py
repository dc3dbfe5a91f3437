"""What users of other servers and clients reported about the realtime API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import pytest
from websockets.exceptions import InvalidStatus

from tests.support.realtime import KEY, RealtimeServer, realtime_server, talker, with_key
from tests.support.serving import until
from wyoming_faster_whisper.testing import tone

from .conftest import Serve
from .test_api_reports import reported

Open = Callable[..., Awaitable[RealtimeServer]]
SPEECH = tone(1.0, rate=24_000)


@pytest.fixture
async def realtime(serve: Serve) -> AsyncIterator[Open]:
    async with AsyncExitStack() as servers:

        async def start(**more: Any) -> RealtimeServer:
            return await servers.enter_async_context(realtime_server(await serve(), **more))

        yield start


@reported("speaches-ai/speaches#521 and #522")
async def test_a_websocket_needs_the_key_and_only_transcribes(
    realtime: Open, issues: str
) -> None:
    server = await realtime(authenticate=with_key)
    with pytest.raises(InvalidStatus) as refused:
        async with talker(server.url):
            pass
    assert refused.value.response.status_code == 401
    async with talker(server.url, authorization=f"Bearer {KEY}") as client:
        created = await client.receive("session.created")
        assert created["session"]["type"] == "transcription"


@reported("speaches-ai/speaches#559")
async def test_no_answer_is_spoken_and_a_client_that_leaves_harms_no_other(
    realtime: Open, issues: str
) -> None:
    server = await realtime()
    async with talker(server.url) as other, talker(server.url) as client:
        await other.receive("session.created")
        await client.receive("session.created")
        vad = {"type": "server_vad", "create_response": True, "interrupt_response": True}
        await client.configure(turn_detection=vad)
        await client.append(SPEECH)
        client.connection.transport.abort()
        await until(lambda: len(server.realtime.sockets.clients) == 1)
        await other.configure(turn_detection=vad)
        await other.append(SPEECH)
        await other.commit()
        seen = await other.until("conversation.item.input_audio_transcription.completed")
        assert not [one for one in seen if one["type"].startswith("response.")]


@reported("huggingface/speech-to-speech#413")
async def test_an_update_is_answered_with_the_whole_session(realtime: Open, issues: str) -> None:
    async with talker((await realtime()).url) as client:
        await client.receive("session.created")
        given = await client.configure(transcription={"language": "de"})
        assert given["transcription"]["language"] == "de"
        assert set(given) == {"format", "transcription", "noise_reduction", "turn_detection"}


@reported("Natively#175")
async def test_names_of_both_versions_work_in_one_session(realtime: Open, issues: str) -> None:
    async with talker((await realtime()).url) as client:
        await client.receive("session.created")
        await client.send("transcription_session.update", session={"turn_detection": None})
        await client.receive("transcription_session.updated")
        await client.update({"type": "transcription", "audio": {"input": {}}})
        await client.append(SPEECH)
        await client.commit()
        assert await client.transcript() == "1.0 seconds"


@reported("maximhq/bifrost#6095", "openai/openai-python#2253", "OpenWhispr/openwhispr#645")
@pytest.mark.parametrize(
    "query", ["", "?intent=transcription", "?model=gpt-4o-transcribe&intent=transcription"]
)
async def test_a_model_in_the_url_is_optional(realtime: Open, query: str, issues: str) -> None:
    async with talker((await realtime()).url, query) as client:
        await client.receive("session.created")
