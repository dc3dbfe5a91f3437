"""Reasons for which a client is refused. Pure."""

from __future__ import annotations

from enum import StrEnum

from ...errors import NotAuthenticated


class Reason(StrEnum):
    """Reasons for a refusal; labels of a metric, so their number is fixed."""

    MISSING = "missing"  # no key and no token
    IN_URL = "in_url"  # a key in the URL
    AMBIGUOUS = "ambiguous"  # several different keys
    MALFORMED = "malformed"  # neither a key nor a token
    UNKNOWN_KEY = "unknown_key"  # not in the file of keys
    CLIENT_SECRET = "client_secret"  # forged, or expired
    UNSUPPORTED = "unsupported"  # a kind of token or an algorithm that is not accepted
    SIGNATURE = "signature"  # not signed with a key of the issuer
    EXPIRED = "expired"
    NOT_YET_VALID = "not_yet_valid"
    ISSUER = "issuer"
    AUDIENCE = "audience"
    CLAIMS = "claims"  # a claim is missing or has the wrong type
    SCOPE = "scope"  # the client is known, but may not do this
    REVOKED = "revoked"  # the key is no longer in the file
    UNAVAILABLE = "issuer_unavailable"  # the issuer's keys could not be fetched


class Refused(NotAuthenticated):
    """A client is not authenticated, or may not do what it asks for.

    Args:
        reason: why.
        message: the same for the client; it contains nothing of the key or token.
        name: of the client, in the log; "" if it is not known.
    """

    def __init__(self, reason: Reason, message: str, *, name: str = "") -> None:
        super().__init__(message)
        self.reason = reason
        self.name = name


class TokenExpired(Refused):
    """The token of a client has expired. Code of the error at OpenAI: session_expired."""

    def __init__(self, *, name: str = "") -> None:
        super().__init__(Reason.EXPIRED, "the token has expired", name=name)
