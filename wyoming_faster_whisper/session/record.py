"""Record of an answered utterance, for the log and the metrics. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import counted
from ..tenant import HOUSE, Tenant


@dataclass(frozen=True, slots=True, kw_only=True)
class UtteranceRecord:
    """One answered utterance, or a file."""

    client: str
    tenant: Tenant = HOUSE
    # What ended the turn: a value of EndReason, such as "audio-stop", or "end of file".
    ended: str
    heard: float  # seconds of audio
    wait: float | None  # seconds from the end of speech to the answer; None = no speech
    # Seconds from audio-stop, or the arrival of the whole file, to the answer; None = not ended
    # by it.
    after_stop: float | None
    queued: float  # seconds in the queue, of the decode that waited longest
    decodes: int  # decodes that were begun, including those that were dropped
    guess: str  # "used", "dropped" or "none"; "used" even if another guess was dropped before
    upstream: str  # "used", "late" or "away"; "" without an upstream for this request
    # Final result of the hallucination check; "silence" if no model ran, "upstream" for the text
    # of an upstream server, "" if the engine has no such check.
    verdict: str
    model: str
    language: str | None
    text: str  # transcript; private, so it is logged only on request
    file: bool = False  # True for an upload, whose latency is not that of a speaker


Observer = Callable[[UtteranceRecord], None]


def fields(record: UtteranceRecord, *, text: bool) -> dict[str, object]:
    """Convert a record to log fields, with seconds rounded to milliseconds.

    Args:
        text: whether to include the transcript.
    """
    values = {one.name: getattr(record, one.name) for one in dataclasses.fields(record)}
    values["tenant"] = record.tenant.name
    if not text:
        del values["text"]
    return {
        name: round(value, 3) if isinstance(value, float) else value
        for name, value in values.items()
    }


def line(record: UtteranceRecord, *, text: bool) -> str:
    """Format a record as one readable log line.

    Args:
        text: whether to include the transcript.
    """
    wait = "no speech" if record.wait is None else f"text {record.wait:.2f} s after speech"
    upstream = f"upstream {record.upstream}, " if record.upstream else ""
    verdict = f"verdict {record.verdict}, " if record.verdict else ""
    language = record.language or "no language"
    transcript = f": {record.text!r}" if text else ""
    return (
        f"{record.client}: heard {record.heard:.1f} s, ended by {record.ended}, {wait}, "
        f"{counted(record.decodes, 'decode')}, queued {record.queued:.2f} s, "
        f"guess {record.guess}, {upstream}{verdict}{record.model}, {language}{transcript}"
    )
