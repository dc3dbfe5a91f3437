"""MQTT: satellites beside Wyoming clients, through a real broker, over TCP and over WebSockets.

Every site speaks clips in real time, as an ESP32 does (frames of 256 samples, QoS 0), with
pauses between its utterances. Wyoming clients speak the same clips at the same pace. One server
process serves all of them, one transport and one number of sites at a time, in another order in
every round. Then a quiet site speaks alone and beside a site that floods, in turn. Prints tables;
progress goes to stderr.
"""

import argparse
import asyncio
import json
import random
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import aiomqtt

from tests.support.broker import Broker, mosquitto, plain_broker
from wyoming_faster_whisper.audio.pcm import PcmFormat, write_wav
from wyoming_faster_whisper.transports.mqtt.flood import MUTED_SECONDS

from .speech.pauses import room
from .support.arguments import (
    RECORDINGS,
    THIS_SERVER,
    add,
    given_clips,
    headline,
    numbers,
    parser,
    this_server,
)
from .support.clips import SAMPLE_RATE, WIDTH, Clip
from .support.playback import NoAnswer, play
from .support.report import Target, against, align, percentile, progress, warn, write_json
from .support.servers import ROOT, Options, Server, this_python

TRAILING = 0.7  # seconds of silence after the speech, as Home Assistant's VAD waits
FRAME = 256 * WIDTH  # bytes of PCM in a frame
MOST_LATER = 0.015  # seconds that a text may come later than over Wyoming
MOST_BESIDE_A_FLOOD = 1.5  # times as long
TRANSPORTS = ("Wyoming", "MQTT over TCP", "MQTT over WebSocket")
PCM = PcmFormat()

Speak = Callable[[int, Clip], Awaitable[float | None]]
"""Lets a site speak a clip; returns the seconds from the stop to the text."""


@dataclass(slots=True)
class Spoken:
    """Measurements of one transport with one number of sites."""

    waits: list[float] = field(default_factory=list)  # seconds from the stop to the text
    lost: int = 0  # utterances without a text
    cpu: float = 0.0  # CPU seconds of the server
    heard: float = 0.0  # seconds of audio that were sent

    def wait(self, percent: int) -> float:
        return percentile(self.waits, percent) or 0.0


@dataclass(slots=True)
class Measured:
    spoken: dict[tuple[str, int], Spoken] = field(default_factory=dict)  # by transport and sites
    flood: tuple[Spoken, Spoken] | None = None  # a quiet site alone, and beside a flood


def main() -> None:
    arguments = parse_arguments()
    if mosquitto() is None:
        sys.exit("mosquitto is not installed; script/broker unpacks it")
    clips = given_clips(arguments)
    ours = this_server(arguments)
    counts = [int(number) for number in arguments.sites]
    with tempfile.TemporaryDirectory() as folder, plain_broker(Path(folder)) as broker:
        measured = asyncio.run(run(broker, ours, clips, counts, arguments))
    progress("")
    print(f"{headline(arguments)}; {arguments.seconds:g} s each, {arguments.rounds} rounds")
    print(table(measured))
    print(f"\n{targets(measured)}")
    if arguments.json:
        write_json(
            arguments.json,
            {
                "spoken": {
                    f"{name}, {count}": asdict(each)
                    for (name, count), each in measured.spoken.items()
                },
                "flood": [asdict(each) for each in measured.flood or ()],
            },
        )


def parse_arguments() -> argparse.Namespace:
    flags = parser("mqtt", __doc__)
    add(flags, *THIS_SERVER, "--limit", "--json")
    add(flags, "--recordings", help=RECORDINGS)
    flags.add_argument(
        "--sites", type=numbers, default=(1, 8, 32), help="numbers of sites (default: 1,8,32)"
    )
    flags.add_argument("--seconds", type=float, default=12.0, help="length of a measurement")
    flags.add_argument("--rounds", type=int, default=2, help="measurements of each kind")
    flags.add_argument(
        "--part",
        choices=["sites", "flood"],
        help="measure only the numbers of sites, or only the flood",
    )
    return flags.parse_args()


