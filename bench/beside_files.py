"""Commands beside long files: how much longer does a speaker wait while others send files?

One client sends commands, alone and then while other clients, each with its own address, send
long files one after the other, as fast as the server reads them. Only this server is measured.
--over http sends the files to the HTTP API. Prints a table; progress goes to stderr.
"""

import argparse
import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace

from .load import say
from .speech.pauses import room
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
from .support.competition import SENDERS, SendFile, busy_cores, long_files
from .support.report import Target, against, align, percentile, progress, write_json
from .support.servers import Options, Server, free_port, this_python

SETTLE = 5.0  # seconds from the first file to the first command beside it
MOST = 1.5  # target for the p95 beside files, relative to the p95 alone


@dataclass(frozen=True, slots=True)
class BesideFiles:
    """Seconds from audio-stop to the text of each command, and the throughput of files."""

    at_once_alone: list[float]
    at_once: list[float]
    paced_alone: list[float]
    paced: list[float]
    lost: int  # commands without an answer
    throughput: float  # seconds of audio transcribed per second, with files only


def main() -> None:
    arguments = parse_arguments()
    clips = given_clips(arguments)
    ours = this_server(arguments)
    with busy_cores(arguments.busy_cores):
        measured = asyncio.run(run(ours, clips, arguments))
    print(
        f"{headline(arguments)}; {arguments.commands} commands,"
        f" {arguments.files} clients with files of {arguments.seconds:g} s"
    )
    print(table(measured))
    print(f"\n{targets(measured)}")
    if arguments.json:
        write_json(arguments.json, {"model": arguments.model, **asdict(measured)})


def parse_arguments() -> argparse.Namespace:
    flags = parser("beside_files", __doc__)
    add(flags, *THIS_SERVER, "--limit", "--busy-cores", "--json")
    add(flags, "--recordings", help=RECORDINGS)
    flags.add_argument(
        "--commands", type=int, default=60, metavar="N", help="commands in each phase"
    )
    flags.add_argument(
        "--files", type=int, default=4, metavar="N", help="clients that send long files"
    )
    flags.add_argument(
        "--over", choices=list(SENDERS), default="wyoming", help="how the files are sent"
    )
    flags.add_argument(
        "--seconds", type=float, default=3600.0, help="length of each file (default: an hour)"
    )
    flags.add_argument(
        "--short-seconds",
        type=float,
        default=120.0,
        metavar="SECONDS",
        help="length of each file when the throughput is measured",
    )
    return flags.parse_args()


async def run(
    options: Options, clips: Sequence[Clip], arguments: argparse.Namespace
) -> BesideFiles:
    longest = f"--max-audio-seconds={arguments.seconds + 60:g}"
    memory = f"--max-audio-memory={100 + round(arguments.files * arguments.seconds * 0.04)}"
    http = free_port()
    over_http = (
        f"--http-port={http}",
        f"--max-upload={10 + round(arguments.seconds * 0.04)}",
        f"--max-file-seconds={arguments.seconds + 60:g}",
    )
    options = replace(options, extra=(longest, memory, *over_http, *options.extra))
    send = SENDERS[arguments.over]

    def files_port(server: Server) -> int:
        return http if arguments.over == "http" else server.port

    file = b"".join(clip.audio + room(clip, 0.5) for clip in clips)

    async def commands(
        server: Server, phase: str, which: range, *, paced: bool
    ) -> list[float | None]:
        progress(f"commands {phase}, {'in real time' if paced else 'at once'}")
        return [await say(server, clips[n % len(clips)], paced=paced) for n in which]

    everything = range(arguments.commands)
    # Half of the commands alone are sent before the files and half after them, because the load
    # by other programs changes.
    half = len(everything) // 2
    async with Server(this_python(), options) as server:
        await server.wait_until_idle()
        await say(server, clips[0])  # waits for the model
        at_once_alone = await commands(server, "alone", everything[:half], paced=False)
        paced_alone = await commands(server, "alone", everything[:half], paced=True)
        with long_files(send, files_port(server), file, arguments.seconds, arguments.files):
            await asyncio.sleep(SETTLE)
            at_once = await commands(server, "beside files", everything, paced=False)
            paced = await commands(server, "beside files", everything, paced=True)
    # A fresh server: the first may still decode the file of a client that has disconnected.
    async with Server(this_python(), options) as server:
        await server.wait_until_idle()
        await say(server, clips[0])
        at_once_alone += await commands(server, "alone", everything[half:], paced=False)
        paced_alone += await commands(server, "alone", everything[half:], paced=True)
        progress("files alone")
        throughput = await files_alone(
            send, files_port(server), file, arguments.short_seconds, arguments.files
        )
        progress("")
    phases = [at_once_alone, at_once, paced_alone, paced]
    waits = [[wait for wait in phase if wait is not None] for phase in phases]
    lost = sum(phase.count(None) for phase in phases)
    return BesideFiles(waits[0], waits[1], waits[2], waits[3], lost, throughput)


async def files_alone(
    send: SendFile, port: int, audio: bytes, seconds: float, count: int
) -> float:
    """Send some files at the same time; return the seconds of audio transcribed per second."""
    began = time.perf_counter()
    await asyncio.gather(
        *(send(port, f"127.0.0.{2 + number}", audio, seconds) for number in range(count))
    )
    return count * seconds / (time.perf_counter() - began)


FIGURES: list[tuple[str, Callable[[list[float]], float | None]]] = [
    ("median", lambda waits: percentile(waits, 50)),
    ("p90", lambda waits: percentile(waits, 90)),
    ("p95", lambda waits: percentile(waits, 95)),
    ("longest", lambda waits: percentile(waits, 100)),
]


def table(measured: BesideFiles) -> str:
    rows = [["audio-stop to text", "alone", "beside files", "ratio"]]
    for name, alone, beside in (
        ("all at once", measured.at_once_alone, measured.at_once),
        ("in real time", measured.paced_alone, measured.paced),
    ):
        for title, figure in FIGURES:
            before, after = figure(alone), figure(beside)
            shown = [f"{each:.3f} s" if each is not None else "-" for each in (before, after)]
            ratio = f"{after / before:.2f}" if before and after else "-"
            rows.append([f"{name}, {title}", *shown, ratio])
    rows.append(["commands without an answer", "", str(measured.lost), ""])
    rows.append(
        ["audio seconds of files per second, files only", "", f"{measured.throughput:.1f}"]
    )
    return align([[*row, *[""] * (4 - len(row))] for row in rows])


def targets(measured: BesideFiles) -> str:
    wanted = []
    for name, alone, beside in (
        ("all at once", measured.at_once_alone, measured.at_once),
        ("in real time", measured.paced_alone, measured.paced),
    ):
        before, after = percentile(alone, 95), percentile(beside, 95)
        part = after / before if before and after else None
        wanted.append(
            Target(f"{name}: p95 beside files, relative to alone", part, MOST, "{:.2f}")
        )
    wanted.append(Target("commands without an answer", measured.lost, 0, "{:.0f}"))
    return against(wanted)


if __name__ == "__main__":
    main()
