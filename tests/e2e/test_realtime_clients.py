"""OpenAI's own client against the realtime API, in the GA form and in that of the beta."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
import pytest
from openai import AsyncOpenAI, AuthenticationError
from openai.types.realtime import (
    ConversationItemInputAudioTranscriptionCompletedEvent,
    RealtimeErrorEvent,
    RealtimeTranscriptionSessionCreateRequest,
    SessionUpdatedEvent,
)
from openai.types.realtime.conversation_item_input_audio_transcription_completed_event import (
    UsageTranscriptTextUsageDuration,
)

from tests.support.realtime import KEY, RealtimeServer, realtime_server, with_key
from tests.support.serving import Server
from wyoming_faster_whisper.audio.pcm import Samples
from wyoming_faster_whisper.testing import pcm16, silence, tone

RATE = 24_000
SAID = np.concatenate([tone(1.0, rate=RATE), silence(1.0, rate=RATE)])


@pytest.fixture
async def api(server: Server) -> AsyncIterator[RealtimeServer]:
    async with realtime_server(server, authenticate=with_key) as started:
        yield started


@asynccontextmanager
async def client_of(api: RealtimeServer, key: str = KEY) -> AsyncIterator[AsyncOpenAI]:
    sockets = api.url.replace("http", "ws", 1)
    async with AsyncOpenAI(
        base_url=api.url, websocket_base_url=sockets, api_key=key, max_retries=0
    ) as client:
        yield client


def encoded(samples: Samples) -> str:
    return base64.b64encode(pcm16(samples)).decode()


async def test_the_client_transcribes_two_turns(api: RealtimeServer) -> None:
    async with (
        client_of(api) as client,
        client.realtime.connect(extra_query={"intent": "transcription"}) as connection,
    ):
        await connection.session.update(
            session={
                "type": "transcription",
                "audio": {
                    "input": {
                        "transcription": {"model": "gpt-4o-transcribe", "language": "en"},
                        "turn_detection": {"type": "server_vad", "silence_duration_ms": 400},
                    }
                },
            }
        )
        for _ in range(2):
            await connection.input_audio_buffer.append(audio=encoded(SAID))
        updated, completed = None, []
        async for event in connection:
            if isinstance(event, SessionUpdatedEvent):
                updated = event.session
            if isinstance(event, ConversationItemInputAudioTranscriptionCompletedEvent):
                completed.append(event)
                if len(completed) == 2:
                    break
    assert isinstance(updated, RealtimeTranscriptionSessionCreateRequest)
    assert updated.audio is not None
    assert updated.audio.input is not None
    assert updated.audio.input.transcription is not None
    assert updated.audio.input.transcription.model == "gpt-4o-transcribe"
    for event in completed:
        assert event.transcript.endswith("seconds")
        assert isinstance(event.usage, UsageTranscriptTextUsageDuration)
        assert event.languages is not None
        assert [language.code for language in event.languages] == ["en"]
    assert completed[0].item_id != completed[1].item_id


async def test_the_client_gets_an_error_with_its_own_event_id(api: RealtimeServer) -> None:
    async with (
        client_of(api) as client,
        client.realtime.connect(model="whisper-1") as connection,
    ):
        await connection.input_audio_buffer.commit(event_id="mine")
        await connection.recv()
        error = await connection.recv()
    assert isinstance(error, RealtimeErrorEvent)
    assert (error.error.code, error.error.event_id) == ("input_audio_buffer_commit_empty", "mine")


async def test_the_client_of_the_beta_transcribes(api: RealtimeServer) -> None:
    async with (
        client_of(api) as client,
        client.beta.realtime.connect(model="gpt-4o-transcribe") as connection,
    ):
        await connection.transcription_session.update(
            session={
                "input_audio_format": "pcm16",
                "input_audio_transcription": {"model": "gpt-4o-transcribe"},
                "turn_detection": {"type": "server_vad"},
            }
        )
        await connection.input_audio_buffer.append(audio=encoded(SAID))
        kinds = []
        async for event in connection:
            kinds.append(event.type)
            if event.type == "conversation.item.input_audio_transcription.completed":
                assert event.transcript.endswith("seconds")
                break
    assert "transcription_session.updated" in kinds
    assert "conversation.item.created" in kinds


async def test_a_client_secret_is_made_and_used_as_a_key(api: RealtimeServer) -> None:
    async with client_of(api) as client:
        made = await client.realtime.client_secrets.create(
            expires_after={"anchor": "created_at", "seconds": 60},
            session={
                "type": "transcription",
                "audio": {"input": {"turn_detection": None}},
            },
        )
    assert made.session.type == "transcription"
    async with (
        client_of(api, made.value) as browser,
        browser.realtime.connect(extra_query={"intent": "transcription"}) as connection,
    ):
        await connection.input_audio_buffer.append(audio=encoded(tone(1.0, rate=RATE)))
        await connection.input_audio_buffer.commit()
        async for event in connection:
            if isinstance(event, ConversationItemInputAudioTranscriptionCompletedEvent):
                assert event.transcript == "1.0 seconds"
                break


async def test_the_beta_makes_a_client_secret_too(api: RealtimeServer) -> None:
    async with client_of(api) as client:
        made = await client.beta.realtime.transcription_sessions.create(
            input_audio_format="g711_ulaw",
            input_audio_transcription={"model": "whisper-1"},
        )
    assert made.input_audio_format == "g711_ulaw"
    async with (
        client_of(api, made.client_secret.value) as browser,
        browser.realtime.connect(extra_query={"intent": "transcription"}) as connection,
    ):
        created = await connection.recv()
        assert created.type == "session.created"


async def test_without_a_key_no_client_secret_is_made(api: RealtimeServer) -> None:
    async with client_of(api, "wrong") as client:
        with pytest.raises(AuthenticationError):
            await client.realtime.client_secrets.create()
