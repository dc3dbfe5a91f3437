"""wyoming-openai, a bridge from Wyoming to the API: texts are the same through it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from wyoming.asr import Transcript

from tests.support.clips import CLIPS
from tests.support.processes import Process
from tests.support.serving import peer, speaker

from .conftest import Api
from .environments import ENVIRONMENTS
from .programs import DEADLINE

pytestmark = [
    pytest.mark.model,
    pytest.mark.clients,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),
]


@pytest_asyncio.fixture(
    scope="module", loop_scope="session", params=["models", "streaming-models", "realtime-models"]
)
async def bridge(request: pytest.FixtureRequest, api: Api) -> AsyncIterator[str]:
    """Return the URI of a bridge that asks for files, for streams, or in real time."""
    environment = ENVIRONMENTS["wyoming-openai"]
    if not environment.installed:
        pytest.skip("wyoming-openai is not installed; script/test-http installs it")
    with socket.create_server(("127.0.0.1", 0)) as free:
        uri = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    python = str(environment.folder / "bin" / "python")
    options = ("--stt-openai-url", f"{api.url}/v1", "--stt-openai-key", "none")
    models = ("--stt-models", "whisper-1", f"--stt-{request.param}", "whisper-1")
    async with Process.started(
        *("--uri", uri, "--languages", "en", *options, *models),
        folder=api.folder,
        command=(python, "-m", "wyoming_openai"),
        PYTHONPATH="",
    ) as process:
        await process.logged("Starting server", DEADLINE)
        await listens(uri)
        yield uri


async def listens(uri: str) -> None:
    """Wait until a server that does not say when accepts connections."""
    async with asyncio.timeout(DEADLINE):
        while True:
            try:
                async with peer(uri):
                    return
            except ConnectionRefusedError:
                await asyncio.sleep(0.1)


@pytest.mark.parametrize("name", ["timer", "kitchen"])
async def test_a_command_is_the_same_through_the_bridge(api: Api, bridge: str, name: str) -> None:
    texts = []
    for uri in (bridge, api.wyoming):
        async with speaker(uri) as client:
            client.client.read_timeout = DEADLINE
            await client.say(CLIPS[name].samples, language="en")
            # The bridge sends transcript-start and transcript-chunk before the transcript.
            while not Transcript.is_type((event := await client.receive()).type):
                pass
            texts.append(Transcript.from_event(event).text)
    assert texts[0].strip() == texts[1]
