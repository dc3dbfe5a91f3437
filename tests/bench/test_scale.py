"""The model of scale: decode times from measurements, and replicas from decode times."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.scale import Measured, fit, need, print_check, read, wanted
from bench.support.queueing import Service, in_bursts

POD = Service(0.2, 0.05, 4, overhead=0.1, wasted=0.5)
ALONE_CPU = 0.4  # seconds of one job


def measured(microphones: int, service: Service = POD) -> Measured:
    """Return what bench.load would measure with a service, whose decoder alone costs CPU time."""
    outcome = in_bursts(service, clients=microphones, rounds=50, seed=microphones)
    share = outcome.busy * outcome.seconds / len(outcome.waits) / service.first
    cpu = ALONE_CPU * share
    return Measured(microphones, 50, outcome.waits, outcome.throughput, cpu, 1.5 * ALONE_CPU)


def test_the_decode_times_are_found_again() -> None:
    found = fit([measured(1), measured(4)], max_batch=4)
    assert found.first == pytest.approx(POD.first, rel=0.05)
    assert found.more == pytest.approx(POD.more, rel=0.2)
    assert found.overhead == pytest.approx(POD.overhead, rel=0.1)
    assert found.wasted == pytest.approx(POD.wasted)


def test_a_model_without_batches_is_recognised() -> None:
    alone = Service(0.2, 0.2, 4)
    found = fit([measured(1, alone), measured(4, alone)], max_batch=4)
    assert found.more == pytest.approx(0.2, rel=0.1)


def test_the_check_passes_for_the_same_times_and_fails_for_others(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert print_check(POD, measured(8))
    assert not print_check(Service(0.2, 0.15, 4), measured(8))
    assert "utterances per second" in capsys.readouterr().out


def test_a_thousand_times_the_homes_need_less_than_a_thousand_times_the_replicas() -> None:
    few, many = need(POD, 0.5, 0.3, 3000), need(POD, 100.0, 0.3, 9000)
    assert few.replicas == 1
    assert 100 * POD.per_job < many.replicas < 100 * POD.first
    assert many.p95 <= 0.3


def test_longer_waits_need_fewer_replicas() -> None:
    assert need(POD, 30.0, 3.0, 3000).replicas < need(POD, 30.0, 0.05, 3000).replicas


@pytest.mark.parametrize(("seconds", "most"), [(0.2, 0.3), (1.0, 0.48)])
def test_where_a_lone_utterance_is_slow_the_queue_may_add_a_little(
    seconds: float, most: float
) -> None:
    assert wanted(Service(seconds, seconds, 1)) == pytest.approx(most)


def test_a_file_of_bench_load_is_read(tmp_path: Path) -> None:
    phase = {"waits": [0.3, 0.5], "seconds": 0.8, "cpu": 1.0}
    path = tmp_path / "load.json"
    servers = {"this server": {"one": {**phase, "cpu": 1.6}, "burst": phase}}
    path.write_text(json.dumps({"microphones": 4, "rounds": 2, "servers": servers}))
    [found] = read(path)
    assert found.microphones == 4
    assert found.throughput == pytest.approx(2.5)
    assert (found.burst_cpu, found.real_cpu) == (0.5, 0.8)
