"""OpenAI's clients try again when the server tells them to, and only then."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import openai
import pytest

from tests.http.programs import prepare, run_client
from tests.support.api import form, post, wav
from tests.support.serving import Server, until, warnings
from wyoming_faster_whisper.testing import FakeEngine, tone

from .conftest import Serve

PATH = "/v1/audio/transcriptions"
SPEECH = wav(tone(1.0))
TIMER = Path(__file__).resolve().parents[1] / "data" / "timer.wav"


async def refused_once(
    serve: Serve, transcribe: Callable[[Server], Awaitable[str]], log: pytest.LogCaptureFixture
) -> str:
    """Transcribe with a client that the server first refuses as busy; return the text."""
    engine = FakeEngine(lambda _: "heard", held=True)
    server = await serve(engine, http_port=0, max_files=1)
    first = asyncio.create_task(post(server, PATH, form([("model", "whisper-1")], SPEECH)))
    await asyncio.to_thread(engine.decoding.wait)
    waiting = asyncio.ensure_future(transcribe(server))
    await until(lambda: waiting.done() or any("--max-files" in one for one in warnings(log)))
    engine.release()
    assert (await first).status == 200
    return await waiting


async def test_the_python_client_waits_and_tries_again(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    async def transcribe(server: Server) -> str:
        base = f"{server.service.http_url}/v1"
        async with openai.AsyncOpenAI(base_url=base, api_key="none") as client:
            answer = await client.audio.transcriptions.create(model="whisper-1", file=SPEECH)
            return answer.text

    assert await refused_once(serve, transcribe, caplog) == "heard"


@pytest.mark.timeout(300)  # npm installs the client once
async def test_the_node_client_waits_and_tries_again(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async def transcribe(server: Server) -> str:
        url = str(server.service.http_url)
        return await run_client("node", "retries.cjs", url, TIMER, folder=tmp_path)

    await prepare("node")
    assert "heard" in await refused_once(serve, transcribe, caplog)


async def test_a_faulty_file_is_not_sent_again(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    server = await serve(http_port=0)
    base = f"{server.service.http_url}/v1"
    async with openai.AsyncOpenAI(base_url=base, api_key="none") as client:
        with pytest.raises(openai.BadRequestError):
            await client.audio.transcriptions.create(model="whisper-1", file=b"no audio")
    assert len(warnings(caplog)) == 1
