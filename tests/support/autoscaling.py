"""Simulation of KEDA's rule: from the values of a ScaledObject's queries to replicas. Pure.

KEDA gives the values to a HorizontalPodAutoscaler as external metrics of type AverageValue. Its
algorithm: https://kubernetes.io/docs/tasks/run-application/horizontal-pod-autoscale/ ("Algorithm
details", "Configurable scaling behavior"); KEDA's fallback:
https://keda.sh/docs/latest/reference/scaledobject-spec/#fallback.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

TOLERANCE = 0.1
"""Relative deviation from the threshold that changes nothing; Kubernetes' default."""


@dataclass(frozen=True, slots=True)
class Policy:
    """How far the number of replicas may change within a period."""

    kind: str  # "Pods" or "Percent"
    value: int
    seconds: int  # the period

    def most(self, replicas: int) -> int:
        """Return the largest change for a number of replicas at the start of the period."""
        if self.kind == "Pods":
            return self.value
        return math.ceil(replicas * self.value / 100)


@dataclass(frozen=True, slots=True)
class Direction:
    """Rules for scaling up, or for scaling down. The policy that allows most counts."""

    stabilization: int  # seconds whose most cautious wish counts
    policies: tuple[Policy, ...]


@dataclass(frozen=True, slots=True)
class Rules:
    """What a ScaledObject says."""

    least: int
    most: int
    thresholds: tuple[float, ...]  # one for each query
    queries: tuple[str, ...]
    fallback: int  # replicas without metrics, at least
    failure_threshold: int  # polls without metrics before the fallback
    up: Direction
    down: Direction

    @classmethod
    def of(cls, scaled_object: Mapping[str, Any]) -> Rules:
        """Read a ScaledObject with Prometheus triggers, a fallback and both behaviors."""
        spec = scaled_object["spec"]
        behavior = spec["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
        triggers = [each["metadata"] for each in spec["triggers"]]
        return cls(
            least=spec["minReplicaCount"],
            most=spec["maxReplicaCount"],
            thresholds=tuple(float(each["threshold"]) for each in triggers),
            queries=tuple(each["query"] for each in triggers),
            fallback=spec["fallback"]["replicas"],
            failure_threshold=spec["fallback"]["failureThreshold"],
            up=_direction(behavior["scaleUp"]),
            down=_direction(behavior["scaleDown"]),
        )

    def wanted(self, values: Sequence[float], replicas: int) -> int:
        """Return the replicas that the values ask for, within the limits.

        Args:
            values: one for each query.
            replicas: the present number.
        """
        wishes = [
            replicas
            if abs(value / (threshold * replicas) - 1) <= TOLERANCE
            else math.ceil(value / threshold)
            for value, threshold in zip(values, self.thresholds, strict=True)
        ]
        return min(max(self.least, *wishes), self.most)


def _direction(behavior: Mapping[str, Any]) -> Direction:
    return Direction(
        behavior["stabilizationWindowSeconds"],
        tuple(
            Policy(each["type"], each["value"], each["periodSeconds"])
            for each in behavior["policies"]
        ),
    )


class Autoscaler:
    """The number of replicas over time. Call poll() at increasing times.

    Args:
        rules: of the ScaledObject.
        replicas: at the start.
    """

    def __init__(self, rules: Rules, replicas: int) -> None:
        self.replicas = replicas
        self._rules = rules
        self._wishes: list[tuple[float, int]] = []
        self._changes: list[tuple[float, int]] = []
        self._missing = 0  # polls without metrics, in a row

    def poll(self, now: float, values: Sequence[float | None]) -> int:
        """Take the values of the queries and return the new number of replicas.

        Args:
            now: seconds.
            values: one for each query; None = the query had no result.
        """
        rules = self._rules
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            self._missing += 1
            if self._missing < rules.failure_threshold:
                return self.replicas
            wish = min(max(rules.fallback, self.replicas), rules.most)
        else:
            self._missing = 0
            wish = rules.wanted(known, self.replicas)
        self._wishes.append((now, wish))
        self._set(now, self._limited(now, self._stabilized(now)))
        return self.replicas

    def _stabilized(self, now: float) -> int:
        """Return the wish, or the more cautious one of the stabilization window."""
        up = min(self._since(now - self._rules.up.stabilization))
        down = max(self._since(now - self._rules.down.stabilization))
        return min(max(self.replicas, up), down)

    def _since(self, start: float) -> list[int]:
        return [wish for at, wish in self._wishes if at >= start]

    def _limited(self, now: float, wish: int) -> int:
        """Return the wish as far as the policies allow."""
        if wish == self.replicas:
            return wish
        direction = self._rules.up if wish > self.replicas else self._rules.down
        sign = 1 if wish > self.replicas else -1
        reached = []
        for policy in direction.policies:
            changed = sum(by for at, by in self._changes if at > now - policy.seconds)
            start = self.replicas - changed
            reached.append(start + sign * policy.most(start))
        furthest = max(reached) if sign > 0 else min(reached)
        return min(wish, furthest) if sign > 0 else max(wish, furthest)

    def _set(self, now: float, replicas: int) -> None:
        if replicas != self.replicas:
            self._changes.append((now, replicas - self.replicas))
        self.replicas = replicas
