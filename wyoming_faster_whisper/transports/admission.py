"""Who is let in: by network, by how many are here, by how many come from one address. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from ..errors import Busy, NotAllowed, counted

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Guest(Protocol):
    """What the door knows of somebody who is here."""

    @property
    def host(self) -> str: ...  # address as plain_host() has it; "" where there is none

    @property
    def silent(self) -> bool: ...  # has never sent a whole event

    @property
    def idle(self) -> float: ...  # seconds since it wanted something of us; 0 while it does


G = TypeVar("G", bound=Guest)

# Seconds. Who keeps a connection for the next utterance makes a new one when it is gone; who
# finds no room has nobody to speak to.
_LONG_IDLE = 10.0


@dataclass(frozen=True, slots=True)
class Door:
    """Decides who is let in.

    Args:
        most: clients at the same time.
        most_of_one: of them from one address; 0 = as many. Home Assistant brings every
            microphone from one address.
        networks: whose clients are let in; () = all. This machine itself always is,
            or its health check would fail.
    """

    most: int = 256
    most_of_one: int = 0
    networks: tuple[Network, ...] = ()

    def admit(self, host: str, here: Iterable[G]) -> G | None:
        """Let somebody in; return who has to give way for it, if anybody has to.

        Who never sent an event gives way, the one that came first before others; then who
        has been idle for the longest, and for long. So no crowd that only holds connections
        open shuts anybody out.

        Args:
            host: of who knocks; "" where there is none.
            here: everybody who is here, in the order in which they came.

        Raises:
            NotAllowed: no network that is let in has this address.
            Busy: there is no room, and nobody who could give way.
        """
        self.check(host)
        everybody = list(here)
        kin = [guest for guest in everybody if guest.host == host]
        if host and self.most_of_one and len(kin) >= self.most_of_one:
            crowd, room = kin, f"all places of {host} are taken ({counted(len(kin), 'client')})"
        elif len(everybody) >= self.most:
            crowd, room = everybody, f"all places are taken ({counted(len(everybody), 'client')})"
        else:
            return None
        if silent := [guest for guest in crowd if guest.silent]:
            return silent[0]
        idlest = max(crowd, key=lambda guest: guest.idle)
        if idlest.idle < _LONG_IDLE:
            raise Busy(f"{room}; try again later")
        return idlest

    def check(self, host: str) -> None:
        """See that somebody may come in at all, whoever is here.

        Raises:
            NotAllowed: no network that is let in has this address.
        """
        if not self.networks or not host:
            return
        address = ipaddress.ip_address(host)
        if not address.is_loopback and all(address not in one for one in self.networks):
            raise NotAllowed(f"{host} is in none of the networks of --allow")


def plain_host(host: str) -> str:
    """An address as it is compared: IPv4 as such where IPv6 carries it, no zone."""
    address = ipaddress.ip_address(host.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)
