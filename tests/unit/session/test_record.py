"""The log line of an utterance, which contains the text only on request."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import pytest

from tests.support import records
from wyoming_faster_whisper.app.log import JsonFormatter, UtteranceLog

RECORD = replace(
    records.RECORD,
    client="127.0.0.1:50000",
    heard=3.25,
    wait=0.7123456,
    decodes=2,
    text="open the\nsafe",
)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO)
    return caplog


def test_the_log_line_does_not_contain_the_text(
    lines: pytest.LogCaptureFixture,
) -> None:
    UtteranceLog(text=False)(RECORD)
    (line,) = lines.messages
    for part in (
        "127.0.0.1:50000",
        "3.2 s",
        "audio-stop",
        "0.71 s",
        "guess used",
        "verdict believe",
    ):
        assert part in line
    assert "safe" not in line


def test_the_text_is_logged_on_request_and_without_line_breaks(
    lines: pytest.LogCaptureFixture,
) -> None:
    UtteranceLog(text=True)(RECORD)
    (line,) = lines.messages
    assert "safe" in line
    assert "\n" not in line


@pytest.mark.parametrize(("decodes", "said"), [(0, ", 0 decodes,"), (1, ", 1 decode,")])
def test_one_decode_is_logged_in_the_singular(
    lines: pytest.LogCaptureFixture, decodes: int, said: str
) -> None:
    UtteranceLog(text=False)(replace(RECORD, decodes=decodes))
    assert said in lines.messages[0]


def test_an_engine_without_a_hallucination_check_has_no_verdict_in_the_line(
    lines: pytest.LogCaptureFixture,
) -> None:
    UtteranceLog(text=False)(replace(RECORD, verdict=""))
    assert lines.messages[0].endswith("guess used, base, en")


@pytest.mark.parametrize("text", [False, True])
def test_a_json_line_has_one_field_per_fact(lines: pytest.LogCaptureFixture, text: bool) -> None:
    UtteranceLog(text=text)(RECORD)
    (record,) = lines.records
    entry = json.loads(JsonFormatter().format(record))
    assert entry["heard"] == 3.25
    assert entry["wait"] == 0.712
    assert entry["guess"] == "used"
    assert entry["level"] == "INFO"
    assert entry.get("text") == ("open the safe" if text else None)
    assert ("safe" in json.dumps(entry)) == text


def test_other_log_lines_are_json_too() -> None:
    try:
        raise ValueError("why")
    except ValueError as error:
        info = (ValueError, error, error.__traceback__)
    record = logging.LogRecord("here", logging.ERROR, "", 0, "it %s", ("broke",), info)
    entry = json.loads(JsonFormatter().format(record))
    assert entry["message"] == "it broke"
    assert "ValueError: why" in entry["error"]
