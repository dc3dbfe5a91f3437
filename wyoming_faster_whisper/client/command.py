"""wyoming-faster-whisper-client: what people type, and the status it ends with.

0    done
1    it could not be done: no server, no answer, a file that cannot be read
2    it was asked for in a way that cannot be done
130  interrupted
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import ssl
import sys
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import asdict
from functools import partial

from ..errors import ServerError, SettingError
from ..speech.vad import Vad
from ..tls import client_context
from . import asking, bench, listen, media, microphone, screen, transcribe
from .connection import Client, Unreachable
from .options import DEFAULT_URI, PROGRAM, build_parser
from .retry import Retry


def main(argv: Sequence[str] | None = None) -> int:
    """Do one command; return its exit status."""
    parser = build_parser()
    if "_ARGCOMPLETE" in os.environ:
        _complete(parser)
    args = parser.parse_args(argv)
    try:
        args.context = _context(args)
        done = asyncio.run(_COMMANDS[args.command](args))
        sys.stdout.flush()
    except SettingError as error:
        return _fail(str(error), 2)
    except Unreachable as error:
        return _fail(f"{error}; say with --uri where it is, or look for it with discover", 1)
    except ServerError as error:
        return _fail(str(error), 1)
    except BrokenPipeError:
        # Whoever read has enough. Python would complain when it flushes at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return 130
    return 0 if done else 1


def _fail(text: str, status: int) -> int:
    screen.note(f"error: {text}")
    return status


def _complete(parser: argparse.ArgumentParser) -> None:
    try:
        import argcomplete
    except ModuleNotFoundError:
        return
    argcomplete.autocomplete(parser)


async def _transcribe(args: argparse.Namespace) -> bool:
    if media.reads_terminal(args.files):
        raise SettingError("- is standard input, which is a keyboard; pipe a file into it")
    wish = transcribe.Wish(
        files=args.files,
        language=args.language,
        model=args.model,
        format=args.format,
        output=args.output,
        pause=args.pause,
        jobs=args.jobs,
    )
    pool = transcribe.Pool(partial(_client, args), args.jobs, Retry(args.retry))
    return await transcribe.transcribe(wish, pool, Vad) == 0


async def _listen(args: argparse.Namespace) -> bool:
    if args.devices:
        found = await asyncio.to_thread(microphone.devices)
        rows = [
            (str(one.number), one.name, f"{one.rate:g} Hz", "default" if one.default else "")
            for one in found
        ]
        screen.table(("number", "name", "rate", ""), rows)
        return bool(found)
    manner = listen.Manner(
        end=listen.End(args.end),
        silence=args.silence,
        longest=args.longest,
        loop=args.loop,
        language=args.language,
        model=args.model,
        retry=Retry(args.retry),
    )
    heard = await listen.listen(manner, _client(args), microphone.SoundDevice(args.device), Vad)
    return heard > 0 or args.loop


async def _info(args: argparse.Namespace) -> bool:
    await asking.info(_client(args), as_json=args.json)
    return True


async def _ping(args: argparse.Namespace) -> bool:
    client = partial(_client, args)
    return await asking.ping(client, args.uri, count=args.count, every=args.interval) == 0


async def _discover(args: argparse.Namespace) -> bool:
    found = await asking.discover(args.seconds, partial(_client_of, args))
    if args.json:
        for one in found:
            screen.say(json.dumps(asdict(one), ensure_ascii=False))
    elif found:
        screen.table(("name", "uri", "what"), [(one.name, one.uri, one.what) for one in found])
    else:
        screen.note(f"no server announced itself within {args.seconds:g} s")
    return bool(found)


async def _bench(args: argparse.Namespace) -> bool:
    plan = bench.Plan(
        files=args.files,
        uris=args.uri or [DEFAULT_URI],
        language=args.language,
        model=args.model,
        rounds=args.rounds,
        jobs=args.jobs,
        burst=args.burst,
        trailing=args.trailing,
        json=args.json,
        plot=args.plot,
    )
    results = await bench.bench(plan, partial(_client_of, args))
    return not any(result.failed for result in results)


async def _completion(args: argparse.Namespace) -> bool:
    try:
        from argcomplete.shell_integration import shellcode
    except ModuleNotFoundError:
        raise SettingError(
            "completion needs argcomplete; pip install 'wyoming-faster-whisper[client]'"
        ) from None
    screen.say(shellcode([PROGRAM], shell=args.shell))
    return True


def _client(args: argparse.Namespace) -> Client:
    return _client_of(args, args.uri)


def _client_of(args: argparse.Namespace, uri: str) -> Client:
    return Client(uri, timeout=args.timeout, tls=args.context)


def _context(args: argparse.Namespace) -> ssl.SSLContext | None:
    """How to speak TLS; None = do not. Reads files: not for the event loop."""
    given = [getattr(args, f"tls_{name}", None) for name in ("ca", "cert", "key")]
    return client_context(*given) if any(given) or getattr(args, "tls", False) else None


_COMMANDS: dict[str, Callable[[argparse.Namespace], Coroutine[None, None, bool]]] = {
    "transcribe": _transcribe,
    "listen": _listen,
    "info": _info,
    "ping": _ping,
    "discover": _discover,
    "bench": _bench,
    "completion": _completion,
}
