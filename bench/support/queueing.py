"""Discrete-event simulation of replicas that decode utterances in batches. Pure.

A connection goes to the replica with the fewest (leastconn), as HAProxy does it, and lasts for
one utterance. A replica has one decoder; what waits when it is free is the next batch.
"""

import heapq
import random
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

GUESS = 0.13  # seconds of silence after which the server decodes; --guess-after
STOP = 0.7  # seconds of silence after which Home Assistant sends audio-stop
PAUSE = 0.5  # seconds until a speaker who has paused goes on: what waits then is withdrawn
SPEECH = (1.0, 4.0)  # seconds of speech in an utterance, from and to


@dataclass(frozen=True, slots=True)
class Service:
    """How long decodes take."""

    first: float  # seconds, of a batch with one job
    more: float  # seconds for each further job of a batch
    max_batch: int
    # Seconds from audio-stop until a job is queued, if all of the audio is sent at once: the VAD
    # has to hear it first. Audio that arrives in real time has been heard by then.
    overhead: float = 0.0
    wasted: float = 0.0  # decodes per utterance whose text is dropped: the speaker went on
    # Decode times relative to their mean, of which each job has one at random.
    ratios: tuple[float, ...] = (1.0,)

    @property
    def per_job(self) -> float:
        """Mean seconds per job in full batches."""
        return (self.first + self.more * (self.max_batch - 1)) / self.max_batch

    def seconds(self, ratios: Sequence[float]) -> float:
        """Return the time of a batch with these ratios."""
        return (self.first + self.more * (len(ratios) - 1)) * sum(ratios) / len(ratios)


@dataclass(frozen=True, slots=True)
class Outcome:
    """Result of a simulation."""

    waits: list[float]  # seconds from audio-stop to the text; 0 = it was there already
    seconds: float  # simulated
    busy: float  # mean number of busy decoders
    waiting: float  # mean number of waiting jobs

    @property
    def throughput(self) -> float:
        """Utterances per second."""
        return len(self.waits) / self.seconds


@dataclass(slots=True)
class _Job:
    queued: float  # when
    ratio: float
    utterance: int = -1  # -1 = its text is dropped
    stop: float = 0.0  # time of audio-stop


@dataclass(slots=True)
class _Replica:
    connections: int = 0
    jobs: deque[_Job] = field(default_factory=deque)
    wasted: deque[_Job] = field(default_factory=deque)  # decoded only if nothing else waits
    busy: bool = False


class _Simulation:
    def __init__(self, service: Service, replicas: int, seed: int) -> None:
        self._service = service
        self._random = random.Random(seed)
        self._replicas = [_Replica() for _ in range(replicas)]
        self._fewest: list[tuple[int, float, int]] = []
        for number in range(replicas):
            self._offer(number)
        self._events: list[tuple[float, int, str, int, tuple[_Job, ...]]] = []
        self._count = 0
        self.now = 0.0
        self.waits: list[float] = []
        self.busy = 0.0  # decoder seconds
        self.waited = 0.0  # job seconds

    def at(self, time: float, kind: str, replica: int = 0, *jobs: _Job) -> None:
        self._count += 1
        heapq.heappush(self._events, (time, self._count, kind, replica, jobs))

    def job(self, time: float, utterance: int = -1, stop: float = 0.0) -> _Job:
        return _Job(time, self._random.choice(self._service.ratios), utterance, stop)

    def uniform(self, least: float, most: float) -> float:
        return self._random.uniform(least, most)

    def pause(self, per_second: float) -> float:
        """Return the time to the next of random arrivals."""
        return self._random.expovariate(per_second)

    def connect(self) -> int:
        """Return the replica with the fewest connections, which then has one more."""
        while True:
            connections, _, number = heapq.heappop(self._fewest)
            if self._replicas[number].connections == connections:
                break
        self._replicas[number].connections += 1
        self._offer(number)
        return number

    def run(self) -> Iterator[tuple[int, _Job]]:
        """Process events; yield each answered job with its replica."""
        while self._events:
            self.now, _, kind, number, jobs = heapq.heappop(self._events)
            replica = self._replicas[number]
            if kind == "queue":
                (replica.jobs if jobs[0].utterance >= 0 else replica.wasted).append(jobs[0])
            elif kind == "decoded":
                replica.busy = False
                for job in jobs:
                    if job.utterance >= 0:
                        self.waits.append(max(0.0, self.now - job.stop))
                        yield number, job
            elif kind == "leave":
                replica.connections -= 1
                self._offer(number)
            else:
                yield -1, self.job(self.now)  # an arrival
            self._start(number)

    def _start(self, number: int) -> None:
        replica = self._replicas[number]
        while replica.wasted and replica.wasted[0].queued < self.now - PAUSE:
            replica.wasted.popleft()
        if replica.busy or not (queue := replica.jobs or replica.wasted):
            return
        batch = [queue.popleft() for _ in range(min(len(queue), self._service.max_batch))]
        seconds = self._service.seconds([job.ratio for job in batch])
        replica.busy = True
        self.busy += seconds
        self.waited += sum(self.now - job.queued for job in batch)
        self.at(self.now + seconds, "decoded", number, *batch)

    def _offer(self, number: int) -> None:
        connections = self._replicas[number].connections
        heapq.heappush(self._fewest, (connections, self._random.random(), number))

    def outcome(self, waits: list[float]) -> Outcome:
        return Outcome(waits, self.now, self.busy / self.now, self.waited / self.now)


def in_real_time(
    service: Service, *, replicas: int, per_second: float, utterances: int
) -> Outcome:
    """Simulate homes whose utterances begin at random, and are sent while they are spoken.

    Args:
        per_second: utterances of all homes.
        utterances: number to simulate. The first tenth finds empty replicas and does not count.
    """
    world = _Simulation(service, replicas, seed=1)
    begun = 0
    world.at(0.0, "arrive")
    for number, job in world.run():
        if number >= 0:
            world.at(max(world.now, job.stop), "leave", number)
            continue
        end = world.now + world.uniform(*SPEECH)
        replica = world.connect()
        stop = end + STOP
        answer = world.job(end + GUESS, begun, stop)
        world.at(end + GUESS, "queue", replica, answer)
        wasted = service.wasted
        while wasted > 0 and world.uniform(0, 1) < wasted:
            time = world.uniform(world.now, end)
            world.at(time, "queue", replica, world.job(time))
            wasted -= 1
        begun += 1
        if begun < utterances:
            world.at(world.now + world.pause(per_second), "arrive")
    return world.outcome(world.waits[len(world.waits) // 10 :])


def in_bursts(service: Service, *, clients: int, rounds: int, seed: int = 1) -> Outcome:
    """Simulate clients of one replica that send each utterance at once, after the last answer."""
    world = _Simulation(service, 1, seed)
    left = [rounds - 1] * clients
    for client in range(clients):
        world.at(service.overhead, "queue", 0, world.job(service.overhead, client))
    for _, job in world.run():
        if left[job.utterance]:
            left[job.utterance] -= 1
            # The next utterance is sent now, and has ended then.
            queued = world.now + service.overhead
            world.at(queued, "queue", 0, world.job(queued, job.utterance, world.now))
    return world.outcome(world.waits)
