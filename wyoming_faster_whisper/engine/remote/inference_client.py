"""HTTP client of one decode server. The only file of the engines that imports an HTTP library."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ...errors import (
    Busy,
    EngineError,
    SettingError,
    install_command,
    printable,
    reason,
    request_failure,
)
from ..protocol import Job, Transcript
from ..recognizer import ServedModel
from .contract import jobs, transcripts
from .contract.message import HEAD_LENGTH, Message, json_object, read, write
from .contract.tensors import MessageError, Tensor

try:
    import httpx2
except ImportError as error:
    raise SettingError(
        f"--remote-url needs the extra remote: {install_command('remote')}"
    ) from error

MULTIPLEXED = "serve_multiplexed_model_id"
"""Header by which Ray Serve finds a replica that has the model; other servers ignore it."""

_CONNECT = 2.0  # seconds
_LARGEST = transcripts.MOST_OUTPUT_BYTES + 64 * 1024  # bytes of a response
_LONGEST_REASON = 200  # characters of a server's error in ours


class Unavailable(EngineError):
    """The server cannot be reached, broke the connection or failed. A retry may succeed."""


class Unusable(EngineError):
    """The server's answer makes no sense here. A retry would get the same."""


@dataclass(frozen=True, slots=True)
class RemoteModel:
    """A model on the decode servers."""

    name: str
    version: str = ""  # "" = the server chooses
    languages: tuple[str, ...] = ()  # Whisper's codes, as clients were told; () = any
    on_demand: bool = False  # a server may have to load it

    @property
    def path(self) -> str:
        version = f"/versions/{self.version}" if self.version else ""
        return f"/v2/models/{self.name}{version}"

    def __str__(self) -> str:
        return f"{self.name}:{self.version}" if self.version else self.name


@dataclass(frozen=True, slots=True)
class Access:
    """Credentials and connection limits for decode servers."""

    token: str | None = field(default=None, repr=False)  # sent as a bearer token
    authorities: str | None = None  # PEM file with the CAs that are trusted; None = the system's
    connections: int = 16  # maximum at the same time


