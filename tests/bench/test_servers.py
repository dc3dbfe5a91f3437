"""Facts that the benchmarks read from this server's log."""

from __future__ import annotations

from dataclasses import replace

import pytest

from bench.support.servers import DECODES
from tests.support.records import RECORD
from wyoming_faster_whisper.session.record import line


@pytest.mark.parametrize("decodes", [0, 1, 12])
@pytest.mark.parametrize("wait", [None, 0.2])
def test_the_number_of_decodes_is_read_from_the_log(decodes: int, wait: float | None) -> None:
    record = replace(RECORD, wait=wait, decodes=decodes)
    assert DECODES.findall(line(record, text=False)) == [str(decodes)]
