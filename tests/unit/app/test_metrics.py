"""Metrics in the Prometheus text format."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from tests.support.records import RECORD
from wyoming_faster_whisper.app.metrics import PREFIX, Metrics, Snapshot
from wyoming_faster_whisper.audio.preprocess import StepUse
from wyoming_faster_whisper.engine.protocol import DecodeKind
from wyoming_faster_whisper.tenant import Tenant


def values(metrics: Metrics, now: Snapshot | None = None) -> dict[str, float]:
    """Return our samples: name with labels, without the prefix, to value."""
    text = metrics.render(now or Snapshot()).decode()
    pairs = re.findall(rf"^{PREFIX}_(\S+(?:{{.*}})?) (\S+)$", text, re.MULTILINE)
    return {name: float(value) for name, value in pairs}


def test_an_answered_utterance_is_counted_with_its_duration_and_latencies() -> None:
    metrics = Metrics()
    metrics.observe(RECORD)
    found = values(metrics)
    assert found['utterances_total{outcome="text"}'] == 1
    assert found["audio_seconds_total"] == 2.5
    assert found["speech_to_text_seconds_sum"] == 0.72
    assert found['stop_to_text_seconds_bucket{le="0.01"}'] == 0
    assert found['stop_to_text_seconds_bucket{le="0.025"}'] == 1
    assert found['guesses_total{outcome="used"}'] == 1
    assert found['verdicts_total{verdict="believe"}'] == 1
    assert found["decodes_total"] == 1


def test_a_file_is_counted_but_has_no_latency() -> None:
    metrics = Metrics()
    metrics.observe(replace(RECORD, file=True))
    found = values(metrics)
    assert found['utterances_total{outcome="text"}'] == 1
    assert found["speech_to_text_seconds_count"] == 0
    assert found["stop_to_text_seconds_count"] == 0


def test_every_kind_of_decode_has_a_series_before_the_first_one() -> None:
    """Otherwise rate() would miss the first decode, and a fresh server would have no series."""
    found = values(Metrics())
    for kind in DecodeKind:
        for name in ("queue_seconds_sum", "decode_seconds_sum"):
            assert found[f'{name}{{kind="{kind.value}"}}'] == 0


def test_a_job_is_counted_with_its_time_in_the_queue_by_kind() -> None:
    metrics = Metrics()
    metrics.begun("final", 0.004)
    metrics.begun("guess", 3.0)
    found = values(metrics)
    assert found['queue_seconds_bucket{kind="final",le="0.01"}'] == 1
    assert found['queue_seconds_sum{kind="guess"}'] == 3.0
    assert found['queue_seconds_count{kind="guess"}'] == 1


def test_decodes_are_counted_by_the_engine_that_answered() -> None:
    decodes = {("remote", "answered"): 3, ("remote", "busy"): 0, ("local", "answered"): 1}
    found = values(Metrics(), Snapshot(engine_decodes=decodes))
    assert found['engine_decodes_total{engine="remote",outcome="answered"}'] == 3
    assert found['engine_decodes_total{engine="remote",outcome="busy"}'] == 0
    assert found['engine_decodes_total{engine="local",outcome="answered"}'] == 1
    assert not [name for name in values(Metrics()) if name.startswith("engine_decodes")]


def test_a_decode_is_counted_with_its_time_by_kind() -> None:
    metrics = Metrics()
    metrics.decoded("final", 0.4)
    metrics.decoded("final", 0.6)
    metrics.decoded("guess", 0.25)
    found = values(metrics)
    assert found['decode_seconds_sum{kind="final"}'] == 1.0
    assert found['decode_seconds_bucket{kind="final",le="0.5"}'] == 1
    assert found['decode_seconds_count{kind="guess"}'] == 1


def test_silence_has_no_latency_since_speech() -> None:
    metrics = Metrics()
    metrics.observe(replace(RECORD, text="", wait=None, verdict="silence", decodes=0))
    found = values(metrics)
    assert found['utterances_total{outcome="nothing"}'] == 1
    assert found["speech_to_text_seconds_count"] == 0
    assert found["stop_to_text_seconds_count"] == 1


def test_an_engine_without_a_hallucination_check_has_no_verdicts() -> None:
    metrics = Metrics()
    metrics.observe(replace(RECORD, verdict=""))
    assert not [name for name in values(metrics) if name.startswith("verdicts")]


def test_an_answer_before_audio_stop_is_not_counted_as_one_after_it() -> None:
    metrics = Metrics()
    metrics.observe(replace(RECORD, ended="silence", after_stop=None))
    assert values(metrics)["stop_to_text_seconds_count"] == 0


def test_errors_and_lost_utterances_are_counted_by_kind() -> None:
    metrics = Metrics()
    metrics.failed("busy")
    metrics.lost("left")
    found = values(metrics)
    assert found['errors_total{code="busy"}'] == 1
    assert found['utterances_total{outcome="left"}'] == 1


def test_preprocessing_steps_are_counted_with_their_time_and_failures() -> None:
    metrics = Metrics()
    metrics.preprocessed([StepUse("gain", 0.002, False), StepUse("denoise", 0.01, True)])
    metrics.preprocessed([StepUse("gain", 0.004, False)])
    found = values(metrics)
    assert found['preprocess_seconds_count{step="gain"}'] == 2
    assert found['preprocess_seconds_sum{step="gain"}'] == pytest.approx(0.006)
    assert found['preprocess_failures_total{step="denoise"}'] == 1
    assert 'preprocess_failures_total{step="gain"}' not in found


def test_gauges_show_the_latest_snapshot() -> None:
    metrics = Metrics()
    seen = Snapshot(
        ready=True,
        waiting=3,
        decoding=1,
        model_memory=80_000_000,
        sessions={"wyoming": 8, "web": 1},
        batches={1: 40, 4: 2},
    )
    found = values(metrics, seen)
    assert found["model_ready"] == 1
    assert found["queue_length"] == 3
    assert found["model_memory_bytes"] == 80_000_000
    assert found['sessions{transport="wyoming"}'] == 8
    assert found['batches_total{size="4"}'] == 2
    assert values(metrics)["queue_length"] == 0


def test_utterances_and_refusals_are_counted_by_the_label_of_their_tenant() -> None:
    metrics = Metrics()
    guests = Tenant(name="guests-of-cellar", label="others", named=True)
    metrics.observe(replace(RECORD, tenant=guests, heard=2.5))
    metrics.limited(guests, "audio")
    text = metrics.render(Snapshot()).decode()
    assert 'wyoming_stt_tenant_utterances_total{tenant="others"} 1.0' in text
    assert 'wyoming_stt_tenant_audio_seconds_total{tenant="others"} 2.5' in text
    assert 'wyoming_stt_tenant_refusals_total{limit="audio",tenant="others"} 1.0' in text
    assert "cellar" not in text
