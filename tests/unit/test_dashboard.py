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


def test_every_name_of_ours_is_shown_and_exists() -> None:
    ours = {SUFFIXES.sub("", name) for name in counted() if name.startswith(PREFIX)}
    assert {SUFFIXES.sub("", name) for name in shown() if name.startswith(PREFIX)} == ours


def test_the_process_is_shown_by_names_that_exist() -> None:
    assert {name for name in shown() if name.startswith("process_")} <= counted()


def test_a_counter_is_shown_by_its_whole_name() -> None:
    counters = {name for name in counted() if name.endswith("_total")}
    assert counters & {f"{name}_total" for name in shown()} == set()
