"""rhasspy-hermes, the reference of the messages, understands this server, and vice versa."""

from __future__ import annotations

import asyncio
import json
from asyncio.subprocess import PIPE
from pathlib import Path
from typing import Any

import pytest

from tests.support.broker import in_thread, plain_broker
from tests.support.satellite import satellite
from tests.support.serving import until
from wyoming_faster_whisper.audio.pcm import read_wav
from wyoming_faster_whisper.engine.protocol import Job
from wyoming_faster_whisper.errors import EngineError
from wyoming_faster_whisper.testing import FakeEngine, tone

from .conftest import Serve

ROOT = Path(__file__).parent.parent.parent
PYTHON = ROOT / ".venv-hermes" / "bin" / "python"
PEER = ROOT / "tests" / "support" / "hermes_peer.py"

pytestmark = pytest.mark.skipif(
    not PYTHON.exists(), reason="rhasspy-hermes is not installed; script/hermes installs it"
)


async def peer(*arguments: str, given: str = "") -> list[str]:
    """Run the peer; return the lines that it prints."""
    process = await asyncio.create_subprocess_exec(
        PYTHON, PEER, *arguments, stdin=PIPE, stdout=PIPE
    )
    printed, _ = await process.communicate(given.encode())
    assert process.returncode == 0
    return printed.decode().splitlines()


async def test_messages_of_rhasspy_hermes_are_understood_and_it_understands_ours(
    serve: Serve, tmp_path: Path
) -> None:
    def say(job: Job) -> str:
        if job.seconds > 1.5:
            raise EngineError("the model failed on this audio")
        return "turn on the light"

    engine = FakeEngine(say)
    async with in_thread(plain_broker(tmp_path)) as broker:
        server = await serve(engine, mqtt_url=broker.url())
        await until(lambda: server.mqtt.connection.connected)
        off, on, start, stop = [line.partition(" ")[::2] for line in await peer()]
        answers: list[tuple[str, Any]] = []
        async with satellite(broker.url(), "hall") as hall:
            for seconds in (1.0, 2.0):
                await hall.client.publish(*start, qos=1)
                await hall.receive("recordingStarted")
                await hall.client.publish(*off, qos=1)
                await hall.hear(tone(0.5))  # not heard
                await hall.client.publish(*on, qos=1)
                await hall.hear(tone(seconds), "7")
                await hall.client.publish(*stop, qos=1)
                names = ["rhasspy/asr/recordingFinished", "hermes/asr/textCaptured"]
                if seconds > 1.5:
                    names.append("hermes/error/asr")
                answers += [await hall.next(name) for name in names]
            _, audio = read_wav(await hall.receive("audioCaptured"))
        assert len(audio) == 32_000
        assert engine.decoded[0].options.language == "en"
        assert engine.decoded[0].options.hotwords == ("turn on",)

    lines = "".join(f"{topic} {json.dumps(fields)}\n" for topic, fields in answers)
    finished, text, _, empty, error = map(json.loads, await peer("read", given=lines))
    assert finished == {"site_id": "hall", "session_id": "7"}
    assert text == {
        "text": "turn on the light",
        "likelihood": 1.0,
        "seconds": text["seconds"],
        "site_id": "hall",
        "session_id": "7",
        "wakeword_id": "porcupine",
        "asr_tokens": None,
        "lang": "en",
    }
    assert 0 <= text["seconds"] < 5
    assert (empty["text"], empty["likelihood"], empty["session_id"]) == ("", 0, "7")
    assert error == {
        "error": "the model failed on this audio",
        "site_id": "hall",
        "context": "engine",
        "session_id": "7",
    }
