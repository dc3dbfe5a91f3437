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

from ..client import Client, Lost
from ..config.load import written_out
from ..process import open_stderr, tell
from ..transports.address import DEFAULT_URI, Address
from ..transports.tls import own_context

_UNSET = ("", "null")  # values that the server, too, takes for an option that is not set
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
    uri = _value("uri", environ, given)
    return DEFAULT_URI if uri is None else to_loopback(uri)


def default_tls(
    environ: Mapping[str, str] | None = None, given: Sequence[str] = ()
) -> ssl.SSLContext | None:
    """Return a TLS context if this container's server uses TLS (--tls-cert), else None."""
    cert = _value("tls-cert", environ, given)
    return None if cert is None else own_context(cert, _value("tls-key", environ, given))


def server_arguments(file: Path = _FIRST) -> list[str]:
    """Return the options of the container's server, with abbreviated flags written out.

    Args:
        file: the command line of the container's first process, as in /proc/PID/cmdline.
    """
    try:
        line = file.read_bytes().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []
    options = line[line.index(_SERVER) + 1 :] if _SERVER in line else []
    return written_out(options) if options else []


def _value(name: str, environ: Mapping[str, str] | None, given: Sequence[str]) -> str | None:
    """Return an option of the server, from its flag, its variable or its _FILE variable."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument(f"--{name}", dest="value")
    value = parser.parse_known_args(given)[0].value
    if value is not None and value not in _UNSET:
        return str(value)
    environ = os.environ if environ is None else environ
    variable = f"WYO_WHISPER_{name.replace('-', '_').upper()}"
    value = environ.get(variable, "").strip()
    path = environ.get(f"{variable}_FILE", "")
    if path not in _UNSET:
        try:
            value = Path(path).read_text(encoding="utf-8").strip()
        except OSError:
            value = ""  # the server reports this error better
    return None if value in _UNSET else value


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
