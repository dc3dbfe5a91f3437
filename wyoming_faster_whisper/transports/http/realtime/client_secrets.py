"""Client secrets: short-lived keys for browsers and apps that must not know a real one.

A secret carries the session that it was made for and the principal that made it, signed with a
key of this process. So the server stores nothing, and a restart ends all secrets.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ....principal import Principal
from ....tenant import Identity, IdentityKind
from ..api_errors import ApiError

PREFIX = "ek_"
"""First characters of every secret."""

_LONGEST = 8 * 1024  # characters: it must fit into a header


@dataclass(frozen=True, slots=True)
class Secret:
    """Contents of a client secret."""

    session: Mapping[str, Any]
    principal: Principal


class ClientSecrets:
    """Makes and checks client secrets.

    Args:
        clock: returns seconds of a monotonic clock.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._key = secrets.token_bytes(32)

    def make(self, secret: Secret, seconds: float) -> str:
        """Return a client secret. It consists of characters that a WebSocket protocol may have.

        Args:
            seconds: time for which it is valid.

        Raises:
            ApiError: the session is too large.
        """
        contents = {
            "session": secret.session,
            "principal": _principal(secret.principal),
            "until": self._clock() + seconds,
        }
        data = zlib.compress(json.dumps(contents, separators=(",", ":")).encode())
        made = self._sign(data)
        if len(made) > _LONGEST:
            raise ApiError(
                400,
                f"the client secret would have {len(made)} characters; the limit is {_LONGEST}: "
                "send a long prompt and keywords in a session.update",
                param="session",
            )
        return made

    def read(self, secret: str) -> Secret:
        """Return the contents of a client secret.

        Raises:
            ApiError: 401, the secret is not valid, or has expired.
        """
        text, _, _ = secret.removeprefix(PREFIX).partition(".")
        try:
            data = _bytes(text)
            valid = hmac.compare_digest(secret.encode("ascii"), self._sign(data).encode())
        except ValueError:
            valid = False
        if not valid:
            raise _refused("the client secret is not valid")
        contents = json.loads(zlib.decompress(data))
        if self._clock() >= contents["until"]:
            raise _refused("the client secret has expired")
        return Secret(contents["session"], _read_principal(contents["principal"]))

    def _sign(self, data: bytes) -> str:
        signature = hmac.new(self._key, data, hashlib.sha256).digest()
        return f"{PREFIX}{_text(data)}.{_text(signature)}"


def _principal(principal: Principal) -> dict[str, Any]:
    """Return a client without its tenant, which is found again when the secret is used."""
    identities = [[one.kind, one.value, one.claim] for one in principal.identities]
    return {
        "key": principal.key,
        "name": principal.own_name,
        "until": principal.until,
        "identities": identities,
        "credential": principal.credential,
    }


def _read_principal(contents: Mapping[str, Any]) -> Principal:
    identities = tuple(
        Identity(IdentityKind(kind), value, claim)
        for kind, value, claim in contents["identities"]
    )
    return Principal(
        contents["key"],
        contents["name"],
        contents["until"],
        identities,
        credential=contents["credential"],
    )


def _refused(message: str) -> ApiError:
    return ApiError(401, message, code="invalid_api_key", should_retry=False)


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes:
    return base64.b64decode(text.encode("ascii") + b"=" * (-len(text) % 4), b"-_", validate=True)
