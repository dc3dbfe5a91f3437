"""Multipart reader: an upload's bytes in, its fields and its file out, as they arrive. Sans-I/O.

    reader = MultipartReader(content_type)
    events = reader.feed(data)  # for every piece of the body
    reader.finish()             # at the end of the body

The file's bytes are passed on and never kept; only one text field at a time is. python-multipart
(the extra `http`) finds the parts. The standard library reads the headers of a part, because
python-multipart ignores `filename*`, which may be the only file name that a .NET client sends.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from email.message import Message
from email.utils import collapse_rfc2231_value

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser

from ....errors import printable
from ..api_errors import ApiError

# It logs each malformed body, and so does this server.
logging.getLogger("python_multipart").setLevel(logging.ERROR)

MOST_FIELDS = 64
"""Maximum number of text fields. OpenAI's API has 15, some of them lists."""

LONGEST_FIELD = 64 * 1024
"""Maximum bytes of one text field. Whisper uses about 1 KiB of a prompt."""

MOST_TEXT = 256 * 1024
"""Maximum bytes of all text fields together. They are checked on the event loop."""

LONGEST_BOUNDARY = 70
"""Maximum characters of a boundary (RFC 2046, section 5.1.1)."""

FILE_FIELDS = frozenset({"file", "audio_file"})
"""Fields that are files even if the part has no file name."""


@dataclass(frozen=True, slots=True)
class Field:
    """A text field."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class FileStart:
    """The file begins. Fields may come before it and after it."""

    name: str  # of its field
    filename: str  # as sent, so not a safe path; "" = none
    content_type: str  # in lower case, without parameters; "" = none


@dataclass(frozen=True, slots=True)
class FileData:
    """More bytes of the file."""

    data: bytes


@dataclass(frozen=True, slots=True)
class FileEnd:
    """The file is complete."""


Part = Field | FileStart | FileData | FileEnd


class MultipartReader:
    """Reads one multipart/form-data body. Do not use it after it raised an error.

    Args:
        content_type: the request's Content-Type.

    Raises:
        ApiError: 415, the body is not multipart/form-data; 400, it has no usable boundary.
    """

    def __init__(self, content_type: str) -> None:
        self._parser = MultipartParser(
            _boundary(content_type),
            {
                "on_part_begin": self._on_part_begin,
                "on_header_begin": self._on_header_begin,
                "on_header_field": self._on_header_field,
                "on_header_value": self._on_header_value,
                "on_headers_finished": self._on_headers_finished,
                "on_part_data": self._on_part_data,
                "on_part_end": self._on_part_end,
                "on_end": self._on_end,
            },
        )
        self._events: list[Part] = []
        self._headers: list[tuple[bytearray, bytearray]] = []
        self._field = ""  # name of the part being read
        self._text: bytearray | None = None  # of a text field; None in the file
        self._fields = 0
        self._text_size = 0  # bytes of all text fields so far
        self._has_file = False
        self._begun = False
        self._ended = False

    def feed(self, data: bytes) -> list[Part]:
        """Take the next bytes of the body; return what they complete.

        Raises:
            ApiError: 400, the body is malformed or exceeds a limit.
        """
        if not self._begun:
            # Where data is split, python-multipart reads differently what comes before the first
            # boundary. Nothing needs to: leave out empty lines, and let it refuse anything else.
            data = data.lstrip(b"\r\n")
            self._begun = bool(data)
        try:
            self._parser.write(data)
        except FormParserError:
            raise ApiError(
                400,
                "the body does not follow multipart/form-data with the boundary of its "
                "Content-Type, or a part has more than 8 headers or a header over 4 KiB",
            ) from None
        events, self._events = self._events, []
        return events

    def finish(self) -> None:
        """Check that the body is complete.

        Raises:
            ApiError: 400, its final boundary is missing.
        """
        if not self._ended:
            raise ApiError(400, "the body ends before its final boundary")

    def _on_part_begin(self) -> None:
        self._headers = []

    def _on_header_begin(self) -> None:
        self._headers.append((bytearray(), bytearray()))

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._headers[-1][0].extend(data[start:end])

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._headers[-1][1].extend(data[start:end])

    def _on_headers_finished(self) -> None:
        headers = {
            bytes(name).decode("ascii").lower(): bytes(value).decode(errors="replace")
            for name, value in self._headers
        }
        _, parameters = _parse(headers.get("content-disposition", ""))
        name = parameters.get("name", "")
        if not name:
            raise ApiError(400, "a part has no name in its Content-Disposition")
        self._field = name
        if "filename" in parameters or name in FILE_FIELDS:
            content_type, _ = _parse(headers.get("content-type", ""))
            self._begin_file(FileStart(name, parameters.get("filename", ""), content_type))
        else:
            self._begin_field()

    def _begin_file(self, file: FileStart) -> None:
        if self._has_file:
            raise ApiError(
                400, "the form has more than one file; send one", param=printable(file.name)
            )
        self._has_file = True
        self._text = None
        self._events.append(file)

    def _begin_field(self) -> None:
        self._fields += 1
        if self._fields > MOST_FIELDS:
            raise ApiError(400, f"the form has more than {MOST_FIELDS} fields")
        self._text = bytearray()

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._text is None:
            self._events.append(FileData(data[start:end]))
            return
        if len(self._text) + end - start > LONGEST_FIELD:
            field = printable(self._field)
            raise ApiError(400, f"{field} is longer than {LONGEST_FIELD} bytes", param=field)
        self._text_size += end - start
        if self._text_size > MOST_TEXT:
            raise ApiError(400, f"the text fields are longer than {MOST_TEXT} bytes together")
        self._text += data[start:end]

    def _on_part_end(self) -> None:
        if self._text is None:
            self._events.append(FileEnd())
            return
        try:
            value = self._text.decode()
        except UnicodeDecodeError:
            field = printable(self._field)
            raise ApiError(400, f"{field} is not UTF-8", param=field) from None
        self._events.append(Field(self._field, value))

    def _on_end(self) -> None:
        self._ended = True


def _boundary(content_type: str) -> str:
    """Return the boundary that a Content-Type names."""
    kind, parameters = _parse(content_type)
    if kind != "multipart/form-data":
        received = printable(kind) or "missing"
        raise ApiError(415, f"the Content-Type is {received}; send multipart/form-data")
    boundary = parameters.get("boundary", "")
    if not (
        0 < len(boundary) <= LONGEST_BOUNDARY and boundary.isascii() and boundary.isprintable()
    ):
        raise ApiError(
            400, f"the Content-Type needs a boundary of 1 to {LONGEST_BOUNDARY} ASCII characters"
        )
    return boundary


def _parse(header: str) -> tuple[str, dict[str, str]]:
    """Return a header's value in lower case, and its parameters.

    A parameter may be quoted or not, or extended as in `filename*=utf-8''%C3%BC.ogg` (RFC 8187),
    which takes precedence.
    """
    message = Message()
    message["header"] = header
    (kind, _), *parameters = message.get_params([("", "")], "header")
    try:
        return kind.lower(), {
            name.lower(): collapse_rfc2231_value(value) for name, value in parameters
        }
    except ValueError:
        raise ApiError(400, "a header has an unknown character set") from None
