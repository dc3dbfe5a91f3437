"""A record of an answered utterance; a test replaces the fields that it looks at."""

from __future__ import annotations

from wyoming_faster_whisper.session.record import UtteranceRecord

RECORD = UtteranceRecord(
    client="kitchen",
    ended="audio-stop",
    heard=2.5,
    wait=0.72,
    after_stop=0.02,
    queued=0.0,
    decodes=1,
    guess="used",
    upstream="",
    verdict="believe",
    model="base",
    language="en",
    text="turn on the light",
)
