"""Principal: a client's identity for the server's limits, its queue and its log. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Principal:
    """Identity of a client. Several connections can have the same key."""

    # The unit of limits and of shares in the queue: the name of the client's API key, the issuer
    # and the subject of its token, or without authentication its address, normalised. "" for a
    # process of this machine without an address, as on a Unix socket: it has no limit of its own.
    key: str
    name: str  # in the log: of the key, the subject, or of one connection "127.0.0.1:4711"
    until: float | None = None  # expiry of its token, in seconds since the epoch
