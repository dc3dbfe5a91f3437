"""Limits of the process: cores, nice level, memory, and those of its cgroup."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.api import form, post, wav
from tests.support.dockerfile import ROOT
from tests.support.processes import SERVER, Process, run
from tests.support.realtime import talker
from wyoming_faster_whisper.testing import tone

from .conftest import Serve, StartProcess

HERE = ("--uri", "tcp://127.0.0.1:0", "--model", "tiny.en")
UNIT = ROOT / "deploy" / "wyoming-faster-whisper.service"
ROOT_CGROUP = Path("/sys/fs/cgroup")


def status_of(process: Process, key: str) -> str:
    """Return a line of /proc/PID/status."""
    text = Path(f"/proc/{process.process.pid}/status").read_text()
    [found] = re.findall(rf"^{key}:\s*(.*)$", text, re.MULTILINE)
    return str(found)


def nice_levels(process: Process) -> set[int]:
    """Return the nice levels of all threads."""
    tasks = Path(f"/proc/{process.process.pid}/task")
    return {os.getpriority(os.PRIO_PROCESS, int(each.name)) for each in tasks.iterdir()}


async def test_the_server_runs_on_its_cores_with_its_nice_level(
    start_process: StartProcess,
) -> None:
    core = max(os.sched_getaffinity(0))
    process = await start_process(*HERE, f"--cpu-affinity={core}", "--nice=7")
    await process.uri()
    assert await asyncio.to_thread(status_of, process, "Cpus_allowed_list") == str(core)
    assert await asyncio.to_thread(nice_levels, process) == {7}


async def test_a_core_that_does_not_exist_ends_the_server_with_status_2(tmp_path: Path) -> None:
    ended = await run(*SERVER, *HERE, "--cpu-affinity=9999", folder=tmp_path)
    assert ended.status == 2
    assert "--cpu-affinity has core 9999" in ended.err


async def test_without_memory_requests_are_refused_and_the_server_goes_on(serve: Serve) -> None:
    """Each process has more than 100 MB: the tests' own has."""
    server = await serve(http_port=0, max_memory=100)
    async with server.peer() as client:
        error = await client.send(
            b'{"type": "audio-start", "data": {"rate": 16000, "width": 2, "channels": 1}}\n'
        ).error()
    assert error.code == "busy"
    assert re.fullmatch(r"the server uses \d+ MB of memory and may use 100; try .*", error.text)
    body = form([("model", "whisper-1")], wav(tone(1.0)))
    refused = await post(server, "/v1/audio/transcriptions", body)
    assert (refused.status, refused.error["code"]) == (503, "overloaded")
    assert int(refused.headers["retry-after"]) >= 1
    async with talker(f"{server.service.http_url}/v1") as stream:
        await stream.receive("session.created")
        await stream.append(tone(0.5, rate=24_000))
        assert "MB of memory" in (await stream.error())["message"]
        assert await stream.closed() == 1013
    async with server.client() as client:
        assert await client.ping("here") == "here"


@dataclass(frozen=True)
class Cgroup:
    """A cgroup of the test's own, with one folder, or in version 1 one for each controller."""

    folders: dict[str, Path]  # by controller
    version: int

    def limit(self, memory: int, cpu: float, tasks: int) -> None:
        period = 100_000
        quota = round(cpu * period)
        if self.version == 2:
            self._write("memory", "memory.max", str(memory))
            self._write("cpu", "cpu.max", f"{quota} {period}")
        else:
            self._write("memory", "memory.limit_in_bytes", str(memory))
            self._write("cpu", "cpu.cfs_quota_us", str(quota))
        self._write("pids", "pids.max", str(tasks))

    def limits_of(self, pid: int) -> tuple[int, float, int]:
        """Return the limits of the group in which a process is: memory, cores, tasks."""
        found = dict(_groups(pid))
        for controller, folder in self.folders.items():
            key = "" if self.version == 2 else controller
            assert folder.name == Path(found[key]).name, "the process is in another group"
        if self.version == 2:
            quota, period = self._read("cpu", "cpu.max").split()
            memory = int(self._read("memory", "memory.max"))
        else:
            quota = self._read("cpu", "cpu.cfs_quota_us")
            period = self._read("cpu", "cpu.cfs_period_us")
            memory = int(self._read("memory", "memory.limit_in_bytes"))
        return memory, int(quota) / int(period), int(self._read("pids", "pids.max"))

    def _write(self, controller: str, name: str, text: str) -> None:
        (self.folders[controller] / name).write_text(text)

    def _read(self, controller: str, name: str) -> str:
        return (self.folders[controller] / name).read_text().strip()


def _groups(pid: int | str) -> Iterator[tuple[str, str]]:
    """Yield the controllers of a process, each with its group; "" for version 2."""
    for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        for controller in controllers.split(","):
            yield controller, path


@pytest.fixture
def cgroup() -> Iterator[Cgroup]:
    """Make a cgroup below that of the tests, if this user may."""
    own, name = dict(_groups("self")), f"stt-test-{os.getpid()}"
    version = 2 if (ROOT_CGROUP / "cgroup.controllers").exists() else 1
    controllers = ("memory", "cpu", "pids")
    try:
        if version == 2:
            folder = ROOT_CGROUP / own[""].lstrip("/") / name
            folders = dict.fromkeys(controllers, folder)
        else:
            folders = {
                each: ROOT_CGROUP / each / own[each].lstrip("/") / name for each in controllers
            }
        for folder in set(folders.values()):
            folder.mkdir()
    except (OSError, KeyError) as error:
        pytest.skip(f"this user cannot make a cgroup (version {version}): {error}")
    try:
        made = Cgroup(folders, version)
        try:
            made.limit(2**30, 1.0, 100)
        except OSError as error:
            pytest.skip(f"the controllers are not enabled for a cgroup of tests: {error}")
        yield made
    finally:
        for folder in set(folders.values()):
            with suppress(OSError):
                folder.rmdir()


def unit_limits() -> tuple[int, float, int]:
    """Return the limits in the systemd unit: memory in bytes, cores, tasks."""
    lines = (line.partition("=") for line in UNIT.read_text().splitlines())
    values = {key: value for key, _, value in lines}
    size, unit = values["MemoryMax"][:-1], values["MemoryMax"][-1]
    memory = int(size) * {"M": 2**20, "G": 2**30}[unit]
    return memory, int(values["CPUQuota"].rstrip("%")) / 100, int(values["TasksMax"])


async def test_the_server_runs_within_the_limits_of_the_systemd_unit(
    cgroup: Cgroup, tmp_path: Path
) -> None:
    limits = await asyncio.to_thread(unit_limits)
    await asyncio.to_thread(cgroup.limit, *limits)
    joins = "".join(
        f"echo $$ > {folder}/cgroup.procs; " for folder in set(cgroup.folders.values())
    )
    command = ("sh", "-ec", f'{joins} exec {sys.executable} -m wyoming_faster_whisper "$@"', "sh")
    async with Process.started(*HERE, folder=tmp_path, command=command) as process:
        await process.ready()
        assert await asyncio.to_thread(cgroup.limits_of, process.process.pid) == limits
        async with process.client() as client:
            await client.say(tone(1.0))
            await client.transcript()
