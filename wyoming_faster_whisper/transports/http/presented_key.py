"""The key or token that a client sends: in a header, or as a WebSocket protocol. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import parse_qsl

from ..auth.refusal import Reason, Refused

LONGEST_KEY = 8 * 1024
"""Maximum length of a key or token in characters."""

# Browsers cannot set the headers of a WebSocket; OpenAI's clients offer the key as a protocol.
_PROTOCOL = "openai-insecure-api-key."
_HEADERS = (b"api-key", b"x-api-key")  # Azure's clients, and speaches'
_PARAMETERS = frozenset({"access_token", "api_key", "api-key", "apikey", "key", "token"})


def presented_key(
    headers: Iterable[tuple[bytes, bytes]], query: bytes, protocols: Iterable[str] = ()
) -> str:
    """Return the key or token of a request.

    Args:
        headers: with names in lower case.
        query: of the URL.
        protocols: that a WebSocket offers.

    Raises:
        Refused: the request has no key, several different ones, one in the URL, or one too long.
    """
    given = list(headers)
    if any(name.lower() in _PARAMETERS for name, _ in parse_qsl(query.decode("latin-1"))):
        raise Refused(
            Reason.IN_URL,
            "a key must not be in the URL, where logs and histories keep it; send the header "
            "Authorization: Bearer KEY, and replace this key",
        )
    authorizations = [value for name, value in given if name == b"authorization"]
    if len(authorizations) > 1:
        raise Refused(Reason.AMBIGUOUS, "there are several Authorization headers")
    keys = {value.strip() for name, value in given if name in _HEADERS}
    keys |= {
        one.removeprefix(_PROTOCOL).encode() for one in protocols if one.startswith(_PROTOCOL)
    }
    for value in authorizations:
        scheme, _, token = value.partition(b" ")
        if scheme.lower() == b"bearer":
            keys.add(token.strip())
    keys.discard(b"")
    if not keys:
        raise Refused(Reason.MISSING, "send a key in the header Authorization: Bearer KEY")
    if len(keys) > 1:
        raise Refused(Reason.AMBIGUOUS, "the request has several different keys")
    return _checked(keys.pop())


def _checked(key: bytes) -> str:
    if len(key) > LONGEST_KEY:
        raise Refused(
            Reason.MALFORMED, f"the key has {len(key)} characters; the limit is {LONGEST_KEY}"
        )
    if any(not 0x21 <= byte <= 0x7E for byte in key):
        raise Refused(Reason.MALFORMED, "the key has characters other than visible ASCII")
    return key.decode()
