"""The requests of known clients, byte for byte, and what each client needs of the answer.

Clients that can be installed run themselves against the server: see tests/http.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from tests.support.api import Reply, form, head, post, request, response
from tests.support.media import CODECS, write_media
from tests.support.serving import Server, peer, serving
from tests.support.sse import events
from tests.support.uploads import UPLOADS, Upload
from tests.support.web import address
from wyoming_faster_whisper.config.load import read_settings
from wyoming_faster_whisper.models.languages import MULTILINGUAL_V3, normalise
from wyoming_faster_whisper.testing import FakeEngine, pcm16, silence, tone
from wyoming_faster_whisper.transports.http.files.form import ResponseFormat, TranscriptionForm

pytestmark = pytest.mark.asyncio(loop_scope="module")

PATH = "/v1/audio/transcriptions"
BAZARR = "Bazarr's /asr, by requests"
SPEECH = tone(1.0)
SEGMENT = {"id", "seek", "start", "end", "text", "tokens", "temperature", "avg_logprob"} | {
    "compression_ratio",
    "no_speech_prob",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def server(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Server]:
    folder = tmp_path_factory.mktemp("server")
    options = ["--uri=tcp://127.0.0.1:0", "--model=base", "--http-port=0"]
    read = await asyncio.to_thread(read_settings, options, {})
    async with serving(read.settings, folder, engine=FakeEngine(language="en")) as running:
        yield running


async def sent(
    server: Server, path: str, upload: Upload, sound: bytes, *, chunked: bool
) -> Reply:
    """Post an upload as its client does; return the response."""
    body = upload.body(sound)
    if chunked:
        pieces = [body[at : at + 5000] for at in range(0, len(body), 5000)]
        body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in [*pieces, b""])
        framing = {"transfer_encoding": "chunked"}
    else:
        framing = {"content_length": str(len(body))}
    async with peer(f"tcp://{address(server)}") as connection:
        # Clients without a key send an empty one.
        headers = {"content_type": upload.content_type, "authorization": "Bearer ", **framing}
        connection.send(head("POST", path, length=None, **headers) + body)
        return await response(connection)


@pytest.mark.parametrize("chunked", [False, True], ids=["with a length", "chunked"])
@pytest.mark.parametrize("client", [name for name in UPLOADS if name != BAZARR])
async def test_a_client_gets_what_it_needs(
    server: Server, client: str, chunked: bool, tmp_path: Path
) -> None:
    upload = UPLOADS[client]
    suffix = Path(upload.file.filename).suffix
    path = tmp_path / f"sound{suffix if suffix in CODECS else '.wav'}"
    await asyncio.to_thread(write_media, path, SPEECH)
    sound = await asyncio.to_thread(path.read_bytes)
    reply = await sent(server, PATH, upload, sound, chunked=chunked)
    assert reply.status == 200
    check_answer(upload.form, reply)
    asked = upload.form.language
    language = server.engine.decoded[-1].options.language
    assert language == (normalise(asked, MULTILINGUAL_V3) if asked else None)


def check_answer(form: TranscriptionForm, reply: Reply) -> None:
    """Check the response to a form."""
    if form.stream:
        check_stream(form, reply)
    elif form.response_format is ResponseFormat.SRT:
        assert reply.body.startswith(b"1\n00:00:00,000 --> 00:00:01,")
    elif form.response_format is ResponseFormat.VERBOSE_JSON:
        check_verbose(form, reply.json)
    else:
        assert reply.json["text"] == "1.0 seconds"
        check_details(form, reply.json)


def check_verbose(form: TranscriptionForm, answer: dict[str, Any]) -> None:
    assert answer["text"] == "1.0 seconds"
    assert answer["task"] == "transcribe"
    assert answer["language"] == "english"
    assert isinstance(answer["duration"], float)
    assert answer["segments"]
    check_details(form, answer)


def check_details(form: TranscriptionForm, answer: dict[str, Any]) -> None:
    for segment in answer.get("segments", []):
        assert set(segment) == SEGMENT
        assert isinstance(segment.pop("tokens"), list)
        assert segment.pop("text") == " 1.0 seconds"
        assert all(isinstance(value, int | float) for value in segment.values())
    assert ("words" in answer) is form.gives_words
    assert ("segments" in answer) is form.gives_segments


def check_stream(form: TranscriptionForm, reply: Reply) -> None:
    assert reply.headers["content-type"].startswith("text/event-stream")
    *deltas, done, end = events(reply.body)
    assert end.data == "[DONE]"
    assert all(event.name == event.json["type"] for event in (*deltas, done))
    assert "".join(event.json["delta"] for event in deltas) == done.json["text"]
    check_details(form, done.json)


async def test_bazarr_gets_subtitles_of_pcm_without_a_header(server: Server) -> None:
    # Bazarr sends the sound of a film; of which only the end is spoken here.
    sound = pcm16(silence(5.0)) + pcm16(SPEECH)
    query = "task=transcribe&language=en&output=srt&encode=false&video_file=film.mkv"
    reply = await sent(server, f"/asr?{query}", UPLOADS[BAZARR], sound, chunked=False)
    assert reply.status == 200
    number, times, *_ = reply.body.decode().split("\n")
    assert number == "1"
    assert times.startswith("00:00:0")


async def test_open_webui_shows_the_message_of_an_error(server: Server) -> None:
    reply = await post(server, PATH, form([("model", "whisper-1")], b"no audio"))
    assert reply.status == 400
    assert "is it audio" in reply.error["message"]


@pytest.mark.parametrize("path", ["/v1/models", "/v1/models/whisper-1", "/models"])
async def test_n8n_and_others_check_the_models(server: Server, path: str) -> None:
    reply = await request(server, "GET", path, authorization="Bearer sk-none")
    assert reply.status == 200
