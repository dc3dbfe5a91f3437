"""Wrong forms and fields: each is the fault of the client, and named."""

from __future__ import annotations

import pytest

from tests.support.api import BOUNDARY, form, post
from tests.support.attacks import BODY, END, MODEL, PATH, SECOND
from tests.support.serving import Server, warnings

TEXT = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="prompt"\r\n\r\n'.encode()


FORMS = {
    "no bytes": b"",
    "no part": END[2:],
    "no file": form(MODEL, None),
    "1000 fields": form([(f"f{at}", "x") for at in range(1000)], SECOND),
    "two files": form(MODEL, SECOND)[: -len(END) + 2] + form([], SECOND),
    "a long field": form([("prompt", "x" * 70_000)], SECOND),
    "long fields": form([("prompt", "x" * 60_000)] * 5, SECOND),
    "many hotwords": form([("hotwords", "a," * 30_000)] * 4, SECOND),
    "no final boundary": BODY[: -len(END)],
    "half a boundary": BODY[:-5],
    "a boundary of its own": BODY.replace(BOUNDARY.encode(), b"other"),
    "text before the first boundary": b"hello\r\n" + BODY,
    "a header that does not end": TEXT[:20] + b"x" * 10_000,
    "100 headers of a part": TEXT[:-4] + b"\r\na: b" * 100 + b"\r\n\r\nx" + END,
    "a header's name that is not ASCII": TEXT.replace(b"Disp", b"\xff") + b"x" + END,
    "no name of a part": TEXT.replace(b'; name="prompt"', b"") + b"x" + END,
    "a field that is not UTF-8": TEXT + b"\xff\xfe" + END,
    "an impossible character set": TEXT.replace(b'"prompt"', b"a; filename*=idna''x") + END,
    "base64": b"UklGRiR9AABXQVZF" * 1000,
    "JSON": b'{"model": "whisper-1", "file": "UklGRg=="}',
    "endless empty lines": b"\r\n" * 500_000,
}


async def test_a_wrong_form_is_the_fault_of_the_client(
    target: Server, caplog: pytest.LogCaptureFixture
) -> None:
    for case, body in FORMS.items():
        reply = await post(target, PATH, body)
        assert (case, reply.status) == (case, 400)
        assert reply.error["type"] == "invalid_request_error"
    assert "requests refused: 1; 127.0.0.1:" in warnings(caplog)[0]
    assert not [one for one in caplog.records if one.name.startswith("python_multipart")]


WRONG_FIELDS = [
    *[("temperature", value) for value in ("1e400", "nan", "-1", "abc", "\0")],
    ("response_format", "\0"),
    ("language", "x" * 60_000),
    ("languages[]", "\ud7ff"),
    ("stream", "perhaps"),
    ("chunking_strategy", '{"a":' * 10_000),
    ("chunking_strategy", '{"threshold":' + "1" * 5000 + "}"),
    ("chunking_strategy", '{"threshold":1e400}'),
    ("chunking_strategy", '{"type":"\\ud800"}'),
    ("include[]", "everything"),
    ("url", "http://169.254.169.254/"),
    ("known_speaker_references[]", "data:audio/wav;base64," + "A" * 60_000),
    ("webhook_url", "http://127.0.0.1/"),
]


async def test_a_wrong_field_is_named(target: Server) -> None:
    for field, value in WRONG_FIELDS:
        reply = await post(target, PATH, form([*MODEL, (field, value)], SECOND))
        assert (field, value[:40], reply.status) == (field, value[:40], 400)
        assert reply.error["param"].startswith(field.removesuffix("[]"))
        assert len(reply.error["message"]) < 300


async def test_another_type_or_encoding_of_the_body_is_not_supported(target: Server) -> None:
    for name, value in (
        ("content_type", "application/json"),
        ("content_type", "application/x-www-form-urlencoded"),
        ("content_type", ""),
        ("content_type", "audio/wav"),
        ("content_encoding", "gzip"),
        ("content_encoding", "br"),
    ):
        reply = await post(target, PATH, BODY, **{name: value})
        assert (value, reply.status) == (value, 415)
        assert reply.error["type"] == "invalid_request_error"


async def test_an_unusable_boundary_is_refused(target: Server) -> None:
    for boundary in (
        "",
        "; boundary=",
        f"; boundary={'x' * 80}",
        "; boundary=\xfc",
        '; boundary="',
    ):
        reply = await post(target, PATH, BODY, content_type=f"multipart/form-data{boundary}")
        assert (boundary, reply.status) == (boundary, 400)
        assert reply.error["type"] == "invalid_request_error"


FILE_NAMES = [
    'filename="a\nERROR: forged"',
    "filename*=utf-8''a%0AERROR:%20forged%1b%5b31m",
    "filename*=unicode_escape''%5Cud800",
    f'filename="{"a" * 4000}"',
    'filename="../../../etc/passwd"',
    'filename=""',
    "filename*=utf-8''%FF",
    'filename="\U0001f3a4.wav"',
]


async def test_the_name_of_a_file_cannot_forge_the_log(
    target: Server, caplog: pytest.LogCaptureFixture
) -> None:
    for name in FILE_NAMES:
        part = (
            f"--{BOUNDARY}\r\nContent-Disposition: form-data; name=file; {name}\r\n\r\nno sound"
        )
        reply = await post(target, PATH, part.encode() + END)
        assert reply.status == 400
        message = reply.error["message"]
        assert (name, message.isprintable(), len(message) < 300) == (name, True, True)
        assert "cannot read :" not in message
    assert all(line.isprintable() for line in warnings(caplog))
