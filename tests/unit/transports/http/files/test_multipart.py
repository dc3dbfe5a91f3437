"""Multipart reader: events, splits at any position, limits, malformed bodies."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wyoming_faster_whisper.transports.http.api_errors import ApiError
from wyoming_faster_whisper.transports.http.files.multipart import (
    LONGEST_FIELD,
    MOST_FIELDS,
    MOST_TEXT,
    Field,
    FileData,
    FileEnd,
    FileStart,
    MultipartReader,
    Part,
)

CONTENT_TYPE = "multipart/form-data; boundary=b0"


def part(headers: str, content: bytes | str = b"") -> bytes:
    data = content.encode() if isinstance(content, str) else content
    return b"--b0\r\n" + headers.replace("\n", "\r\n").encode() + b"\r\n\r\n" + data + b"\r\n"


def field(name: str, content: bytes | str) -> bytes:
    return part(f'Content-Disposition: form-data; name="{name}"', content)


def file(content: bytes = b"sound", name: str = "file") -> bytes:
    return part(f'Content-Disposition: form-data; name="{name}"; filename="a.wav"', content)


END = b"--b0--\r\n"


def read(pieces: Iterable[bytes], content_type: str = CONTENT_TYPE) -> list[Part]:
    """Return all events, with neighbouring file data joined."""
    reader = MultipartReader(content_type)
    events: list[Part] = []
    for piece in pieces:
        for event in reader.feed(piece):
            last = events[-1] if events else None
            if isinstance(event, FileData) and isinstance(last, FileData):
                events[-1] = FileData(last.data + event.data)
            else:
                events.append(event)
    reader.finish()
    return events


def refused(body: bytes, content_type: str = CONTENT_TYPE) -> ApiError:
    with pytest.raises(ApiError) as caught:
        read([body], content_type)
    return caught.value


def one_file(headers: str) -> FileStart:
    [start, _, _] = read([part(headers, b"sound"), END])
    assert isinstance(start, FileStart)
    return start


def test_fields_and_the_file_come_in_the_order_of_the_body() -> None:
    body = field("model", "base") + file(b"\r\n--b\x00\xff") + field("prompt", "Küche") + END
    assert read([body]) == [
        Field("model", "base"),
        FileStart("file", "a.wav", ""),
        FileData(b"\r\n--b\x00\xff"),
        FileEnd(),
        Field("prompt", "Küche"),
    ]


# Data that looks like boundaries.
TRICKY = (
    b"\r\n\r\n"
    + field("empty", "")
    + field("almost", "\r\n--b1\r\n--b\r\n-")
    + file(b"\r\n\r\n--\r\n--b0x\r\n--b0-\r\n--b\r" + bytes(range(256)))
    + part("Content-Disposition: form-data; name=last\nContent-Type: text/plain", "--b0--")
    + END
    + b"ignored after the last boundary"
)


def test_a_split_at_any_position_changes_nothing() -> None:
    whole = read([TRICKY])
    assert len(whole) == 6
    for at in range(len(TRICKY)):
        assert read([TRICKY[:at], TRICKY[at:]]) == whole, at


def test_single_bytes_change_nothing() -> None:
    assert read(bytes([byte]) for byte in TRICKY) == read([TRICKY])


def test_file_data_is_passed_on_as_it_arrives() -> None:
    reader = MultipartReader(CONTENT_TYPE)
    reader.feed(part('Content-Disposition: form-data; name="file"; filename=""')[:-2])
    sound = bytes(100_000)
    assert reader.feed(sound) == [FileData(sound)]


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ('Content-Disposition: form-data; name="file"; filename="a b.wav"', "a b.wav"),
        ("Content-Disposition: form-data; name=file; filename=a.wav", "a.wav"),
        ("content-disposition: Form-Data; NAME=file; FileName=a.wav", "a.wav"),
        ('Content-Disposition: form-data; name="file"; filename="ü.ogg"', "ü.ogg"),
        ('Content-Disposition: form-data; name="file"; filename="a;b.wav"', "a;b.wav"),
        ("Content-Disposition: form-data; name=file; filename*=utf-8''%C3%BC.ogg", "ü.ogg"),
        (
            "Content-Disposition: form-data; name=file; "
            "filename=\"=?utf-8?B?w7wub2dn?=\"; filename*=utf-8''%C3%BC.ogg",
            "ü.ogg",
        ),
        ('Content-Disposition: form-data; name="file"; filename=""', ""),
        ('Content-Disposition: form-data; name="file"', ""),
        ('Content-Disposition: form-data; name="audio_file"', ""),
    ],
)
def test_a_file_name_may_be_quoted_extended_or_missing(headers: str, name: str) -> None:
    assert one_file(headers).filename == name


def test_the_content_type_of_the_file_comes_without_parameters() -> None:
    headers = (
        'Content-Disposition: form-data; name="file"; filename="blob"\n'
        "Content-Type: Audio/WebM;codecs=opus"
    )
    assert one_file(headers) == FileStart("file", "blob", "audio/webm")


def test_a_form_may_be_empty() -> None:
    assert read([b"--b0--"]) == []


@pytest.mark.parametrize(
    "content_type",
    [
        "multipart/form-data; boundary=b0",
        'multipart/form-data; boundary="b0"',
        "Multipart/Form-Data; charset=utf-8; Boundary=b0",
    ],
)
def test_the_boundary_may_be_quoted(content_type: str) -> None:
    assert read([field("model", "base"), END], content_type) == [Field("model", "base")]


# Refused.


@pytest.mark.parametrize(
    "content_type",
    ["", "application/json", "application/x-www-form-urlencoded", "multipart/mixed"],
)
def test_another_content_type_is_refused(content_type: str) -> None:
    error = refused(b"", content_type)
    assert error.status == 415
    assert (content_type or "missing") in error.message


@pytest.mark.parametrize(
    "parameters",
    ["", "; boundary=", "; boundary", "; boundary=" + "x" * 71, "; boundary=bö", "; bounds=b0"],
)
def test_a_content_type_needs_a_usable_boundary(parameters: str) -> None:
    error = refused(b"", f"multipart/form-data{parameters}")
    assert error.status == 400
    assert "boundary" in error.message


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b0",
        field("model", "base"),
        file(),
        file()[:-1] + b"\r\n--b0-",
        b"--b0\r\nContent-Disposition: form-da",
        b"\r\n" * 1000,
    ],
)
def test_a_body_that_ends_early_is_refused(body: bytes) -> None:
    error = refused(body)
    assert (error.status, error.message) == (400, "the body ends before its final boundary")


@pytest.mark.parametrize(
    "body",
    [
        b"{}",
        b"\r\ntext before the first boundary\r\n--b0--",
        b"--another\r\n",
        b"--b0 x\r\n",
        b"--b0\r\nno header\r\n\r\n",
        b"--b0\r\n: no name\r\n\r\n",
        b"--b0\r\nA: b\rC",
        part("\n".join(f"X-{n}: y" for n in range(9))),
        part("X-Long: " + "y" * 5000),
    ],
)
def test_a_malformed_body_is_refused(body: bytes) -> None:
    error = refused(body)
    assert error.status == 400
    assert "multipart/form-data" in error.message


@pytest.mark.parametrize(
    "headers", ["Content-Type: text/plain", "Content-Disposition: form-data", "X: y"]
)
def test_a_part_without_a_name_is_refused(headers: str) -> None:
    assert "no name" in refused(part(headers, "x")).message


@pytest.mark.parametrize("charset", ["idna", "undefined", "a%00", "\0"])
def test_an_extended_name_in_an_unknown_character_set_is_refused(charset: str) -> None:
    error = refused(part(f"Content-Disposition: form-data; name=file; filename*={charset}''%ff"))
    assert (error.status, error.message) == (400, "a header has an unknown character set")


def test_a_second_file_is_refused() -> None:
    error = refused(file() + file(name="other") + END)
    assert (error.status, error.param) == (400, "other")


def test_too_many_fields_are_refused() -> None:
    body = field("languages[]", "en") * MOST_FIELDS
    assert len(read([body, END])) == MOST_FIELDS
    assert "64 fields" in refused(body + field("one", "more") + END).message


def test_a_long_field_is_refused_before_its_end_arrives() -> None:
    reader = MultipartReader(CONTENT_TYPE)
    reader.feed(field("prompt", "x" * LONGEST_FIELD)[:-2])
    with pytest.raises(ApiError) as caught:
        reader.feed(b"xyz" * 100)
    assert (caught.value.status, caught.value.param) == (400, "prompt")


def test_a_field_may_have_the_maximum_length() -> None:
    [longest] = read([field("prompt", "x" * LONGEST_FIELD), END])
    assert longest == Field("prompt", "x" * LONGEST_FIELD)


def test_all_text_fields_together_are_limited() -> None:
    longest = field("prompt", "x" * LONGEST_FIELD) * (MOST_TEXT // LONGEST_FIELD)
    assert len(read([longest, END])) == 4
    assert str(MOST_TEXT) in refused(longest + field("prompt", "x") + END).message


def test_a_field_that_is_not_utf_8_is_refused() -> None:
    error = refused(field("prompt", "Küche".encode("latin-1")) + END)
    assert (error.status, error.param) == (400, "prompt")


def test_a_field_name_from_the_client_is_made_printable() -> None:
    assert (
        refused(field("a\x1b[31m" + "b" * 100, b"\xff") + END).param
        == "a?[31m" + "b" * 74 + "..."
    )


# Any bytes.

PIECES = st.one_of(
    st.binary(max_size=40),
    st.sampled_from(
        [
            *(b"--b0", b"\r\n", b"--", b"\r", b" ", b": ", b"\r\n--b0\r\n", b"\r\n--b0--", END),
            *(b"Content-Disposition: form-data; name=", b'"', b"; filename*=", b"utf-8''%ff"),
            *(field("model", "base"), file(), TRICKY),
        ]
    ),
)


def outcome(pieces: Iterable[bytes], content_type: str = CONTENT_TYPE) -> list[Part] | str:
    try:
        return read(pieces, content_type)
    except ApiError as error:
        return f"{error.status} {error.message}"


@given(st.lists(PIECES, max_size=20), st.lists(st.integers(0, 2000), max_size=8))
def test_any_bytes_have_the_same_outcome_however_they_are_split(
    pieces: list[bytes], cuts: list[int]
) -> None:
    body = b"".join(pieces)
    edges = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    split = [body[a:b] for a, b in pairwise(edges)]
    whole = outcome([body])
    assert outcome(split) == whole
    assert isinstance(whole, list) or whole[0] == "4", "a status of 400 to 499"


@given(st.text() | st.text().map("multipart/form-data; {}".format))
def test_any_content_type_is_read_or_refused(content_type: str) -> None:
    outcome([TRICKY], content_type)
