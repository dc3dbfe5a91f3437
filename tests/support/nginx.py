"""nginx with the configurations that docs/security.md shows."""

from __future__ import annotations

import asyncio
import re
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from .serving import DEADLINE, peer

_DOCS = Path(__file__).parents[2] / "docs/security.md"
_FRAME = """\
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{servers}
}}
"""


def shown(number: int, **replaced: str) -> str:
    """Return a block of the documentation, with other values.

    Args:
        number: of the block, from 0.
        replaced: new values of directives, each of which the block has once.
    """
    block: str = re.findall(r"(?s)```nginx\n(.*?)```", _DOCS.read_text())[number]
    for directive, value in replaced.items():
        block, count = re.subn(rf"\b{directive} [^;]+;", f"{directive} {value};", block)
        assert count == 1, directive
    return block


@asynccontextmanager
async def nginx(servers: str, folder: Path, port: int) -> AsyncIterator[None]:
    """Run nginx until the block ends; the block begins when it listens.

    Args:
        servers: blocks "server".
        folder: for what it writes.
        port: one of those on which it listens, at 127.0.0.1.
    """
    config = await asyncio.to_thread(_write, folder, servers)
    process = await asyncio.create_subprocess_exec(
        *("nginx", "-p", str(folder), "-e", "stderr", "-c", str(config)),
        stdin=DEVNULL,
        stdout=DEVNULL,
        stderr=PIPE,
    )
    try:
        async with asyncio.timeout(DEADLINE):
            while not await _listens(port):
                assert process.returncode is None, await _errors(process)
                await asyncio.sleep(0.05)
        yield
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


def _write(folder: Path, servers: str) -> Path:
    folder.mkdir()
    config = folder / "nginx.conf"
    config.write_text(_FRAME.format(folder=folder, servers=servers))
    return config


async def _listens(port: int) -> bool:
    try:
        async with peer(f"tcp://127.0.0.1:{port}"):
            return True
    except OSError:
        return False


async def _errors(process: asyncio.subprocess.Process) -> str:
    assert process.stderr is not None
    return (await process.stderr.read()).decode()
