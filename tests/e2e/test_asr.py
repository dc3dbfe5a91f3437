"""The routes of whisper-asr-webservice, as Bazarr uses them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.api import form, post, request, wav
from wyoming_faster_whisper.testing import FakeEngine, pcm16, silence, tone

from .conftest import Serve

FILM = np.concatenate([silence(1.0), tone(2.0), silence(3.0), tone(1.0)])
RAW = form((), pcm16(FILM), name="audio_file", filename="audio.wav")
BAZARR = "task=transcribe&language=en&output=srt&encode=false&video_file=film.mkv"


async def test_a_film_without_a_header_becomes_subtitles(serve: Serve) -> None:
    engine = FakeEngine()
    reply = await post(await serve(engine, http_port=0), f"/asr?{BAZARR}", RAW)
    assert reply.status == 200
    assert reply.body.decode().startswith("1\n00:00:00,992 --> ")
    assert "-->" in reply.body.decode()
    assert {job.options.language for job in engine.decoded} == {"en"}


@pytest.mark.parametrize(
    ("output", "begins"),
    [("txt", ""), ("vtt", "WEBVTT"), ("srt", "1\n"), ("tsv", "start\tend\ttext"), ("json", "{")],
)
async def test_every_output_is_offered(serve: Serve, output: str, begins: str) -> None:
    body = form((), wav(FILM), name="audio_file")
    reply = await post(await serve(http_port=0), f"/asr?output={output}", body)
    assert reply.status == 200
    assert reply.body.decode().startswith(begins)
    assert "seconds" in reply.body.decode()


async def test_the_language_of_a_file_is_detected(serve: Serve) -> None:
    engine = FakeEngine(language="de")
    reply = await post(await serve(engine, http_port=0), "/detect-language?encode=false", RAW)
    assert reply.json["language_code"] == "de"
    assert reply.json["detected_language"] == "german"


async def test_a_file_without_speech_has_the_default_language(serve: Serve) -> None:
    body = form((), pcm16(silence(2.0)), name="audio_file")
    reply = await post(await serve(http_port=0), "/detect-language?encode=false", body)
    assert reply.json["language_code"] == "en"
    assert reply.json["confidence"] == 0


async def test_pcm_may_be_larger_than_an_upload(serve: Serve) -> None:
    film = form((), pcm16(silence(60.0)), name="audio_file")
    server = await serve(http_port=0, max_upload=1)
    assert len(film) > 1 << 20
    assert (await post(server, "/asr?encode=false", film)).status == 200
    assert (await post(server, "/asr", film)).status == 413


async def test_bazarrs_connection_test_finds_a_version(serve: Serve) -> None:
    reply = await request(await serve(http_port=0), "GET", "/status")
    assert reply.status == 200
    assert reply.json["version"].startswith("wyoming-faster-whisper ")
