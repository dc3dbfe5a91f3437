"""Latency, CPU time, memory and fairness with many microphones at once.

This server and the reference run one after the other. Each is started for one microphone, then
restarted for many. Prints a table; progress goes to stderr.
"""

import argparse
import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import cycle

from wyoming.client import AsyncTcpClient
from wyoming.info import Describe, Info

from .speech.pauses import room
from .support.arguments import RECORDINGS, SERVERS, add, given_clips, headline, parser, servers
from .support.clips import SAMPLE_RATE, WIDTH, Clip
from .support.competition import busy_cores
from .support.playback import NoAnswer, play
from .support.report import (
    Row,
    Target,
    against,
    beside,
    percentile,
    progress,
    warn,
    write_json,
)
from .support.servers import PYTHONS, Options, Server, ServerDied

TRAILING = 0.7  # seconds of silence after the speech, as Home Assistant's VAD waits
APART = 2.0  # seconds within which all microphones start
ASK = 0.25  # seconds between two describe requests
TIMEOUT = 600.0  # timeout for one utterance, in seconds


@dataclass(frozen=True, slots=True)
class LoadPhase:
    """The measurements of one phase, over all its microphones."""

    waits: list[float]  # seconds from audio-stop to the text
    lost: int  # utterances without an answer
    seconds: float  # length of the phase
    cpu: float  # CPU seconds of the server's processes
    memory: int  # bytes, peak from the start of the server to the end of the phase
    describes: list[float | None]  # seconds that each describe took; None = it failed

    @property
    def utterances(self) -> int:
        return len(self.waits) + self.lost

    def wait(self, percent: int) -> float | None:
        return percentile(self.waits, percent)

    def describe(self, percent: int) -> float | None:
        return percentile((each for each in self.describes if each is not None), percent)


@dataclass(frozen=True, slots=True)
class Loaded:
    """All phases of one server."""

    one: LoadPhase  # one microphone, in real time
    many: LoadPhase  # all of them, in real time
    burst: LoadPhase  # all of them, each utterance sent at once
    short: LoadPhase  # orders one after the other, while a long file is decoded
    long: float | None  # seconds until the long file was answered; None = no answer


PHASES: dict[str, Callable[[Loaded], LoadPhase]] = {
    "one microphone in real time": lambda each: each.one,
    "all microphones in real time": lambda each: each.many,
    "all microphones in bursts": lambda each: each.burst,
    "one after the other, beside a long file": lambda each: each.short,
}
# Label in the table, function of a phase, factor, format.
ROWS: list[tuple[str, Callable[[LoadPhase], float | None], float, str]] = [
    ("audio-stop to text, median", lambda phase: phase.wait(50), 1, "{:.3f} s"),
    ("audio-stop to text, p90", lambda phase: phase.wait(90), 1, "{:.3f} s"),
    ("audio-stop to text, p95", lambda phase: phase.wait(95), 1, "{:.3f} s"),
    ("audio-stop to text, longest", lambda phase: phase.wait(100), 1, "{:.3f} s"),
    ("utterances per second", lambda phase: _rate(phase), 1, "{:.2f}"),
    ("CPU time per utterance", lambda phase: phase.cpu / phase.utterances, 1, "{:.2f} s"),
    ("peak memory", lambda phase: phase.memory, 2**-20, "{:.0f} MiB"),
    ("describe, median", lambda phase: phase.describe(50), 1, "{:.3f} s"),
    ("describe, longest", lambda phase: phase.describe(100), 1, "{:.3f} s"),
    ("describes without an answer", lambda phase: phase.describes.count(None), 1, "{:.0f}"),
    ("utterances without an answer", lambda phase: phase.lost, 1, "{:.0f}"),
    ("utterances", lambda phase: phase.utterances, 1, "{:.0f}"),
]


