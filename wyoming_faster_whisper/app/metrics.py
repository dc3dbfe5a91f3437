"""Metrics for Prometheus. Needs the extra `metrics`.

Events (utterances, errors) are counted as they happen. State (queue, sessions, memory) is read
at each scrape. The dashboard deploy/grafana.json shows every metric, which a test checks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from ..audio.preprocess import StepUse
from ..engine.protocol import DecodeKind
from ..session.record import UtteranceRecord
from ..tenant import Tenant

__all__ = ["CONTENT_TYPE_LATEST", "Metrics", "Snapshot"]

PREFIX = "wyoming_stt"

# Seconds. From the latency with a used guess to one that makes people repeat themselves.
_ANSWER = (0.01, 0.025, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0)
_DECODE = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.5, 5.0, 10.0, 30.0)
_PREPROCESS = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
_QUEUE = (0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """State of the server at the time of a scrape."""

    ready: bool = False  # the model is loaded
    waiting: int = 0  # jobs in the queue
    decoding: int = 0  # jobs that are being decoded
    model_memory: int = 0  # bytes that loading the model took
    sessions: Mapping[str, int] = field(default_factory=dict)  # by transport
    batches: Mapping[int, int] = field(default_factory=dict)  # since the start, by size
    max_batch: Mapping[str, int] = field(default_factory=dict)  # jobs, of commands and of files
    gpu_pool: Mapping[str, int] = field(default_factory=dict)  # bytes by state; {} without a GPU
    # Since the start, by engine and outcome; {} without decode servers.
    engine_decodes: Mapping[tuple[str, str], int] = field(default_factory=dict)


class Metrics:
    """Counters and histograms. Call all methods but render() in the event loop only."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second, useless time series for each counter
        self._registry = CollectorRegistry()
        self._now = _SnapshotCollector()
        self._registry.register(self._now)
        ProcessCollector(registry=self._registry)
        self._utterances = self._counter("utterances", "Utterances, by outcome", "outcome")
        self._sound = self._counter("audio_seconds", "Seconds of audio in answered utterances")
        self._decodes = self._counter("decodes", "Decodes started, including dropped ones")
        self._guesses = self._counter(
            "guesses",
            "Utterances, by the outcome of their guesses (speculative decodes)",
            "outcome",
        )
        self._upstream = self._counter(
            "upstream", "Utterances, by the outcome of the upstream's answer", "outcome"
        )
        self._verdicts = self._counter(
            "verdicts", "Utterances, by the verdict of the hallucination check", "verdict"
        )
        self._errors = self._counter("errors", "Errors sent to clients", "code")
        self._refusals = self._counter(
            "auth_refusals", "Refused authentications of the HTTP API", "reason"
        )
        self._tenant_utterances = self._counter(
            "tenant_utterances", "Answered utterances, by tenant", "tenant"
        )
        self._tenant_sound = self._counter(
            "tenant_audio_seconds", "Seconds of audio in answered utterances, by tenant", "tenant"
        )
        self._tenant_refusals = self._counter(
            "tenant_refusals", "Requests over a limit of their tenant", "tenant", "limit"
        )
        self._after_speech = self._histogram(
            "speech_to_text_seconds", "Time from the end of speech to the text", _ANSWER
        )
        self._after_stop = self._histogram(
            "stop_to_text_seconds", "Time from audio-stop to the text", _ANSWER
        )
        self._queued = self._histogram(
            "queue_seconds", "Time that a decode waited in the queue, by kind", _QUEUE, "kind"
        )
        self._decode_seconds = self._histogram(
            "decode_seconds", "Time that a decode took in the model, by kind", _DECODE, "kind"
        )
        for kind in DecodeKind:
            # So that rate() is 0 before the first decode, and counts it: autoscalers take the
            # absence of a series for a lost server.
            self._queued.labels(kind.value)
            self._decode_seconds.labels(kind.value)
        self._step_seconds = self._histogram(
            "preprocess_seconds",
            "Time that a preprocessing step took for an utterance, by step",
            _PREPROCESS,
            "step",
        )
        self._step_failures = self._counter(
            "preprocess_failures", "Utterances in which a preprocessing step failed", "step"
        )

    def observe(self, record: UtteranceRecord) -> None:
        """Count an answered utterance or file."""
        self._utterances.labels("text" if record.text else "nothing").inc()
        self._sound.inc(record.heard)
        self._tenant_utterances.labels(record.tenant.label).inc()
        self._tenant_sound.labels(record.tenant.label).inc(record.heard)
        self._decodes.inc(record.decodes)
        self._guesses.labels(record.guess).inc()
        if record.upstream:
            self._upstream.labels(record.upstream).inc()
        if record.verdict:
            self._verdicts.labels(record.verdict).inc()
        if record.file:
            return  # the latencies are those of speakers
        if record.wait is not None:
            self._after_speech.observe(record.wait)
        if record.after_stop is not None:
            self._after_stop.observe(record.after_stop)

    def lost(self, outcome: str) -> None:
        """Count an utterance without an answer.

        Args:
            outcome: "failed", or "left" if the client disconnected.
        """
        self._utterances.labels(outcome).inc()

    def failed(self, code: str) -> None:
        """Count an error sent to a client, by its code."""
        self._errors.labels(code).inc()

    def refused(self, reason: str) -> None:
        """Count a refused authentication of the API, by its reason."""
        self._refusals.labels(reason).inc()

    def limited(self, tenant: Tenant, limit: str) -> None:
        """Count a request that its tenant's limit refused."""
        self._tenant_refusals.labels(tenant.label, limit).inc()

    def begun(self, kind: str, seconds: float) -> None:
        """Count a job that the model begins to decode.

        Args:
            kind: the value of a DecodeKind.
            seconds: time in the queue.
        """
        self._queued.labels(kind).observe(seconds)

    def decoded(self, kind: str, seconds: float) -> None:
        """Count the decode of one batch.

        Args:
            kind: the value of a DecodeKind.
            seconds: time in the model, without the time in the queue.
        """
        self._decode_seconds.labels(kind).observe(seconds)

    def preprocessed(self, steps: Sequence[StepUse]) -> None:
        """Count the preprocessing steps of one utterance."""
        for step in steps:
            self._step_seconds.labels(step.name).observe(step.seconds)
            if step.failed:
                self._step_failures.labels(step.name).inc()

    def render(self, now: Snapshot) -> bytes:
        """Return the metrics in Prometheus' text format. Blocking: it reads files in /proc."""
        self._now.now = now
        return generate_latest(self._registry)

    def _counter(self, name: str, about: str, *labels: str) -> Counter:
        return Counter(f"{PREFIX}_{name}", about, labels, registry=self._registry)

    def _histogram(
        self, name: str, about: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(
            f"{PREFIX}_{name}", about, labels, buckets=buckets, registry=self._registry
        )


class _SnapshotCollector(Collector):
    """A collector that exports the fields of a Snapshot."""

    def __init__(self) -> None:
        self.now = Snapshot()

    def collect(self) -> Iterator[Metric]:
        now = self.now
        for name, about, value in (
            ("model_ready", "1 once the model is loaded", now.ready),
            ("model_memory_bytes", "Memory that loading the model took", now.model_memory),
            ("queue_length", "Decodes waiting in the queue", now.waiting),
            ("decoding", "Decodes in progress", now.decoding),
        ):
            yield GaugeMetricFamily(f"{PREFIX}_{name}", about, value=float(value))
        for name, about, label, values in (
            ("sessions", "Connected clients", "transport", now.sessions),
            (
                "max_batch",
                "Maximum jobs decoded together, by length",
                "jobs",
                now.max_batch,
            ),
            ("gpu_pool_bytes", "Memory that CUDA's pool holds, by state", "state", now.gpu_pool),
        ):
            gauge = GaugeMetricFamily(f"{PREFIX}_{name}", about, labels=[label])
            for key, value in values.items():
                gauge.add_metric([key], value)
            yield gauge
        batches = CounterMetricFamily(
            f"{PREFIX}_batches", "Decoded batches, by number of jobs", labels=["size"]
        )
        for size, count in now.batches.items():
            batches.add_metric([str(size)], count)
        yield batches
        engines = CounterMetricFamily(
            f"{PREFIX}_engine_decodes",
            "Decodes on decode servers and in this process, by outcome",
            labels=["engine", "outcome"],
        )
        for labels, count in now.engine_decodes.items():
            engines.add_metric(labels, count)
        yield engines
