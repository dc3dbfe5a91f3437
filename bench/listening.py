"""Listening: CPU time that this server takes to listen to one microphone, and the wait it adds.

Audio is sent in real time in chunks of 10 ms, as Home Assistant sends it. One server process per
checkout runs all the time, and every stream is played to each of them in turn, so other load on
the machine affects all of them. Prints a table; progress goes to stderr.

CPU time is measured up to audio-stop on servers that make no guesses, so nothing is decoded in
that time. The wait is measured on servers with default settings, whose guess is the answer.
"""

import argparse
import asyncio
import contextlib
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from .speech.pauses import room
from .speech.streams import dictation
from .support.arguments import RECORDINGS, add, given_clips, parser
from .support.clips import Clip
from .support.models import model_directory
from .support.playback import NoAnswer, play
from .support.report import Row, beside, percentile, progress, warn, write_json
from .support.servers import Options, Server, this_python

ORDERS = 4  # orders per round
SECONDS = 10  # length of the dictation and of the silence
TRAILING = 0.7  # seconds of silence after an order, as Home Assistant's VAD waits
# No guesses, and no final decode for an early answer.
LISTENING_ONLY = ("--guess-after=0", "--early-answer=0")

Sound = tuple[bytes, bytes]  # PCM up to the last spoken sample, PCM from there to audio-stop


@dataclass(frozen=True, slots=True)
class Listened:
    """Measurements of one stream, played to one server."""

    setting: str
    kind: str  # of stream
    seconds: float  # of audio
    cpu: float  # CPU seconds of the server's processes, up to audio-stop
    wait: float | None  # seconds from audio-stop to the text; None = no answer


def main() -> None:
    arguments = parse_arguments()
    clips = given_clips(arguments)
    settings = chosen(arguments)
    listened, answered = asyncio.run(run(settings, clips, arguments.rounds))
    print(f"{arguments.model} int8, {arguments.rounds} rounds; milliseconds")
    print(table(list(settings), listened, answered))
    if arguments.json:
        report = {"listened": listened, "answered": answered}
        write_json(
            arguments.json,
            {name: [asdict(each) for each in streams] for name, streams in report.items()},
        )


def parse_arguments() -> argparse.Namespace:
    flags = parser("listening", __doc__)
    add(flags, "--model", "--flag", "--json", "--tree")
    add(flags, "--recordings", help=RECORDINGS)
    flags.add_argument("--rounds", type=int, default=3, help="default: %(default)s")
    return flags.parse_args()


def chosen(arguments: argparse.Namespace) -> dict[str, Options]:
    """Return the options of a server for each checkout, by its folder's name."""
    usual = Options(model_directory(arguments.model), beam_size=0, extra=tuple(arguments.flag))
    trees: dict[str, Path | None] = {tree.resolve().name: tree for tree in arguments.tree}
    trees = trees or {"this tree": None}
    return {name: replace(usual, tree=tree) for name, tree in trees.items()}


async def run(
    settings: Mapping[str, Options], clips: Sequence[Clip], rounds: int
) -> tuple[list[Listened], list[Listened]]:
    """Return the streams measured for CPU time, and those measured for the wait."""
    only_listening = {
        name: replace(each, extra=(*each.extra, *LISTENING_ONLY))
        for name, each in settings.items()
    }
    orders = [(clip.audio, room(clip, TRAILING)) for clip in clips]
    streams: list[tuple[str, Sound]] = []
    for number in range(rounds):
        several = [orders[(number * ORDERS + at) % len(orders)] for at in range(ORDERS)]
        streams += [("orders", order) for order in several]
        streams.append(("dictation", (dictation(clips, SECONDS, seed=number).audio, b"")))
        streams.append(("silence", (b"", room(clips[number % len(clips)], SECONDS))))
    listened = await play_all(only_listening, streams, clips[0])
    answers = [stream for stream in streams if stream[0] == "orders"]
    return listened, await play_all(settings, answers, clips[0])


async def play_all(
    settings: Mapping[str, Options], streams: Sequence[tuple[str, Sound]], warm: Clip
) -> list[Listened]:
    """Play every stream to the server of each setting in turn."""
    found = []
    async with contextlib.AsyncExitStack() as stack:
        servers = {}
        for name, options in settings.items():
            server = await stack.enter_async_context(Server(this_python(), options))
            # The first answer waits for the model.
            await play(server.port, warm.audio, silence=room(warm, TRAILING))
            servers[name] = server
        for server in servers.values():
            await server.wait_until_idle()
        names = list(servers)
        for number, (kind, sound) in enumerate(streams):
            progress(f"{number + 1}/{len(streams)}, {kind}")
            at = number % len(names)  # rotates: the first server of a round finds cold caches
            found += [
                await play_one(name, servers[name], kind, sound)
                for name in names[at:] + names[:at]
            ]
        progress("")
    return found


async def play_one(setting: str, server: Server, kind: str, sound: Sound) -> Listened:
    audio, silence = sound
    began = server.cpu_seconds()
    ended = began

    def stop() -> None:
        nonlocal ended
        ended = server.cpu_seconds()

    wait = None
    try:
        answer = await play(server.port, audio, silence=silence, paced=True, before_stop=stop)
        wait = answer.after_stop
    except NoAnswer as reason:
        _ = server.pid  # raises ServerDied if the server has died
        warn(f"{setting}: {kind}: {reason}")
    await server.wait_until_idle()
    seconds = (len(audio) + len(silence)) / 32_000
    return Listened(setting, kind, seconds, ended - began, wait)


def table(
    names: Sequence[str], listened: Sequence[Listened], answered: Sequence[Listened]
) -> str:
    """Format the CPU time by kind of stream, and the waits, with a column per setting."""
    rows: list[tuple[str, Row | None]] = [("CPU time per second of audio", None)]
    for kind in dict.fromkeys(each.kind for each in listened):
        of_kind = [each for each in listened if each.kind == kind]
        rows.append((f"  {kind}", ([cpu(of_kind, name) for name in names], 1000, "{:.1f}")))
    rows.append(("  all", ([cpu(listened, name) for name in names], 1000, "{:.1f}")))
    rows.append(("audio-stop to text", None))
    waits = {
        name: [each.wait for each in answered if each.setting == name and each.wait is not None]
        for name in names
    }
    means = [statistics.fmean(waits[name]) if waits[name] else None for name in names]
    rows.append(("  mean", (means, 1000, "{:.1f}")))
    for percent in (50, 90):
        values = [percentile(waits[name], percent) for name in names]
        rows.append((f"  {percent}th percentile", (values, 1000, "{:.1f}")))
    return beside(names, rows)


def cpu(listened: Sequence[Listened], setting: str) -> float:
    """Return the CPU seconds per second of audio."""
    own = [each for each in listened if each.setting == setting]
    return sum(each.cpu for each in own) / sum(each.seconds for each in own)


if __name__ == "__main__":
    main()
