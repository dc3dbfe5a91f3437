"""wyoming-faster-whisper-client: runs a subcommand and returns the exit status."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial

from ..errors import SettingError, install_command
from ..speech.vad import SpeechDetector
from ..transports.tls import client_context
from . import media, queries, screen
from .connection import Client, ClientError, Unreachable
from .options import (
    PROGRAM,
    BenchmarkOptions,
    Command,
    CompletionOptions,
    ConnectionOptions,
    DiscoverOptions,
    ListenOptions,
    PingOptions,
    QueryOptions,
    TranscribeOptions,
)
from .retry import Retry

NewClient = Callable[[str], Client]


def perform(options: Command) -> int:
    """Run one subcommand and return its exit status.

    Raises:
        ServerError: an option cannot be used, or the server or a file is not there.
        KeyboardInterrupt: the user interrupted it.
    """
    try:
        new_client = partial(Client)
        if isinstance(options, ConnectionOptions):
            new_client = partial(Client, timeout=options.timeout, tls=_context(options))
        done = asyncio.run(_perform(options, new_client))
        sys.stdout.flush()
    except Unreachable as error:
        raise ClientError(
            f"{error}; set --uri to its address, or find it with discover"
        ) from None
    except BrokenPipeError:
        # The reader closed the pipe. Python would report an error when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return 0 if done else 1


async def _perform(options: Command, new_client: NewClient) -> bool:
    match options:
        case TranscribeOptions():
            return await _transcribe(options, new_client)
        case ListenOptions():
            return await _listen(options, new_client)
        case QueryOptions(uri=uri, json=as_json):
            await queries.info(new_client(uri), as_json=as_json)
            return True
        case PingOptions(uri=uri, count=count, interval=every):
            ask = partial(new_client, uri)
            return await queries.ping(ask, uri, count=count, every=every) == 0
        case DiscoverOptions():
            return await _discover(options, new_client)
        case BenchmarkOptions():
            from .benchmark import bench

            results = await bench(options, new_client)
            return not any(result.failed for result in results)
        case CompletionOptions(shell=shell):
            return _completion(shell)


async def _transcribe(options: TranscribeOptions, new_client: NewClient) -> bool:
    from .transcribe import Pool, transcribe

    if media.reads_terminal(options.files):
        raise SettingError("- is standard input, which is a terminal; pipe a file into it")
    pool = Pool(partial(new_client, options.uri), options.jobs, Retry(options.retry))
    return await transcribe(options, pool, _new_vad) == 0


async def _listen(options: ListenOptions, new_client: NewClient) -> bool:
    from . import listen, microphone

    if options.devices:
        found = await asyncio.to_thread(microphone.devices)
        if not found:
            raise microphone.MicrophoneError(microphone.NO_MICROPHONE)
        rows = [
            (str(one.number), one.name, f"{one.rate:g} Hz", "default" if one.default else "")
            for one in found
        ]
        screen.table(("number", "name", "rate", ""), rows)
        return True
    utterances = await listen.listen(
        options,
        new_client(options.uri),
        microphone.SoundDevice(options.device),
        _new_vad,
        Retry(options.retry),
    )
    return utterances > 0 or options.loop


async def _discover(options: DiscoverOptions, new_client: NewClient) -> bool:
    found = await queries.discover(options.seconds, new_client)
    if options.json:
        for one in found:
            screen.say(json.dumps(asdict(one), ensure_ascii=False))
    elif found:
        screen.table(("name", "uri", "offers"), [(one.name, one.uri, one.what) for one in found])
    else:
        screen.note(f"no server announced itself within {options.seconds:g} s")
    return bool(found)


def _completion(shell: str) -> bool:
    try:
        from argcomplete.shell_integration import shellcode
    except ModuleNotFoundError:
        raise SettingError(f"completion needs argcomplete: {install_command('client')}") from None
    screen.say(shellcode([PROGRAM], shell=shell))
    return True


def _new_vad() -> SpeechDetector:
    # Imported here: its library takes longer to import than a short command runs.
    from ..speech.vad import Vad

    return Vad()


def _context(options: ConnectionOptions) -> ssl.SSLContext | None:
    """Return the TLS context; None = no TLS. Blocking: reads the certificate files."""
    given = (options.tls_ca, options.tls_cert, options.tls_key)
    return client_context(*given) if any(given) or options.tls else None
