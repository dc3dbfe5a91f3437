"""Scheduling policy: the jobs that the model decodes next. Pure.

Commands go before background jobs, which are files and dictations. A part of a long recording has
up to 28 s of audio, and a decode that has begun cannot be stopped. So from the moment at which a
client begins to speak, and for some time after the last command, an engine with several decoders
keeps one free of long jobs, even while no command waits: otherwise the next command would wait
for a whole segment, which takes longer than the command itself. While no client speaks, a single
long job may use that decoder too, if it ends before a command that begins meanwhile. A file as
short as a command may use it at any time, alone. An engine with a single decoder gets background
jobs one at a time, so that a command waits for at most one, and in batches only while no client
speaks. While a command is decoded no part of a file begins, nor a job of a tenant of the priority
"batch", because the two would share the memory bandwidth and the cores. The same holds while a
command is spoken, whose guess is as urgent, except for jobs of a few tenths of a second.

Tenants share the model in proportion to their weights, by seconds of audio, however many clients
each of them has. The owners of a tenant's jobs share its part equally, however many recordings
each of them sends (start-time fair queueing: Goyal, Vin and Cheng, 1996). Between two tenants
that both have jobs waiting, the seconds per weight differ by one job of each at most. All jobs of
a tenant of the priority "batch" are background jobs.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass

from ..speech.segmenter import LONGEST
from .protocol import DecodeKind, Job

# Seconds. A steady stream of commands must not starve background jobs: one begins if none has for
# this long.
_MAX_STARVATION = 10.0
# Seconds of audio in a batch of long jobs while a speaker is expected: as much as in the longest
# job alone, because a batch may take longer than most commands.
_BATCH_SECONDS = LONGEST
_PRUNE = 64  # owners or tenants that are kept although they have used no more than others


@dataclass(frozen=True, slots=True)
class Waiting:
    """A queued job and its arrival time."""

    job: Job
    since: float  # seconds, on any clock


@dataclass(frozen=True, slots=True)
class Decoders:
    """Capacity of the engine, and the long jobs that it is decoding."""

    parallel: int = 1  # batches at the same time
    max_batch: int = 1  # jobs per batch
    max_long_batch: int = 1  # jobs of long recordings per batch
    long: int = 0  # batches of long jobs that are being decoded
    last_background: float = float("-inf")  # time at which the last background job began
    reserved: bool = True  # a decoder is kept free of long jobs, because a command may come
    expected: bool = False  # a speaker is expected soon
    commands: bool = False  # a command is being spoken or decoded

    @property
    def most_long(self) -> int:
        """Maximum number of long jobs in the next batch; 0 = none may begin."""
        if self.parallel == 1:
            return 1 if self.reserved else self.max_long_batch
        if self.long < self.parallel - 1:
            return self.max_long_batch
        return 0 if self.reserved else 1

    def most_with(self, job: Job) -> int:
        """Return the maximum number of jobs in a batch with this one."""
        if job.long:
            return max(1, self.most_long)
        return min(self.max_batch, max(1, self.most_long)) if job.background else self.max_batch


class _Virtual:
    """Virtual time that each flow has used: its seconds, divided by its weight.

    A flow gets no credit for time in which it sent nothing: it starts at the virtual time of the
    flow whose job was begun last.

    Args:
        before: what this is a copy of. A copy keeps only what differs, so that it costs as
            little with thousands of tenants; the original must not change meanwhile.
    """

    def __init__(self, before: _Virtual | None) -> None:
        # Of the flow whose job was begun last, without that job.
        self._level: float = before._level if before else 0.0
        self._used: dict[Hashable, float] = {}  # of flows above the level, and of some below
        self._before: Mapping[Hashable, float] = before._used if before else {}
        self._next_prune = _PRUNE

    def __len__(self) -> int:
        return len(self._used)

    @property
    def flows(self) -> Collection[Hashable]:
        """The flows that may have used more than the one whose job was begun last."""
        return self._used.keys()

    def of(self, flow: Hashable) -> float:
        used = self._used.get(flow)
        return max(self._level, self._before.get(flow, 0.0) if used is None else used)

    def charge(self, flow: Hashable, cost: float) -> None:
        self._level = used = self.of(flow)
        self._used[flow] = used + cost
        if len(self._used) >= self._next_prune:
            self._used = {one: used for one, used in self._used.items() if used > self._level}
            self._next_prune = 2 * len(self._used) + _PRUNE


class _ClassShares:
    """Shares of the tenants, and of their clients, in one class of jobs.

    Args:
        before: what this is a copy of; as in _Virtual.
    """

    def __init__(self, before: _ClassShares | None) -> None:
        self.tenants: _Virtual = _Virtual(before.tenants if before else None)
        self.owners: dict[str, _Virtual] = {}  # of the tenants in self.tenants
        self._before: Mapping[str, _Virtual] = before.owners if before else {}

    def of(self, job: Job) -> tuple[float, float]:
        name = job.tenant.name
        owners = self.owners.get(name, self._before.get(name))
        return self.tenants.of(name), 0.0 if owners is None else owners.of(job.owner)

    def charge(self, job: Job) -> None:
        name = job.tenant.name
        self.tenants.charge(name, job.seconds / job.tenant.weight)
        if name not in self.owners:
            self.owners[name] = _Virtual(self._before.get(name))
        self.owners[name].charge(job.owner, job.seconds)
        if len(self.owners) > len(self.tenants):
            kept = self.tenants.flows
            self.owners = {name: own for name, own in self.owners.items() if name in kept}


class Shares:
    """Seconds of audio that were decoded for each tenant, and for each owner of its jobs.

    Jobs of different classes do not compete, because one class goes before the other. If they
    were counted together, each command would forgive the files what they have used.
    """

    def __init__(self) -> None:
        self._classes: dict[Hashable, _ClassShares] = {}
        self._before: Mapping[Hashable, _ClassShares] = {}  # in a copy: those of the original

    def __len__(self) -> int:
        classes = self._classes.values()
        return sum(len(each.tenants) + sum(map(len, each.owners.values())) for each in classes)

    def of(self, job: Job) -> tuple[float, float]:
        """Return what the tenant of a job has used, and what its owner has used of that.

        The job with the least goes first among those of its class.
        """
        name = _class(job)
        shares = self._classes.get(name, self._before.get(name))
        return (0.0, 0.0) if shares is None else shares.of(job)

    def begin(self, jobs: Sequence[Job]) -> None:
        """Charge the tenants and owners of jobs whose decode begins."""
        for job in jobs:
            name = _class(job)
            if name not in self._classes:
                self._classes[name] = _ClassShares(self._before.get(name))
            self._classes[name].charge(job)

    def copy(self) -> Shares:
        """Return a copy, which is valid until this one changes."""
        other = Shares()
        other._before = self._classes
        return other


def next_batch(
    waiting: Sequence[Waiting],
    decoders: Decoders,
    shares: Shares,
    batch_key: Callable[[Job], Hashable],
    now: float,
) -> list[Job]:
    """Choose the next batch; the caller removes it from waiting and charges the shares.

    Commands go before background jobs, and finals before guesses (speculative decodes). Among
    equals, the tenant with the smallest share goes first, of its clients the one with the
    smallest share, and of its jobs the oldest. Finals and guesses, commands and background jobs,
    long and short jobs never share a batch.

    Args:
        waiting: the queued jobs, in order of arrival.
        decoders: those of the engine; at least one is free.
        batch_key: returns the key that all jobs of a batch must share.
        now: time, on the clock of the jobs.

    Returns:
        The jobs of the batch, the most urgent first; empty if no job can begin.
    """
    left = _admitted(waiting, decoders)
    overdue = now >= overdue_at(waiting, decoders)
    if decoders.commands and not overdue:
        left = [one for one in left if not _can_wait(one.job)]
    if not left:
        return []
    shares = shares.copy()
    batch: list[Job] = []
    seconds = 0.0
    most = decoders.max_batch
    while left and len(batch) < most:
        first = min(
            left,
            key=lambda one: (
                one.job.background != overdue,
                _may_be_dropped(one.job),
                shares.of(one.job),
                one.since,
            ),
        )
        if not batch:
            kind = _kind(first.job, batch_key)
            left = [one for one in left if _kind(one.job, batch_key) == kind]
            most = decoders.most_with(first.job)
        elif (
            decoders.expected and first.job.long and seconds + first.job.seconds > _BATCH_SECONDS
        ):
            break
        left.remove(first)
        seconds += first.job.seconds
        batch.append(first.job)
        shares.begin([first.job])
    return batch


def overdue_at(waiting: Sequence[Waiting], decoders: Decoders) -> float:
    """Return the time from which a background job begins in spite of commands.

    It is infinite while none waits that a decoder may take.
    """
    left = _admitted(waiting, decoders)
    oldest = min((one.since for one in left if one.job.background), default=math.inf)
    return max(oldest, decoders.last_background) + _MAX_STARVATION


def _admitted(waiting: Sequence[Waiting], decoders: Decoders) -> list[Waiting]:
    return [one for one in waiting if decoders.most_long or not one.job.long]


def _can_wait(job: Job) -> bool:
    return job.kind is DecodeKind.FILE or job.tenant.batch


def _may_be_dropped(job: Job) -> bool:
    # A guess of a long job is rarely dropped: nearly all its segments are closed.
    return job.kind is DecodeKind.PARTIAL or (job.kind is DecodeKind.GUESS and not job.long)


def _class(job: Job) -> Hashable:
    """Return the class of a job: those of one class compete, by their shares."""
    return job.background, _may_be_dropped(job)


def _kind(job: Job, batch_key: Callable[[Job], Hashable]) -> Hashable:
    return job.background, job.long, job.guess, batch_key(job)
