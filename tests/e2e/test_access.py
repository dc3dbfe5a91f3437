"""Access control: networks, limits per address, TLS, permissions of a Unix socket."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
import stat
import sys
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import ifaddr
import pytest
import trustme
from wyoming.info import Describe

from tests.support.processes import run
from tests.support.serving import DEADLINE, Peer, Server, peer, until, warnings
from tests.support.web import browser
from wyoming_faster_whisper.errors import SettingError
from wyoming_faster_whisper.testing import tone
from wyoming_faster_whisper.transports.lifecycle import ClientLimits
from wyoming_faster_whisper.transports.tls import client_context
from wyoming_faster_whisper.transports.wyoming.framing import write_event

from .conftest import Serve

TIMEOUT = 0.5  # seconds
DESCRIBE = write_event(Describe().event())


async def test_idle_connections_do_not_lock_out_other_clients(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    server = await serve(max_connections=4)
    async with server.client() as speaking, AsyncExitStack() as crowd:
        await speaking.ping()
        for _ in range(20):
            await crowd.enter_async_context(server.peer())
        await until(lambda: server.connections == 4)
        await server.serves()
        assert await speaking.ping("still here") == "still here"
        assert server.connections <= 4
    assert "evicted 127.0.0.1, which never sent an event" in caplog.text


async def test_connections_per_address_can_be_limited(serve: Serve) -> None:
    server = await serve(max_connections=9, max_per_address=1)
    async with server.client() as one:
        await one.ping()
        async with server.peer() as two:
            error = await two.error()
            assert error.code == "busy"
            assert "too many connections from 127.0.0.1 (1 client)" in error.text
    await until(lambda: server.connections == 0)
    await server.serves()


async def test_this_machine_is_admitted_whatever_networks_are_allowed(serve: Serve) -> None:
    server = await serve(allow="203.0.113.0/24")
    await server.serves()


async def test_this_machine_is_admitted_at_its_own_address(serve: Serve) -> None:
    own = await asyncio.to_thread(own_address)
    server = await serve(uri=f"tcp://{own}:0", allow="203.0.113.0/24")
    await server.serves()


async def test_a_client_outside_the_allowed_networks_is_dropped_without_an_answer(
    serve: Serve, caplog: pytest.LogCaptureFixture
) -> None:
    address = await asyncio.to_thread(own_address)
    server = await serve(allow="203.0.113.0/24")
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", server.service.address.port, local_addr=(address, 0)
    )
    try:
        writer.write(DESCRIBE)
        async with asyncio.timeout(DEADLINE):
            assert await reader.read() == b""
    except ConnectionResetError:
        pass  # the server closed the connection without reading our request
    finally:
        writer.close()
    [line] = warnings(caplog)
    assert f"{address} is not in a network of --allow" in line


@pytest.mark.parametrize("endpoint", ["http", "metrics"])
async def test_a_client_outside_the_allowed_networks_gets_no_http_answer(
    serve: Serve, caplog: pytest.LogCaptureFixture, endpoint: str
) -> None:
    own = await asyncio.to_thread(own_address)
    options: dict[str, Any] = {f"{endpoint}_port": 0, f"{endpoint}_host": "0.0.0.0"}
    if endpoint == "http":
        options["http_open"] = True
    server = await serve(allow="203.0.113.0/24", **options)
    url = server.service.http_url if endpoint == "http" else server.service.metrics_url
    port = urlsplit(str(url)).port
    for host, source, answered in (
        ("127.0.0.1", None, True),
        (own, None, True),
        ("127.0.0.1", own, False),
    ):
        async with peer(f"tcp://{host}:{port}", source=source) as client:
            client.send(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            try:
                assert (await client.rest()).startswith(b"HTTP/1.1") == answered
            except ConnectionResetError:
                assert not answered
    [line] = warnings(caplog)
    assert line == (
        f"connections rejected on --{endpoint}-port: 1; {own} is not in a network of --allow"
    )


def own_address() -> str:
    """Return an address of this machine that is not a loopback address.

    The server takes a client for one on another machine if it connects from this address to a
    loopback address.
    """
    for adapter in ifaddr.get_adapters():
        for ip in adapter.ips:
            if isinstance(ip.ip, str) and not ip.ip.startswith(("127.", "169.254.")):
                return ip.ip
    pytest.skip("this machine has only loopback addresses")


# TLS.


async def describe(server: Server, context: ssl.SSLContext) -> bytes:
    """Send describe over TLS; return the first line of the answer."""
    address = server.service.address
    reader, writer = await asyncio.open_connection(address.host, address.port, ssl=context)
    try:
        writer.write(DESCRIBE)
        async with asyncio.timeout(DEADLINE):
            return await reader.readline()
    finally:
        writer.close()


async def test_a_server_with_a_certificate_uses_tls(serve: Serve, certificates: Path) -> None:
    server = await serve(
        tls_cert=certificates / "server.pem", tls_key=certificates / "server.key"
    )
    context = await asyncio.to_thread(client_context, str(certificates / "ca.pem"))
    assert b'"type": "info"' in await describe(server, context)


async def test_the_page_is_served_with_the_same_certificate(
    serve: Serve, certificates: Path
) -> None:
    server = await serve(
        tls_cert=certificates / "server.pem",
        tls_key=certificates / "server.key",
        http_port=0,
    )
    assert str(server.service.http_url).startswith("https://")
    tls = await asyncio.to_thread(client_context, str(certificates / "ca.pem"))
    async with browser(server, tls=tls) as client:
        await client.say(tone(1.0))
        assert await client.final() == "1.0 seconds"


async def test_errors_are_sent_over_tls_too(serve: Serve, certificates: Path) -> None:
    server = await serve(
        tls_cert=certificates / "server.pem", tls_key=certificates / "server.key"
    )
    context = await asyncio.to_thread(client_context, str(certificates / "ca.pem"))
    address = server.service.address
    reader, writer = await asyncio.open_connection(address.host, address.port, ssl=context)
    error = await Peer(reader, writer).send(b"garbage\n").error()
    assert error.code == "protocol"
    writer.close()
    await until(lambda: server.connections == 0)


async def test_a_client_without_a_required_certificate_is_refused(
    serve: Serve, certificates: Path
) -> None:
    server = await serve(
        tls_cert=certificates / "server.pem",
        tls_key=certificates / "server.key",
        tls_ca=certificates / "ca.pem",
    )
    ca, cert, key = (str(certificates / name) for name in ("ca.pem", "client.pem", "client.key"))
    anonymous = await asyncio.to_thread(client_context, ca)
    # The refusal arrives as a TLS alert, a reset or an end of stream.
    with suppress(OSError):
        assert await describe(server, anonymous) == b""
    known = await asyncio.to_thread(client_context, ca, cert, key)
    assert b'"type": "info"' in await describe(server, known)


async def test_a_client_that_never_completes_the_handshake_counts_and_times_out(
    serve: Serve, certificates: Path
) -> None:
    server = await serve(
        limits=ClientLimits(first_event=TIMEOUT),
        tls_cert=certificates / "server.pem",
        tls_key=certificates / "server.key",
    )
    async with server.peer() as silent, server.peer() as plain:
        await until(lambda: server.connections == 2)
        plain.send(DESCRIBE)
        await plain.rest()
        assert await silent.rest() == b""
    await until(lambda: server.connections == 0)


def issue(authority: trustme.CA, folder: Path, *, key: bool = True) -> bytes:
    """Replace a server's certificate and key, or only the certificate; return it in DER form."""
    made = authority.issue_cert("127.0.0.1")
    [chain] = made.cert_chain_pems
    chain.write_to_path(str(folder / "new.pem"))
    (folder / "new.pem").replace(folder / "server.pem")
    if key:
        made.private_key_pem.write_to_path(str(folder / "server.key"))
    return ssl.PEM_cert_to_DER_cert(chain.bytes().decode())


