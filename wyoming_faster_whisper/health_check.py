"""Is the server well? python -m wyoming_faster_whisper.health_check, for containers.

Asks for Info rather than only connecting: the kernel accepts connections for a
server that has long stopped to answer.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import ssl
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from .client import Client
from .tls import own_context
from .wire.address import Address

DEFAULT_URI = "tcp://127.0.0.1:10300"

_UNSET = ("", "null")  # as for the server

# What a server listens on to mean "everywhere" is no address to connect to.
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}


async def check(uri: str, tls: ssl.SSLContext | None = None) -> None:
    """Return if the server describes a speech-to-text program.

    Raises:
        ServerError: it does not.
        RuntimeError: it is something else.
    """
    async with Client(uri, tls=tls) as client:
        if not (await client.describe()).asr:
            raise RuntimeError("the server has no speech-to-text program")


def default_uri(environ: Mapping[str, str] | None = None) -> str:
    """Where the server of this container listens, by its own WYO_WHISPER_URI(_FILE)."""
    uri = _value("URI", environ)
    return DEFAULT_URI if uri is None else to_loopback(uri)


def default_tls(environ: Mapping[str, str] | None = None) -> ssl.SSLContext | None:
    """TLS where the server of this container speaks it, by its own WYO_WHISPER_TLS_CERT."""
    cert = _value("TLS_CERT", environ)
    return None if cert is None else own_context(cert, _value("TLS_KEY", environ))


def _value(name: str, environ: Mapping[str, str] | None) -> str | None:
    """An option of the server, by its variable or the file that this names."""
    environ = os.environ if environ is None else environ
    value = environ.get(f"WYO_WHISPER_{name}", "").strip()
    path = environ.get(f"WYO_WHISPER_{name}_FILE", "")
    if path not in _UNSET:
        try:
            value = Path(path).read_text(encoding="utf-8").strip()
        except OSError:
            value = ""  # the server says this better than we could
    return None if value in _UNSET else value


def to_loopback(uri: str) -> str:
    """Where a client on the same machine reaches a server that listens on this URI."""
    address = Address.parse(uri)
    if address.scheme != "tcp":
        return uri
    return str(Address("tcp", host=_LOOPBACK.get(address.host, address.host), port=address.port))


def main(argv: Sequence[str] | None = None) -> int:
    """Exit status 0 = well, 1 = not; the reason goes to standard error."""
    parser = argparse.ArgumentParser(description="Ask a Wyoming server whether it is well.")
    parser.add_argument("--uri", help=f"server (default: WYO_WHISPER_URI or {DEFAULT_URI})")
    parser.add_argument("--timeout", type=float, default=15.0, help="seconds (default: 15)")
    args = parser.parse_args(argv)

    async def run(tls: ssl.SSLContext | None) -> None:
        async with asyncio.timeout(args.timeout):
            await check(args.uri or default_uri(), tls)

    try:
        asyncio.run(run(default_tls()))
    except Exception as error:
        # Docker shows this line; an empty one would help nobody.
        reason = str(error) or (
            f"no answer within {args.timeout:g} s"
            if isinstance(error, TimeoutError)
            else type(error).__name__
        )
        sys.stderr.write(f"unhealthy: {reason}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
