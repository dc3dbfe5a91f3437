"""The connection to the broker, which is made again whenever it is lost.

The only file that imports aiomqtt. MQTT 5 is tried first, because its acknowledgements say why a
broker denies something; brokers that do not know it are asked again with MQTT 3.1.1.
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import ssl
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import aiomqtt
from paho.mqtt.client import MQTT_CLEAN_START_FIRST_ONLY
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from ...errors import NotAllowed, SettingError, TooSlow, printable, request_failure
from .backoff import Backoff
from .broker_url import BrokerUrl

_LOGGER = logging.getLogger(__name__)

T = TypeVar("T")

# Bytes of the largest packet that the server takes; a broker with MQTT 5 does not send larger
# ones. A frame of audio has at most 64 KiB.
_LARGEST_PACKET = 128 * 1024
_LARGEST_HEADER = 16  # bytes of a PUBLISH packet besides topic and payload
_ALWAYS_TAKEN = 4096  # bytes of a packet that no broker takes for too large
_MOST_LOSSES = 2  # connections that are lost with a larger packet, until it is given up
_UNSUPPORTED_VERSION = 132  # reason code of MQTT 5
# Seconds that the first attempt waits for an answer: amqtt never gives one to MQTT 5.
_FIRST_TIMEOUT = 2.0


class ConnectionLost(TooSlow):
    """The connection to the broker was lost, or there is none."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message to publish."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False


@dataclass(frozen=True, slots=True)
class BrokerOptions:
    """Options for the connection to the broker."""

    url: BrokerUrl
    client_id: str
    password: str | None = None
    # Makes the context of a connection, whose files may have been renewed. Blocks; may raise
    # SettingError.
    tls: Callable[[], ssl.SSLContext] | None = None
    # Seconds. A broker that does not answer a ping in this time is given up, so that a frozen one
    # is noticed within twice as long.
    keepalive: int = 15
    timeout: float = 10.0  # seconds for the broker to acknowledge something


