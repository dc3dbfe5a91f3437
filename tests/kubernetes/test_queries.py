"""The ScaledObject's queries over known series, evaluated by promtool, and KEDA's answer."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from bench.scale import GPU_BUSY, POD_BUSY
from tests.support.autoscaling import Autoscaler, Rules

from .manifests import OVERLAYS, of_kind, the_scaled_object

STEP = 15  # seconds between two scrapes, as in the PodMonitor

pytestmark = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed (Debian: prometheus)"
)


def series(pod: str, name: str, kind: str, rate: float, *, minutes: int = 5) -> dict[str, str]:
    """Return a counter of seconds that grows by a rate, in promtool's notation."""
    labels = f'namespace="speech-to-text",pod="{pod}",container="stt",kind="{kind}"'
    values = f"0+{rate * STEP}x{minutes * 60 // STEP}"
    return {"series": f"wyoming_stt_{name}_seconds_sum{{{labels}}}", "values": values}


def check(folder: Path, rules: Rules, given: list[dict[str, str]], values: list[float]) -> None:
    """Let promtool check the values of the queries after five minutes."""
    tests = [
        {
            "expr": query,
            "eval_time": "5m",
            "exp_samples": [{"labels": "{}", "value": value}],
        }
        for query, value in zip(rules.queries, values, strict=True)
    ]
    content = {
        "evaluation_interval": "15s",
        "tests": [
            {"interval": f"{STEP}s", "input_series": given, "promql_expr_test": tests},
        ],
    }
    path = folder / "queries.yaml"
    path.write_text(yaml.safe_dump(content))
    run = subprocess.run(
        ["promtool", "test", "rules", path], capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.fixture(scope="module")
def rules() -> Rules:
    return Rules.of(the_scaled_object("haproxy"))


def test_busy_decoders_and_waiting_jobs_of_all_pods_and_kinds_are_summed(
    rules: Rules, tmp_path: Path
) -> None:
    given = [
        series("stt-a", "decode", "final", 0.125),
        series("stt-a", "decode", "guess", 0.0625),
        series("stt-b", "decode", "final", 0.25),
        series("stt-b", "decode", "file", 0.0),
        series("stt-a", "queue", "final", 0.125),
        series("stt-b", "queue", "final", 0.75),
    ]
    check(tmp_path, rules, given, [0.4375, 0.875])
    assert Autoscaler(rules, 2).poll(0, [0.4375, 0.875]) == 5


@pytest.mark.parametrize(("overlay", "busy"), [("haproxy", POD_BUSY), ("gpu", GPU_BUSY)])
def test_the_simulation_has_the_threshold_of_the_scaled_object(overlay: str, busy: float) -> None:
    assert Rules.of(the_scaled_object(overlay)).thresholds[0] == busy


def test_idle_pods_ask_for_the_least_and_not_for_the_fallback(
    rules: Rules, tmp_path: Path
) -> None:
    given = [
        series(pod, name, "final", 0.0) for pod in ("a", "b") for name in ("decode", "queue")
    ]
    check(tmp_path, rules, given, [0.0, 0.0])
    assert Autoscaler(rules, 2).poll(0, [0.0, 0.0]) == rules.least == 2


def test_another_namespace_does_not_count(rules: Rules, tmp_path: Path) -> None:
    given = [series("a", name, "final", 0.5) for name in ("decode", "queue")]
    other = [
        {**each, "series": each["series"].replace("speech-to-text", "staging")} for each in given
    ]
    check(tmp_path, rules, given + other, [0.5, 0.5])


def test_a_pod_that_has_ended_does_not_count_after_a_minute(rules: Rules, tmp_path: Path) -> None:
    given = [series("a", name, "final", 0.5) for name in ("decode", "queue")]
    ended = [series("b", name, "final", 0.75, minutes=3) for name in ("decode", "queue")]
    check(tmp_path, rules, given + ended, [0.5, 0.5])


def test_a_restarted_pod_does_not_count_as_negative_load(rules: Rules, tmp_path: Path) -> None:
    given = [series("a", "queue", "final", 0.5)]
    label = series("a", "decode", "final", 0.5)["series"]
    # 7.5 a scrape, and at the last scrape but one from zero again, as after a restart.
    given.append({"series": label, "values": "0+7.5x18 7.5 15"})
    check(tmp_path, rules, given, [0.5, 0.5])


@pytest.mark.parametrize("overlay", OVERLAYS)
def test_promtool_accepts_every_query(overlay: str, tmp_path: Path) -> None:
    queries = [
        query for each in of_kind(overlay, "ScaledObject") for query in Rules.of(each).queries
    ]
    rules = [{"record": f"query:{at}", "expr": query} for at, query in enumerate(queries)]
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    subprocess.run(["promtool", "check", "rules", path], check=True, capture_output=True)
