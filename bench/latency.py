"""Latency: time from the end of speech to the text, with audio as Home Assistant sends it.

Every clip is cut at its last spoken sample, followed by room tone, and sent in real time in
chunks of 10 ms. This server and the reference run one after the other. Prints a table; progress
goes to stderr.

A run plays a sample of the clips and takes --minutes. --full plays all clips, which takes hours.
"""

import argparse
import asyncio
import contextlib
import statistics
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from .speech.pauses import PAUSES, pause_set
from .speech.streams import (
    BRIEF,
    DICTATION,
    REST,
    SETUPS,
    TURN,
    TURN_PAUSES,
    UNPACED,
    USUAL,
    Play,
    Setup,
    block_seconds,
    plan,
    seconds,
)
from .support.arguments import (
    RECORDINGS,
    SERVERS,
    add,
    given_clips,
    headline,
    listed,
    parser,
    servers,
)
from .support.clips import accepted, word_error_rate
from .support.playback import NoAnswer, play
from .support.plot import Curves, check_plotting, distributions
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

TIMEOUT = 120.0  # timeout for an answer, in seconds
QUIET_REFERENCE = 0.7
"""Latency of the reference on the machine that the targets were set for, in seconds, when all
audio is sent at once."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One utterance and its answer."""

    scenario: str
    clip: str
    text: str | None  # None = no answer
    wait: float | None  # seconds from Scenario.since to the text; None = cut off
    cut: bool  # answered before the end of the last word
    pause: float | None  # seconds of pause inserted between two words
    cpu: float  # seconds, from the start of this utterance to the start of the next
    decodes: int | None  # in the same time; None if the server does not report them


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one scenario and server; None if no clip yields the figure."""

    utterances: int
    wait_p50: float | None  # seconds
    wait_p90: float | None
    wait_p95: float | None
    word_error_rate: float | None
    accepted: float | None  # share of orders
    empty: float  # share of utterances whose text is ""
    unanswered: float  # share of utterances
    cut: float  # share of utterances
    cut_by_pause: dict[float, float]  # the same, by length of the pause in seconds
    decodes: float | None  # per utterance
    cpu: float  # seconds per utterance


# By field of Figures: label in the table, factor, format.
ROWS: dict[str, tuple[str, float, str]] = {
    "wait_p50": ("median", 1, "{:.3f} s"),
    "wait_p90": ("90th percentile", 1, "{:.3f} s"),
    "wait_p95": ("95th percentile", 1, "{:.3f} s"),
    "word_error_rate": ("word error rate", 100, "{:.1f} %"),
    "accepted": ("orders accepted", 100, "{:.1f} %"),
    "empty": ("empty answers", 100, "{:.1f} %"),
    "unanswered": ("without an answer", 100, "{:.1f} %"),
    "cut": ("cut off", 100, "{:.1f} %"),
    "decodes": ("decodes per utterance", 1, "{:.2f}"),
    "cpu": ("CPU time per utterance", 1, "{:.2f} s"),
    "utterances": ("utterances", 1, "{:.0f}"),
}
RARE = ("empty", "unanswered", "cut")  # rows that are left out if all values are 0
WAIT = {"stop": "audio-stop to text", "speech": "last spoken sample to text"}

Results = dict[str, dict[str, list[Heard]]]  # by setup and server
Summary = dict[str, dict[str, dict[str, Figures]]]  # by setup, scenario and server


def main() -> None:
    arguments = parse_arguments()
    began = time.monotonic()
    if arguments.plot:
        check_plotting()
    clips = given_clips(arguments)
    options = servers(arguments)
    setups = [SETUPS[name] for name in arguments.setups]
    needed = any(scenario.of == "pauses" for setup in setups for scenario in setup.scenarios)
    paused = pause_set(clips, next(iter(options.values())).model) if needed else []
    # Locating the words in the clips takes a while in the first run, and counts as run time.
    spent = (time.monotonic() - began) / 60
    minutes = None if arguments.full else max(1.0, arguments.minutes - spent)
    chosen = plan(setups, list(options), clips, paused, minutes)
    took = seconds(setups, list(options), chosen)
    progress(f"{sum(map(len, chosen.values()))} utterances; about {took / 60:.0f} min")

    results = asyncio.run(run(options, setups, chosen, minutes))
    summary = {setup.name: summarise(setup, chosen, results[setup.name]) for setup in setups}
    title = headline(arguments, options)
    print(f"{title}; {len(clips)} clips, {len(paused)} with a pause put in")
    for setup in setups:
        if not summary[setup.name]:
            continue  # no server runs with the flags of this setup
        print(f"\n{setup.name}\n{table(setup, summary[setup.name])}")
    if goals := targets(summary):
        print(f"\n{goals}")
    if arguments.json:
        write_json(arguments.json, report(arguments, options, summary, results))
    if arguments.plot:
        distributions(title, list(curves(setups, results)), arguments.plot)


def parse_arguments() -> argparse.Namespace:
    flags = parser("latency", __doc__)
    add(flags, *SERVERS, "--limit", "--json", "--plot")
    add(flags, "--recordings", help=RECORDINGS)
    flags.add_argument(
        "--minutes",
        type=float,
        default=15.0,
        help="length of the whole run (default: %(default)s)",
    )
    flags.add_argument("--full", action="store_true", help="play all clips in all scenarios")
    flags.add_argument(
        "--setups",
        type=listed(tuple(SETUPS)),
        default=BRIEF,
        metavar="A,B",
        help=f"setups, by what ends the turn: {', '.join(SETUPS)}; default: {','.join(BRIEF)}",
    )
    return flags.parse_args()


async def run(
    options: Mapping[str, Options],
    setups: Sequence[Setup],
    chosen: Mapping[str, Sequence[Play]],
    minutes: float | None,
) -> Results:
    pythons = {name: PYTHONS[name]() for name in options}
    results: Results = {setup.name: {} for setup in setups}
    began, planned = time.monotonic(), seconds(setups, list(options), chosen)
    done = 0.0  # seconds of the plan that are done
    for setup in setups:
        # The reference comes first: its latency tells how fast this machine is.
        for name in sorted(options, key=list(PYTHONS).index, reverse=True):
            if name not in setup.flags:
                continue
            plays = chosen[setup.name]
            done += block_seconds(plays)
            # Time that earlier blocks lost is made up by skipping utterances, with a warning.
            end = began + 60 * minutes * done / planned if minutes is not None else None
            flags = (*options[name].extra, *setup.flags[name])
            try:
                async with Server(pythons[name], replace(options[name], extra=flags)) as server:
                    label = f"{setup.name}, {name}"
                    results[setup.name][name] = await play_all(server, plays, end, label)
            except ServerDied as death:
                warn(f"{setup.name}: {name} does not run: {death}")
    return results


async def play_all(
    server: Server, plays: Sequence[Play], end: float | None, label: str
) -> list[Heard]:
    """Play the streams one after the other, until `end` at the latest (seconds, monotonic)."""
    # The first answer waits for the model and has cold caches, so it does not count.
    warm = plays[0].stream
    with contextlib.suppress(NoAnswer):
        await play(server.port, warm.clip.audio, silence=warm.silence)
    heard: list[Heard] = []
    for number, each in enumerate(plays, start=1):
        if end is not None and time.monotonic() + each.seconds > end:
            warn(f"{label}: no time for {len(plays) - number + 1} of {len(plays)} utterances")
            break
        progress(f"{label}: {number}/{len(plays)}, {each.scenario.name}")
        heard.append(await play_one(server, each))
    progress("")
    return heard


async def play_one(server: Server, each: Play) -> Heard:
    scenario, stream = each.scenario, each.stream
    cpu, decodes = server.cpu_seconds(), server.decodes()
    text, wait, cut = None, None, False
    try:
        answer = await play(
            server.port,
            stream.audio,
            silence=stream.silence,
            paced=scenario.paced,
            timeout=stream.seconds + TIMEOUT,
        )
        text, cut = answer.text, answer.after_speech is None
        # An answer before audio-stop counts as no wait.
        wait = answer.after_speech if scenario.since == "speech" else answer.after_stop or 0.0
    except NoAnswer as reason:
        _ = server.pid  # raises ServerDied if the server has died, which ends the run
        warn(f"{scenario.name}: {stream.clip.name}: {reason}")
    # Work that the server still does for this utterance counts for it.
    await asyncio.sleep(REST)
    now = server.decodes()
    return Heard(
        scenario.name,
        stream.clip.name,
        text,
        None if cut else wait,
        cut,
        stream.pause,
        server.cpu_seconds() - cpu,
        None if now is None or decodes is None else now - decodes,
    )


def summarise(
    setup: Setup, chosen: Mapping[str, Sequence[Play]], results: Mapping[str, Sequence[Heard]]
) -> dict[str, dict[str, Figures]]:
    """Compute the figures of each scenario and server."""
    clips = {play.stream.clip.name: play.stream.clip for play in chosen[setup.name]}
    summary: dict[str, dict[str, Figures]] = {}
    for scenario in setup.scenarios:
        for name, everything in results.items():
            heard = [each for each in everything if each.scenario == scenario.name]
            if not heard:
                continue
            waits = [each.wait for each in heard if each.wait is not None]
            texts = [(clips[each.clip], each.text or "") for each in heard]
            written = [(clip.text, text) for clip, text in texts if clip.text is not None]
            orders = [accepted(clip, text) for clip, text in texts if clip.phrases]
            decodes = [each.decodes for each in heard if each.decodes is not None]
            by_pause = {
                pause: statistics.fmean(each.cut for each in heard if each.pause == pause)
                for pause in PAUSES
                if any(each.pause == pause for each in heard)
            }
            summary.setdefault(scenario.name, {})[name] = Figures(
                utterances=len(heard),
                wait_p50=percentile(waits, 50),
                wait_p90=percentile(waits, 90),
                wait_p95=percentile(waits, 95),
                word_error_rate=word_error_rate(*zip(*written, strict=True)) if written else None,
                accepted=statistics.fmean(orders) if orders else None,
                empty=statistics.fmean(each.text == "" for each in heard),
                unanswered=statistics.fmean(each.text is None for each in heard),
                cut=statistics.fmean(each.cut for each in heard),
                cut_by_pause=by_pause,
                decodes=statistics.fmean(decodes) if decodes else None,
                cpu=statistics.fmean(each.cpu for each in heard),
            )
    return summary


def table(setup: Setup, summary: Mapping[str, Mapping[str, Figures]]) -> str:
    """Format a block per scenario, with a row per figure and a column per server."""
    names = [name for name in setup.flags if any(name in each for each in summary.values())]
    rows: list[tuple[str, Row | None]] = []
    for scenario in setup.scenarios:
        figures = summary.get(scenario.name, {})
        if not figures:
            continue
        columns = [figures.get(name) for name in names]
        rows.append((f"{scenario.name}: {WAIT[scenario.since]}", None))
        for field, (title, factor, form) in ROWS.items():
            values = [getattr(each, field) if each else None for each in columns]
            if (
                field in RARE
                and not any(values)
                and not (field == "cut" and scenario.of == "pauses")
            ):
                continue
            rows.append((f"  {title}", (values, factor, form)))
        for pause in PAUSES:
            shares = [each.cut_by_pause.get(pause) if each else None for each in columns]
            rows.append((f"  cut off at a pause of {pause:g} s", (shares, 100, "{:.1f} %")))
    return beside(names, rows)


def targets(summary: Summary) -> str:
    """Format the targets of this server, as set for an idle machine and scaled to this one.

    "" if the reference was not measured, because its latency gives the scale.
    """
    home = summary.get(SETUPS["home"].name, {})
    dictation = summary.get(SETUPS["dictation"].name, {})
    reference = (home or dictation).get(UNPACED.name, {}).get("reference")
    if reference is None or reference.wait_p50 is None:
        return ""
    scale = reference.wait_p50 / QUIET_REFERENCE
    wanted: list[Target] = []
    usual = home.get(USUAL.name, {})
    if ours := usual.get("this server"):
        stop = "audio-stop to text"
        wanted += [
            Target(f"{stop}, median", ours.wait_p50, 0.025, "{:.3f} s", 0.025 * scale),
            Target(f"{stop}, p90", ours.wait_p90, 0.25, "{:.3f} s", 0.25 * scale),
            Target("decodes per utterance", ours.decodes, 1.3, "{:.2f}"),
        ]
        if theirs := usual.get("reference"):
            part = ours.cpu / theirs.cpu
            wanted.append(Target("CPU time, of the reference's", part, 0.45, "{:.2f}"))
    auto = {
        name: figures["this server"]
        for name, figures in summary.get(SETUPS["auto"].name, {}).items()
    }
    if TURN.name in auto and UNPACED.name in auto:
        turn, last = auto[TURN.name], "auto: last sample to text"
        # Unpaced, the server has no time to guess, so the wait is the time of a decode.
        decode = auto[UNPACED.name].wait_p50 or 0.0
        soon = (0.2 + decode / scale, "{:.3f} s", 0.2 * scale + decode)
        wanted += [
            Target(f"{last}, median", turn.wait_p50, *soon),
            Target(f"{last}, p95", turn.wait_p95, 0.9, "{:.3f} s", 0.9 * scale),
            Target("auto: orders cut off", 100 * turn.cut, 1.0, "{:.1f} %"),
        ]
    if TURN_PAUSES.name in auto:
        cut = 100 * auto[TURN_PAUSES.name].cut
        wanted.append(Target("auto: pauses cut off", cut, 1.0, "{:.1f} %"))
    if ours := dictation.get(DICTATION.name, {}).get("this server"):
        soon = (0.5, "{:.3f} s", 0.5 * scale)
        wanted.append(Target("dictation: audio-stop to text, median", ours.wait_p50, *soon))
    note = (
        f"the reference answers in {reference.wait_p50:.2f} s all at once, "
        f"{scale:.2f} times what it takes on a quiet box; times are scaled by that"
    )
    return f"{note}\n{shown}" if (shown := against(wanted)) else ""


def report(
    arguments: argparse.Namespace,
    options: Mapping[str, Options],
    summary: Summary,
    results: Results,
) -> dict[str, Any]:
    return {
        "model": arguments.model,
        "options": {
            name: asdict(each) | {"model": arguments.model} for name, each in options.items()
        },
        "figures": {
            setup: {
                scenario: {name: asdict(figures) for name, figures in by_server.items()}
                for scenario, by_server in scenarios.items()
            }
            for setup, scenarios in summary.items()
        },
        "utterances": {
            setup: {name: [asdict(each) for each in heard] for name, heard in by_server.items()}
            for setup, by_server in results.items()
        },
    }


def curves(setups: Sequence[Setup], results: Results) -> Iterator[Curves]:
    """Yield the distribution of the waits for each scenario."""
    for setup in setups:
        for scenario in setup.scenarios:
            waits = {
                name: [
                    each.wait
                    for each in results[setup.name].get(name, [])
                    if each.scenario == scenario.name and each.wait is not None
                ]
                for name in PYTHONS
            }
            if any(waits.values()):
                ends = f" ({setup.name.partition('--')[2]})" if "--" in setup.name else ""
                yield Curves(f"{scenario.name}{ends}", WAIT[scenario.since], waits)


if __name__ == "__main__":
    main()
