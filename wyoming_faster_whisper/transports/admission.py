"""Admission control: by network, number of clients, and number of clients per principal. Pure."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from ..errors import Busy, NotAllowed, counted
from ..principal import Principal
from ..tenant import has_room

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class ConnectedClient(Protocol):
    """A connected client, as admission control sees it."""

    @property
    def principal(self) -> Principal: ...

    @property
    def silent(self) -> bool: ...  # True if it has never sent a complete event

    @property
    def idle(self) -> float: ...  # seconds since its last activity; 0 during an utterance


C = TypeVar("C", bound=ConnectedClient)

# Seconds after which an idle client may be evicted. A client that keeps a connection for its next
# utterance can reconnect; a client that is refused gets no answer at all.
_EVICTABLE_IDLE = 10.0


@dataclass(frozen=True, slots=True)
class Admission:
    """Limits that decide which clients may connect.

    Args:
        max_connections: maximum number of clients at the same time; tenants share it, see
            has_room().
        max_per_address: maximum number of them with the same principal key: an address, or with
            authentication a client; 0 = no limit. All microphones of a Home Assistant come from
            one address.
        allowed_networks: networks whose clients may connect; () = all. This machine may always
            connect, otherwise the health check would fail.
    """

    max_connections: int = 256
    max_per_address: int = 0
    allowed_networks: tuple[Network, ...] = ()

    def admit(self, principal: Principal, connected: Iterable[C]) -> C | None:
        """Admit a new client, and choose the client to evict for it if a limit is reached.

        The oldest connection that never sent an event is evicted first, then the client that has
        been idle longest, if it has been idle for 10 s. So connections that are only held open
        cannot lock other clients out. Call check_network() before this.

        Args:
            principal: the new client.
            connected: all connected clients, oldest connection first.

        Returns:
            The client to evict, or None. The caller must close that connection.

        Raises:
            Busy: a limit is reached and no client can be evicted.
        """
        clients, key, tenant = list(connected), principal.key, principal.tenant
        own = [client for client in clients if client.principal.key == key]
        same = [client for client in clients if client.principal.tenant.name == tenant.name]
        if key and self.max_per_address and len(own) >= self.max_per_address:
            evictable, reason = (
                own,
                f"too many connections from {principal.account} ({counted(len(own), 'client')})",
            )
        elif not has_room(len(same), len(clients), self.max_connections, tenant):
            if tenant.shares and len(clients) < self.max_connections:
                clients = same
            evictable, reason = (
                clients,
                f"too many connections ({counted(len(clients), 'client')})",
            )
        else:
            return None
        if handshaking := [client for client in evictable if client.silent]:
            return handshaking[0]
        idlest = max(evictable, key=lambda client: client.idle)
        if idlest.idle < _EVICTABLE_IDLE:
            raise Busy(f"{reason}; try again later")
        return idlest

    def check_network(self, host: str, own: str) -> None:
        """Check whether a client is in an allowed network, or on this machine.

        Args:
            host: address of the client; "" if it has none, which is always allowed.
            own: address that the client has connected to.

        Raises:
            NotAllowed: the address is in no allowed network.
        """
        if not self.allowed_networks or not host:
            return
        address = ipaddress.ip_address(host)
        # A client on this machine connects from the address that it connects to.
        here = address.is_loopback or host == own
        if not here and all(address not in one for one in self.allowed_networks):
            raise NotAllowed(f"{host} is not in a network of --allow")


def normalised_host(host: str) -> str:
    """Normalise an address for comparison: no zone, and IPv4-mapped IPv6 as IPv4.

    Raises:
        ValueError: host is not an IP address.
    """
    address = ipaddress.ip_address(host.partition("%")[0])
    mapped = getattr(address, "ipv4_mapped", None)
    return str(mapped or address)
