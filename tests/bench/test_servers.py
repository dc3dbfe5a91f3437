"""Facts that the benchmarks read from this server's log."""

from __future__ import annotations

import pytest

from bench.support.servers import DECODES
from wyoming_faster_whisper.session.record import UtteranceRecord, line


@pytest.mark.parametrize("decodes", [0, 1, 12])
@pytest.mark.parametrize("wait", [None, 0.2])
def test_the_number_of_decodes_is_read_from_the_log(decodes: int, wait: float | None) -> None:
    record = UtteranceRecord(
        client="127.0.0.1:4000",
        ended="audio-stop",
        heard=3.0,
        wait=wait,
        after_stop=0.0,
        upstream="",
        queued=0.0,
        decodes=decodes,
        guess="used",
        verdict="believe",
        model="base",
        language="en",
        text="",
    )
    assert DECODES.findall(line(record, text=False)) == [str(decodes)]
