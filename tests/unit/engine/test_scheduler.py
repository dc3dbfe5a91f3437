"""Scheduling: which jobs are decoded next."""

from __future__ import annotations

import math
from collections.abc import Hashable
from dataclasses import dataclass, replace
from itertools import combinations
from operator import attrgetter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wyoming_faster_whisper.engine.protocol import DecodeKind, DecodeOptions, Job
from wyoming_faster_whisper.engine.scheduler import (
    Decoders,
    Shares,
    Waiting,
    next_batch,
    overdue_at,
)
from wyoming_faster_whisper.tenant import Priority, Tenant
from wyoming_faster_whisper.testing import silence

SINCE = attrgetter("since")


def job(
    language: str = "en",
    *,
    seconds: float = 1.0,
    kind: DecodeKind = DecodeKind.FINAL,
    owner: Hashable = None,
    earlier: float = 0.0,
) -> Job:
    options = DecodeOptions(language=language)
    return Job(silence(seconds), options, kind=kind, owner=owner, earlier_seconds=earlier)


def guess(seconds: float = 1.0) -> Job:
    return job(seconds=seconds, kind=DecodeKind.GUESS)


def segment(owner: Hashable = None) -> Job:
    return job(seconds=28.0, owner=owner)


def chosen(
    *waiting: Job | tuple[float, Job],
    batch: int = 1,
    decoders: Decoders | None = None,
    shares: Shares | None = None,
    now: float = 9.0,
) -> list[Job]:
    """Choose the next batch; jobs are in order of arrival, at time 0 or at their given time."""
    arrived = [
        Waiting(one[1], one[0]) if isinstance(one, tuple) else Waiting(one, 0.0)
        for one in waiting
    ]
    free = decoders or Decoders(max_batch=batch)
    return next_batch(arrived, free, shares or Shares(), lambda one: one.options, now)


def test_an_empty_queue_gives_an_empty_batch() -> None:
    assert chosen(batch=4) == []


def test_jobs_are_decoded_in_order_of_arrival() -> None:
    waiting = [job() for _ in range(3)]
    assert chosen(*waiting) == waiting[:1]


def test_finals_go_before_guesses() -> None:
    speculative, final = guess(), job()
    assert chosen((0.0, speculative), (9.0, final)) == [final]


def test_a_final_does_not_share_its_batch_with_a_guess() -> None:
    speculative, final = guess(), job()
    assert chosen(speculative, final, batch=2) == [final]


def test_guesses_share_a_batch() -> None:
    guesses = [guess(), guess()]
    assert chosen(*guesses, batch=2) == guesses


def test_all_jobs_of_a_batch_have_the_same_options() -> None:
    first, german, third = job(), job("de"), job()
    assert chosen(first, german, third, batch=8) == [first, third]
    assert chosen(german, first, third, batch=8) == [german]


def test_a_batch_is_no_larger_than_allowed() -> None:
    waiting = [job() for _ in range(10)]
    assert chosen(*waiting, batch=4) == waiting[:4]


def test_a_command_goes_before_a_long_segment_that_came_earlier() -> None:
    long, command = segment(), job(seconds=2)
    assert chosen((0.0, long), (9.0, command)) == [command]


def test_a_guess_of_a_command_goes_before_a_long_segment() -> None:
    long, speculative = segment(), guess()
    assert chosen((0.0, long), (9.0, speculative)) == [speculative]


def test_a_short_segment_of_a_long_recording_is_not_a_command() -> None:
    tail, command = job(seconds=2, earlier=9.0), job(seconds=2)
    assert chosen((0.0, tail), (9.0, command)) == [command]


def test_the_guess_of_a_long_segment_waits_its_turn_among_finals() -> None:
    closed, final = guess(seconds=28.0), segment()
    assert chosen((0.0, closed), (1.0, final)) == [closed]
    partial = job(seconds=28.0, kind=DecodeKind.PARTIAL)
    assert chosen((0.0, partial), (1.0, final)) == [final]


def file(seconds: float) -> Job:
    return job(seconds=seconds, kind=DecodeKind.FILE)


@pytest.mark.parametrize("seconds", [2.0, 28.0])
def test_a_command_and_its_guess_go_before_a_file_of_any_length(seconds: float) -> None:
    speculative, command = guess(), job()
    assert chosen((0.0, file(seconds)), (9.0, command), batch=4) == [command]
    assert chosen((0.0, file(seconds)), (9.0, speculative), batch=4) == [speculative]


