"""deploy/grafana.json shows every metric of the server, and no others."""

from __future__ import annotations

import json
import re
from pathlib import Path

from wyoming_faster_whisper.app.metrics import PREFIX, Metrics, Snapshot

DASHBOARD = Path(__file__).parents[2] / "deploy" / "grafana.json"
# Prometheus adds these suffixes to the names of counters and histograms.
SUFFIXES = re.compile(r"_(total|bucket|count|sum)$")


def shown() -> set[str]:
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    words = " ".join(target["expr"] for panel in panels for target in panel["targets"])
    return set(re.findall(rf"\b((?:{PREFIX}|process)_\w+)", words))


def counted() -> set[str]:
    text = Metrics().render(Snapshot(sessions={"wyoming": 1}, batches={1: 1})).decode()
    return set(re.findall(r"^# TYPE (\S+)", text, re.MULTILINE))


def test_the_dashboard_shows_every_metric_of_ours_and_no_others() -> None:
    ours = {SUFFIXES.sub("", name) for name in counted() if name.startswith(PREFIX)}
    assert {SUFFIXES.sub("", name) for name in shown() if name.startswith(PREFIX)} == ours


def test_the_dashboard_shows_only_process_metrics_that_exist() -> None:
    assert {name for name in shown() if name.startswith("process_")} <= counted()


def test_the_dashboard_uses_the_full_names_of_counters() -> None:
    counters = {name for name in counted() if name.endswith("_total")}
    assert counters & {f"{name}_total" for name in shown()} == set()
