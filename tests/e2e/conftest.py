"""Servers for tests: in this process with a fake engine, or in a child process."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Protocol

import pytest
import trustme

from tests.support.chromium import Page, hearing
from tests.support.processes import Process
from tests.support.serving import Server, serving
from wyoming_faster_whisper.config.load import read_settings
from wyoming_faster_whisper.engine.protocol import Engine
from wyoming_faster_whisper.speech.vad import SpeechDetector
from wyoming_faster_whisper.testing import FakeEngine, LoudnessVad, tone
from wyoming_faster_whisper.transports.lifecycle import ClientLimits


class Serve(Protocol):
    """Starts a server that stops after the test; options as on the command line."""

    async def __call__(
        self,
        engine: FakeEngine | None = None,
        *,
        load: Callable[[], Engine] | None = None,
        load_vad: Callable[[], SpeechDetector] = LoudnessVad,
        limits: ClientLimits | None = None,
        **options: Any,
    ) -> Server: ...


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    async with AsyncExitStack() as servers:

        async def start(
            engine: FakeEngine | None = None,
            *,
            load: Callable[[], Engine] | None = None,
            load_vad: Callable[[], SpeechDetector] = LoudnessVad,
            limits: ClientLimits | None = None,
            **options: Any,
        ) -> Server:
            given = {"uri": "tcp://127.0.0.1:0", "model": "base", **options}
            flags = [
                f"--{name.replace('_', '-')}" + ("" if one is True else f"={one}")
                for name, value in given.items()
                for one in (value if isinstance(value, list) else [value])
            ]
            # In a thread: argparse opens translation files, which would block the event loop.
            read = await asyncio.to_thread(read_settings, flags, {})
            return await servers.enter_async_context(
                serving(
                    read.settings,
                    tmp_path,
                    engine=engine,
                    load=load,
                    load_vad=load_vad,
                    limits=limits,
                )
            )

        yield start


@pytest.fixture
async def server(serve: Serve) -> Server:
    """A server whose transcript is the duration of the audio, and whose VAD is LoudnessVad."""
    return await serve()


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def certificates(authority: trustme.CA, tmp_path: Path) -> Path:
    """Create a folder with ca.pem, server.pem, server.key, client.pem and client.key."""
    folder = tmp_path / "tls"
    folder.mkdir()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    for name, subject in (("server", "127.0.0.1"), ("client", "kitchen.local")):
        made = authority.issue_cert(subject)
        made.private_key_pem.write_to_path(str(folder / f"{name}.key"))
        for part in made.cert_chain_pems:
            part.write_to_path(str(folder / f"{name}.pem"), append=True)
    return folder


@pytest.fixture
async def page(tmp_path: Path) -> AsyncIterator[Page]:
    """An empty page of Chromium, whose microphone plays a tone."""
    async with hearing(tone(30.0), tmp_path) as opened:
        yield opened


StartProcess = Callable[..., Awaitable[Process]]


@pytest.fixture
async def start_process(tmp_path: Path) -> AsyncIterator[StartProcess]:
    """Start `python -m wyoming_faster_whisper` with options; it stops after the test."""
    async with AsyncExitStack() as processes:

        async def start(*options: str, **environ: str) -> Process:
            return await processes.enter_async_context(
                Process.started(*options, folder=tmp_path / "data", **environ)
            )

        yield start
