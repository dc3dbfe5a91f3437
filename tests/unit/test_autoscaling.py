"""KEDA's rule as the tests of the manifests simulate it."""

from __future__ import annotations

import pytest

from tests.support.autoscaling import Autoscaler, Direction, Policy, Rules

RULES = Rules(
    least=2,
    most=20,
    thresholds=(0.6, 0.5),
    queries=("busy", "waiting"),
    fallback=4,
    failure_threshold=3,
    up=Direction(0, (Policy("Percent", 100, 30), Policy("Pods", 4, 30))),
    down=Direction(300, (Policy("Pods", 1, 60),)),
)


@pytest.mark.parametrize(
    ("values", "replicas", "wanted"),
    [
        ((0.0, 0.0), 2, 2),  # never fewer than the least
        ((3.0, 0.0), 2, 5),
        ((3.01, 0.0), 2, 6),  # rounded up
        ((0.6, 2.0), 2, 4),  # the query that asks for more
        ((99.0, 0.0), 2, 20),
        ((3.2, 0.0), 5, 5),  # 7% more than five replicas should have: within the tolerance
        ((2.75, 0.0), 5, 5),  # 8% less
        ((2.6, 0.0), 5, 5),  # 13% less, but four would have too much
        ((2.3, 0.0), 5, 4),
    ],
)
def test_the_values_ask_for_replicas(
    values: tuple[float, float], replicas: int, wanted: int
) -> None:
    assert RULES.wanted(values, replicas) == wanted


def test_scaling_up_is_immediate_and_limited_by_the_larger_policy() -> None:
    scaler = Autoscaler(RULES, 2)
    assert scaler.poll(0, (12.0, 0.0)) == 6  # 4 pods are more than 100% of 2
    assert scaler.poll(15, (12.0, 0.0)) == 6  # the same period
    assert scaler.poll(30, (12.0, 0.0)) == 12  # 100% of 6
    assert scaler.poll(60, (12.0, 0.0)) == 20


def test_scaling_down_waits_for_the_window_and_goes_one_pod_a_minute() -> None:
    scaler = Autoscaler(RULES, 6)
    scaler.poll(0, (3.5, 0.0))
    for now in range(15, 301, 15):
        assert scaler.poll(now, (0.0, 0.0)) == 6
    assert scaler.poll(315, (0.0, 0.0)) == 5
    assert scaler.poll(330, (0.0, 0.0)) == 5
    assert scaler.poll(375, (0.0, 0.0)) == 4


def test_a_short_lull_changes_nothing() -> None:
    scaler = Autoscaler(RULES, 6)
    for now in range(0, 1200, 15):
        assert scaler.poll(now, (3.6 if now % 300 == 0 else 0.5, 0.0)) == 6


def test_without_metrics_it_falls_back_after_some_polls_and_never_down() -> None:
    scaler = Autoscaler(RULES, 2)
    assert [scaler.poll(now, (None, 0.0)) for now in (0, 15, 30)] == [2, 2, 4]
    scaler = Autoscaler(RULES, 7)
    assert [scaler.poll(now, (None, None)) for now in (0, 15, 30, 45)] == [7, 7, 7, 7]


def test_metrics_that_return_reset_the_count_of_failures() -> None:
    scaler = Autoscaler(RULES, 2)
    polls = [(None, 0.0), (None, 0.0), (0.1, 0.0), (None, 0.0), (None, 0.0)]
    assert [scaler.poll(15 * at, values) for at, values in enumerate(polls)] == [2] * 5


def test_the_rules_are_those_of_a_scaled_object() -> None:
    def behavior(direction: Direction) -> dict[str, object]:
        return {
            "stabilizationWindowSeconds": direction.stabilization,
            "policies": [
                {"type": each.kind, "value": each.value, "periodSeconds": each.seconds}
                for each in direction.policies
            ],
        }

    spec = {
        "minReplicaCount": 2,
        "maxReplicaCount": 20,
        "fallback": {"replicas": 4, "failureThreshold": 3},
        "triggers": [
            {"metadata": {"query": "busy", "threshold": "0.6"}},
            {"metadata": {"query": "waiting", "threshold": "0.5"}},
        ],
        "advanced": {
            "horizontalPodAutoscalerConfig": {
                "behavior": {"scaleUp": behavior(RULES.up), "scaleDown": behavior(RULES.down)}
            }
        },
    }
    assert Rules.of({"spec": spec}) == RULES
