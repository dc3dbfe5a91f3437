"""The simulation agrees with what queueing theory knows."""

from __future__ import annotations

import pytest

from bench.support.queueing import STOP, Service, in_bursts, in_real_time


def slow(seconds: float, wasted: float = 0.0) -> Service:
    """A service without batches, so slow that every answer comes after audio-stop."""
    return Service(seconds, seconds, 1, wasted=wasted)


def test_an_utterance_alone_is_answered_before_the_client_stops() -> None:
    service = Service(0.2, 0.1, 8)
    outcome = in_real_time(service, replicas=1, per_second=1e-6, utterances=100)
    assert outcome.waits == [0.0] * 90


def test_a_slow_decode_alone_takes_what_is_left_after_audio_stop() -> None:
    outcome = in_real_time(slow(2.0), replicas=1, per_second=1e-6, utterances=100)
    assert outcome.waits == pytest.approx([2.0 - STOP + 0.13] * 90)


def test_the_queue_of_one_replica_is_that_of_theory() -> None:
    """M/D/1 at a utilisation of 0.5: the mean number of waiting jobs is 0.25."""
    outcome = in_real_time(slow(0.5), replicas=1, per_second=1.0, utterances=40_000)
    assert outcome.busy == pytest.approx(0.5, rel=0.03)
    assert outcome.waiting == pytest.approx(0.25, rel=0.1)


def test_the_fewest_connections_spread_the_load() -> None:
    """Two replicas behind leastconn wait less than two that each have half of the clients."""
    together = in_real_time(slow(0.5), replicas=2, per_second=2.0, utterances=40_000)
    assert together.busy == pytest.approx(1.0, rel=0.03)
    assert together.waiting < 2 * 0.25


def test_dropped_guesses_cost_decoder_time() -> None:
    outcome = in_real_time(slow(0.1, wasted=0.5), replicas=1, per_second=1.0, utterances=20_000)
    assert outcome.busy == pytest.approx(0.15, rel=0.05)


def test_dropped_guesses_wait_for_answers() -> None:
    busy = in_real_time(slow(0.3, wasted=1.0), replicas=1, per_second=1.0, utterances=20_000)
    calm = in_real_time(slow(0.3), replicas=1, per_second=1.0, utterances=20_000)
    assert sum(busy.waits) / len(busy.waits) < 0.3 + sum(calm.waits) / len(calm.waits)


def test_clients_in_bursts_are_answered_as_fast_as_the_decoder_works() -> None:
    outcome = in_bursts(slow(0.2), clients=4, rounds=50)
    assert outcome.throughput == pytest.approx(5.0)
    assert outcome.busy == pytest.approx(1.0)
    assert sorted(outcome.waits)[len(outcome.waits) // 2] == pytest.approx(0.8)


def test_batches_raise_the_throughput() -> None:
    # The first decode has one job; from then on, four and four take turns... of one decoder.
    outcome = in_bursts(Service(0.2, 0.05, 8), clients=8, rounds=200)
    assert outcome.throughput == pytest.approx(8 / (0.2 + 7 * 0.05), rel=0.3)
    assert outcome.throughput > 2 * in_bursts(slow(0.2), clients=8, rounds=200).throughput


def test_the_same_seed_gives_the_same_result() -> None:
    service = Service(0.2, 0.1, 4, ratios=(0.5, 1.0, 1.5))
    one, other = (
        in_real_time(service, replicas=3, per_second=5.0, utterances=500) for _ in range(2)
    )
    assert one.waits == other.waits