def main() -> None:
    arguments = parse_arguments()
    clips = given_clips(arguments)
    options = servers(arguments)
    with busy_cores(arguments.busy_cores):
        loaded = asyncio.run(run(options, clips, arguments))
    print(
        f"{headline(arguments, options)}; {arguments.microphones} microphones,"
        f" {arguments.rounds} utterances each"
    )
    print(table(loaded))
    if goals := targets(loaded):
        print(f"\n{goals}")
    if arguments.json:
        write_json(
            arguments.json,
            {
                "model": arguments.model,
                "microphones": arguments.microphones,
                "rounds": arguments.rounds,
                "long": arguments.long,
                "busy_cores": arguments.busy_cores,
                "servers": {name: asdict(each) for name, each in loaded.items()},
            },
        )


def parse_arguments() -> argparse.Namespace:
    flags = parser("load", __doc__)
    add(flags, *SERVERS, "--limit", "--busy-cores", "--json")
    add(flags, "--recordings", help=RECORDINGS)
    flags.add_argument("--microphones", type=int, default=8, metavar="N")
    flags.add_argument("--rounds", type=int, default=5, help="utterances of each microphone")
    flags.add_argument(
        "--long", type=float, default=120.0, metavar="SECONDS", help="length of the long file"
    )
    return flags.parse_args()


async def run(
    options: Mapping[str, Options], clips: Sequence[Clip], arguments: argparse.Namespace
) -> dict[str, Loaded]:
    loaded = {}
    for name, each in options.items():
        python = PYTHONS[name]()
        try:
            # A fresh process for each, because peak memory is measured per process.
            async with Server(python, each) as server:
                await server.wait_until_idle()
                await say(server, clips[0])  # waits for the model
                progress(f"{name}: one microphone")
                rounds = arguments.rounds
                one = await speak(server, clips, microphones=1, rounds=rounds, paced=True)
            async with Server(python, each) as server:
                await server.wait_until_idle()
                await say(server, clips[0])
                loaded[name] = await load_one(server, name, one, clips, arguments)
        except ServerDied as death:
            warn(f"{name}: {death}")
    progress("")
    return loaded


async def load_one(
    server: Server,
    name: str,
    one: LoadPhase,
    clips: Sequence[Clip],
    arguments: argparse.Namespace,
) -> Loaded:
    count, rounds = arguments.microphones, arguments.rounds
    progress(f"{name}: {count} microphones in real time")
    many = await speak(server, clips, microphones=count, rounds=rounds, paced=True)
    progress(f"{name}: {count} microphones in bursts")
    burst = await speak(server, clips, microphones=count, rounds=rounds, paced=False)
    progress(f"{name}: orders beside a file of {arguments.long:g} s")
    short, long = await beside_a_file(server, clips, arguments.long)
    return Loaded(one, many, burst, short, long)


async def speak(
    server: Server, clips: Sequence[Clip], *, microphones: int, rounds: int, paced: bool
) -> LoadPhase:
    """Let microphones speak at the same time, independently of each other."""

    async def microphone(number: int) -> list[float | None]:
        if paced and microphones > 1:
            await asyncio.sleep(random.Random(number).uniform(0, APART))
        return [
            await say(server, clips[(number + turn * microphones) % len(clips)], paced=paced)
            for turn in range(rounds)
        ]

    async def all_of_them() -> list[float | None]:
        heard = await asyncio.gather(*(microphone(number) for number in range(microphones)))
        return [wait for waits in heard for wait in waits]

    return await measured(server, all_of_them())


async def beside_a_file(
    server: Server, clips: Sequence[Clip], seconds: float
) -> tuple[LoadPhase, float | None]:
    """Send a long file at once, and the shortest clip repeatedly until the file is answered.

    Returns:
        The measurements of the clip, and the seconds until the file was answered (None = no
        answer).
    """
    shortest = min(clips, key=lambda clip: clip.seconds)
    parts = cycle(clip.audio + room(clip, 0.5) for clip in clips)
    file = b""
    while len(file) < seconds * SAMPLE_RATE * WIDTH:
        file += next(parts)
    took: float | None = None

    async def long() -> None:
        nonlocal took
        began = time.perf_counter()
        try:
            await play(server.port, file, timeout=TIMEOUT)
            took = time.perf_counter() - began
        except NoAnswer as reason:
            _ = server.pid  # raises ServerDied if the server has died
            warn(f"the long file: {reason}")

    async def orders() -> list[float | None]:
        file_task = asyncio.create_task(long())
        waits = []
        while not file_task.done():
            waits.append(await say(server, shortest))
            await asyncio.wait([file_task], timeout=0.5)
        await file_task
        return waits

    return await measured(server, orders()), took


