"""The subcommands `info`, `ping` and `discover`: find servers and ask what they offer."""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address

import zeroconf
from wyoming.event import Eventable
from wyoming.info import Describe, Info
from wyoming.ping import Ping, Pong
from zeroconf.asyncio import AsyncServiceInfo

from ..errors import printable
from ..transports.address import Address
from ..transports.discovery import SERVICE, find
from . import screen
from .connection import Client, ClientError, Unreachable

_MOST_LANGUAGES = 8  # shown in one cell; Whisper has a hundred

# The services of a server: the protocol's name and the one shown.
_DOMAINS = {
    "asr": "speech to text",
    "tts": "text to speech",
    "wake": "wake word",
    "intent": "intents",
    "handle": "handling",
    "mic": "microphone",
    "snd": "speaker",
}


async def info(client: Client, *, as_json: bool) -> None:
    """Print a server's Info, as a table or as JSON.

    Raises:
        ClientError: the server cannot be reached or is not a Wyoming server.
    """
    async with client:
        described = await client.describe()
    if as_json:
        screen.say(json.dumps(described.event().data, ensure_ascii=False))
        return
    rows = [
        (_DOMAINS[domain], *map(_cell, (program.name, program.version)), model, languages, how)
        for domain in _DOMAINS
        for program in getattr(described, domain)
        for model, languages, how in _offers(domain, program)
    ]
    screen.table(("service", "program", "version", "model", "languages", "features"), rows)


def _offers(domain: str, program: object) -> list[tuple[str, str, str]]:
    """Return model, languages and features for each model; one row if there is no model."""
    how = []
    if domain == "asr":
        how.append(
            "no endpointing" if getattr(program, "requires_external_vad", True) else "endpointing"
        )
        if getattr(program, "supports_transcript_streaming", False):
            how.append("partial texts")
    models = getattr(program, "models", None) or getattr(program, "voices", None) or [None]
    return [
        (_cell(getattr(model, "name", None)), _languages(model), ", ".join(how))
        for model in models
    ]


def _languages(model: object) -> str:
    codes = [printable(code, 20) for code in getattr(model, "languages", None) or []]
    shown = " ".join(codes[:_MOST_LANGUAGES])
    more = len(codes) - _MOST_LANGUAGES
    return f"{shown} and {more} more" if more > 0 else shown


def _cell(value: object) -> str:
    return "" if value is None else printable(value, 60)


@dataclass(frozen=True, slots=True)
class Pinged:
    """The outcome of one ping."""

    connected: float  # seconds to connect
    answered: float  # seconds from then to the answer
    with_pong: bool  # False: the server does not support ping and answered with its Info


async def ping_once(new_client: Callable[[], Client]) -> Pinged:
    """Connect, and measure the time to the server's answer.

    All servers answer `describe`, but many do not support `ping`. Both are sent at once: events
    are answered in order, so the first answer shows whether `ping` is supported, without waiting
    for a time-out.

    Raises:
        ClientError: the server cannot be reached or does not answer.
    """
    started = time.perf_counter()
    async with new_client() as client:
        connected = time.perf_counter()
        asks: tuple[Eventable, ...] = (Ping(), Describe())
        for ask in asks:
            await client.send(ask)
        while True:
            event = await client.receive()
            answered = time.perf_counter()
            if Pong.is_type(event.type) or Info.is_type(event.type):
                with_pong = Pong.is_type(event.type)
                return Pinged(connected - started, answered - connected, with_pong)


async def ping(new_client: Callable[[], Client], uri: str, *, count: int, every: float) -> int:
    """Ping a server several times; print each result and a summary.

    Args:
        every: seconds between two pings.

    Returns:
        The number of pings without an answer.

    Raises:
        Unreachable: no connection could be made, and no earlier ping was answered.
    """
    times: list[float] = []
    for number in range(count):
        if number:
            await asyncio.sleep(every)
        try:
            one = await ping_once(new_client)
        except ClientError as error:
            if not times and isinstance(error, Unreachable):
                raise
            screen.note(f"error: {error}")
            continue
        times.append(one.connected + one.answered)
        what = "pong" if one.with_pong else "info (ping is not supported)"
        screen.say(
            f"{what} from {uri}: connected in {_ms(one.connected)}, answered in "
            f"{_ms(one.answered)}"
        )
    if count > 1:
        line = f"{len(times)} of {count} answered"
        if times:
            line += (
                f"; fastest {_ms(min(times))}, median {_ms(statistics.median(times))}, "
                f"slowest {_ms(max(times))}"
            )
        screen.say(line)
    return count - len(times)


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"


@dataclass(frozen=True, slots=True)
class Found:
    """A server that announced itself."""

    name: str
    uri: str
    what: str  # the services it offers, or a remark that it does not answer


async def discover(seconds: float, new_client: Callable[[str], Client]) -> list[Found]:
    """Listen for mDNS announcements, then ask each server what it offers.

    Args:
        seconds: how long to listen.

    Raises:
        ClientError: mDNS cannot be used on this machine.
    """
    try:
        known = await find(seconds)
    except (OSError, RuntimeError, zeroconf.Error) as error:
        raise ClientError(f"cannot listen for mDNS announcements: {error}") from None
    there = [(one.name, uri) for one in known if (uri := _uri(one))]
    offers = await asyncio.gather(*(_offer(new_client(uri)) for _, uri in there))
    return [
        Found(printable(name.removesuffix(f".{SERVICE}"), 80), uri, what)
        for (name, uri), what in zip(there, offers, strict=True)
    ]


def _uri(service: AsyncServiceInfo) -> str | None:
    """Return the service's URI, with an IPv4 address if there is one; None without address."""
    addresses = sorted(map(ip_address, service.parsed_addresses()), key=lambda a: a.version)
    if not addresses or service.port is None:
        return None
    return str(Address("tcp", host=str(addresses[0]), port=service.port))


async def _offer(client: Client) -> str:
    try:
        async with client:
            described = await client.describe()
    except ClientError:
        return "(does not answer)"
    return "; ".join(
        f"{_DOMAINS[domain]}: {', '.join(names)}"
        for domain in _DOMAINS
        if (names := _programs(getattr(described, domain)))
    )


def _programs(programs: list[object]) -> list[str]:
    """Return each program's name with that of its first model."""
    return [
        _cell(getattr(program, "name", None))
        + "".join(
            f" ({_cell(model.name)})" for model in (getattr(program, "models", None) or [])[:1]
        )
        for program in programs
    ]