async def shown(url: str, context: ssl.SSLContext) -> bytes | None:
    """Return the certificate that a server shows to a new connection."""
    parts = urlsplit(url)
    _, writer = await asyncio.open_connection(parts.hostname, parts.port, ssl=context)
    writer.close()
    connection: ssl.SSLObject = writer.get_extra_info("ssl_object")
    return connection.getpeercert(binary_form=True)


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])  # without and with SNI
async def test_a_renewed_certificate_is_shown_to_new_connections(
    serve: Serve,
    authority: trustme.CA,
    certificates: Path,
    caplog: pytest.LogCaptureFixture,
    name: str,
) -> None:
    caplog.set_level(logging.INFO)
    server = await serve(
        tls_cert=certificates / "server.pem", tls_key=certificates / "server.key", http_port=0
    )
    context = await asyncio.to_thread(client_context, str(certificates / "ca.pem"))
    context.check_hostname = False
    port = server.service.address.port
    urls = [f"tcp://{name}:{port}", str(server.service.http_url).replace("127.0.0.1", name)]
    before = await shown(urls[0], context)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(browser(server, tls=context))
        issue(authority, certificates, key=False)  # its key follows later
        await until(lambda: "key values mismatch" in caplog.text)
        assert {await shown(url, context) for url in urls} == {before}
        renewed = issue(authority, certificates)
        await until(lambda: "was read again" in caplog.text)
        assert {await shown(url, context) for url in urls} == {renewed}
        await client.say(tone(1.0))
        assert await client.final() == "1.0 seconds"


