"""Messages of the Open Inference Protocol v2, with binary tensors. Pure.

A message is a JSON object, followed by the bytes of the tensors that it describes:

    {"inputs": [{"name": "AUDIO", "datatype": "FP32", "shape": [1, 3],
                 "parameters": {"binary_data_size": 12}}]}····12 bytes····

The header HEAD_LENGTH gives the length of the JSON; without it, all of the message is JSON, and
the tensors have their elements in the member "data".
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from .tensors import MessageError, Tensor, read_tensor, short

HEAD_LENGTH = "inference-header-content-length"
"""HTTP header with the length of the JSON in bytes, for a message with binary tensors."""

_MOST_TENSORS = 16


def write(
    section: str,
    tensors: Sequence[Tensor],
    *,
    binary: Collection[str] | None = None,
    members: Mapping[str, Any] | None = None,
) -> tuple[bytes, int]:
    """Serialise a message.

    Args:
        section: "inputs" for a request, "outputs" for a response.
        tensors: the tensors of the section.
        binary: names of the tensors to send as bytes; None = all.
        members: other members of the JSON object.

    Returns:
        The body, and the length of the JSON in it.
    """
    described, payload = [], []
    for tensor in tensors:
        about: dict[str, Any] = {
            "name": tensor.name,
            "datatype": tensor.datatype,
            "shape": list(tensor.shape),
        }
        if binary is None or tensor.name in binary:
            payload.append(tensor.binary())
            about["parameters"] = {"binary_data_size": len(payload[-1])}
        else:
            about["data"] = tensor.plain()
        described.append(about)
    message = {**(members or {}), section: described}
    head = json.dumps(message, ensure_ascii=False, allow_nan=False).encode()
    return b"".join((head, *payload)), len(head)


@dataclass(frozen=True, slots=True)
class Message:
    """A parsed message."""

    members: Mapping[str, Any]  # of the JSON object, without the tensors
    tensors: Mapping[str, Tensor]  # by name


def read(section: str, body: bytes, head_length: int | None) -> Message:
    """Parse a message.

    Args:
        section: "inputs" for a request, "outputs" for a response.
        body: the whole message. The caller limits its size.
        head_length: length of the JSON, as the header HEAD_LENGTH has it; None = all.

    Raises:
        MessageError: the message is malformed, or a tensor has another size than it says.
    """
    if head_length is not None and not 0 <= head_length <= len(body):
        raise MessageError(f"the JSON has {head_length} bytes; the body has {len(body)}")
    members = json_object(body[:head_length], "the message")
    described = members.pop(section, None)
    if not isinstance(described, list):
        raise MessageError(f"the message has no list {section!r}")
    if len(described) > _MOST_TENSORS:
        raise MessageError(f"the message has {len(described)} tensors, more than {_MOST_TENSORS}")
    payload = memoryview(body)[len(body) if head_length is None else head_length :]
    tensors: dict[str, Tensor] = {}
    for about in described:
        tensor, size = read_tensor(about, payload)
        if tensor.name in tensors:
            raise MessageError(f"duplicate tensor {short(tensor.name)}")
        tensors[tensor.name] = tensor
        payload = payload[size:]
    if payload:
        raise MessageError(f"{len(payload)} bytes follow the last tensor")
    return Message(members, tensors)


def wanted_as_bytes(members: Mapping[str, Any], names: Iterable[str]) -> dict[str, bool]:
    """Return which outputs a request wants, and whether as bytes.

    Args:
        members: of the request.
        names: of all outputs. A request without "outputs" wants all of them.

    Raises:
        MessageError: "outputs" is malformed, or the request wants an unknown output.
    """
    names = list(names)
    parameters = members.get("parameters", {})
    if not isinstance(parameters, dict):
        raise MessageError("'parameters' is not an object")
    usual = parameters.get("binary_data_output") is True
    outputs = members.get("outputs")
    if outputs is None:
        return dict.fromkeys(names, usual)
    if not isinstance(outputs, list) or not all(isinstance(each, dict) for each in outputs):
        raise MessageError("'outputs' is not a list of objects")
    wanted: dict[str, bool] = {}
    for output in outputs:
        name, given = output.get("name"), output.get("parameters", {})
        if name not in names:
            raise MessageError(f"there is no output {short(name)}, only {', '.join(names)}")
        if not isinstance(given, dict):
            raise MessageError(f"'parameters' of output {name} is not an object")
        wanted[name] = given.get("binary_data", usual) is True
    return wanted or dict.fromkeys(names, usual)


def json_object(data: bytes | bytearray | memoryview, what: str) -> dict[str, Any]:
    """Parse a JSON object.

    Args:
        what: begins the sentence of the error, like "the message".

    Raises:
        MessageError: it is not a JSON object in UTF-8, or has a number that is not finite.
    """
    try:
        found = json.loads(str(data, "utf-8"), parse_constant=_not_finite)
    except (ValueError, RecursionError):
        raise MessageError(f"{what} is not JSON") from None
    if not isinstance(found, dict):
        raise MessageError(f"{what} is not a JSON object")
    return found


def _not_finite(text: str) -> NoReturn:
    raise ValueError(text)
