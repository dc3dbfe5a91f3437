"""Who is let in: by network, by how many are here, by how many come from one address. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from ..errors import Busy, NotAllowed, counted

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class ConnectedClient(Protocol):
    """A connected client, as admission control sees it."""

    @property
    def host(self) -> str: ...  # address as normalised_host() has it; "" where there is none

    @property
    def silent(self) -> bool: ...  # has never sent a whole event

    @property
    def idle(self) -> float: ...  # seconds since it wanted something of us; 0 while it does


C = TypeVar("C", bound=ConnectedClient)

# Seconds. Who keeps a connection for the next utterance makes a new one when it is gone; who
# finds no room has nobody to speak to.
_EVICTABLE_IDLE = 10.0


@dataclass(frozen=True, slots=True)
class Admission:
    """Decides who is let in.

    Args:
        most: clients at the same time.
        max_per_address: of them from one address; 0 = as many. Home Assistant brings every
            microphone from one address.
        networks: whose clients are let in; () = all. This machine itself always is,
            or its health check would fail.
    """

    max_connections: int = 256
    max_per_address: int = 0
    allowed_networks: tuple[Network, ...] = ()

    def admit(self, host: str, connected: Iterable[C]) -> C | None:
        """Let somebody in; return who has to give way for it, if anybody has to.

        Who never sent an event gives way, the one that came first before others; then who
        has been idle for the longest, and for long. So no crowd that only holds connections
        open shuts anybody out.

        Args:
            host: of who knocks; "" where there is none.
            connected: everybody who is here, in the order in which they came.

        Raises:
            NotAllowed: no network that is let in has this address.
            Busy: there is no room, and nobody who could give way.
        """
        self.check_network(host)
        clients = list(connected)
        same_address = [client for client in clients if client.host == host]
        if host and self.max_per_address and len(same_address) >= self.max_per_address:
            evictable, reason = (
                same_address,
                f"all places of {host} are taken ({counted(len(same_address), 'client')})",
            )
        elif len(clients) >= self.max_connections:
            evictable, reason = (
                clients,
                f"all places are taken ({counted(len(clients), 'client')})",
            )
        else:
            return None
        if handshaking := [guest for guest in evictable if guest.silent]:
            return handshaking[0]
        idlest = max(evictable, key=lambda guest: guest.idle)
        if idlest.idle < _EVICTABLE_IDLE:
            raise Busy(f"{reason}; try again later")
        return idlest

    def check_network(self, host: str) -> None:
        """See that somebody may come in at all, whoever is here.

        Raises:
            NotAllowed: no network that is let in has this address.
        """
        if not self.allowed_networks or not host:
            return
        address = ipaddress.ip_address(host)
        if not address.is_loopback and all(address not in one for one in self.allowed_networks):
            raise NotAllowed(f"{host} is in none of the networks of --allow")


def normalised_host(host: str) -> str:
    """An address as it is compared: IPv4 as such where IPv6 carries it, no zone."""
    address = ipaddress.ip_address(host.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)
