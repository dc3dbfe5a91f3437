"""Principal: a client's identity for the server's limits, its queue and its log. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Principal:
    """Identity of a client. Several connections can have the same key."""

    # The unit of limits and of shares in the queue: the client's address, normalised. "" for a
    # process of this machine without an address, as on a Unix socket: it has no limit of its own.
    key: str
    name: str  # of one connection, in the log: "127.0.0.1:4711"
