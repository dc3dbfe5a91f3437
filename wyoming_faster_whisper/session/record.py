"""What there is to say about one utterance once it is answered. Pure."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import counted


@dataclass(frozen=True, slots=True, kw_only=True)
class UtteranceRecord:
    """One answered utterance."""

    client: str
    ended: str  # by what: audio-stop, silence, ...
    heard: float  # seconds of sound
    wait: float | None  # seconds from the end of speech to the answer; None = nobody spoke
    after_stop: float | None  # seconds from audio-stop to the answer; None = not ended by it
    queued: float  # seconds that a decode of the answer waited for the model, at most
    decodes: int  # that were begun, dropped and withdrawn ones included
    guess: str  # "used", "dropped" or "none"; used also where another was dropped before
    upstream: str  # "used", "late", "away"; "" where none was to be asked
    verdict: str  # the gate's last word; "silence" where no model ran
    model: str
    language: str | None
    text: str  # what was said: only for those who may see it


Observer = Callable[[UtteranceRecord], None]


def fields(record: UtteranceRecord, *, text: bool) -> dict[str, object]:
    """A record as it is logged: what was said only if asked for."""
    values = dataclasses.asdict(record)
    if not text:
        del values["text"]
    return {
        name: round(value, 3) if isinstance(value, float) else value
        for name, value in values.items()
    }


def line(record: UtteranceRecord, *, text: bool) -> str:
    """The same as one line for people."""
    wait = "nobody spoke" if record.wait is None else f"text {record.wait:.2f} s after speech"
    upstream = f"upstream {record.upstream}, " if record.upstream else ""
    language = record.language or "no language"
    said = f": {record.text!r}" if text else ""
    return (
        f"{record.client}: heard {record.heard:.1f} s, ended by {record.ended}, {wait}, "
        f"{counted(record.decodes, 'decode')}, queued {record.queued:.2f} s, "
        f"guess {record.guess}, {upstream}gate {record.verdict}, {record.model}, {language}{said}"
    )