def test_files_are_not_guesses_and_go_before_partial_texts_of_dictations() -> None:
    long = file(28.0)
    assert not long.guess
    assert chosen((0.0, job(seconds=28.0, kind=DecodeKind.PARTIAL)), (1.0, long)) == [long]


def test_a_short_file_needs_no_decoder_for_long_jobs_and_takes_the_last_one_alone() -> None:
    decoders = Decoders(2, max_batch=8, max_long_batch=8, long=1)
    short, other = file(2.0), file(3.0)
    assert chosen(file(28.0), short, other, decoders=decoders) == [short]
    assert chosen(short, other, decoders=Decoders(2, max_batch=8, max_long_batch=8)) == [
        short,
        other,
    ]


def test_the_only_decoder_takes_one_short_file_at_a_time() -> None:
    short, other = file(2.0), file(2.0)
    assert chosen(short, other, batch=8) == [short]


def test_a_short_file_has_its_turn_after_ten_seconds_of_commands() -> None:
    short, command = file(2.0), job()
    assert chosen((0.0, short), (9.9, command), now=10.0) == [short]


def test_short_and_long_files_share_no_batch() -> None:
    short, long = file(2.0), file(28.0)
    assert chosen(short, long, decoders=Decoders(4, max_batch=8, max_long_batch=8)) == [short]


@pytest.mark.parametrize(
    ("began", "first"),
    [
        (float("-inf"), "segment"),  # it has waited since 0
        (0.5, "command"),  # another one began 9.5 s ago
    ],
)
def test_a_long_segment_has_its_turn_after_ten_seconds_of_commands(
    began: float, first: str
) -> None:
    long, command = segment(), job()
    decoders = Decoders(last_background=began)
    [next_job] = chosen((0.0, long), (9.9, command), decoders=decoders, now=10.0)
    assert next_job is (long if first == "segment" else command)


def test_a_segment_that_has_just_come_is_not_overdue() -> None:
    long, command = segment(), job()
    assert chosen((8.0, command), (9.0, long), now=17.9) == [command]


@pytest.mark.parametrize(("parallel", "busy"), [(2, 1), (4, 3)])
def test_long_segments_leave_a_decoder_to_commands(parallel: int, busy: int) -> None:
    decoders = Decoders(parallel, max_batch=8, max_long_batch=8, long=busy)
    command = job()
    assert chosen(segment(), decoders=decoders) == []
    assert chosen((0.0, segment()), decoders=decoders, now=99.0) == []
    assert chosen(segment(), command, decoders=decoders) == [command]


def test_while_nobody_speaks_one_long_segment_may_use_the_last_decoder() -> None:
    segments = [segment() for _ in range(3)]
    quiet = Decoders(2, max_batch=8, max_long_batch=8, long=1, reserved=False)
    assert chosen(*segments, decoders=quiet) == segments[:1]
    assert chosen(*segments, decoders=replace(quiet, long=0)) == segments


def test_long_segments_use_the_other_decoders_together() -> None:
    segments = [segment() for _ in range(3)]
    assert (
        chosen(*segments, decoders=Decoders(4, max_batch=8, max_long_batch=8, long=2)) == segments
    )


def test_the_only_decoder_takes_one_long_segment_at_a_time() -> None:
    first, second = segment(), segment()
    assert chosen(first, second, batch=8) == [first]


def test_a_command_and_a_long_segment_share_no_batch() -> None:
    decoders = Decoders(2, max_batch=8, max_long_batch=8)
    long, command = segment(), job()
    assert chosen(long, command, decoders=decoders) == [command]
    assert chosen((0.0, long), (9.0, command), decoders=decoders, now=10.0) == [long]


def test_jobs_of_one_client_alternate_with_those_of_others() -> None:
    many = [job(owner="a") for _ in range(3)]
    other = job(owner="b")
    waiting = [*((0.0, one) for one in many), (1.0, other)]
    assert chosen(*waiting, batch=8) == [many[0], other, many[1], many[2]]


