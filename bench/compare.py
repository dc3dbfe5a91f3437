"""This server compared with the reference server: same model, clips and number of threads.

The servers alternate (A, B, A, B) for --rounds rounds and never run at the same time.
Prints a table; progress goes to stderr.
"""

import argparse
import asyncio
import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from .support.arguments import RECORDINGS, SERVERS, add, given_clips, headline, parser, servers
from .support.clips import Clip, accepted, word_error_rate
from .support.playback import NoAnswer, play
from .support.report import beside, percentile, progress, warn, write_json
from .support.servers import PYTHONS, Options, Server


@dataclass(frozen=True, slots=True)
class Utterance:
    """One clip played to one server."""

    clip: str
    text: str  # "" = no answer
    seconds: float | None  # from audio-stop to the transcript; None = no answer


@dataclass(frozen=True, slots=True)
class Round:
    """One run of one server over all clips, with its start."""

    listening_after: float  # seconds from launch to the first accepted connection
    first_answer_after: float  # seconds from launch to the first transcript
    cpu: float  # seconds of CPU time per utterance, once warm
    memory: int  # peak, in bytes
    utterances: list[Utterance]


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one server in the table; None if no clip yields the figure."""

    latency_p50: float | None  # seconds from audio-stop to transcript
    latency_p90: float | None
    word_error_rate: float | None
    accepted: float | None  # share of orders
    unanswered: float  # share of utterances
    cpu: float  # seconds per utterance
    memory: float  # bytes
    listening: float  # seconds
    first_answer: float  # seconds


# By field of Figures: label in the table, factor, format.
ROWS: dict[str, tuple[str, float, str]] = {
    "latency_p50": ("audio-stop to transcript, median", 1, "{:.3f} s"),
    "latency_p90": ("audio-stop to transcript, p90", 1, "{:.3f} s"),
    "word_error_rate": ("word error rate", 100, "{:.1f} %"),
    "accepted": ("orders accepted", 100, "{:.1f} %"),
    "unanswered": ("utterances without an answer", 100, "{:.1f} %"),
    "cpu": ("CPU time per utterance", 1, "{:.2f} s"),
    "memory": ("peak memory", 2**-20, "{:.0f} MiB"),
    "listening": ("start to listening", 1, "{:.2f} s"),
    "first_answer": ("start to first transcript", 1, "{:.2f} s"),
}


def main() -> None:
    arguments = parse_arguments()
    clips = given_clips(arguments)
    options = servers(arguments)
    rounds = asyncio.run(run_rounds(options, clips, arguments.rounds, arguments.trailing))
    figures = {name: summarise(rounds[name], clips) for name in options}

    spoken = sum(clip.seconds for clip in clips)
    print(
        f"{headline(arguments, options)}; {len(clips)} clips, {spoken:.0f} s;"
        f" rounds: {arguments.rounds}"
    )
    print(table(figures))
    if arguments.json:
        report = {
            "model": arguments.model,
            "options": {
                name: asdict(each) | {"model": arguments.model} for name, each in options.items()
            },
            "trailing": arguments.trailing,
            "clips": {clip.name: clip.seconds for clip in clips},
            "figures": {name: asdict(each) for name, each in figures.items()},
            "rounds": {name: [asdict(each) for each in rounds[name]] for name in options},
        }
        write_json(arguments.json, report)


def parse_arguments() -> argparse.Namespace:
    flags = parser("compare", __doc__)
    add(flags, *SERVERS, "--limit", "--json")
    add(flags, "--recordings", help=RECORDINGS)
    add(flags, "--trailing", default=0.0)
    flags.add_argument("--rounds", type=int, default=3, help="runs of each server")
    return flags.parse_args()


async def run_rounds(
    options: Mapping[str, Options],
    clips: Sequence[Clip],
    count: int,
    trailing: float,
) -> dict[str, list[Round]]:
    pythons = {name: PYTHONS[name]() for name in options}
    rounds: dict[str, list[Round]] = {name: [] for name in options}
    for number in range(1, count + 1):
        for name in options:
            label = f"round {number}/{count}, {name}"
            async with Server(pythons[name], options[name]) as server:
                rounds[name].append(await run_round(server, clips, trailing, label))
    return rounds


async def run_round(server: Server, clips: Sequence[Clip], trailing: float, label: str) -> Round:
    # The first answer waits for the model and has cold caches, so it counts only for the start.
    await play(server.port, clips[0].audio, silence=clips[0].silence(trailing))
    first_answer_after = time.perf_counter() - server.launched

    before = server.cpu_seconds()
    utterances = []
    for number, clip in enumerate(clips, start=1):
        progress(f"{label}: {number}/{len(clips)}")
        utterances.append(await run_clip(server, clip, trailing))
    progress("")
    return Round(
        listening_after=server.listening_after,
        first_answer_after=first_answer_after,
        cpu=(server.cpu_seconds() - before) / len(clips),
        memory=server.peak_memory(),
        utterances=utterances,
    )


async def run_clip(server: Server, clip: Clip, trailing: float) -> Utterance:
    try:
        answer = await play(server.port, clip.audio, silence=clip.silence(trailing))
    except NoAnswer as reason:
        warn(f"{clip.name}: {reason}")
        return Utterance(clip.name, "", None)
    # An answer before audio-stop counts as no wait.
    return Utterance(clip.name, answer.text, answer.after_stop or 0.0)


def summarise(rounds: Sequence[Round], clips: Sequence[Clip]) -> Figures:
    """Return the medians over the rounds. The latency of a clip is its median over the rounds."""
    # Transpose: from utterances by round to utterances by clip.
    played = list(zip(*(each.utterances for each in rounds), strict=True))
    latencies = [
        statistics.median(seconds)
        for utterances in played
        if (seconds := [u.seconds for u in utterances if u.seconds is not None])
    ]
    heard = [
        (clip, utterance.text)
        for clip, utterances in zip(clips, played, strict=True)
        for utterance in utterances
    ]
    written = [(clip.text, text) for clip, text in heard if clip.text is not None]
    orders = [accepted(clip, text) for clip, text in heard if clip.phrases]
    answered = [u.seconds is not None for utterances in played for u in utterances]
    return Figures(
        latency_p50=percentile(latencies, 50),
        latency_p90=percentile(latencies, 90),
        word_error_rate=word_error_rate(*zip(*written, strict=True)) if written else None,
        accepted=statistics.fmean(orders) if orders else None,
        unanswered=1 - statistics.fmean(answered),
        cpu=statistics.median(each.cpu for each in rounds),
        memory=statistics.median(each.memory for each in rounds),
        listening=statistics.median(each.listening_after for each in rounds),
        first_answer=statistics.median(each.first_answer_after for each in rounds),
    )


def table(figures: dict[str, Figures]) -> str:
    rows = [
        (title, ([getattr(each, field) for each in figures.values()], factor, form))
        for field, (title, factor, form) in ROWS.items()
    ]
    return beside(list(figures), rows)


if __name__ == "__main__":
    main()
