"""Server-sent events, read as strictly as the WHATWG's standard says."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Event:
    """One event."""

    name: str  # "" = the event has no name
    data: str

    @property
    def json(self) -> Any:
        return json.loads(self.data)


def events(body: bytes) -> list[Event]:
    """Return the events of a stream; comments are left out."""
    found = []
    *blocks, rest = body.decode().split("\n\n")
    assert rest == "", "the stream ends inside an event"
    for block in blocks:
        fields = [line.partition(": ") for line in block.split("\n")]
        name = "".join(value for field, _, value in fields if field == "event")
        data = "\n".join(value for field, _, value in fields if field == "data")
        if data:
            found.append(Event(name, data))
    return found
