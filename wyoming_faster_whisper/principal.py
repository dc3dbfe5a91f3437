"""Principal: a client's identity for the server's limits, its queue and its log. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field

from .tenant import HOUSE, Identity, Tenant


@dataclass(frozen=True, slots=True)
class Principal:
    """Identity of a client. Several connections can have the same key."""

    # The unit of limits and of shares in the queue: the name of the client's API key, the issuer
    # and the subject of its token, or without authentication its address, normalised. "" for a
    # process of this machine without an address, as on a Unix socket: it has no limit of its own.
    key: str
    own_name: str  # of the key, the subject, or of one connection "127.0.0.1:4711"
    until: float | None = None  # expiry of its token, in seconds since the epoch
    # What is known about the client, the most specific first; its tenant follows from them.
    identities: tuple[Identity, ...] = field(default=(), compare=False)
    tenant: Tenant = field(default=HOUSE, compare=False)
    # Which of its API keys the client has sent; several may have the same name.
    credential: str = field(default="", compare=False)

    @property
    def name(self) -> str:
        """Name in the log: of the tenant, or of the client if the tenant is the default one."""
        return self.tenant.name if self.tenant.named else self.own_name

    @property
    def account(self) -> str:
        """Name under which its limits are counted, for the log and for error texts."""
        return self.tenant.name if self.tenant.named else self.key
