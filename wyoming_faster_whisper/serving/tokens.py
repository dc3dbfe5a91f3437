"""Bearer tokens that a decode server requires, from a file."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from ..errors import SettingError
from ..watched_file import read_text, version_of
from .open_inference import Reply, error_reply

_LOGGER = logging.getLogger(__name__)

_MOST = 64 * 1024  # bytes of the file

_OPEN = {"/v2/health/live", "/v2/health/ready"}
"""Paths for load balancers, which may have no token. They tell nothing but the health."""


class Tokens:
    """Tokens of a file, of which a request must have one. Blocking to create.

    Args:
        path: file with a token in each line. Two of them let clients change theirs one by one.

    Raises:
        SettingError: the file cannot be read, or has no token.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._version = version_of(path)  # before the file is read, so that no change is missed
        self._digests = _read(path)

    def refusal(self, path: str, headers: Mapping[str, str]) -> Reply | None:
        """Return the answer to a request that must not be served; None = serve it.

        It takes the same time for all tokens. Needs no body, so call it before reading one.

        Args:
            path: of the request.
            headers: their names in lower case.
        """
        scheme, _, token = headers.get("authorization", "").partition(" ")
        digest = _digest(token.strip())
        found = [hmac.compare_digest(digest, known) for known in self._digests]
        if path in _OPEN or (scheme.lower() == "bearer" and any(found)):
            return None
        reply = error_reply(401, "the token is missing or wrong")
        return Reply(reply.status, reply.body, {**reply.headers, "www-authenticate": "Bearer"})

    def refresh(self) -> None:
        """Read the file again if it has changed. Blocking. Tokens stay if it cannot be read."""
        version = version_of(self._path)
        if version == self._version:
            return
        self._version = version
        try:
            self._digests = _read(self._path)
        except SettingError as error:
            _LOGGER.warning("%s", error)


def _read(path: Path) -> list[bytes]:
    tokens = read_text(path, "token_file", _MOST).split("\n")
    digests = []
    for token in filter(None, map(str.strip, tokens)):
        if not token.isascii() or len(token.split()) > 1:
            raise SettingError(
                f"token_file {path} has a token with a space or a character that is not ASCII"
            )
        digests.append(_digest(token))
    if not digests:
        raise SettingError(f"token_file {path} has no token")
    return digests


def _digest(token: str) -> bytes:
    """Return bytes of equal length for all tokens, which takes the same time to compare."""
    return sha256(token.encode(errors="replace")).digest()
