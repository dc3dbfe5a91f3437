"""Listener for Wyoming clients: TCP, a Unix socket, or standard input and output."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import os
import socket
import ssl
import stat
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from wyoming.error import Error
from wyoming.event import Event

from ...errors import Busy, NotAllowed, SettingError, Stopping, not_listening
from ...principal import Principal
from ...session.session import SessionContext
from ...tenant import Identity, IdentityKind, Tenant
from ..address import Address
from ..admission import Admission, normalised_host
from ..closing import stop_accepting
from ..lifecycle import ClientLimits, drain_all
from ..rejections import Rejections
from .connection import Connection, send_and_close

_LOGGER = logging.getLogger(__name__)

_MOST_REJECTING = 64  # rejected clients that are sent the reason at a time; more are cut off

_Inode = tuple[int, int]  # device number, inode number


class Listener:
    """Accepts connections and serves them until they end. Lives on the event loop.

    Args:
        context: what all sessions share.
        info: returns the answer to describe for a tenant.
        limits: time and size limits for each client.
        admission: admission control.
        socket_mode: permissions of a Unix socket.
        tls: context for TLS over TCP; None = no TLS.
    """

    def __init__(
        self,
        context: SessionContext,
        info: Callable[[Tenant], Event],
        *,
        limits: ClientLimits | None = None,
        admission: Admission | None = None,
        socket_mode: int = 0o600,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._context = context
        self._info = info
        self._limits = limits or ClientLimits()
        self._admission = admission or Admission()
        self._socket_mode = socket_mode
        self._tls = tls
        self._connections: dict[asyncio.Task[None], Connection] = {}
        self._rejecting: set[asyncio.Task[None]] = set()  # rejected or evicted, not closed yet
        self._rejections = Rejections(self._log_rejections)
        self._server: asyncio.Server | None = None
        self._path: tuple[Path, _Inode] | None = None  # of the Unix socket that this server made
        self._stopping = False
        self.ended = asyncio.Event()  # set when standard input ends

    @property
    def connections(self) -> int:
        return len(self._connections)

    async def start(self, address: Address) -> Address:
        """Start to listen.

        Returns:
            The address, with the real port if it was 0.

        Raises:
            ServerError: listening on the address is not possible.
        """
        try:
            if address.scheme == "tcp":
                if address.host == "::":
                    # start_server() with a host would listen on IPv6 only.
                    both = socket.create_server(
                        ("::", address.port), family=socket.AF_INET6, dualstack_ipv6=True
                    )
                    self._server = await asyncio.start_server(
                        self._accept, sock=both, backlog=256
                    )
                else:
                    self._server = await asyncio.start_server(
                        self._accept, address.host, address.port, backlog=256
                    )
                port = self._server.sockets[0].getsockname()[1]
                return Address("tcp", host=address.host, port=port)
            if address.scheme == "unix":
                await self._listen_on_path(Path(address.path))
            else:
                await self._listen_on_stdio()
        except OSError as error:
            raise not_listening(address, error, "--uri") from None
        return address

    async def stop(self, seconds: float) -> None:
        """Stop listening, let running utterances end, then close all connections.

        Args:
            seconds: time for running utterances to end.
        """
        if self._path is not None:
            # Before the socket is closed: until then no other file can get its inode.
            await asyncio.to_thread(_remove_own_socket, *self._path)
        if self._server is not None:
            await stop_accepting(self._server, self._accept)
        self._stopping = True
        self._rejections.stop()
        await drain_all(self._connections, seconds)
        if self._rejecting:
            await asyncio.wait(self._rejecting)  # ClientLimits.linger at most

    async def _listen_on_path(self, path: Path) -> None:
        unix = await asyncio.to_thread(_bind, path, self._socket_mode)
        self._path = path, await asyncio.to_thread(_inode, path)
        self._server = await asyncio.start_unix_server(self._accept, sock=unix, backlog=256)

    async def _listen_on_stdio(self) -> None:
        if sys.stdin is None or sys.stdout is None:
            raise SettingError(
                "stdio:// needs pipes, sockets or terminals: standard input or output is closed"
            )
        try:
            reader, writer = await _open_stdio(sys.stdin.buffer, sys.stdout.buffer)
        except (PermissionError, ValueError) as error:
            raise SettingError(f"stdio:// needs pipes, sockets or terminals: {error}") from None
        # The only client: it keeps no other one out, and the server would end with it.
        limits = replace(self._limits, first_event=math.inf, between_utterances=math.inf)
        self._serve_connection(reader, writer, Principal("", "stdio"), limits).add_done_callback(
            lambda _: self.ended.set()
        )

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        principal, host, own = _peer(writer)
        principal = self._context.tenants.assign(principal)
        try:
            if self._stopping:
                raise Stopping
            self._admission.check_network(host, own)
            evicted = self._admission.admit(principal, self._connections.values())
        except NotAllowed as error:
            writer.transport.abort()
            self._rejections.add(str(error))
        except Busy as error:
            self._rejections.add(str(error))
            # With TLS the reason could be sent only after a handshake, and only admitted clients
            # get one.
            if self._tls is not None or len(self._rejecting) >= _MOST_REJECTING:
                writer.transport.abort()
            else:
                self._connection_ended(asyncio.create_task(self._reject(reader, writer, error)))
        else:
            if evicted is not None:
                was = "never sent an event" if evicted.silent else "was idle longest"
                self._rejections.add(
                    f"evicted {evicted.principal.account or 'unix'}, which {was}"
                )
                [task] = [t for t, held in self._connections.items() if held is evicted]
                del self._connections[task]
                task.cancel()
                self._connection_ended(task)
            if self._tls is not None:
                # Bytes that asyncio reads before the handshake begins would be lost.
                writer.transport.pause_reading()  # type: ignore[attr-defined]
            self._serve_connection(reader, writer, principal, self._limits)

    def _connection_ended(self, task: asyncio.Task[None]) -> None:
        self._rejecting.add(task)
        task.add_done_callback(self._rejecting.discard)

    def _log_rejections(self, count: int, why: str) -> None:
        _LOGGER.warning(
            "connections rejected or evicted: %d; %s; open: %d", count, why, self.connections
        )

    async def _reject(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, error: Busy
    ) -> None:
        event = Error(str(error), code=error.code).event()
        self._context.count_error(error.code)
        try:
            await send_and_close(reader, writer, event, self._limits.linger)
        finally:
            writer.transport.abort()

    def _serve_connection(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        principal: Principal,
        limits: ClientLimits,
    ) -> asyncio.Task[None]:
        connection = Connection(
            reader,
            writer,
            principal,
            context=self._context,
            info=self._info,
            limits=limits,
            tls=self._tls,
        )
        task = asyncio.create_task(connection.run())
        self._connections[task] = connection
        task.add_done_callback(lambda done: self._connections.pop(done, None))
        return task


def _peer(writer: asyncio.StreamWriter) -> tuple[Principal, str, str]:
    """Return a client, its address, and ours that it has connected to ("" if it has none)."""
    name = writer.get_extra_info("peername")
    if not isinstance(name, tuple):
        return Principal("", "unix"), "", ""
    host = normalised_host(name[0])
    known = (Identity(IdentityKind.ADDRESS, host),)
    own = normalised_host(writer.get_extra_info("sockname")[0])
    return Principal(host, f"{name[0]}:{name[1]}", identities=known), host, own


async def _open_stdio(
    stdin: BinaryIO, stdout: BinaryIO
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Open standard input and output as streams.

    Raises:
        PermissionError, ValueError: one of them is a file.
    """
    loop = asyncio.get_running_loop()
    given, taken = os.fstat(stdin.fileno()), os.fstat(stdout.fileno())
    if stat.S_ISSOCK(given.st_mode) and given.st_ino == taken.st_ino:
        # One socket, as from inetd. connect_write_pipe() takes a socket that becomes readable
        # for one that the peer has closed.
        return await asyncio.open_connection(sock=socket.socket(fileno=os.dup(stdin.fileno())))
    # connect_read_pipe() takes /dev/null for a terminal and fails only later, when it polls.
    # add_reader() fails at once.
    loop.add_reader(stdin.fileno(), _nothing)
    loop.remove_reader(stdin.fileno())
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), stdin)
    transport, protocol = await loop.connect_write_pipe(
        lambda: asyncio.StreamReaderProtocol(asyncio.StreamReader()), stdout
    )
    return reader, asyncio.StreamWriter(transport, protocol, None, loop)


def _nothing() -> None:
    pass


def _inode(path: Path) -> _Inode:
    status = path.lstat()
    return status.st_dev, status.st_ino


def _remove_own_socket(path: Path, inode: _Inode) -> None:
    with contextlib.suppress(OSError):
        if _inode(path) == inode:
            path.unlink()


def _bind(path: Path, mode: int) -> socket.socket:
    """Bind a Unix socket with these permissions. Clients are refused until it listens.

    Raises:
        OSError: the path is in use by another file or server.
    """
    _remove_stale_socket(path)
    unix = socket.socket(socket.AF_UNIX)
    try:
        unix.bind(str(path))
        path.chmod(mode)
    except OSError:
        unix.close()
        raise
    return unix


def _remove_stale_socket(path: Path) -> None:
    """Remove a socket that a server of this user left at the path; never another file.

    Raises:
        OSError: the path is in use by another file or server.
    """
    try:
        status = os.lstat(path)
        if not stat.S_ISSOCK(status.st_mode):
            raise FileExistsError(0, "the path is a file, not a socket")
        if status.st_uid != os.geteuid():
            raise FileExistsError(0, "the path is a socket of another user")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            path.unlink(missing_ok=True)
            return
    raise FileExistsError(0, "another server is listening on it")
