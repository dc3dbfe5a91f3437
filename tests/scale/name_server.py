"""A DNS server that knows one name, as cluster DNS knows a headless service."""

from __future__ import annotations

import asyncio
import ipaddress
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

_HEAD = struct.Struct("!HHHHHH")  # id, flags, and the numbers of records
_A, _IN = 1, 1
_AUTHORITATIVE, _RECURSION_DESIRED = 0x8400, 0x0100
_TTL = 5  # seconds


class NameServer(asyncio.DatagramProtocol):
    """Answers with the addresses of the moment. RFC 1035; queries of other types have no answer.

    Args:
        name: the only name.
        addresses: IPv4 addresses, changed at will.
    """

    def __init__(self, name: str, addresses: list[str]) -> None:
        self.addresses = addresses
        self.silent = False  # it answers no query
        self.asked = 0  # queries so far
        labels = name.encode().split(b".")
        self._name = b"".join(bytes([len(each)]) + each for each in labels) + b"\0"

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[NameServer]:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: self, local_addr=("127.0.0.1", 53)
        )
        try:
            yield self
        finally:
            transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # asyncio's own class is not a DatagramTransport before Python 3.12.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.asked += 1
        if not self.silent:
            self._transport.sendto(self._answer(data), addr)

    def _answer(self, query: bytes) -> bytes:
        number, flags, *_ = _HEAD.unpack_from(query)
        at = _HEAD.size
        end = query.index(b"\0", at) + 1
        kind, _ = struct.unpack_from("!HH", query, end)
        assert query[at:end].lower() == self._name, query
        found = self.addresses if kind == _A else []
        records = b"".join(
            # 0xC00C points to the name of the question.
            struct.pack("!HHHIH", 0xC00C, _A, _IN, _TTL, 4)
            + ipaddress.IPv4Address(address).packed
            for address in found
        )
        flags = _AUTHORITATIVE | (flags & _RECURSION_DESIRED)
        head = _HEAD.pack(number, flags, 1, len(found), 0, 0)
        return head + query[at : end + 4] + records
