"""Commands beside bad tokens: how much longer does a speaker wait while others guess keys?

One client sends commands over the Wyoming protocol, alone and while a process opens connections
to the HTTP API with bad tokens: wrong keys, tokens of unknown keys, and forged signatures. The
attacking process takes CPU time from the server; so in a third phase, the control, it sends the
same to a closed port. Only this server is measured. Prints a table; progress goes to stderr.
"""

import argparse
import asyncio
import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from wyoming_faster_whisper.transports.auth.jwks import COOL_DOWN

from .load import say
from .support.arguments import (
    RECORDINGS,
    THIS_SERVER,
    add,
    given_clips,
    headline,
    parser,
    this_server,
)
from .support.clips import Clip
from .support.report import Target, against, align, percentile, progress, write_json
from .support.servers import ROOT, Options, Server, free_port, this_python

MOST = 1.5  # target for the p95 beside bad tokens, relative to the p95 alone
SETTLE = 2.0  # seconds from the first bad token to the first command beside them
KID = "bench"


@dataclass(frozen=True, slots=True)
class BesideTokens:
    """Seconds from audio-stop to the text of each command, and what became of the tokens."""

    alone: list[float]
    elsewhere: list[float]  # while the bad tokens are sent to a closed port
    beside: list[float]
    lost: int  # commands without an answer
    tokens: dict[str, float]  # by what became of them, over all floods
    fetches: int  # of the issuer's keys
    seconds: float  # in which they were fetched


class Issuer:
    """An issuer of tokens: serves its keys and counts the fetches."""

    def __init__(self) -> None:
        self.fetches = 0
        key = rsa.generate_private_key(65537, 2048).public_key()
        self._body = json.dumps({"keys": [RSAAlgorithm.to_jwk(key, as_dict=True) | {"kid": KID}]})

    async def start(self) -> str:
        """Start to serve; return the URL of the keys."""
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", 0)
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/jwks"

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        self.fetches += 1
        head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n"
        body = self._body.encode()
        writer.write(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()


def main() -> None:
    arguments = parse_arguments()
    clips = given_clips(arguments)
    ours = this_server(arguments)
    measured = asyncio.run(run(ours, clips, arguments))
    print(
        f"{headline(arguments)}; {arguments.commands} commands in each phase, "
        f"{arguments.rate:g} bad tokens a second"
    )
    print(table(measured))
    print(f"\n{targets(measured)}")
    if arguments.json:
        write_json(arguments.json, {"model": arguments.model, **asdict(measured)})


def parse_arguments() -> argparse.Namespace:
    flags = parser("bad_tokens", __doc__)
    add(flags, *THIS_SERVER, "--limit", "--json")
    add(flags, "--recordings", help=RECORDINGS)
    flags.add_argument(
        "--commands", type=int, default=60, metavar="N", help="commands in each phase"
    )
    flags.add_argument(
        "--rounds", type=int, default=3, metavar="N", help="times that the phases alternate"
    )
    flags.add_argument(
        "--rate", type=float, default=10_000, metavar="N", help="bad tokens a second"
    )
    return flags.parse_args()


async def run(
    options: Options, clips: Sequence[Clip], arguments: argparse.Namespace
) -> BesideTokens:
    issuer, http = Issuer(), free_port()
    with tempfile.TemporaryDirectory() as folder:
        options = with_keys(options, Path(folder), await issuer.start(), http)
        alone: list[float | None] = []
        elsewhere: list[float | None] = []
        beside: list[float | None] = []
        tokens: dict[str, float] = {}
        per_round = max(1, arguments.commands // arguments.rounds)
        started = time.monotonic()
        async with Server(this_python(), options) as server:

            async def commands() -> list[float | None]:
                return [await say(server, clips[n % len(clips)]) for n in range(per_round)]

            await server.wait_until_idle()
            await say(server, clips[0])  # waits for the model
            for at in range(arguments.rounds):
                progress(f"round {at + 1}: commands alone")
                alone += await commands()
                progress(f"round {at + 1}: while bad tokens go to a closed port")
                with socket.create_server(("127.0.0.1", 0), backlog=1024) as other:
                    async with flood(other.getsockname()[1], arguments.rate):
                        await asyncio.sleep(SETTLE)
                        elsewhere += await commands()
                progress(f"round {at + 1}: beside bad tokens")
                async with flood(http, arguments.rate) as counts:
                    await asyncio.sleep(SETTLE)
                    beside += await commands()
                for name, count in counts.items():
                    tokens[name] = tokens.get(name, 0) + count
            progress("")
        seconds = time.monotonic() - started
    lost = [*alone, *elsewhere, *beside].count(None)
    kept = [[wait for wait in phase if wait is not None] for phase in (alone, elsewhere, beside)]
    return BesideTokens(kept[0], kept[1], kept[2], lost, tokens, issuer.fetches, seconds)


def with_keys(options: Options, folder: Path, jwks: str, port: int) -> Options:
    """Return options of a server that accepts keys and the tokens of the issuer."""
    keys = folder / "keys"
    keys.write_text(f"bench {os.urandom(16).hex()}\n")
    keys.chmod(0o600)
    given = (
        f"--http-port={port}",
        f"--api-keys={keys}",
        "--jwt-issuer=bench",
        "--jwt-audience=stt",
        f"--jwt-jwks={jwks}",
    )
    return replace(options, extra=(*given, *options.extra))


@asynccontextmanager
async def flood(port: int, rate: float) -> AsyncIterator[dict[str, Any]]:
    """Send bad tokens while the context is open; afterwards the dict says what became of them."""
    counts: dict[str, Any] = {}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "bench.support.token_flood", str(port), str(rate), KID),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        cwd=ROOT,
    )
    try:
        yield counts
    finally:
        out, _ = await process.communicate(b"")  # closes its input
        counts.update(json.loads(out))


