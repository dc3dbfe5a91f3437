"""Files without usable audio, or with less than they promise."""

from __future__ import annotations

import asyncio
import io
import zipfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest

from tests.support.api import form, post
from tests.support.attacks import MODEL, PATH, SECOND, unharmed
from tests.support.media import write_media
from tests.support.serving import Server
from wyoming_faster_whisper.testing import tone

from ..conftest import Serve


def zip_file() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("a.wav", SECOND)
    return data.getvalue()


def header(at: int, value: bytes) -> bytes:
    """Return a WAV file with other bytes at a place of its header."""
    return SECOND[:at] + value + SECOND[at + len(value) :]


def long_opus(packets: int) -> bytes:
    """Return an Ogg file with 60 ms of silence in each packet of one byte."""
    data = io.BytesIO()
    with av.open(data, "w", format="ogg") as file:
        stream = file.add_stream("libopus", rate=48_000, layout="mono")
        assert isinstance(stream, av.AudioStream)
        stream.codec_context.open()
        for at in range(packets):
            packet = av.Packet(b"\x18")
            packet.stream, packet.time_base = stream, Fraction(1, 48_000)
            packet.pts = packet.dts = at * 2880
            packet.duration = 2880
            file.mux(packet)
    return data.getvalue()


NOT_AUDIO: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "one byte": lambda: b"\0",
    "zeros": lambda: bytes(900_000),
    "a zip": zip_file,
    "a playlist": lambda: b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
    "a concatenation": lambda: b"ffconcat version 1.0\nfile /etc/passwd\n",
    "an SVG": lambda: b'<svg xmlns="http://www.w3.org/2000/svg"/>' * 100,
    "a WAV header alone": lambda: SECOND[:44],
    "a WAV of 0 Hz": lambda: header(24, bytes(4)),
    "a WAV of 1 Hz": lambda: header(24, b"\1\0\0\0"),
    "a WAV of 4 GHz": lambda: header(24, b"\xff\xff\xff\xff"),
    "a WAV without channels": lambda: header(22, b"\0\0"),
    "a WAV of 65535 channels": lambda: header(22, b"\xff\xff"),
    "a WAV of 65535 bits": lambda: header(34, b"\xff\xff"),
}


async def test_a_file_without_usable_audio_is_the_fault_of_the_client(target: Server) -> None:
    for case, make in NOT_AUDIO.items():
        reply = await post(target, PATH, form(MODEL, make()))
        assert (case, reply.status, reply.error["param"]) == (case, 400, "file")


async def test_a_small_file_that_is_an_hour_long_is_refused_at_the_limit(target: Server) -> None:
    data = await asyncio.to_thread(long_opus, 60_000)
    assert len(data) < 256 * 1024
    reply = await post(target, PATH, form(MODEL, data))
    assert (reply.status, reply.error["param"]) == (400, "file")
    assert "longer than 60 s" in reply.error["message"]


async def test_a_video_without_sound_is_the_fault_of_the_client(
    target: Server, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("film") / "a.mp4"
    data = (await asyncio.to_thread(write_media, path, None)).read_bytes()
    reply = await post(target, PATH, form(MODEL, data))
    assert "no audio track" in reply.error["message"]


async def test_a_cut_mp3_is_transcribed_as_far_as_it_goes(
    target: Server, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("music") / "a.mp3"
    data = (await asyncio.to_thread(write_media, path, tone(3.0))).read_bytes()
    reply = await post(target, PATH, form(MODEL, data[: len(data) // 2]))
    assert 1.0 < reply.json["usage"]["seconds"] < 2.0


async def test_the_promised_length_of_a_wav_does_not_count(target: Server) -> None:
    promise = b"\xff\xff\xff\xff"
    data = header(40, promise)
    reply = await post(target, PATH, form(MODEL, data[:4] + promise + data[8:]))
    assert reply.json["text"] == "1.0 seconds"


async def test_25_mib_of_zeros_are_refused(
    serve: Serve, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with unharmed(await serve(http_port=0), tmp_path, caplog) as server:
        reply = await post(server, PATH, form(MODEL, bytes(25 * 1024 * 1024 - 1000)))
        assert (reply.status, reply.error["param"]) == (400, "file")
