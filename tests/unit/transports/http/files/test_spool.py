"""An upload that is read while it arrives."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.disk import largest_file
from wyoming_faster_whisper.errors import ProtocolError, ServerError, StorageError, TooSlow
from wyoming_faster_whisper.transports.http.files.spool import _DISK, Spool, SpoolReader

MIB = 1024 * 1024


def descriptors() -> list[str]:
    """Return what this process has open, without pipes and sockets."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{number}"))
        except FileNotFoundError:
            continue  # of the listing itself
    return sorted(name for name in found if name.startswith("/") and "pytest" in name)


def read_all(reader: SpoolReader, size: int = 32_768) -> bytes:
    return b"".join(iter(lambda: reader.read(size), b""))


@pytest.mark.parametrize("size", [0, 1, MIB, MIB + 1, 3 * MIB + 17])
async def test_an_upload_is_read_as_it_was_written(size: int, tmp_path: Path) -> None:
    data = os.urandom(size)
    with Spool(tmp_path) as spool:
        first = asyncio.create_task(asyncio.to_thread(read_all, spool.reader()))
        for at in range(0, size, 50_000):
            await spool.write(data[at : at + 50_000])
        spool.complete()
        assert await first == data
        assert await asyncio.to_thread(read_all, spool.reader(), 999_999) == data
        assert spool.size == size
    assert os.listdir(tmp_path) == []


async def test_a_small_upload_stays_in_memory(tmp_path: Path) -> None:
    before = descriptors()
    with Spool(tmp_path / "new") as spool:
        await spool.write(bytes(MIB))
        assert not (tmp_path / "new").exists()
        await spool.write(b"1")
        assert (tmp_path / "new").exists()
        assert len(descriptors()) == len(before) + 1
        assert os.listdir(tmp_path / "new") == []  # the file has no name
    assert descriptors() == before


async def test_a_read_waits_for_the_next_bytes(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        reader = spool.reader()
        await spool.write(b"first")
        assert reader.read(99) == b"first"
        second = asyncio.create_task(asyncio.to_thread(reader.read, 99))
        await spool.write(b"second")
        assert await second == b"second"
        end = asyncio.create_task(asyncio.to_thread(reader.read, 99))
        spool.complete()
        assert await end == b""


async def test_a_complete_upload_can_be_sought(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        reader = spool.reader()
        data = os.urandom(2 * MIB)
        await spool.write(data[:MIB])
        assert not reader.seekable()
        size = asyncio.create_task(asyncio.to_thread(reader.seek, -10, os.SEEK_END))
        await spool.write(data[MIB:])
        spool.complete()
        assert reader.seekable()
        assert await size == reader.tell() == 2 * MIB - 10
        assert reader.read(99) == data[-10:]
        assert reader.seek(5) == 5
        assert reader.seek(5, os.SEEK_CUR) == 10
        assert reader.read(3) == data[10:13]
        assert reader.seek(9 * MIB) == 9 * MIB
        assert reader.read(3) == b""
        with pytest.raises(OSError, match="Invalid argument"):
            reader.seek(-1)


def aborts(
    spool: Spool, reader: SpoolReader
) -> dict[str, tuple[Callable[[], None], type[Exception]]]:
    slow = TooSlow("the client sent nothing for 30 s")
    return {
        "abort": (spool.abort, ProtocolError),
        "abort with a reason": (lambda: spool.abort(slow), TooSlow),
        "close": (spool.close, ServerError),
        "reader closed": (reader.close, ValueError),
    }


@pytest.mark.parametrize("how", ["abort", "abort with a reason", "close", "reader closed"])
@pytest.mark.parametrize("size", [100, 2 * MIB])
async def test_a_waiting_read_is_aborted(how: str, size: int, tmp_path: Path) -> None:
    before = descriptors()
    with Spool(tmp_path) as spool:
        await spool.write(bytes(size))
        reader = spool.reader()
        abort, error = aborts(spool, reader)[how]
        reading = asyncio.create_task(asyncio.to_thread(read_all, reader))
        seeking = asyncio.create_task(asyncio.to_thread(reader.seek, 0, os.SEEK_END))
        await asyncio.sleep(0)  # the threads begin
        abort()
        with pytest.raises(error):
            await reading
        with pytest.raises(error):
            await seeking
    assert descriptors() == before


async def test_nothing_can_be_written_after_an_abort(tmp_path: Path) -> None:
    with Spool(tmp_path) as spool:
        spool.abort(TooSlow("the client sent nothing for 30 s"))
        spool.abort()
        with pytest.raises(TooSlow):
            await spool.write(b"late")


async def test_a_full_disk_is_told_to_the_writer_and_the_reader(tmp_path: Path) -> None:
    before = descriptors()
    with Spool(tmp_path) as spool:
        await spool.write(bytes(2 * MIB))
        reader = spool.reader()
        reading = asyncio.create_task(asyncio.to_thread(read_all, reader))
        with largest_file(3 * MIB), pytest.raises(StorageError) as full:
            await spool.write(bytes(2 * MIB))
        assert str(full.value) == "cannot store the upload: file too large"
        assert full.value.code == "storage"
        with pytest.raises(StorageError):
            await reading
        with pytest.raises(StorageError):
            await spool.write(b"more")
    assert descriptors() == before
    assert os.listdir(tmp_path) == []


async def test_a_folder_that_cannot_be_used_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with Spool(tmp_path / "file") as spool, pytest.raises(StorageError, match="file exists"):
        await spool.write(bytes(2 * MIB))


async def test_closing_during_a_write_leaves_nothing(tmp_path: Path) -> None:
    before = descriptors()
    spool = Spool(tmp_path)
    await spool.write(bytes(2 * MIB))
    assert len(descriptors()) == len(before) + 1
    writing = asyncio.create_task(spool.write(bytes(64 * MIB)))
    await asyncio.sleep(0)  # the thread begins
    writing.cancel()
    spool.close()
    await asyncio.wait([writing])
    await asyncio.wrap_future(_DISK.submit(int))  # after the write that was cancelled
    assert descriptors() == before
    assert os.listdir(tmp_path) == []


async def test_closing_before_a_write_begins_leaves_nothing(tmp_path: Path) -> None:
    before = descriptors()
    spool = Spool(tmp_path)
    await spool.write(bytes(2 * MIB))
    others = threading.Event()
    busy = _DISK.submit(others.wait)
    writing = asyncio.create_task(spool.write(bytes(2 * MIB)))
    await asyncio.sleep(0)  # it waits for the thread
    writing.cancel()
    spool.close()
    assert descriptors() == before
    others.set()
    await asyncio.wait([writing])
    await asyncio.wrap_future(busy)
