"""Log formats: text lines, or one JSON object per line."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from ..errors import printable, visible
from ..session import record

_UTTERANCES = logging.getLogger("wyoming_faster_whisper.utterance")
_LONGEST_TEXT = 10_000  # characters


class JsonFormatter(logging.Formatter):
    """A formatter that writes each log record as one line of JSON."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(
                timespec="milliseconds"
            ),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["error"] = self.formatException(record.exc_info)
        entry |= getattr(record, "fields", {})
        return json.dumps(entry, ensure_ascii=False)


class UtteranceLog:
    """Logs one line per utterance.

    Args:
        text: include the text of the utterance (--log-text), unless its tenant forbids it.
    """

    def __init__(self, *, text: bool) -> None:
        self._text = text

    def __call__(self, utterance: record.UtteranceRecord) -> None:
        text = self._text and utterance.tenant.log_text
        fields = record.fields(utterance, text=text)
        if text:
            fields["text"] = visible(utterance.text[:_LONGEST_TEXT])
        _UTTERANCES.info(
            "%s",
            printable(record.line(utterance, text=text), _LONGEST_TEXT),
            extra={"fields": fields},
        )
