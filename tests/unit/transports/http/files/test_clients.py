"""The reader and the form understand the uploads of all known clients."""

from __future__ import annotations

import pytest

from tests.support.uploads import UPLOADS
from wyoming_faster_whisper.transports.http.files.form import Task, parse_form
from wyoming_faster_whisper.transports.http.files.multipart import (
    Field,
    FileData,
    FileEnd,
    FileStart,
    MultipartReader,
)

SOUND = b"RIFF\r\n--\x00\xff"


@pytest.mark.parametrize("name", UPLOADS)
@pytest.mark.parametrize("size", [1, 7, 1000])
def test_the_upload_of_a_client_is_understood(name: str, size: int) -> None:
    upload = UPLOADS[name]
    body = upload.body(SOUND)
    reader = MultipartReader(upload.content_type)
    pieces = [body[at : at + size] for at in range(0, len(body), size)]
    events = [event for piece in pieces for event in reader.feed(piece)]
    reader.finish()
    assert [event for event in events if isinstance(event, FileStart)] == [upload.file]
    assert b"".join(event.data for event in events if isinstance(event, FileData)) == SOUND
    assert events.count(FileEnd()) == 1
    fields = [(event.name, event.value) for event in events if isinstance(event, Field)]
    assert parse_form(fields, task=Task.TRANSCRIBE) == upload.form
