"""Soak test: lost utterances, latency and memory growth while hostile clients attack.

Runs this server only. Honest clients send the clips one after the other, each at once. One
hostile client connects with each utterance, and many idle connections stay open all the time.
Prints a table; progress goes to stderr.
"""

import argparse
import asyncio
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from .support.arguments import (
    RECORDINGS,
    THIS_SERVER,
    add,
    given_clips,
    headline,
    parser,
    this_server,
)
from .support.attacks import ATTACKS, IdleCrowd, attack, names
from .support.clips import Clip
from .support.playback import NoAnswer, play
from .support.report import percentile, progress, warn, write_json
from .support.servers import Options, Server, this_python

TRAILING = 0.3  # seconds of silence after the speech, sent at once like the rest
EARLY = 0.1  # share of the utterances after which the memory is measured for the first time
MOST_ATTACKS = 32  # attacks at the same time


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of an honest utterance."""

    clip: str
    seconds: float | None  # from audio-stop to the text; None = no answer
    text: str = ""
    why: str = ""  # reason for no answer


@dataclass(frozen=True, slots=True)
class Soaked:
    """The results of a run."""

    alone: list[Outcome]  # each clip once, before the attacks
    beside: list[Outcome]
    attacks: int
    idle_closed: int  # idle connections that the server closed
    memory: list[int]  # in bytes: before, after a tenth of the utterances, at the end
    peak: int  # bytes
    seconds: float


def main() -> None:
    arguments = parse_arguments()
    clips = given_clips(arguments)
    options = this_server(arguments)
    soaked = asyncio.run(soak(options, clips, arguments))
    print(
        f"{headline(arguments)}; {arguments.clients} honest clients,"
        f" {arguments.idle} idle; {names(ATTACKS)}"
    )
    print(describe(soaked))
    if arguments.json:
        write_json(arguments.json, report(arguments, soaked))
    if lost(soaked.beside):
        sys.exit(1)


def parse_arguments() -> argparse.Namespace:
    flags = parser("soak", __doc__)
    add(flags, *THIS_SERVER, "--limit", "--json")
    add(flags, "--recordings", help=RECORDINGS)
    flags.add_argument(
        "--utterances", type=int, default=2000, help="utterances of honest clients"
    )
    flags.add_argument("--clients", type=int, default=2, help="honest clients at the same time")
    flags.add_argument("--idle", type=int, default=500, help="idle connections")
    return flags.parse_args()


async def soak(options: Options, clips: Sequence[Clip], arguments: argparse.Namespace) -> Soaked:
    total: int = arguments.utterances
    async with Server(this_python(), options) as server:
        await say(server, clips[0])  # waits for the model
        alone = [await say(server, clip) for clip in clips]
        memory = [server.memory()]
        beside: list[Outcome] = []
        attacks: set[asyncio.Task[None]] = set()
        begun = attacked = 0
        began = time.monotonic()

        async def honest() -> None:
            nonlocal begun, attacked
            while begun < total:
                number = begun
                begun += 1
                if len(attacks) < MOST_ATTACKS:
                    chance = random.Random(number)
                    which = ATTACKS[attacked % len(ATTACKS)]
                    attacked += 1
                    spoken = clips[number % len(clips)].audio
                    task = asyncio.create_task(attack(which, server.port, spoken, chance))
                    attacks.add(task)
                    task.add_done_callback(attacks.discard)
                beside.append(await say(server, clips[number % len(clips)]))
                if len(beside) == max(1, round(EARLY * total)):
                    memory.append(server.memory())
                progress(f"{len(beside)}/{total} utterances, lost: {lost(beside)}")

        async with IdleCrowd(server.port, arguments.idle) as crowd:
            async with asyncio.TaskGroup() as clients:
                for _ in range(arguments.clients):
                    clients.create_task(honest())
            seconds = time.monotonic() - began
            if attacks:
                progress("waiting for the last hostile clients")
                await asyncio.wait(attacks)
        progress("")
        memory.append(server.memory())
        return Soaked(
            alone, beside, attacked, crowd.closed, memory, server.peak_memory(), seconds
        )


async def say(server: Server, clip: Clip) -> Outcome:
    try:
        answer = await play(server.port, clip.audio, silence=clip.silence(TRAILING))
    except NoAnswer as reason:
        _ = server.pid  # raises ServerDied if the server has died
        warn(f"{clip.name}: {reason}")
        return Outcome(clip.name, None, why=str(reason))
    return Outcome(clip.name, answer.after_stop or 0.0, answer.text)


def lost(outcomes: Sequence[Outcome]) -> int:
    return sum(each.seconds is None for each in outcomes)


def changed(soaked: Soaked) -> int:
    """Count the answers whose text differs from that of the same clip without attacks."""
    texts = {each.clip: each.text for each in soaked.alone}
    return sum(
        each.seconds is not None and each.text != texts[each.clip] for each in soaked.beside
    )


def describe(soaked: Soaked) -> str:
    before, early, end = soaked.memory
    count = len(soaked.beside)
    lines = [
        f"{count} utterances in {soaked.seconds / 60:.1f} min, {soaked.attacks} attacks,"
        f" {soaked.idle_closed} idle connections closed",
        f"lost: {lost(soaked.beside)}; another text than alone: {changed(soaked)}",
    ]
    lines += [
        f"  {times} x {why}"
        for why, times in Counter(each.why for each in soaked.beside if each.why).most_common()
    ]
    for name, outcomes in (("alone", soaked.alone), ("beside hostile clients", soaked.beside)):
        waits = [each.seconds for each in outcomes if each.seconds is not None]
        if waits:
            shown = ", ".join(f"p{p} {percentile(waits, p):.3f} s" for p in (50, 90, 99))
            lines.append(f"audio-stop to text, {name}: {shown}, longest {max(waits):.3f} s")
    lines.append(
        f"resident memory: {before / 2**20:.0f} MiB before,"
        f" {early / 2**20:.0f} MiB after {max(1, round(EARLY * count))},"
        f" {end / 2**20:.0f} MiB at the end ({100 * (end / early - 1):+.1f} %);"
        f" peak {soaked.peak / 2**20:.0f} MiB"
    )
    return "\n".join(lines)


def report(arguments: argparse.Namespace, soaked: Soaked) -> dict[str, Any]:
    return {
        "model": arguments.model,
        "clients": arguments.clients,
        "idle": arguments.idle,
        "attacks_by": [each.__name__ for each in ATTACKS],
        "lost": lost(soaked.beside),
        "changed": changed(soaked),
    } | asdict(soaked)


if __name__ == "__main__":
    main()
