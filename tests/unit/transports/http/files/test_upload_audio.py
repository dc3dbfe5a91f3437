"""Decoding an upload in a thread while it arrives."""

from __future__ import annotations

import asyncio
import io
import threading
from pathlib import Path

import numpy as np
import pytest

from tests.support.media import write_media
from wyoming_faster_whisper.audio.files import decode
from wyoming_faster_whisper.audio.pcm import SAMPLE_RATE, PcmFormat
from wyoming_faster_whisper.errors import AudioError, AudioTooLong, ServerError, TooSlow
from wyoming_faster_whisper.transports.http.files.spool import Spool, SpoolReader
from wyoming_faster_whisper.transports.http.files.upload_audio import (
    _AHEAD,
    _THREADS,
    audio_blocks,
)

SECOND = 2 * SAMPLE_RATE  # bytes


class Watched(SpoolReader):
    """A reader that tells whether a thread is reading, and has an event for its first wait."""

    def __init__(self, spool: Spool, wait_at: int = 0) -> None:
        super().__init__(spool)
        self.reading = False
        self.waits = asyncio.Event()  # set when a read begins at wait_at or later
        self._wait_at = wait_at
        self._loop = asyncio.get_running_loop()

    def read(self, size: int, /) -> bytes:
        self.reading = True
        if self.tell() >= self._wait_at:
            self._loop.call_soon_threadsafe(self.waits.set)
        try:
            return super().read(size)
        finally:
            self.reading = False


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".mp3", ".ogg", ".webm", ".m4a"])
async def test_an_upload_is_decoded_like_a_file(suffix: str, tmp_path: Path) -> None:
    noise = np.random.default_rng(7).uniform(-0.5, 0.5, 40 * SAMPLE_RATE).astype(np.float32)
    data = write_media(tmp_path / f"noise{suffix}", noise).read_bytes()
    half = len(data) // 2
    got = []
    with Spool(tmp_path) as spool:
        async with audio_blocks(spool.reader(), "a file") as blocks:
            await spool.write(data[:half])
            if suffix != ".m4a":  # its index is at the end
                got.append(await anext(blocks))
            await spool.write(data[half:])
            spool.complete()
            got += [block async for block in blocks]
    whole = await asyncio.to_thread(b"".join, decode(io.BytesIO(data), "a file"))
    assert [len(block) for block in got[:-1]] == [SECOND] * (len(got) - 1)
    assert len(whole) <= len(b"".join(got)) < len(whole) + SECOND / 30  # see test_files.py
    assert b"".join(got).startswith(whole[:-2000])


async def test_the_decoder_is_only_a_little_ahead(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        await spool.write(bytes(600 * SECOND))
        spool.complete()
        reader = spool.reader()
        taken = 0
        async with audio_blocks(reader, "a file", raw=PcmFormat()) as blocks:
            async for block in blocks:
                taken += len(block)
                # One more block waits for room, and a read has 64 KiB, two blocks.
                assert reader.tell() <= taken + (_AHEAD + 4) * SECOND
        assert taken == 600 * SECOND


async def take_all(reader: SpoolReader, **how: object) -> int:
    async with audio_blocks(reader, "a file", **how) as blocks:  # type: ignore[arg-type]
        return sum([len(block) async for block in blocks])


async def test_cancelling_stops_a_thread_that_waits_for_the_upload(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        await spool.write(bytes(SECOND // 2))
        reader = Watched(spool, wait_at=SECOND // 2)
        task = asyncio.create_task(take_all(reader, raw=PcmFormat()))
        await reader.waits.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not reader.reading
        with pytest.raises(ValueError, match="the reader is closed"):
            reader.read(1)
        assert spool.reader().read(1) == b"\0"  # another reader can begin again


async def test_leaving_stops_a_thread_that_waits_for_the_session(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        await spool.write(bytes(600 * SECOND))
        spool.complete()
        reader = Watched(spool, wait_at=_AHEAD * SECOND)
        async with audio_blocks(reader, "a file", raw=PcmFormat()):
            await reader.waits.wait()
        assert not reader.reading
        at = reader.tell()
        assert at < 20 * SECOND
        await asyncio.wrap_future(_THREADS.submit(int))
        assert reader.tell() == at


async def test_cancelling_withdraws_an_upload_that_waits_for_a_thread(tmp_path: Path) -> None:
    free = threading.Event()
    others = [_THREADS.submit(free.wait) for _ in range(_THREADS._max_workers)]
    with Spool(tmp_path) as spool:
        reader = Watched(spool)
        task = asyncio.create_task(take_all(reader))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        free.set()
        await asyncio.gather(*map(asyncio.wrap_future, others))
        await asyncio.wrap_future(_THREADS.submit(int))
        assert not reader.waits.is_set()


async def test_the_error_of_an_aborted_upload_is_raised(tmp_path: Path) -> None:
    error = TooSlow("the client sent nothing for 30 s")
    with Spool(tmp_path) as spool:
        reader = Watched(spool)
        task = asyncio.create_task(take_all(reader))
        await reader.waits.wait()
        spool.abort(error)
        with pytest.raises(TooSlow) as raised:
            await task
        assert raised.value is error
        assert not reader.reading


@pytest.mark.parametrize(
    ("data", "how", "error"),
    [
        (b"turn on the light" * 99, {}, AudioError),
        (bytes(3 * SECOND), {"raw": PcmFormat(), "longest": 2.0}, AudioTooLong),
    ],
)
async def test_the_errors_of_the_decoder_are_raised(
    data: bytes, how: dict[str, object], error: type[ServerError], tmp_path: Path
) -> None:
    with Spool(tmp_path) as spool:
        await spool.write(data)
        spool.complete()
        with pytest.raises(error):
            await take_all(spool.reader(), **how)