class InferenceClient:
    """Client of one decode server. Blocking to create: it reads certificates.

    Call its methods in one event loop.

    Args:
        url: where the paths of the protocol begin, like https://gpu-box:8000.

    Raises:
        SettingError: the URL or the file of certificates cannot be used.
    """

    def __init__(self, url: str, access: Access = Access()) -> None:
        self.url = url.rstrip("/")
        check_url(url)
        headers = {
            "user-agent": "wyoming-faster-whisper",
            # A small compressed response could unpack to a very large one.
            "accept-encoding": "identity",
        }
        if access.token:
            headers["authorization"] = f"Bearer {access.token}"
        self._client = httpx2.AsyncClient(
            base_url=self.url,
            follow_redirects=False,
            headers=headers,
            limits=httpx2.Limits(max_connections=access.connections + 2),  # two health checks
            # The caller limits the time of the whole request.
            timeout=httpx2.Timeout(None, connect=_CONNECT),
            trust_env=False,
            verify=_certificates(access.authorities) if url.startswith("https:") else False,
        )
        for name in ("httpx2", "httpcore2"):
            logging.getLogger(name).setLevel(logging.WARNING)  # else they log each request

    async def ready(self, model: RemoteModel) -> None:
        """Check that a model takes jobs.

        Raises:
            Unavailable, Unusable, Busy: the model takes no jobs.
        """
        await self._request("GET", f"{model.path}/ready")

    async def check_tensors(self, model: RemoteModel) -> None:
        """Check that a model has the tensors of the contract.

        Raises:
            Unusable: it has others, or the server does not speak the protocol.
            Unavailable, Busy: there is no answer.
        """
        _, body = await self._request("GET", model.path)
        try:
            metadata = json_object(body, f"the metadata of model {model}")
            for section, expected in (("inputs", jobs.INPUTS), ("outputs", transcripts.OUTPUTS)):
                found = {
                    each.get("name"): each.get("datatype")
                    for each in metadata.get(section) or ()
                    if isinstance(each, dict)
                }
                for name, datatype in expected.items():
                    if found.get(name) != datatype:
                        raise MessageError(
                            f"model {model} has no {datatype} tensor {name} in its {section}; it "
                            "is not a model of this server"
                        )
        except (MessageError, TypeError) as error:
            raise Unusable(str(error)) from None

    async def describe(self, model: RemoteModel) -> ServedModel:
        """Return the description of a model.

        Raises:
            Unusable: the model does not follow the contract.
            Unavailable, Busy: there is no answer.
        """
        message = await self._infer(model, jobs.describe_inputs())
        try:
            return transcripts.description(message.tensors)
        except MessageError as error:
            raise Unusable(str(error)) from None

    async def recognize(self, model: RemoteModel, job: Job) -> Transcript:
        """Decode a job. Cancel the call to withdraw it.

        Raises:
            Busy: the server has too much work.
            Unavailable, Unusable: the server did not answer, or not with a transcript.
        """
        message = await self._infer(model, jobs.inputs(job))
        try:
            return transcripts.transcript(message.tensors)
        except MessageError as error:
            raise Unusable(str(error)) from None

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _infer(self, model: RemoteModel, tensors: list[Tensor]) -> Message:
        wanted = [
            {"name": name, "parameters": {"binary_data": True}} for name in transcripts.OUTPUTS
        ]
        body, length = write("inputs", tensors, members={"outputs": wanted})
        headers = {
            "content-type": "application/octet-stream",
            HEAD_LENGTH: str(length),
        }
        if model.on_demand:
            headers[MULTIPLEXED] = model.name
        response, answer = await self._request("POST", f"{model.path}/infer", headers, body)
        head = response.get(HEAD_LENGTH)
        try:
            if head is not None and not (head.isascii() and head.isdigit() and len(head) < 10):
                raise MessageError(f"the header {HEAD_LENGTH} is {printable(head, 20)!r}")
            return read("outputs", answer, None if head is None else int(head))
        except MessageError as error:
            raise Unusable(str(error)) from None

    async def _request(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
    ) -> tuple[Mapping[str, str], bytes]:
        """Return the headers and the body of a response with status 200.

        Raises:
            Unavailable, Unusable, Busy: there is no such response.
        """
        try:
            async with self._client.stream(
                method, path, headers=headers, content=body
            ) as response:
                data = bytearray()
                async for chunk in response.aiter_raw():
                    data += chunk
                    if len(data) > _LARGEST:
                        raise Unusable(f"its answer has more than {_LARGEST} bytes")
        except httpx2.HTTPError as error:
            raise Unavailable(_reason(error)) from None
        if response.status_code != 200:
            raise _status_error(response.status_code, bytes(data))
        return response.headers, bytes(data)


def check_url(url: str) -> None:
    """Check a URL of --remote-url.

    Raises:
        SettingError: the URL has another form, or contains a user.
    """
    try:
        parts = urlsplit(url)
        right = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        httpx2.URL(url)
    except (ValueError, httpx2.InvalidURL):
        right = False
    if right and parts.username is not None:  # not shown: there may be a password in it
        raise SettingError("--remote-url contains a user; give a token with --remote-token")
    if not right or parts.query or parts.fragment:
        raise SettingError(
            f"--remote-url is {printable(url)!r}; it must be like http://gpu-box:8000"
        )


def _certificates(authorities: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=authorities)
    except (OSError, ssl.SSLError) as error:
        why = "it has no certificate" if isinstance(error, ssl.SSLError) else reason(error)
        raise SettingError(
            f"--remote-ca is {authorities!r}, which cannot be read: {why}"
        ) from None


def _status_error(status: int, body: bytes) -> EngineError | Busy:
    """Return the error for a response with another status than 200."""
    message = _error_text(body)
    if status in (429, 503):
        return Busy(message or "it is busy")
    why = f"status {status}" + (f": {message}" if message else "")
    return Unavailable(why) if status >= 500 else Unusable(why)


def _error_text(body: bytes) -> str:
    """Return the sentence in an error's body; "" if there is none."""
    try:
        message: Any = json_object(body, "it").get("error", "")
    except MessageError:
        return ""
    return printable(message, _LONGEST_REASON) if isinstance(message, str) else ""


def _reason(error: Exception) -> str:
    """Return why a request failed, from the innermost of the chained exceptions."""
    cause: BaseException = error
    while (inner := cause.__cause__ or cause.__context__) is not None:
        cause = inner
        if isinstance(cause, ssl.SSLCertVerificationError):
            return (
                f"its certificate is not accepted ({cause.verify_message}); --remote-ca names a "
                "file with the authority that signed it"
            )
    return printable(request_failure(error), _LONGEST_REASON)
