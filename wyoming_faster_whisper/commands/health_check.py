"""The health check: python -m wyoming_faster_whisper.health_check, for containers.

Asks for Info rather than only connecting: the kernel accepts connections for a
server that has long stopped to answer. Where it listens, and with which certificate,
it learns as the server did: from the command line of the container's first process,
which is the server's, and from the same variables.
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
from ..config.settings import written_out
from ..process import open_stderr, tell
from ..transports.address import DEFAULT_URI, Address
from ..transports.tls import own_context

_UNSET = ("", "null")  # as for the server
_SERVER = "wyoming_faster_whisper"
_FIRST = Path("/proc/1/cmdline")

# What a server listens on to mean "everywhere" is no address to connect to.
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}


async def check(uri: str, tls: ssl.SSLContext | None = None) -> None:
    """Return if the server describes a speech-to-text program.

    Raises:
        ServerError: it does not.
        RuntimeError: it is something else.
    """
    try:
        async with Client(uri, tls=tls) as client:
            if not (await client.describe()).asr:
                raise RuntimeError("the server has no speech-to-text program")
    except Lost:
        # A server's own certificate need not be one of those that --tls-ca asks clients for.
        # To refuse it, the server had to shake hands, which the kernel does not do for it.
        if tls is None:
            raise


def default_uri(environ: Mapping[str, str] | None = None, given: Sequence[str] = ()) -> str:
    """Where the server of this container listens, by its own --uri or WYO_WHISPER_URI(_FILE).

    Args:
        given: its command line; see server_arguments().
    """
    uri = _value("uri", environ, given)
    return DEFAULT_URI if uri is None else to_loopback(uri)


def default_tls(
    environ: Mapping[str, str] | None = None, given: Sequence[str] = ()
) -> ssl.SSLContext | None:
    """TLS where the server of this container speaks it, by its own --tls-cert likewise."""
    cert = _value("tls-cert", environ, given)
    return None if cert is None else own_context(cert, _value("tls-key", environ, given))


def server_arguments(file: Path = _FIRST) -> list[str]:
    """The options on the command line of the container's server, without abbreviations.

    Args:
        file: as /proc/PID/cmdline, of the process that the container runs.
    """
    try:
        line = file.read_bytes().decode(errors="replace").split("\0")[:-1]
    except OSError:
        return []
    options = line[line.index(_SERVER) + 1 :] if _SERVER in line else []
    return written_out(options) if options else []


def _value(name: str, environ: Mapping[str, str] | None, given: Sequence[str]) -> str | None:
    """An option of the server: by its flag, its variable or the file that this names."""
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
    open_stderr()
    parser = argparse.ArgumentParser(description="Ask a Wyoming server whether it is well.")
    parser.add_argument(
        "--uri", help=f"server (default: the container's own, WYO_WHISPER_URI or {DEFAULT_URI})"
    )
    parser.add_argument("--timeout", type=float, default=15.0, help="seconds (default: 15)")
    args = parser.parse_args(argv)

    given = server_arguments()

    async def run(tls: ssl.SSLContext | None) -> None:
        async with asyncio.timeout(args.timeout):
            await check(args.uri or default_uri(given=given), tls)

    try:
        asyncio.run(run(default_tls(given=given)))
    except Exception as error:
        # Docker shows this line; an empty one would help nobody.
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
