"""HAProxy with the configuration of the manifests, in front of servers on this machine."""

from __future__ import annotations

import asyncio
import re
import urllib.request
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from .serving import DEADLINE

CONFIG = Path(__file__).parents[2] / "deploy/kubernetes/overlays/haproxy/haproxy.cfg"


@dataclass(frozen=True, slots=True)
class Target:
    """A server's ports on 127.0.0.1."""

    wyoming: int
    metrics: int


def config_for(targets: Sequence[Target], port: int, health: int) -> str:
    """Return the configuration with fixed servers instead of those that DNS names."""
    lines = "\n".join(
        f"    server pod{at} 127.0.0.1:{target.wyoming} check port {target.metrics}"
        for at, target in enumerate(targets, 1)
    )
    text = CONFIG.read_text()
    for pattern, replacement in (
        (r" +server-template .*", lines),
        (r"bind :10300", f"bind 127.0.0.1:{port}"),
        (r"bind :8404", f"bind 127.0.0.1:{health}"),
        (r"(?s)resolvers pods.*?\n\n", ""),
    ):
        text, count = re.subn(pattern, replacement, text)
        assert count == 1, pattern
    return text


@dataclass(frozen=True, slots=True)
class Balancer:
    """A running HAProxy."""

    process: asyncio.subprocess.Process
    port: int
    health: int

    @property
    def uri(self) -> str:
        return f"tcp://127.0.0.1:{self.port}"

    async def states(self) -> dict[str, bool]:
        """Return which servers it uses, by name."""
        text = await asyncio.to_thread(_read, f"http://127.0.0.1:{self.health}/metrics")
        pattern = r'haproxy_server_status\{proxy="pods",server="(\w+)",state="UP"\} (\d)'
        return {name: value == "1" for name, value in re.findall(pattern, text)}

    async def uses(self, count: int) -> None:
        """Wait until it uses so many servers."""
        async with asyncio.timeout(DEADLINE):
            while sum((await self.states()).values()) != count:  # noqa: ASYNC110
                await asyncio.sleep(0.05)


@asynccontextmanager
async def balancing(config: str, folder: Path, port: int, health: int) -> AsyncIterator[Balancer]:
    """Run HAProxy until the block ends; the block begins when it listens."""
    path = folder / "haproxy.cfg"
    path.write_text(config)
    process = await asyncio.create_subprocess_exec(
        *("haproxy", "-db", "-f", str(path)), stdin=DEVNULL, stdout=DEVNULL, stderr=PIPE
    )
    try:
        async with asyncio.timeout(DEADLINE):
            while not await _listens(health):  # a connection to the other port reaches a server
                assert process.returncode is None, await _errors(process)
                await asyncio.sleep(0.02)
        yield Balancer(process, port, health)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


def _read(url: str) -> str:
    with urllib.request.urlopen(url, timeout=DEADLINE) as answer:
        return str(answer.read(), "utf-8")


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True


async def _errors(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    return (await process.stderr.read()).decode()
