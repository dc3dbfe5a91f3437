"""Servers on addresses of their own, with the ports and options of the manifests."""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.kubernetes.manifests import KUBERNETES
from tests.support.plug_ins import install
from tests.support.processes import Process
from tests.support.web import get

from .sleeper import POD, SECONDS

ROOT = Path(__file__).parents[2]
WYOMING, METRICS = 10300, 9464  # the ports of the manifests


def manifest_options() -> dict[str, str]:
    """Return the options of the base, without those of the model."""
    lines = (KUBERNETES / "base" / "options.env").read_text().splitlines()
    pairs = dict(line.split("=", 1) for line in lines if line and line[0] != "#")
    model = ("MODEL", "DATA_DIR", "LOCAL_FILES_ONLY")
    return {name: value for name, value in pairs.items() if not name.endswith(model)}


@dataclass
class Pod:
    """A running server."""

    name: str
    address: str
    process: Process

    async def sessions(self) -> int:
        """Return the number of connected clients."""
        text = (await get(f"{self.address}:{METRICS}", "/metrics")).text
        found = re.search(
            r'^wyoming_stt_sessions\{transport="wyoming"\} (\d+)', text, re.MULTILINE
        )
        assert found is not None
        return int(found[1])

    async def terminate(self) -> int:
        """Send SIGTERM; return the exit status."""
        self.process.signal(signal.SIGTERM)
        return await self.process.ended()

    async def kill(self) -> None:
        self.process.signal(signal.SIGKILL)
        await self.process.ended()


class Cluster:
    """Starts pods; they end with the cluster.

    Args:
        folder: for the plug-in and the data of the pods.
        seconds: that a decode takes.
    """

    def __init__(self, folder: Path, seconds: float) -> None:
        self._folder = folder
        self._seconds = seconds
        self._stack = AsyncExitStack()
        self._site = install(folder / "sleeper", sleeper="tests.scale.sleeper:recognizer")

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Cluster]:
        async with self._stack:
            yield self

    async def start(self, number: int) -> Pod:
        """Start a pod on 127.0.0.(1 + number); return it when it is ready."""
        address, name = f"127.0.0.{1 + number}", f"pod-{number}"
        process = await self._stack.enter_async_context(
            Process.started(
                f"--uri=tcp://{address}:{WYOMING}",
                f"--metrics-host={address}",
                "--stt-library=sleeper",
                # One decode for each utterance, so that the load is known.
                "--guess-after=0",
                folder=self._folder,
                **manifest_options(),
                **{POD: name, SECONDS: str(self._seconds)},
                PYTHONPATH=f"{self._site}:{ROOT}",
            )
        )
        await process.logged("Ready")
        return Pod(name, address, process)

    async def start_all(self, numbers: range) -> list[Pod]:
        return list(await asyncio.gather(*map(self.start, numbers)))
