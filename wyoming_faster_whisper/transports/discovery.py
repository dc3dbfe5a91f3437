"""mDNS: announces this server so that Home Assistant discovers it, and finds other servers.

One task keeps the announcement up to date. It announces the reachable addresses of this machine
and checks every 30 seconds whether they have changed: a Raspberry Pi may start before its Wi-Fi
is up. When they have changed, it withdraws the announcement and registers again, which also opens
sockets on new interfaces. An error here never stops the server.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
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

_LABEL = 63  # bytes: maximum length of a DNS label
_NAMES = 5  # names to try if the network already has a server of that name; a probe takes 1.2 s
_NUMBER = len(" (2)")  # bytes: what a name that is taken gets
_RESOLVE = 5.0  # seconds for a name server to answer
_CLOSE = 3.0  # seconds; sending the three goodbye packets takes about 0.3

# Container bridges and tunnels. Other machines on the network cannot reach addresses on them.
# They are left out rather than put last, because Home Assistant uses the first address it
# receives and zeroconf sends them in no particular order. A bridge that is itself the LAN (br0,
# br-lan) is kept.
_NOT_THE_LAN = re.compile(
    r"(docker\d+|docker_gwbridge|br-[0-9a-f]{12}|hassio|(podman|cni|lxcbr|lxdbr|virbr)\S*"
    r"|(tun|wg|tailscale|zt)\S*)"
)

_LOGGER = logging.getLogger(__name__)


def addresses_to_announce(
    listening: Iterable[IPAddress], adapters: Iterable[ifaddr.Adapter]
) -> list[IPAddress]:
    """Choose the addresses that other machines on the network can reach.

    Args:
        listening: addresses the server listens on. 0.0.0.0 stands for every IPv4 address of the
            adapters and :: for every address; any other address is taken as it is, whatever its
            interface.
        adapters: result of ifaddr.get_adapters().

    Returns:
        Addresses without duplicates, sorted so that two results can be compared. Empty if other
        machines cannot reach the server.
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
                # ifaddr returns IPv6 as (address, flow, scope)
                yield ip_address(ip.ip if isinstance(ip.ip, str) else ip.ip[0])


def instance_names(name: str, host: str, port: int) -> Iterator[str]:
    """Yield the instance names to announce. Each is for the case that those before it are taken.

    Home Assistant makes the name part of its id for the server, so the name must be the same
    after a restart and different on every server. The host is therefore added to the default
    name, and the port unless it is the default port. A name chosen by the operator is kept.

    Args:
        name: value of --zeroconf.
        host: name of this machine, or --advertise-host.
        port: announced port.
    """
    if name == DEFAULT_NAME:
        end = "" if port == DEFAULT_PORT else f":{port}"
        name = f"{name} on {_shortened(host, _LABEL - len(f'{name} on {end}'))}{end}"
    # zeroconf would send a name with a dot as two labels, which other software cannot parse.
    label = "".join(char for char in name.replace(".", "-") if char.isprintable())
    for number in range(1, _NAMES + 1):
        suffix = "" if number == 1 else f" ({number})"
        # The cut may fall inside a character.
        yield label.encode()[: _LABEL - len(suffix)].decode(errors="ignore") + suffix


def _shortened(host: str, room: int) -> str:
    """Cut a host name that is too long. A hash keeps it different from others that begin alike.

    Args:
        room: maximum length in bytes.
    """
    if len(host.encode()) <= room:
        return host
    end = "-" + hashlib.sha256(host.encode()).hexdigest()[:6]
    return host.encode()[: room - _NUMBER - len(end)].decode(errors="ignore") + end