class Connection:
    """The connection to the broker. Lives on the event loop.

    Args:
        options: how to connect.
        filters: topic filters to subscribe to; all of them are needed.
        greeting: returns the messages to publish after each connection.
        will: what the broker publishes when the connection is lost.
        on_message: called with topic, payload, and whether the message is a retained one. It
            runs between reading two packets, so it must not wait.
        on_lost: called when the connection is lost.
    """

    def __init__(
        self,
        options: BrokerOptions,
        *,
        filters: Sequence[str],
        greeting: Callable[[], Sequence[Message]],
        will: Message,
        on_message: Callable[[str, bytes, bool], None],
        on_lost: Callable[[], None],
    ) -> None:
        self._options = options
        self._filters = filters
        self._greeting = greeting
        self._will = will
        self._on_message = on_message
        self._on_lost = on_lost
        self._protocol = aiomqtt.ProtocolVersion.V5
        self._client: _Client | None = None  # while connected
        self._is_connected = asyncio.Event()
        self._lost: asyncio.Future[None] | None = None  # done when that connection is lost
        self._sizes: list[int] = []  # of the packets that are being published
        # Bytes that the broker of this connection seems to take. MQTT 3.1.1 cannot say how many.
        self._probable_limit: int | None = None
        self._last_problem = ""  # logged already
        self._first_attempt = True

    @property
    def connected(self) -> bool:
        return self._client is not None

    @property
    def generation(self) -> object:
        """An object that identifies the current connection; None while there is no connection."""
        return self._client

    async def run(self) -> None:
        """Connect, again and again, until this task is cancelled."""
        backoff = Backoff(random.random)
        clock = asyncio.get_running_loop().time
        while True:
            began: float | None = None
            client: _Client | None = None
            try:
                client = self._new_client(await self._tls())
                async with client:
                    await self._greet(client)
                    began = clock()
                    self._connected(client)
                    # on_message() gets the messages; this only waits for the connection to end.
                    async for _ in client.messages:
                        raise AssertionError("a message was queued")
            except (
                aiomqtt.MqttError,
                NotAllowed,
                SettingError,
                OSError,
                ValueError,
            ) as error:
                self._report(error, client, was_connected=began is not None)
            except Exception:
                _LOGGER.exception("internal error; connecting to the MQTT broker again")
            finally:
                self._first_attempt = False
                self._disconnected()
            delay = backoff.delay(None if began is None else clock() - began)
            _LOGGER.debug("connecting to the MQTT broker again in %.1f s", delay)
            await asyncio.sleep(delay)

    async def publish(self, message: Message, within: float) -> None:
        """Publish a message, after waiting for a connection if there is none.

        It is published again if the connection is lost before the broker has acknowledged it. A
        message that is too large for the broker is dropped.

        Args:
            within: seconds for all of this.

        Raises:
            ConnectionLost: the broker did not acknowledge the message in this time.
        """
        size = _packet_size(message)
        self._sizes.append(size)
        try:
            async with asyncio.timeout(within):
                await self._publish_again_and_again(message, size)
        except TimeoutError:
            raise ConnectionLost(
                f"the MQTT broker did not take the answer within {within:g} s"
            ) from None
        finally:
            self._sizes.remove(size)

    async def subscribe(self, filters: Sequence[str]) -> None:
        """Subscribe on the current connection only.

        Raises:
            NotAllowed: the broker denies it.
            ConnectionLost: there is no connection, or the broker does not answer.
        """
        client = self._current()
        try:
            await self._while_connected(_subscribe(client, filters, qos=0))
        except aiomqtt.MqttError as error:
            raise ConnectionLost(f"the MQTT broker did not answer: {error}") from None

    async def unsubscribe(self, filters: Sequence[str]) -> None:
        """Unsubscribe; nothing happens without a connection."""
        with suppress(aiomqtt.MqttError, ConnectionLost):
            client = self._current()
            await self._while_connected(client.unsubscribe(list(filters)))

    def _current(self) -> _Client:
        if self._client is None:
            raise ConnectionLost("there is no connection to the MQTT broker")
        return self._client

    async def _publish_again_and_again(self, message: Message, size: int) -> None:
        tried: set[_Client] = set()  # connections in which no larger packet was tried
        while True:
            await self._is_connected.wait()
            if len(tried - {self._client}) >= _MOST_LOSSES and size > _ALWAYS_TAKEN:
                _LOGGER.warning(
                    "lost the connection to the MQTT broker %d times during a message of %d "
                    "bytes, which it probably takes for too large",
                    len(tried),
                    len(message.payload),
                )
                self._probable_limit = size - 1
            if size == max(self._sizes):
                tried.add(self._current())
            with suppress(aiomqtt.MqttError, ConnectionLost):
                await self._publish(message, size)
                return
            await asyncio.sleep(0)

    async def _publish(self, message: Message, size: int) -> None:
        client = self._current()
        limits = (client.largest_packet, self._probable_limit)
        limit = min((each for each in limits if each is not None), default=None)
        if limit is not None and size > limit:
            # The broker would close the connection of all sites.
            _LOGGER.warning(
                "%s has %d bytes; the MQTT broker takes packets of %d",
                printable(message.topic),
                len(message.payload),
                limit,
            )
            return
        await self._while_connected(
            client.publish(message.topic, message.payload, qos=message.qos, retain=message.retain)
        )

    async def _while_connected(self, call: Coroutine[Any, Any, T]) -> T:
        """Await a call, which would not notice that the connection is lost.

        Raises:
            ConnectionLost: it was lost.
            aiomqtt.MqttError: the call failed.
        """
        assert self._lost is not None
        task = asyncio.create_task(call)
        try:
            await asyncio.wait((task, self._lost), return_when=asyncio.FIRST_COMPLETED)
            if not task.done():
                raise ConnectionLost("the connection to the MQTT broker was lost")
            return await task
        finally:
            task.cancel()

    async def _tls(self) -> ssl.SSLContext | None:
        """Return the context for a new connection; None = no TLS.

        Raises:
            SettingError: a file cannot be used.
        """
        if self._options.tls is None:
            return None
        return await asyncio.to_thread(self._options.tls)

    def _new_client(self, tls: ssl.SSLContext | None) -> _Client:
        options, url = self._options, self._options.url
        v5 = self._protocol is aiomqtt.ProtocolVersion.V5
        properties = None
        if v5:
            properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
            properties.MaximumPacketSize = _LARGEST_PACKET
        return _Client(
            url.host,
            url.port,
            username=url.user,
            password=options.password,
            identifier=options.client_id,
            queue_type=_queue_for(self._on_message),
            protocol=self._protocol,
            will=aiomqtt.Will(
                self._will.topic, self._will.payload, self._will.qos, self._will.retain
            ),
            clean_session=None if v5 else True,
            clean_start=True if v5 else MQTT_CLEAN_START_FIRST_ONLY,
            properties=properties,
            transport="websockets" if url.websocket else "tcp",
            websocket_path=url.path if url.websocket else None,
            tls_context=tls,
            keepalive=options.keepalive,
            timeout=_FIRST_TIMEOUT if self._first_attempt else options.timeout,
            logger=_aiomqtt_logger(),
        )

    async def _greet(self, client: aiomqtt.Client) -> None:
        """Subscribe to what is always needed, and publish the greeting.

        Raises:
            NotAllowed: the broker denies a subscription.
        """
        await _subscribe(client, self._filters, qos=1)
        for message in self._greeting():
            await client.publish(
                message.topic, message.payload, qos=message.qos, retain=message.retain
            )

    def _connected(self, client: _Client) -> None:
        client.timeout = self._options.timeout
        self._last_problem = ""
        self._probable_limit = None
        self._client = client
        self._lost = asyncio.get_running_loop().create_future()
        self._is_connected.set()
        version = "5" if self._protocol is aiomqtt.ProtocolVersion.V5 else "3.1.1"
        _LOGGER.info("Connected to the MQTT broker at %s (MQTT %s)", self._options.url, version)

    def _disconnected(self) -> None:
        if self._client is None:
            return
        self._client = None
        self._is_connected.clear()
        assert self._lost is not None
        self._lost.set_result(None)
        self._on_lost()

    def _report(self, error: Exception, client: _Client | None, *, was_connected: bool) -> None:
        """Log why there is no connection, each reason once; choose the version to try next.

        Args:
            client: that was to connect; None = it could not be made.
        """
        url = self._options.url
        if was_connected:
            _LOGGER.warning("Lost the connection to the MQTT broker at %s: %s", url, error)
            return
        code = error.rc if isinstance(error, aiomqtt.MqttCodeError) else None
        if client is not None and client.opened and not isinstance(error, NotAllowed):
            # A broker that does not know a version may also close the connection or not answer.
            v5, v311 = aiomqtt.ProtocolVersion.V5, aiomqtt.ProtocolVersion.V311
            self._protocol = v311 if self._protocol is v5 else v5
            if isinstance(code, ReasonCode) and code.value == _UNSUPPORTED_VERSION:
                return
        problem = printable(request_failure(error), 200)
        log = _LOGGER.debug if problem == self._last_problem else _LOGGER.warning
        log("Cannot use the MQTT broker at %s: %s; trying again", url, problem)
        self._last_problem = problem


