"""A recognizer of an installed package, chosen by --stt-library, in real servers."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from wyoming.asr import Transcribe, Transcript
from wyoming.event import Event
from wyoming.info import Describe
from wyoming.vad import VoiceStarted, VoiceStopped

from tests.support import toy_recognizer
from tests.support.clips import CLIPS
from tests.support.plug_ins import install
from tests.support.serving import PCM, Server, recording, serving, until, warnings
from tests.support.web import address, browser, get
from wyoming_faster_whisper.config.load import read_settings
from wyoming_faster_whisper.errors import ModelError
from wyoming_faster_whisper.testing import pcm16, silence, tone

from .conftest import StartProcess

SHOUT, WHISPER = tone(1.0), tone(1.0) * 0.1


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A folder in which the toy is installed."""
    folder = install(tmp_path / "packages", toy="toy:recognizer")
    shutil.copy(toy_recognizer.__file__, folder / "toy.py")
    return folder


Serve = Callable[..., Any]


@pytest.fixture
def serve_toy(package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Serve:
    """Start a server with --stt-library toy; arguments are further flags."""
    monkeypatch.syspath_prepend(package)

    @asynccontextmanager
    async def start(*flags: str) -> AsyncIterator[Server]:
        line = ["--uri=tcp://127.0.0.1:0", "--stt-library=toy", *flags]
        # In a thread because it reads the metadata of packages, and a test may not block.
        given = await asyncio.to_thread(read_settings, line, {})
        assert given.warnings == ()
        async with serving(given.settings, tmp_path, real=True) as server:
            yield server

    return start


async def test_it_answers_wyoming_clients(serve_toy: Serve) -> None:
    async with serve_toy("--language=en") as server, server.client() as client:
        await client.say(SHOUT)
        assert (await client.answer()).text == "Loud."
        await client.say(WHISPER, language="de-AT")
        answer = await client.answer()
        assert (answer.text, answer.language) == ("Leise.", "de")


async def test_info_describes_what_serves(serve_toy: Serve) -> None:
    async with serve_toy("--language=en") as server, server.client() as client:
        [program] = (await client.describe()).asr
    # As in the reference server, the program has the same name with every library.
    assert (program.name, program.description) == ("faster-whisper", "A toy")
    assert not program.supports_transcript_streaming
    [model] = program.models
    assert (model.name, model.languages) == ("loudness", ["de", "en"])


async def test_clients_are_told_what_the_model_can_do(serve_toy: Serve) -> None:
    flags = ("--language=en", "--http-port=0")
    async with serve_toy(*flags) as server, server.client() as client:
        await client.send(Describe().event())
        [program] = (await client.receive()).data["asr"]
        assert [model["capabilities"] for model in program["models"]] == [[]]
        for path in ("/about", "/v1/models/loudness"):
            assert '"capabilities":[]' in (await get(address(server), path)).text


async def test_it_answers_the_page(serve_toy: Serve) -> None:
    async with serve_toy("--language=en", "--http-port=0") as server:
        about = (await get(address(server), "/about")).text
        assert (
            '"model":"loudness","languages":["en","de"],"capabilities":[],"streams":false'
            in about
        )
        async with browser(server) as page:
            await page.say(SHOUT)
            assert await page.final() == "Loud."


async def test_its_guess_in_a_pause_is_the_answer(serve_toy: Serve) -> None:
    async with serve_toy("--language=en", "--http-port=0") as server, browser(server) as page:
        await until(lambda: server.service.statistics().worker.ready)
        await page.start()
        await page.hear(np.concatenate([SHOUT, silence(0.5)]))
        await until(lambda: server.service.statistics().worker.decoded == 1)
        await page.stop()
        while (message := await page.receive())["type"] == "partial":
            pass
        assert (message["text"], message["guess"]) == ("Loud.", "used")
        assert server.service.statistics().worker.decoded == 1


async def test_a_setting_beyond_its_capabilities_is_one_warning_at_start(
    serve_toy: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    async with (
        serve_toy(
            *("--whisper-task=translate", "--initial-prompt=Hi.", "--hass-token=s3cret"),
            *("--beam-size=5", "--languages=en,de", "--partials=on", "--vad-endpointing=auto"),
            *("--compute-type=int8", "--audio-context=full"),
        ) as server,
        server.client() as client,
    ):
        await client.say(SHOUT)
        events = [await client.receive()]
        while not Transcript.is_type(events[-1].type):
            events.append(await client.receive())
    assert events[-1].data["text"] == "Loud."
    assert warnings(caplog) == [
        "--compute-type is ignored; only faster-whisper has it",
        "--audio-context is ignored; only faster-whisper has it",
        "--whisper-task is ignored; toy does not translate",
        "--initial-prompt is ignored; toy takes no prompt",
        "--hass-token is ignored; toy takes no names",
        "--beam-size is ignored; toy has no beam",
        "--languages is ignored; toy does not detect languages",
        "--vad-endpointing auto needs end-of-turn scores, which toy does not have; "
        "0.7 s of silence end a turn",
        "--partials on sends text after long pauses only; toy cannot continue a text",
        "model loudness does not detect languages; requests that name none are decoded as en, "
        "which --language changes",
    ]


async def test_silence_ends_the_turn_where_scores_were_to_end_it(serve_toy: Serve) -> None:
    flags = ("--language=en", "--vad-endpointing=auto")
    async with serve_toy(*flags) as server, server.client() as client:
        [program] = (await client.describe()).asr
        assert program.requires_external_vad is False
        audio = pcm16(np.concatenate([SHOUT, silence(1.0)]))
        await client.send(*recording(audio, PCM, chunk=320)[:-1])  # no audio-stop
        kinds = [(await client.receive()).type for _ in range(2)]
        assert kinds == [VoiceStarted().event().type, VoiceStopped().event().type]
        assert (await client.answer()).text == "Loud."


async def test_names_in_requests_are_one_warning_per_client(
    serve_toy: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    named = Event(Transcribe().event().type, {"transcript_names": ["Nanit"]})
    async with serve_toy("--language=en") as server:
        for told in (1, 2):
            async with server.client() as client:
                for _ in range(2):
                    await client.send(named, *recording(pcm16(SHOUT), PCM, chunk=3200))
                    assert (await client.answer()).text == "Loud."
            assert len(warnings(caplog)) == told
    assert all("takes no names or terms" in line for line in warnings(caplog))


async def test_a_model_that_it_does_not_have_ends_the_start(serve_toy: Serve) -> None:
    with pytest.raises(ModelError, match="toy has no model 'base', only loudness"):
        async with serve_toy("--model=base"):
            pass


async def test_a_process_serves_it_without_loading_whisper(
    start_process: StartProcess, package: Path
) -> None:
    process = await start_process(
        *("--uri", "tcp://127.0.0.1:0", "--stt-library", "toy", "--language", "en"),
        PYTHONPATH=os.pathsep.join([str(package), os.environ.get("PYTHONPATH", "")]),
    )
    async with process.client() as client:
        await process.ready()
        await client.say(CLIPS["lights"].samples)
        assert await client.transcript() in ("Loud.", "Quiet.")
        maps = Path(f"/proc/{process.process.pid}/maps")
        libraries = await asyncio.to_thread(maps.read_text)
    assert "with model loudness" in process.log
    assert "onnxruntime" in libraries  # the VAD's
    assert "ctranslate2" not in libraries
