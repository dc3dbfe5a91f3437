"""Clients that speak to the balancer, as Home Assistant does: one connection per utterance."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from wyoming.event import Event

from tests.support.clips import CLIPS
from tests.support.serving import speaker, utterance

URI = "tcp://127.0.0.1:10300"
UTTERANCE: list[Event] = utterance(
    min(CLIPS.values(), key=lambda clip: len(clip.samples)).samples
)


@dataclass(frozen=True, slots=True)
class Spoken:
    """One utterance and what became of it. Times are monotonic seconds."""

    begun: float
    ended: float
    pod: str  # that answered; "" = it was lost
    fault: str = ""

    @property
    def seconds(self) -> float:
        return self.ended - self.begun


@dataclass
class Load:
    """Utterances of a phase."""

    spoken: list[Spoken] = field(default_factory=list)

    @property
    def lost(self) -> list[Spoken]:
        return [each for each in self.spoken if not each.pod]

    @property
    def answered(self) -> Counter[str]:
        """Number of answers of each pod."""
        return Counter(each.pod for each in self.spoken if each.pod)

    def since(self, start: float) -> Load:
        """Return the utterances that ended after a time."""
        return Load([each for each in self.spoken if each.ended >= start])

    async def speak(self) -> None:
        begun, pod, fault = time.monotonic(), "", ""
        try:
            async with speaker(URI) as client:
                await client.send(*UTTERANCE)
                pod = await client.transcript()
        except (OSError, AssertionError, TimeoutError) as error:
            fault = repr(error)
        self.spoken.append(Spoken(begun, time.monotonic(), pod, fault))


@asynccontextmanager
async def talking(clients: int) -> AsyncIterator[Load]:
    """Let clients speak one utterance after the other until the block ends."""
    load, go_on = Load(), True

    async def client() -> None:
        while go_on:
            await load.speak()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(clients):
            tasks.create_task(client())
        try:
            yield load
        finally:
            go_on = False


@asynccontextmanager
async def arriving(together: int, every: float) -> AsyncIterator[Load]:
    """Let utterances begin, some together every few seconds, until the block ends."""
    load = Load()

    async def arrive() -> None:
        start = time.monotonic()
        async with asyncio.TaskGroup() as tasks:
            for number in range(10_000):
                await asyncio.sleep(start + number * every - time.monotonic())
                for _ in range(together):
                    tasks.create_task(load.speak())

    task = asyncio.create_task(arrive())
    try:
        yield load
    finally:
        task.cancel()
        await asyncio.wait([task])