async def run(
    broker: Broker,
    options: Options,
    clips: Sequence[Clip],
    counts: Sequence[int],
    arguments: argparse.Namespace,
) -> Measured:
    served = replace(options, extra=(f"--mqtt-url={broker.url('tcp')}", *options.extra))
    async with Server(this_python(), served) as server, AsyncExitStack() as stack:
        await play(server.port, clips[0].audio)  # waits for the model
        await server.wait_until_idle()
        speaking = {
            "Wyoming": wyoming(server),
            "MQTT over TCP": await stack.enter_async_context(sites(broker, "tcp", max(counts))),
            "MQTT over WebSocket": await stack.enter_async_context(
                sites(broker, "ws", max(counts))
            ),
        }
        measured = Measured()
        if arguments.part != "flood":
            await every_number(server, speaking, clips, counts, arguments, measured.spoken)
        if arguments.part != "sites":
            measured.flood = await beside_a_flood(
                server, broker, speaking["MQTT over TCP"], clips, arguments
            )
    return measured


async def every_number(
    server: Server,
    speaking: dict[str, Speak],
    clips: Sequence[Clip],
    counts: Sequence[int],
    arguments: argparse.Namespace,
    spoken: dict[tuple[str, int], Spoken],
) -> None:
    """Measure each number of sites over each transport."""
    spoken |= {(name, count): Spoken() for count in counts for name in TRANSPORTS}
    chance = random.Random(0)
    for number in range(arguments.rounds):
        for count in counts:
            for name in chance.sample(TRANSPORTS, len(TRANSPORTS)):
                progress(f"round {number}: {name}, {count} sites")
                into = spoken[name, count]
                await measure(server, speaking[name], clips, count, arguments.seconds, into)


async def measure(
    server: Server,
    speak: Speak,
    clips: Sequence[Clip],
    count: int,
    seconds: float,
    into: Spoken,
) -> None:
    """Let some sites speak for some time: many of them longer and each less often.

    So there is less than one utterance a second, and the model keeps up even where other programs
    run beside it. What is compared is the way to the model, not the queue before it.
    """
    seconds = max(seconds, 1.5 * count)
    cpu = server.cpu_seconds()
    end = time.perf_counter() + seconds

    async def site(number: int) -> None:
        chance = random.Random(number)
        if count > 1:
            await asyncio.sleep(chance.uniform(0, seconds - 1))
        turn = number
        while time.perf_counter() < end:
            clip = clips[turn % len(clips)]
            wait = await speak(number, clip)
            into.heard += clip.seconds + TRAILING
            if wait is None:
                into.lost += 1
            else:
                into.waits.append(wait)
            turn += count
            await asyncio.sleep(0.2 if count == 1 else chance.uniform(0, 2 * count))

    await asyncio.gather(*map(site, range(count)))
    into.cpu += server.cpu_seconds() - cpu


def wyoming(server: Server) -> Speak:
    async def speak(number: int, clip: Clip) -> float | None:
        try:
            answer = await play(server.port, clip.audio, silence=room(clip, TRAILING), paced=True)
        except NoAnswer as reason:
            warn(f"Wyoming: {reason}")
            return None
        return answer.after_stop or 0.0

    return speak


@asynccontextmanager
async def sites(broker: Broker, kind: str, count: int) -> AsyncIterator[Speak]:
    """Connect satellites, each with a connection of its own."""
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(client(broker.ports[kind], websocket=kind == "ws"))
            for _ in range(count)
        ]
        if kind == "ws":
            for each in clients:
                no_delay(each)
        texts = [Texts(each) for each in clients]
        for number, each in enumerate(clients):
            await each.subscribe(f"wyoming-faster-whisper/{kind}{number}/textCaptured", qos=1)
        reading = [asyncio.create_task(each.read()) for each in texts]

        async def speak(number: int, clip: Clip) -> float | None:
            return await say(clients[number], f"{kind}{number}", clip, texts[number])

        yield speak
        for task in reading:
            task.cancel()
        await asyncio.gather(*reading, return_exceptions=True)


def client(port: int, *, websocket: bool) -> aiomqtt.Client:
    return aiomqtt.Client(
        "127.0.0.1",
        port,
        transport="websockets" if websocket else "tcp",
        websocket_path="/mqtt" if websocket else None,
        # As asyncio's streams, and so the Wyoming clients, do. WebSockets: see no_delay().
        socket_options=() if websocket else ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1),),
    )


def no_delay(connected: aiomqtt.Client) -> None:
    """Send small packets at once over a WebSocket; aiomqtt sets options of plain sockets only."""
    wrapper: Any = connected._client.socket()
    wrapper._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Texts:
    """The texts that a satellite receives, with the times at which they came."""

    def __init__(self, connected: aiomqtt.Client) -> None:
        self._client = connected
        self.arrived: asyncio.Queue[tuple[float, Any]] = asyncio.Queue()

    async def read(self) -> None:
        async for message in self._client.messages:
            assert isinstance(message.payload, bytes)
            self.arrived.put_nowait((time.perf_counter(), json.loads(message.payload)))


