"""Tenant: what a group of clients may use, and how identities lead to tenants. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Priority(StrEnum):
    """Priority of a tenant's work over that of others."""

    HOUSE = "house"  # people wait for the answer
    BATCH = "batch"  # all its work waits while commands do, like files


class IdentityKind(StrEnum):
    """Kinds of identities by which a tenant's clients are recognised."""

    KEY = "key"  # name of an API key
    SUBJECT = "subject"  # claim `sub` of a token
    CLAIM = "claim"  # value of another claim of a token
    CERTIFICATE = "certificate"  # name in a client certificate
    ADDRESS = "address"  # IP address of the client
    SITE = "site"  # site of a satellite that speaks over MQTT


@dataclass(frozen=True, slots=True)
class Identity:
    """Something that is known about a client for certain."""

    kind: IdentityKind
    value: str
    claim: str = ""  # name of the claim, or path to it with dots; for CLAIM only


@dataclass(frozen=True, slots=True, kw_only=True)
class Tenant:
    """Rights and limits of the clients of one tenant. The defaults limit nothing."""

    name: str = "house"  # in the log
    label: str = "house"  # in the metrics, where a label may stand for several tenants
    named: bool = False  # it is not the default tenant: its name replaces those of its clients
    shares: bool = False  # there are other tenants, which must find room as well
    models: tuple[str, ...] = ()  # names of served models; () = all
    languages: tuple[str, ...] = ()  # Whisper's codes; () = all
    prompt: str | None = None  # for the decoder; "" = none, None = --initial-prompt
    vocabulary: tuple[str, ...] = ()  # names and terms to favour, most important first
    home_names: bool = True  # the names from Home Assistant are favoured as well
    requests: int = 0  # at the same time; 0 = no limit of its own
    audio_per_minute: float = 0.0  # seconds of audio in a minute, on average; 0 = no limit
    jobs: int = 0  # background jobs that are kept; 0 = no limit of its own
    priority: Priority = Priority.HOUSE
    weight: float = 1.0  # share of the model, in proportion to the weights of other tenants
    log_text: bool = True  # --log-text applies

    @property
    def batch(self) -> bool:
        """True if all its work waits while commands do."""
        return self.priority is Priority.BATCH

    @property
    def relayable(self) -> bool:
        """True if an upstream server, which knows nothing of tenants, serves it equally well.

        The upstream may favour the names of the home, so the tenant must be allowed to see them.
        """
        own = self.models or self.languages or self.prompt or self.vocabulary
        return self.home_names and not own


HOUSE = Tenant()
"""The only tenant of a server without --tenants."""


def has_room(own: int, total: int, limit: int, tenant: Tenant) -> bool:
    """Return whether a tenant may take more of something that all tenants share.

    A tenant that shares it may use as much as it leaves free (dynamic thresholds: Choudhury and
    Hahne, 1998). So one tenant gets a half, two get a third each, and there is always room for
    another one.

    Args:
        own: what the tenant uses already, in any unit.
        total: what all tenants use together.
        limit: what there is.
    """
    free = limit - total
    return free > 0 and (not tenant.shares or own < free)
