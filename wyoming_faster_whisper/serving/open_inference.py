"""Requests of the Open Inference Protocol, answered by models with queues of their own.

answer() is all of the protocol; a framework calls it with what it received over HTTP.
docs/remote.md describes the requests, the tensors and the errors.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from .. import __version__
from ..engine.protocol import Job, Transcript
from ..engine.recognizer import ServedModel, unmet_needs
from ..engine.remote.contract import jobs, transcripts
from ..engine.remote.contract.message import HEAD_LENGTH, read, wanted_as_bytes, write
from ..engine.remote.contract.tensors import MessageError, Tensor, short
from ..errors import Busy, ModelError, ServerError, printable

_LOGGER = logging.getLogger(__name__)

LARGEST_BODY = 2_621_440
"""Bytes of a request: 30 s of audio, the options and the JSON."""

_PATH = re.compile(
    r"/v2/models/(?P<name>[\w.-]+)(/versions/(?P<version>[\w.-]+))?(?P<rest>/ready|/infer|)",
    re.ASCII,
)


class UnknownModel(ServerError):
    """There is no such model, or not in this version."""


class DecodingModel(Protocol):
    """A model on this server."""

    @property
    def name(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def ready(self) -> bool:
        """True while it takes jobs."""
        ...

    @property
    def served(self) -> ServedModel:
        """The recognizer's model that decodes."""
        ...

    async def recognize(self, job: Job) -> Transcript:
        """Decode a job. Cancel the call to withdraw it.

        Raises:
            ServerError: Busy, or the model failed.
        """
        ...


class Models(Protocol):
    """The models of this server."""

    def loaded(self) -> Sequence[DecodingModel]:
        """Return the models that are loaded."""
        ...

    async def find(self, name: str, version: str) -> DecodingModel:
        """Return a model, and load it if necessary.

        Args:
            version: "" = any.

        Raises:
            UnknownModel: there is no such model or version.
            ServerError: it cannot be loaded.
        """
        ...


@dataclass(frozen=True, slots=True)
class Reply:
    """A response: status, headers and body."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


async def answer(
    models: Models, method: str, path: str, headers: Mapping[str, str], body: bytes
) -> Reply:
    """Answer a request. Cancel the call when the client has disconnected.

    Args:
        headers: their names in lower case.
        body: whole; the caller limits it to LARGEST_BODY.
    """
    try:
        return await _answer(models, method, path, headers, body)
    except MessageError as error:
        return error_reply(400, str(error))
    except UnknownModel as error:
        return error_reply(404, str(error))
    except (Busy, ModelError) as error:
        return error_reply(503, str(error))
    except ServerError as error:
        return error_reply(500, str(error))
    except Exception as error:
        _LOGGER.exception("a request failed: %s %s", method, printable(path))
        return error_reply(500, f"the server failed: {type(error).__name__}")


def error_reply(status: int, why: str) -> Reply:
    """Return the response for an error."""
    reply = _json(status, {"error": why})
    return Reply(status, reply.body, {**reply.headers, **_RETRY.get(status, {})})


_RETRY = {503: {"retry-after": "1"}}


async def _answer(
    models: Models, method: str, path: str, headers: Mapping[str, str], body: bytes
) -> Reply:
    if method == "GET" and path in ("/v2", "/v2/"):
        about = {"name": "wyoming-faster-whisper", "version": __version__}
        return _json(200, {**about, "extensions": ["binary_tensor_data"]})
    if method == "GET" and path == "/v2/health/live":
        return Reply(200)
    if method == "GET" and path == "/v2/health/ready":
        loaded = models.loaded()
        return Reply(200 if loaded and all(model.ready for model in loaded) else 503)
    found = _PATH.fullmatch(path)
    if found is None or (method, found["rest"]) not in _ALLOWED:
        return error_reply(404, f"there is nothing at {method} {printable(path, 100)}")
    model = await models.find(found["name"], found["version"] or "")
    if found["rest"] == "/ready":
        return Reply(200) if model.ready else error_reply(503, f"model {model.name} is loading")
    if method == "GET":
        return _json(200, _metadata(model))
    return await _infer(model, headers, body)


_ALLOWED = {("GET", ""), ("GET", "/ready"), ("POST", "/infer")}


def _metadata(model: DecodingModel) -> dict[str, Any]:
    def described(tensors: Mapping[str, str]) -> list[dict[str, Any]]:
        return [
            {"name": name, "datatype": datatype, "shape": [1, -1 if name == jobs.AUDIO else 1]}
            for name, datatype in tensors.items()
        ]

    return {
        "name": model.name,
        "versions": [model.version],
        "platform": "wyoming-faster-whisper",
        "inputs": described(jobs.INPUTS),
        "outputs": described(transcripts.OUTPUTS),
    }


async def _infer(model: DecodingModel, headers: Mapping[str, str], body: bytes) -> Reply:
    given = headers.get(HEAD_LENGTH)
    if given is not None and not (given.isascii() and given.isdigit() and len(given) < 10):
        raise MessageError(f"the header {HEAD_LENGTH} is {short(given)}")
    request = read("inputs", body, None if given is None else int(given))
    wanted = wanted_as_bytes(request.members, transcripts.OUTPUTS)
    job = jobs.job_of_tensors(request.tensors)
    outputs: list[Tensor]
    if job is None:
        outputs = transcripts.description_outputs(model.served)
    else:
        if unmet := unmet_needs(job, model.served):
            raise MessageError(f"model {model.served.name} cannot do this: {', '.join(unmet)}")
        outputs = transcripts.outputs(await model.recognize(job))
    members: dict[str, Any] = {"model_name": model.name, "model_version": model.version}
    if isinstance(name := request.members.get("id"), str):
        members["id"] = name[:100]
    answered, length = write(
        "outputs",
        [tensor for tensor in outputs if tensor.name in wanted],
        binary=[name for name, binary in wanted.items() if binary],
        members=members,
    )
    if any(wanted.values()):
        kind = {"content-type": "application/octet-stream", HEAD_LENGTH: str(length)}
        return Reply(200, answered, kind)
    return Reply(200, answered, {"content-type": "application/json"})


def _json(status: int, members: Mapping[str, Any]) -> Reply:
    body = json.dumps(members, ensure_ascii=False).encode(errors="replace")
    return Reply(status, body, {"content-type": "application/json"})