async def measured(server: Server, speaking: Awaitable[list[float | None]]) -> LoadPhase:
    """Measure the waits and the server's resources, while sending describe requests."""
    describes: list[float | None] = []
    asking = asyncio.create_task(ask(server, describes))
    cpu, began = server.cpu_seconds(), time.perf_counter()
    try:
        waits = await speaking
    finally:
        asking.cancel()
        with suppress(asyncio.CancelledError):
            await asking
    return LoadPhase(
        waits=[wait for wait in waits if wait is not None],
        lost=sum(wait is None for wait in waits),
        seconds=time.perf_counter() - began,
        cpu=server.cpu_seconds() - cpu,
        memory=server.peak_memory(),
        describes=describes,
    )


async def ask(server: Server, took: list[float | None]) -> None:
    """Send describe repeatedly, each on a new connection as Home Assistant does."""
    while True:
        began = time.perf_counter()
        try:
            async with asyncio.timeout(60), AsyncTcpClient("127.0.0.1", server.port) as client:
                await client.write_event(Describe().event())
                event = await client.read_event()
            known = event is not None and Info.is_type(event.type)
        except OSError:  # includes TimeoutError
            known = False
        took.append(time.perf_counter() - began if known else None)
        await asyncio.sleep(ASK)


async def say(server: Server, clip: Clip, *, paced: bool = False) -> float | None:
    """Play a clip; return the seconds from audio-stop to the text, or None without an answer."""
    silence = room(clip, TRAILING)
    try:
        answer = await play(
            server.port, clip.audio, silence=silence, paced=paced, timeout=TIMEOUT
        )
    except NoAnswer as reason:
        _ = server.pid  # raises ServerDied if the server has died
        warn(f"{clip.name}: {reason}")
        return None
    return answer.after_stop or 0.0


def table(loaded: Mapping[str, Loaded]) -> str:
    """Format a block per phase, with a row per figure and a column per server."""
    rows: list[tuple[str, Row | None]] = []
    for name, phase in PHASES.items():
        rows.append((name, None))
        for title, value, factor, form in ROWS:
            rows.append(
                (f"  {title}", ([value(phase(each)) for each in loaded.values()], factor, form))
            )
    rows.append(("  the long file", ([each.long for each in loaded.values()], 1, "{:.1f} s")))
    grown = [each.many.memory / each.one.memory for each in loaded.values()]
    rows.append(("peak memory in real time, relative to one microphone", (grown, 1, "{:.2f}")))
    return beside(list(loaded), rows)


def targets(loaded: Mapping[str, Loaded]) -> str:
    """Format the targets of this server, set for eight microphones and an idle machine."""
    if (ours := loaded.get("this server")) is None:
        return ""
    wanted = [
        Target("real time: audio-stop to text, p90", ours.many.wait(90), 0.6, "{:.3f} s"),
        Target("real time: describe, longest", ours.many.describe(100), 0.1, "{:.3f} s"),
        Target(
            "peak memory, relative to one microphone",
            ours.many.memory / ours.one.memory,
            1.15,
            "{:.2f}",
        ),
    ]
    if theirs := loaded.get("reference"):
        this, that = ours.many.wait(90), theirs.many.wait(90)
        part = this / that if this is not None and that else None
        times = _rate(ours.burst) / _rate(theirs.burst) if theirs.burst.waits else None
        wanted += [
            Target("real time: p90, relative to the reference", part, 0.1, "{:.2f}"),
            Target(
                "bursts: throughput, relative to the reference", times, 5.0, "{:.1f}", least=True
            ),
        ]
    lost = sum(phase(ours).lost for phase in PHASES.values())
    wanted.append(Target("utterances without an answer", lost, 0, "{:.0f}"))
    return against(wanted)


def _rate(phase: LoadPhase) -> float:
    return len(phase.waits) / phase.seconds


if __name__ == "__main__":
    main()