class _Client(aiomqtt.Client):
    """A client that keeps what aiomqtt leaves out of the broker's answer to a connection."""

    opened = False  # a connection of TCP or TLS was made
    largest_packet: int | None = None  # bytes that the broker takes; None = it does not say

    def _on_socket_open(self, *arguments: Any) -> None:
        self.opened = True
        # Else a text that follows a small message waits up to 40 ms for the broker's delayed ACK
        # (Nagle's algorithm). paho wraps the socket of a WebSocket.
        connection = arguments[-1]
        getattr(connection, "_socket", connection).setsockopt(
            socket.IPPROTO_TCP, socket.TCP_NODELAY, 1
        )
        super()._on_socket_open(*arguments)

    def _on_connect(self, *arguments: Any) -> None:
        self.largest_packet = getattr(arguments[-1], "MaximumPacketSize", None)
        # paho does not heed it, and a broker closes the connection of a client that does not.
        most = getattr(arguments[-1], "ReceiveMaximum", None)
        if most is not None:
            self._client._max_inflight_messages = min(most, self._client._max_inflight_messages)
        super()._on_connect(*arguments)

    def _on_disconnect(self, *arguments: Any) -> None:
        # aiomqtt would wait for an answer until its timeout.
        if not self._connected.done():
            self._connected.set_exception(
                aiomqtt.MqttError("the broker closed the connection instead of accepting it")
            )
        super()._on_disconnect(*arguments)


def _packet_size(message: Message) -> int:
    return len(message.payload) + len(message.topic.encode()) + _LARGEST_HEADER


async def _subscribe(client: aiomqtt.Client, filters: Sequence[str], *, qos: int) -> None:
    granted = await client.subscribe([(one, qos) for one in filters])
    for one, code in zip(filters, granted, strict=False):
        if isinstance(code, ReasonCode) and code.is_failure:
            raise NotAllowed(f"the MQTT broker denies the subscription to {one} ({code})")


def _queue_for(
    on_message: Callable[[str, bytes, bool], None],
) -> type[asyncio.Queue[aiomqtt.Message]]:
    """Return a type of queue that passes each message on at once.

    aiomqtt's own would start two tasks for each message. An exception must not get into paho,
    which would take it for a broken connection.
    """

    class Direct(asyncio.Queue[aiomqtt.Message]):
        def put_nowait(self, item: aiomqtt.Message) -> None:
            payload = item.payload if isinstance(item.payload, bytes) else b""
            try:
                on_message(item.topic.value, payload, item.retain)
            except Exception:
                _LOGGER.exception("internal error; dropping an MQTT message")

    return Direct


def _aiomqtt_logger() -> logging.Logger:
    """Return the logger for aiomqtt and paho, whose warnings we log ourselves."""
    logger = logging.getLogger("wyoming_faster_whisper.aiomqtt")
    logger.setLevel(logging.CRITICAL)
    return logger