async def say(satellite: aiomqtt.Client, site: str, clip: Clip, texts: Texts) -> float | None:
    """Speak a clip in real time; return the seconds from stopListening to textCaptured."""
    topic = f"wyoming-faster-whisper/{site}"
    start = {"siteId": site, "stopOnSilence": False, "lang": "en"}
    await satellite.publish(f"{topic}/startListening", json.dumps(start), qos=1)
    due = time.perf_counter()
    audio = clip.audio + room(clip, TRAILING)
    for at in range(0, len(audio), FRAME):
        piece = audio[at : at + FRAME]
        due += len(piece) / WIDTH / SAMPLE_RATE
        await asyncio.sleep(due - time.perf_counter())
        await satellite.publish(f"{topic}/audioFrame", write_wav(PCM, piece))
    stopped = time.perf_counter()
    await satellite.publish(f"{topic}/stopListening", json.dumps({"siteId": site}))
    try:
        async with asyncio.timeout(60):
            arrived, _ = await texts.arrived.get()
    except TimeoutError:
        warn(f"{site}: no text within 60 s")
        return None
    return arrived - stopped


async def beside_a_flood(
    server: Server,
    broker: Broker,
    speak: Speak,
    clips: Sequence[Clip],
    arguments: argparse.Namespace,
) -> tuple[Spoken, Spoken]:
    """Measure a quiet site, alone and beside one that floods, in turn."""
    quiet, beside = Spoken(), Spoken()
    for number in range(arguments.rounds):
        progress(f"round {number}: a quiet site")
        await measure(server, speak, clips, 1, 2 * arguments.seconds, quiet)
        progress(f"round {number}: a quiet site beside one that floods")
        async with flood(broker.ports["tcp"]):
            await measure(server, speak, clips, 1, 2 * arguments.seconds, beside)
        if server.log().count("sends too much audio") <= number:
            sys.exit("the server has not noticed the flood")
        await asyncio.sleep(MUTED_SECONDS)  # else the next flood is not heard at first
    return quiet, beside


@asynccontextmanager
async def flood(port: int) -> AsyncIterator[None]:
    """Run a satellite that floods, in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "bench.support.mqtt_flood", str(port), cwd=ROOT
    )
    try:
        yield
        if process.returncode is not None:
            sys.exit(f"the flooding satellite ended with status {process.returncode}")
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


def table(measured: Measured) -> str:
    rows: list[Sequence[str]] = [
        ("", "utterances", "lost", "median", "p95", "CPU per second of audio")
    ]
    for count in sorted({count for _, count in measured.spoken}):
        rows.append((f"{count} site{'s' if count > 1 else ''}",))
        rows += [row(f"  {name}", measured.spoken[name, count]) for name in TRANSPORTS]
    if measured.flood:
        rows.append(("a quiet site",))
        rows += map(row, ("  alone", "  beside a flood"), measured.flood)
    return align(rows)


def row(title: str, spoken: Spoken) -> Sequence[str]:
    return (
        title,
        str(len(spoken.waits)),
        str(spoken.lost),
        f"{1000 * spoken.wait(50):.0f} ms",
        f"{1000 * spoken.wait(95):.0f} ms",
        f"{1000 * spoken.cpu / spoken.heard:.0f} ms",
    )


def targets(measured: Measured) -> str:
    spoken = measured.spoken
    wanted = [
        Target(
            f"{name}, {count} sites: later than over Wyoming",
            each.wait(50) - spoken["Wyoming", count].wait(50),
            MOST_LATER,
            "{:.3f} s",
        )
        for (name, count), each in spoken.items()
        if name != "Wyoming"
    ]
    if measured.flood:
        quiet, beside = (each.wait(95) for each in measured.flood)
        title = (
            f"p95 of a quiet site beside a flood ({1000 * beside:.0f} ms), relative to alone "
            f"({1000 * quiet:.0f} ms)"
        )
        wanted.append(Target(title, beside / quiet, MOST_BESIDE_A_FLOOD, "{:.2f}"))
    lost = sum(each.lost for each in (*spoken.values(), *(measured.flood or ())))
    wanted.append(Target("utterances without a text", lost, 0, "{:.0f}"))
    return against(wanted)


if __name__ == "__main__":
    main()
