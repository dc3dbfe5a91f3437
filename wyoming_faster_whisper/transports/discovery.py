"""mDNS: how Home Assistant finds this server by itself, and how others are found.

One task keeps the announcement true. It announces the addresses that others can reach and
looks every 30 seconds whether they are still the same: a Pi may start before its Wi-Fi does.
When they are not, it withdraws and begins again, which also opens sockets on interfaces that
were not there before. Nothing that goes wrong here stops the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
import uuid
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address

import ifaddr
import zeroconf
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from .address import DEFAULT_PORT

SERVICE = "_wyoming._tcp.local."
DEFAULT_NAME = "faster-whisper"

IPAddress = IPv4Address | IPv6Address

_LABEL = 63  # bytes: the most that DNS allows between two dots
_NAMES = 5  # names to try when others on the network have ours; a probe takes 1.2 s
_RESOLVE = 5.0  # seconds for a name server to answer
_CLOSE = 3.0  # seconds; the three goodbyes take about 0.3

# Container bridges and tunnels: others on the network cannot reach addresses on them. They
# are left out, not put last: Home Assistant takes the first address it is told, and zeroconf
# tells them in no particular order. A bridge that is the LAN itself (br0, br-lan) stays.
_NOT_THE_LAN = re.compile(
    r"(docker\d+|docker_gwbridge|br-[0-9a-f]{12}|hassio|(podman|cni|lxcbr|lxdbr|virbr)\S*"
    r"|(tun|wg|tailscale|zt)\S*)"
)

_LOGGER = logging.getLogger(__name__)


def addresses_to_announce(
    listening: Iterable[IPAddress], adapters: Iterable[ifaddr.Adapter]
) -> list[IPAddress]:
    """Choose the addresses that others on the network can reach.

    Args:
        listening: 0.0.0.0 stands for every IPv4 address of the adapters and :: for every
            address; any other is taken as it is, on whichever interface.
        adapters: the answer of ifaddr.get_adapters().

    Returns:
        Each once and sorted, so that two answers can be compared. Empty if nobody can reach us.
    """
    chosen: set[IPAddress] = set()
    for address in listening:
        if not address.is_unspecified:
            chosen.add(address)
            continue
        for own in _interface_addresses(adapters):
            if address.version == 6 or own.version == 4:
                chosen.add(own)
    return sorted(
        (one for one in chosen if not (one.is_loopback or one.is_link_local or one.is_multicast)),
        key=lambda one: (one.version, one.packed),
    )


def _interface_addresses(adapters: Iterable[ifaddr.Adapter]) -> Iterator[IPAddress]:
    for adapter in adapters:
        if _NOT_THE_LAN.fullmatch(adapter.name) is None:
            for ip in adapter.ips:
                # ifaddr gives IPv6 as (address, flow, scope)
                yield ip_address(ip.ip if isinstance(ip.ip, str) else ip.ip[0])


def instance_names(name: str, host: str, port: int) -> Iterator[str]:
    """The names to announce, best first; the next one is for when that is taken.

    Home Assistant makes the name a part of its id for the server, so it has to be the same
    after a restart and different on every server. The default name therefore gets the host,
    and the port unless it is the usual one. A name of the operator's choice is kept.
    """
    if name == DEFAULT_NAME:
        name = f"{name} on {host}" if port == DEFAULT_PORT else f"{name} on {host}:{port}"
    # zeroconf would send a name with a dot as two labels, which other software cannot read.
    label = "".join(char for char in name.replace(".", "-") if char.isprintable())
    for number in range(1, _NAMES + 1):
        suffix = "" if number == 1 else f" ({number})"
        # The cut may fall inside a character.
        yield label.encode()[: _LABEL - len(suffix)].decode(errors="ignore") + suffix


@dataclass(kw_only=True)
class Announcement:
    """This server's entry in the network's list of services, from start() until close()."""

    name: str
    bound_host: str  # what the socket listens on; "" and :: mean IPv4 and IPv6
    port: int
    advertise_host: str | None = None  # address or name to announce instead of our own
    advertise_port: int | None = None  # port to announce instead of our own
    recheck: float = 30.0  # seconds
    _task: asyncio.Task[None] | None = field(default=None, init=False, repr=False)

    def start(self) -> None:
        """Begin to announce and return at once; it takes about 1.5 s. Troubles are logged."""
        self._task = asyncio.create_task(self._keep_announced(), name="mdns")

    async def close(self) -> None:
        """Withdraw. Returns after a few seconds even if the network does not let us."""
        if self._task is not None:
            self._task.cancel()
            # A goodbye that was not sent is no harm: the records expire by themselves.
            await asyncio.wait({self._task}, timeout=_CLOSE)

    async def _keep_announced(self) -> None:
        told = ""
        while True:
            try:
                if addresses := await self._addresses():
                    await self._announce_until_changed(addresses)
                    told = ""
                    continue
                trouble = self._why_nothing()
            # RuntimeError: zeroconf found no interface. UnicodeError: a host name that
            # cannot be one. zeroconf's own errors often have no text.
            except (OSError, zeroconf.Error, RuntimeError, UnicodeError) as error:
                trouble = f"{type(error).__name__} {error}".rstrip()
            if trouble != told:
                _LOGGER.warning("mDNS: not announced, we go on trying: %s", trouble)
                told = trouble
            await asyncio.sleep(self.recheck)

    def _why_nothing(self) -> str:
        if self._host in ("0.0.0.0", "::"):
            return "no network interface has an address that others can reach"
        return (
            f"others cannot reach {self._host}; listen on 0.0.0.0, "
            "or say with --advertise-host where they can reach us"
        )

    @property
    def _host(self) -> str:
        return self.advertise_host or self.bound_host or "::"

    async def _addresses(self) -> list[IPAddress]:
        # Takes addresses too. For names it asks a name server, in a thread.
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_RESOLVE):
            found = await loop.getaddrinfo(self._host, None, type=socket.SOCK_STREAM)
        return addresses_to_announce(
            [ip_address(address[0]) for *_, address in found], ifaddr.get_adapters()
        )

    async def _announce_until_changed(self, addresses: list[IPAddress]) -> None:
        # Leaving the block sends the goodbyes, also when the task is cancelled.
        async with AsyncZeroconf(ip_version=_ip_version(ifaddr.get_adapters())) as mdns:
            await self._register(mdns, addresses)
            now = addresses
            while now == addresses:
                await asyncio.sleep(self.recheck)
                # A name server that is away for a moment withdraws nothing.
                with contextlib.suppress(OSError):
                    now = await self._addresses()

    async def _register(self, mdns: AsyncZeroconf, addresses: list[IPAddress]) -> None:
        port = self.advertise_port or self.port
        names = list(instance_names(self.name, self.advertise_host or socket.gethostname(), port))
        for name in names:
            info = AsyncServiceInfo(
                SERVICE,
                f"{name}.{SERVICE}",
                port=port,
                properties={"txtvers": "1"},  # RFC 6763 wants a TXT record that is not empty
                # Nobody else's host name, and new each time. <host>.local belongs to Avahi,
                # which would see other addresses under it as a conflict and rename the
                # machine; a name shared by two servers would be withdrawn with the first.
                server=f"wyoming-{uuid.uuid4().hex[:12]}.local.",
                parsed_addresses=[str(address) for address in addresses],
            )
            try:
                sending = await mdns.async_register_service(info)
            except zeroconf.NonUniqueNameException:
                _LOGGER.warning("mDNS: the name %r is taken, give each --zeroconf its own", name)
                continue
            await sending
            where = ", ".join(info.parsed_addresses())
            _LOGGER.info("mDNS: announced as %r at %s, port %d", name, where, port)
            return
        raise zeroconf.NonUniqueNameException(f"{names[0]!r} to {names[-1]!r} are taken")


async def find(seconds: float) -> list[AsyncServiceInfo]:
    """Listen for Wyoming servers that announce themselves, this machine's included.

    Raises:
        OSError, RuntimeError, zeroconf.Error: the network does not let us listen.
    """
    names: set[str] = set()

    def changed(
        zeroconf: zeroconf.Zeroconf,
        service_type: str,
        name: str,
        state_change: zeroconf.ServiceStateChange,
    ) -> None:
        if state_change.name == "Removed":
            names.discard(name)
        else:
            names.add(name)

    adapters = await asyncio.to_thread(ifaddr.get_adapters)
    async with AsyncZeroconf(ip_version=_ip_version(adapters)) as mdns:
        browser = AsyncServiceBrowser(mdns.zeroconf, SERVICE, handlers=[changed])
        await asyncio.sleep(seconds)
        known = [AsyncServiceInfo(SERVICE, name) for name in sorted(names)]
        await asyncio.gather(*(one.async_request(mdns.zeroconf, 3000) for one in known))
        await browser.async_cancel()
    return known


def _ip_version(adapters: Iterable[ifaddr.Adapter]) -> zeroconf.IPVersion:
    # IPv6 addresses are announced over IPv4 as well, so one kind of socket is enough; IPv6
    # sockets cannot even be opened where the kernel has it switched off.
    if any(not own.is_loopback for own in _interface_addresses(adapters) if own.version == 4):
        return zeroconf.IPVersion.V4Only
    return zeroconf.IPVersion.V6Only