def test_four_recordings_of_one_owner_count_as_one() -> None:
    waiting = [(float(at), segment("a")) for at in range(4)] + [(4.0, segment("b"))]
    shares, seconds = Shares(), {"a": 0.0, "b": 0.0}
    for now in range(5, 205):
        [begun] = chosen(*waiting, shares=shares, now=now)
        shares.begin([begun])
        seconds[str(begun.owner)] += begun.seconds
        # The next segment of the same recording.
        waiting = [one for one in waiting if one[1] is not begun]
        waiting.append((float(now), segment(begun.owner)))
    assert seconds == {"a": 2800.0, "b": 2800.0}


def test_the_share_is_of_seconds_and_not_of_jobs() -> None:
    shares = Shares()
    shares.begin([job(seconds=9, owner="a"), job(seconds=2, owner="b")])
    a, b = job(owner="a"), job(owner="b")
    assert chosen(a, b, shares=shares, batch=8) == [b, a]


def test_an_owner_without_a_job_so_far_goes_first() -> None:
    shares = Shares()
    shares.begin([job(seconds=0.5, owner="a")])
    a, b = job(owner="a"), job(owner="b")
    assert chosen(a, b, shares=shares, batch=8) == [b, a]


@pytest.mark.parametrize("late", ["owner", "tenant"])
def test_an_owner_or_a_tenant_that_comes_late_has_no_claim_to_catch_up(late: str) -> None:
    def of(name: str) -> Job:
        one = job(seconds=9, owner=name)
        return one if late == "owner" else replace(one, tenant=tenant(name))

    shares = Shares()
    for _ in range(100):
        shares.begin([of("early")])
    many, early = [of("late") for _ in range(9)], of("early")
    assert chosen(*many, (1.0, early), shares=shares, batch=16).index(early) == 2


def test_the_clients_of_a_tenant_share_its_part_after_the_job_of_another_tenant() -> None:
    other = replace(job(), tenant=tenant("a"))
    used, less = (replace(job(owner=who), tenant=tenant("b")) for who in ("used", "less"))
    shares = Shares()
    shares.begin([used])
    assert chosen(other, used, less, shares=shares, batch=8) == [other, less, used]


def test_the_shares_do_not_grow_with_every_owner() -> None:
    shares = Shares()
    for owner in range(1000):
        shares.begin([segment(owner), segment(owner)])
    assert len(shares) <= 130


def test_the_shares_do_not_grow_with_every_tenant() -> None:
    shares = Shares()
    for number in range(1000):
        one = replace(segment("a"), tenant=tenant(f"t{number}"))
        shares.begin([one, one])
    assert len(shares) <= 260  # the tenants, and the owners of each


def test_the_clients_of_a_tenant_share_its_part_however_many_tenants_there_are() -> None:
    shares = Shares()
    for number in range(200):
        used, other = (
            replace(job(owner=who), tenant=tenant(f"t{number}")) for who in ("used", "other")
        )
        shares.begin([used, used])
        assert chosen(used, other, shares=shares, batch=8) == [other, used]


def test_choosing_a_batch_does_not_change_the_queue() -> None:
    waiting, shares = [Waiting(guess(), 0.0), Waiting(job(), 0.0)], Shares()
    before = list(waiting)
    next_batch(waiting, Decoders(max_batch=2), shares, lambda one: one.options, 0.0)
    assert waiting == before
    assert len(shares) == 0


def test_jobs_are_compared_by_identity() -> None:
    assert job() != job()
    assert job().seconds == 1.0


def test_no_part_of_a_file_begins_while_a_command_is_decoded() -> None:
    waiting = [(5.0, file(20.0))]
    two = Decoders(parallel=2, last_background=5.0, reserved=True, commands=True)
    assert chosen(*waiting, decoders=two) == []
    assert chosen(*waiting, decoders=replace(two, commands=False)) == [waiting[0][1]]


def test_a_steady_stream_of_commands_does_not_starve_files() -> None:
    waiting = [(5.0, file(20.0))]
    two = Decoders(parallel=2, last_background=5.0, reserved=True, commands=True)
    assert chosen(*waiting, decoders=two, now=15.0) == [waiting[0][1]]