@dataclass(kw_only=True)
class Announcement:
    """mDNS announcement of this server, from start() until close(). Lives on the event loop."""

    name: str
    bound_host: str  # host the socket listens on; "" and :: mean IPv4 and IPv6
    port: int
    advertise_host: str | None = None  # address or name to announce instead of this machine's
    advertise_port: int | None = None  # port to announce instead of the real one
    recheck: float = 30.0  # seconds between checks of the addresses, and between retries
    _task: asyncio.Task[None] | None = field(default=None, init=False, repr=False)

    def start(self) -> None:
        """Start to announce, and return at once.

        Registering takes about 1.5 s. Errors are logged and retried.
        """
        self._task = asyncio.create_task(self._keep_announced(), name="mdns")

    async def close(self) -> None:
        """Withdraw the announcement. Returns after 3 s even if the network is unreachable."""
        if self._task is not None:
            self._task.cancel()
            # An unsent goodbye does no harm: the records expire by themselves.
            await asyncio.wait({self._task}, timeout=_CLOSE)

    async def _keep_announced(self) -> None:
        logged = ""
        while True:
            try:
                if addresses := await self._addresses():
                    await self._announce_until_changed(addresses)
                    logged = ""
                    continue
                problem = self._why_nothing()
            # RuntimeError: zeroconf found no interface. UnicodeError: an invalid host name.
            # zeroconf's own errors often have no text, so the type is logged as well.
            except (OSError, zeroconf.Error, RuntimeError, UnicodeError) as error:
                problem = f"{type(error).__name__} {error}".rstrip()
            if problem != logged:
                _LOGGER.warning("mDNS: not announced, will try again: %s", problem)
                logged = problem
            await asyncio.sleep(self.recheck)

    def _why_nothing(self) -> str:
        if self._host in ("0.0.0.0", "::"):
            return "no network interface has an address that other machines can reach"
        return (
            f"other machines cannot reach {self._host}; listen on 0.0.0.0, "
            "or give a reachable address with --advertise-host"
        )

    @property
    def _host(self) -> str:
        return self.advertise_host or self.bound_host or "::"

    async def _addresses(self) -> list[IPAddress]:
        # getaddrinfo() accepts addresses and names; it resolves names in a thread.
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_RESOLVE):
            found = await loop.getaddrinfo(self._host, None, type=socket.SOCK_STREAM)
        return addresses_to_announce(
            [ip_address(address[0]) for *_, address in found], ifaddr.get_adapters()
        )

    async def _announce_until_changed(self, addresses: list[IPAddress]) -> None:
        # Leaving the block sends the goodbye packets, also when the task is cancelled.
        async with AsyncZeroconf(ip_version=_ip_version(ifaddr.get_adapters())) as mdns:
            await self._register(mdns, addresses)
            now = addresses
            while now == addresses:
                await asyncio.sleep(self.recheck)
                # If the name server is briefly unavailable, the announcement stays.
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
                properties={"txtvers": "1"},  # RFC 6763 requires a TXT record that is not empty
                # A unique host name, new for each registration. <host>.local belongs to Avahi,
                # which would treat other addresses under that name as a conflict and rename the
                # machine. A name shared by two servers would be withdrawn with the first of them.
                server=f"wyoming-{uuid.uuid4().hex[:12]}.local.",
                parsed_addresses=[str(address) for address in addresses],
            )
            try:
                sending = await mdns.async_register_service(info)
            except zeroconf.NonUniqueNameException:
                _LOGGER.warning(
                    "mDNS: the name %r is taken; give each server its own --zeroconf name", name
                )
                continue
            await sending
            where = ", ".join(info.parsed_addresses())
            _LOGGER.info("mDNS: announced as %r at %s, port %d", name, where, port)
            return
        raise zeroconf.NonUniqueNameException(f"{names[0]!r} to {names[-1]!r} are taken")


async def find(seconds: float) -> list[AsyncServiceInfo]:
    """Find Wyoming servers by their mDNS announcements, including those of this machine.

    Args:
        seconds: time to listen. Resolving the names found takes up to 3 s more.

    Raises:
        OSError, RuntimeError, zeroconf.Error: mDNS is not possible on this network.
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
    # IPv4 packets can announce IPv6 addresses too, so one kind of socket is enough. IPv6 sockets
    # cannot be opened at all if IPv6 is disabled in the kernel.
    if any(not own.is_loopback for own in _interface_addresses(adapters) if own.version == 4):
        return zeroconf.IPVersion.V4Only
    return zeroconf.IPVersion.V6Only
