"""A broker that does not behave: speaks just enough of MQTT to be connected to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from wyoming_faster_whisper.testing.tcp_server import TcpServer

_CONNECT, _PUBLISH, _SUBSCRIBE, _PING = 1, 3, 8, 12
_NOT_AUTHORIZED = 0x87


class FakeBroker:
    """A broker that denies every subscription, closes connections, or has limits.

    With a limit it grants subscriptions.

    Args:
        closes: whether it closes connections instead of accepting them.
        most: bytes of a packet. It closes the connection of a larger one, without having said so
            before; None = no limit.
        receives: unacknowledged messages that it takes, and says so; None = it says nothing.
    """

    def __init__(
        self, *, closes: bool = False, most: int | None = None, receives: int | None = None
    ) -> None:
        self._closes = closes
        self.most = most
        self._receives = receives
        self.acknowledges = asyncio.Event()  # whether it acknowledges messages
        self.acknowledges.set()
        self._acknowledging: set[asyncio.Task[None]] = set()
        self.port = 0
        self.connections = 0  # accepted so far
        self.subscribed: list[bytes] = []  # the packets that asked for subscriptions
        self.published: list[int] = []  # sizes of the packets with messages

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(OSError):
            while not self._closes:
                kind, packet = await _packet(reader)
                if self.most is not None and len(packet) > self.most:
                    return
                if kind == _CONNECT:
                    said = b"" if self._receives is None else bytes([0x21, 0, self._receives])
                    writer.write(bytes([0x20, 3 + len(said), 0, 0, len(said)]) + said)
                elif kind == _SUBSCRIBE:
                    self.subscribed.append(packet)
                    # Each filter is followed by a byte of options; 12 covers those of a greeting.
                    limits = (self.most, self._receives)
                    code = _NOT_AUTHORIZED if limits == (None, None) else 0
                    writer.write(bytes([0x90, 3 + 12, *packet[:2], 0, *[code] * 12]))
                elif kind == _PUBLISH:  # of QoS 1
                    [length] = packet[1:2]  # of the topic, which is short
                    self.published.append(len(packet))
                    answer = bytes([0x40, 2, *packet[2 + length : 4 + length]])
                    task = asyncio.create_task(self._acknowledge(writer, answer))
                    self._acknowledging.add(task)
                    task.add_done_callback(self._acknowledging.discard)
                elif kind == _PING:
                    writer.write(bytes([0xD0, 0]))

    async def _acknowledge(self, writer: asyncio.StreamWriter, answer: bytes) -> None:
        await self.acknowledges.wait()
        writer.write(answer)


async def _packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    [first] = await reader.readexactly(1)
    length = shift = 0
    while True:
        [byte] = await reader.readexactly(1)
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return first >> 4, await reader.readexactly(length)


@asynccontextmanager
async def fake_broker(
    *, closes: bool = False, most: int | None = None, receives: int | None = None
) -> AsyncIterator[FakeBroker]:
    """Run a FakeBroker on a port of 127.0.0.1."""
    broker = FakeBroker(closes=closes, most=most, receives=receives)
    async with TcpServer(broker.serve) as server:
        broker.port = server.port
        yield broker
