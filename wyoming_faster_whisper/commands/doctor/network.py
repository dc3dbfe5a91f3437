"""Collects facts about the network: addresses, multicast, announced Wyoming servers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from ipaddress import ip_address

import ifaddr
import zeroconf

from ...transports.discovery import SERVICE, addresses_to_announce, find
from .facts import MdnsService, Network

_MDNS = "224.0.0.251"
_LISTEN = 3.0  # seconds; servers answer within 1.5 s


async def inspect_network(host: str | None, port: int) -> Network:
    """Check how other machines can find the server.

    Args:
        host: the host that the server listens on; None = a Unix socket.
        port: the server's port.
    """
    adapters = list(await asyncio.to_thread(ifaddr.get_adapters))
    own = _own(adapters)
    try:
        listening = [ip_address(host or "")]
    except ValueError:
        listening = []  # a host name, or a Unix socket
    local_only = host in (None, "localhost") or any(one.is_loopback for one in listening)
    problem = ""
    announced: tuple[MdnsService, ...] = ()
    if not local_only:
        problem = _join(own)
        announced = () if problem else await _announced()
    return Network(
        port=port,
        local_only=local_only,
        own=own,
        reachable=tuple(str(one) for one in addresses_to_announce(listening, adapters)),
        multicast=problem,
        announced=announced,
    )


def is_this_machine(host: str) -> bool:
    """Return whether a host name or address is that of this machine. Blocking."""
    try:
        found = {str(entry[4][0]) for entry in socket.getaddrinfo(host, None)}
    except OSError:
        return False
    own = set(_own(list(ifaddr.get_adapters())))
    return any(one in own or ip_address(one).is_loopback for one in found)


def _own(adapters: Sequence[ifaddr.Adapter]) -> tuple[str, ...]:
    # ifaddr gives IPv6 as (address, flow, scope)
    return tuple(
        str(ip.ip if isinstance(ip.ip, str) else ip.ip[0])
        for adapter in adapters
        for ip in adapter.ips
    )


def _join(own: Sequence[str]) -> str:
    """Join the mDNS multicast group on one interface; return why that fails, "" if it works."""
    problem = "no network interface has an IPv4 address"
    for address in own:
        if ":" in address or ip_address(address).is_loopback:
            continue
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            try:
                probe.setsockopt(
                    socket.IPPROTO_IP,
                    socket.IP_ADD_MEMBERSHIP,
                    socket.inet_aton(_MDNS) + socket.inet_aton(address),
                )
            except OSError as error:
                problem = error.strerror or str(error)
            else:
                return ""
    return problem


async def _announced() -> tuple[MdnsService, ...]:
    try:
        found = await find(_LISTEN)
    except (OSError, RuntimeError, zeroconf.Error):
        return ()  # treated as no announcements
    return tuple(
        MdnsService(one.name.removesuffix(f".{SERVICE}"), tuple(one.parsed_addresses()), one.port)
        for one in found
        if one.port is not None  # None: the server did not answer the query
    )
