"""The containers' health check: python -m wyoming_faster_whisper.health_check.

It requests Info instead of only connecting, because the kernel accepts connections even for a
server that no longer answers. It finds the server's address and certificate where the server
does: on the command line, which is that of the container's first process, and in the same
environment variables.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import ssl
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..client import Client, Lost
from ..config.load import command_line
from ..config.options import options, read_values
from ..config.settings import Settings
from ..process import open_stderr, tell
from ..transports.address import DEFAULT_URI, Address
from ..transports.tls import own_context

_SERVER = "wyoming_faster_whisper"
_FIRST = Path("/proc/1/cmdline")

# A server can listen on these wildcard addresses, but a client cannot connect to them.
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}


async def check(uri: str, tls: ssl.SSLContext | None = None) -> None:
    """Return if the server describes a speech-to-text program.

    Raises:
        ServerError: the server does not answer.
        RuntimeError: the server has no speech-to-text program.
    """
    try:
        async with Client(uri, tls=tls) as client:
            if not (await client.describe()).asr:
                raise RuntimeError("the server has no speech-to-text program")
    except Lost:
        # We present the server's own certificate, which --tls-ca may not accept for clients. To
        # refuse it the server itself must have taken part in the TLS handshake, so it is alive.
        if tls is None:
            raise


def default_uri(environ: Mapping[str, str] | None = None, given: Sequence[str] = ()) -> str:
    """Return the URI of this container's server, from --uri or WYO_WHISPER_URI(_FILE).

    Args:
        given: the server's command line; see server_arguments().
    """
    return to_loopback(_values(environ, given).get("uri", DEFAULT_URI))


def default_tls(
    environ: Mapping[str, str] | None = None, given: Sequence[str] = ()
) -> ssl.SSLContext | None:
    """Return a TLS context if this container's server uses TLS (--tls-cert), else None."""
    values = _values(environ, given)
    cert = values.get("tls_cert")
    return None if cert is None else own_context(cert, values.get("tls_key"))


def server_arguments(file: Path = _FIRST) -> list[str]:
    """Return the options on the command line of the container's server.

    Args:
        file: the command line of the container's first process, as in /proc/PID/cmdline.
    """
    try:
        line = file.read_bytes().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []
    return line[line.index(_SERVER) + 1 :] if _SERVER in line else []


def _values(environ: Mapping[str, str] | None, given: Sequence[str]) -> dict[str, Any]:
    """Return the server's address and certificate, as far as they are given."""
    known = [opt for opt in options(Settings) if opt.name in ("uri", "tls_cert", "tls_key")]
    return read_values(known, command_line(given), os.environ if environ is None else environ)


def to_loopback(uri: str) -> str:
    """Return the URI for a client on the same machine, given the URI the server listens on."""
    address = Address.parse(uri)
    if address.scheme != "tcp":
        return uri
    return str(Address("tcp", host=_LOOPBACK.get(address.host, address.host), port=address.port))


def main(argv: Sequence[str] | None = None) -> int:
    """Check the server and return the exit status: 0 = healthy, 1 = not.

    The reason goes to standard error.
    """
    open_stderr()
    parser = argparse.ArgumentParser(description="Check that a Wyoming server is healthy.")
    parser.add_argument(
        "--uri", help=f"server (default: this container's, WYO_WHISPER_URI or {DEFAULT_URI})"
    )
    parser.add_argument("--timeout", type=float, default=15.0, help="in seconds (default: 15)")
    args = parser.parse_args(argv)

    given = server_arguments()

    async def run(tls: ssl.SSLContext | None) -> None:
        async with asyncio.timeout(args.timeout):
            await check(args.uri or default_uri(given=given), tls)

    try:
        asyncio.run(run(default_tls(given=given)))
    except Exception as error:
        # Docker shows this line, so it must not be empty.
        reason = str(error) or (
            f"no answer within {args.timeout:g} s"
            if isinstance(error, TimeoutError)
            else type(error).__name__
        )
        tell(f"unhealthy: {reason}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