def test_a_speaker_who_is_expected_keeps_batches_of_long_segments_short() -> None:
    segments = [file(seconds) for seconds in (11.0, 17.0, 11.0)]
    four = Decoders(4, max_batch=8, max_long_batch=8)
    assert chosen(*segments, decoders=four) == segments
    assert chosen(*segments, decoders=replace(four, expected=True)) == segments[:2]
    assert chosen(file(28.0), file(28.0), decoders=replace(four, expected=True))[1:] == []


def test_the_time_of_a_file_comes_ten_seconds_after_the_last_one() -> None:
    two = Decoders(parallel=2, last_background=5.0, commands=True)
    waiting = [Waiting(file(20.0), 1.0), Waiting(file(2.0), 7.0), Waiting(job(), 2.0)]
    assert overdue_at(waiting, two) == 15.0
    assert overdue_at(waiting[1:], replace(two, last_background=1.0)) == 17.0
    assert overdue_at(waiting, replace(two, long=1, last_background=1.0)) == 17.0
    assert overdue_at(waiting[2:], two) == math.inf


@given(
    st.lists(st.tuples(st.floats(0.1, 28.0), st.floats(0.0, 60.0)), min_size=1, max_size=12),
    st.integers(1, 4),
    st.integers(1, 8),
    st.floats(0.2, 5.0),
)
@settings(max_examples=100, deadline=None)
def test_speech_without_end_starves_no_file(
    files: list[tuple[float, float]], parallel: int, batch: int, takes: float
) -> None:
    """While a speaker never stops, a part of a file begins every ten seconds.

    The queue is asked whenever a decode ends, a job comes, and at overdue_at(), as by the worker.
    """
    to_come = sorted((Waiting(file(length), since) for length, since in files), key=SINCE)
    waiting: list[Waiting] = []
    ends: list[tuple[float, int]] = []  # of the decodes: time, long jobs
    now, last, begun = 0.0, float("-inf"), 0
    while begun < len(files):
        while to_come and to_come[0].since <= now:
            waiting.append(to_come.pop(0))
        ends = [(end, long) for end, long in ends if end > now]
        decoders = Decoders(
            parallel,
            batch,
            batch,
            long=sum(long for _, long in ends),
            last_background=last,
            expected=True,
            commands=True,
        )
        free = len(ends) < parallel
        jobs = next_batch(waiting, decoders, Shares(), lambda _: None, now) if free else []
        if jobs:
            oldest = min(one.since for one in waiting if one.job in jobs)
            # Not even a slow decode before it keeps it waiting for longer.
            assert now <= max(oldest, last, 0.0) + 10.0 + takes + 1e-6
            waiting = [one for one in waiting if one.job not in jobs]
            ends.append((now + takes, jobs[0].long))
            last, begun = now, begun + len(jobs)
            continue
        at = [one.since for one in to_come[:1]] + [end for end, _ in ends]
        due = overdue_at(waiting, decoders)
        assert not free or not waiting or due > now
        now = min([*at, due] if free else at)


def test_a_dictation_goes_on_while_a_command_is_decoded() -> None:
    part = segment()
    assert chosen(part, decoders=Decoders(parallel=2, commands=True)) == [part]


def tenant(name: str, weight: float = 1.0, priority: Priority = Priority.HOUSE) -> Tenant:
    return Tenant(name=name, named=True, shares=True, weight=weight, priority=priority)


def test_a_tenant_of_the_priority_batch_waits_while_commands_do() -> None:
    batch = replace(job(), tenant=tenant("batch", priority=Priority.BATCH))
    command = job()
    assert batch.background
    assert chosen((0.0, batch), (9.0, command)) == [command]
    # So does its guess, whatever came first.
    assert chosen((0.0, replace(batch, kind=DecodeKind.GUESS)), (9.0, command)) == [command]
    assert chosen((0.0, batch), (9.9, command), now=10.0) == [batch]


def test_the_clients_of_a_tenant_share_its_part() -> None:
    many = [replace(job(owner=at), tenant=tenant("a")) for at in range(3)]
    other = replace(job(owner="b"), tenant=tenant("b"))
    assert chosen(*many, (1.0, other), batch=8) == [many[0], other, many[1], many[2]]
    own = [replace(job(owner=who), tenant=tenant("a")) for who in "aab"]
    assert chosen(*own, batch=8) == [own[0], own[2], own[1]]