async def test_a_replaced_authority_of_clients_counts_for_new_connections(
    serve: Serve, certificates: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server = await serve(
        tls_cert=certificates / "server.pem",
        tls_key=certificates / "server.key",
        tls_ca=certificates / "ca.pem",
    )
    ca, cert, key = (str(certificates / name) for name in ("ca.pem", "client.pem", "client.key"))
    known = await asyncio.to_thread(client_context, ca, cert, key)
    assert b'"type": "info"' in await describe(server, known)
    await asyncio.to_thread(trustme.CA().cert_pem.write_to_path, ca)
    await until(lambda: "was read again" in caplog.text)
    with suppress(OSError):
        assert await describe(server, known) == b""


async def test_our_client_and_health_check_support_tls(
    serve: Serve, certificates: Path, tmp_path: Path
) -> None:
    paths = {name: str(certificates / name) for name in os.listdir(certificates)}
    server = await serve(
        tls_cert=paths["server.pem"], tls_key=paths["server.key"], tls_ca=paths["ca.pem"]
    )
    call = (
        "import sys; from wyoming_faster_whisper.commands.cli import client; sys.exit(client())"
    )
    ask = (sys.executable, "-c", call, "ping", "--count=1", "--uri", server.uri)
    ours = (f"--tls-cert={paths['client.pem']}", f"--tls-key={paths['client.key']}")
    ran = await run(*ask, f"--tls-ca={paths['ca.pem']}", *ours, folder=tmp_path)
    assert ran.status == 0, ran.err
    ran = await run(*ask, "--tls", *ours, folder=tmp_path)
    assert ran.status == 1
    assert "TLS failed: self-signed certificate" in ran.out + ran.err
    well = (sys.executable, "-m", "wyoming_faster_whisper.health_check", "--uri", server.uri)
    environ = {
        "WYO_WHISPER_TLS_CERT": paths["server.pem"],
        "WYO_WHISPER_TLS_KEY": paths["server.key"],
    }
    ran = await run(*well, folder=tmp_path, **environ)
    assert (ran.err, ran.status) == ("", 0)


async def test_the_health_check_passes_without_an_accepted_client_certificate(
    serve: Serve, certificates: Path, tmp_path: Path
) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "other.pem"))
    paths = {name: str(certificates / f"server.{name}") for name in ("pem", "key")}
    server = await serve(
        tls_cert=paths["pem"], tls_key=paths["key"], tls_ca=tmp_path / "other.pem"
    )
    well = (sys.executable, "-m", "wyoming_faster_whisper.health_check", "--uri", server.uri)
    environ = {"WYO_WHISPER_TLS_CERT": paths["pem"], "WYO_WHISPER_TLS_KEY": paths["key"]}
    ran = await run(*well, folder=tmp_path, **environ)
    assert (ran.err, ran.status) == ("", 0)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"tls_cert": "nowhere.pem"}, "No such file"),
        ({"tls_cert": "server.pem"}, "cannot be used: .*; give PEM files"),  # the key is missing
        ({"tls_cert": "server.pem", "tls_key": "client.key"}, "key values mismatch"),
        ({"tls_cert": "server.pem", "tls_key": "server.key", "tls_ca": "server.key"}, "--tls-ca"),
    ],
)
async def test_unusable_certificate_files_are_refused(
    serve: Serve, certificates: Path, options: dict[str, str], sentence: str
) -> None:
    paths: dict[str, Any] = {name: certificates / file for name, file in options.items()}
    with pytest.raises(SettingError, match=sentence):
        await serve(**paths)


# Unix sockets.


@pytest.mark.parametrize(("options", "mode"), [({}, 0o600), ({"socket_mode": "0660"}, 0o660)])
async def test_only_the_owner_may_use_a_unix_socket_unless_socket_mode_is_set(
    serve: Serve, tmp_path: Path, options: dict[str, Any], mode: int
) -> None:
    server = await serve(uri=f"unix://{tmp_path}/socket", **options)
    assert stat.S_IMODE((tmp_path / "socket").stat().st_mode) == mode
    await server.serves()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can change the owner of a file")
async def test_a_stale_socket_of_another_user_is_kept(serve: Serve, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    create_stale_socket(path)
    os.chown(path, 1234, -1)
    with pytest.raises(SettingError, match="the path is a socket of another user"):
        await serve(uri=f"unix://{path}")
    assert path.exists()


def create_stale_socket(path: Path) -> None:
    """Create a socket file whose server no longer runs."""
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(path))