FIGURES = [("median", 50), ("p90", 90), ("p95", 95), ("longest", 100)]


def table(measured: BesideTokens) -> str:
    columns = (measured.alone, measured.elsewhere, measured.beside)
    rows = [["audio-stop to text", "alone", "closed port", "bad tokens", "last / second"]]
    for title, percent in FIGURES:
        found = [percentile(each, percent) for each in columns]
        shown = [f"{each:.3f} s" if each is not None else "-" for each in found]
        _, before, after = found
        rows.append([title, *shown, f"{after / before:.2f}" if before and after else "-"])
    tokens, seconds = dict(measured.tokens), measured.tokens.get("seconds", 0.0) or 1.0
    tokens.pop("seconds", None)
    for name, count in sorted(tokens.items(), key=lambda each: -each[1]):
        rows.append([f"bad tokens a second: {name}", "", "", f"{count / seconds:.0f}", ""])
    title = f"fetches of the keys in {measured.seconds:.0f} s"
    rows.append([title, "", "", str(measured.fetches), ""])
    return align(rows)


def targets(measured: BesideTokens) -> str:
    alone, elsewhere, after = (
        percentile(each, 95) for each in (measured.alone, measured.elsewhere, measured.beside)
    )
    # One at the start, and one in each cool-down that has begun.
    allowed = 2 + int(measured.seconds // COOL_DOWN)
    return against(
        [
            Target("p95, relative to alone", _ratio(after, alone), MOST, "{:.2f}"),
            Target("p95, relative to a closed port", _ratio(after, elsewhere), MOST, "{:.2f}"),
            Target("commands without an answer", measured.lost, 0, "{:.0f}"),
            Target("fetches of the keys", measured.fetches, allowed, "{:.0f}"),
        ]
    )


def _ratio(after: float | None, before: float | None) -> float | None:
    return after / before if after and before else None


if __name__ == "__main__":
    main()