def test_a_tenant_of_twice_the_weight_gets_twice_the_seconds() -> None:
    shares, seconds = Shares(), {"one": 0.0, "two": 0.0}
    waiting = [replace(job(), tenant=tenant("one", 1)), replace(job(), tenant=tenant("two", 2))]
    for _ in range(300):
        [begun] = chosen(*waiting, shares=shares)
        shares.begin([begun])
        seconds[begun.tenant.name] += begun.seconds
    assert seconds == {"one": 100.0, "two": 200.0}


def test_commands_do_not_forgive_files_what_they_have_used() -> None:
    """A command that begins between two files changes nothing for those that wait."""
    shares = Shares()
    many = [replace(file(9.0), tenant=tenant("a")) for _ in range(4)]
    other = replace(file(9.0), tenant=tenant("b"))
    waiting = [*((float(at), one) for at, one in enumerate(many)), (4.0, other)]
    [first] = chosen(*waiting, shares=shares)
    shares.begin([first])
    for _ in range(3):
        shares.begin([replace(job(seconds=9.0), tenant=tenant("house"))])
    assert first is many[0]
    assert chosen(*waiting[1:], shares=shares) == [other]


@dataclass(frozen=True)
class Flow:
    """A tenant with its jobs: their lengths in seconds, all waiting from a moment on."""

    weight: float
    jobs: list[float]
    comes: int  # number of jobs that are begun before it comes


FLOWS = st.lists(
    st.builds(
        Flow,
        st.floats(0.01, 100),
        st.lists(st.floats(0.1, 9.0), min_size=1, max_size=12),
        st.integers(0, 8),
    ),
    min_size=2,
    max_size=5,
)


@given(FLOWS, st.sampled_from([DecodeKind.FINAL, DecodeKind.FILE]))
@settings(max_examples=150, deadline=None)
def test_tenants_share_the_model_by_their_weights_within_one_job(
    flows: list[Flow], kind: DecodeKind
) -> None:
    """Tenants that both have jobs waiting differ by one job of each, in seconds per weight.

    So while a tenant waits, each other one gets a limited time only: none is starved.
    """
    names = [f"t{at}" for at in range(len(flows))]
    queues = {
        name: [
            replace(job(seconds=seconds, kind=kind), tenant=tenant(name, flow.weight))
            for seconds in flow.jobs
        ]
        for name, flow in zip(names, flows, strict=True)
    }
    longest = {name: max(one.seconds for one in jobs) for name, jobs in queues.items()}
    weight = {name: flow.weight for name, flow in zip(names, flows, strict=True)}
    shares, begun = Shares(), 0
    # Seconds per weight that a pair has got since both of them have jobs waiting.
    since: dict[tuple[str, str], dict[str, float]] = {}
    while any(queues.values()):
        here = [
            name
            for name, flow in zip(names, flows, strict=True)
            if queues[name] and begun >= flow.comes
        ]
        begun += 1
        if not here:
            continue
        pairs = list(combinations(here, 2))
        since = {pair: since.get(pair, dict.fromkeys(pair, 0.0)) for pair in pairs}
        [first] = chosen(*(one for name in here for one in queues[name]), shares=shares)
        shares.begin([first])
        name = first.tenant.name
        queues[name].remove(first)
        for pair, got in since.items():
            if name in pair:
                got[name] += first.seconds / weight[name]
            one, other = pair
            limit = sum(longest[each] / weight[each] for each in pair)
            assert abs(got[one] - got[other]) <= limit * (1 + 1e-9)


def test_commands_without_end_starve_no_tenant_of_files() -> None:
    """Every ten seconds one background job begins, of each tenant in turn."""
    names = ["a", "b", "c"]
    queued = {
        name: [replace(file(5.0), tenant=tenant(name, priority=Priority.BATCH)) for _ in range(5)]
        for name in names
    }
    shares, began, order = Shares(), float("-inf"), []
    for now in range(10, 100):
        files = [(0.0, one) for name in names for one in queued[name]]
        decoders = Decoders(last_background=began)
        [first] = chosen(*files, (now - 0.5, job()), shares=shares, decoders=decoders, now=now)
        shares.begin([first])
        if first.background:
            began = now
            queued[first.tenant.name].remove(first)
            order.append(first.tenant.name)
    assert [sorted(order[at : at + 3]) for at in (0, 3, 6)] == [names] * 3
