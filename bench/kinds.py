"""Word errors on imperfect audio and speech, by kind, for this server and the reference server.

Both servers get the same model and utterances. They run one after the other. Prints a table with
a row for each kind; progress goes to stderr.
"""

import argparse
import asyncio
import json
import sys
import time
import wave
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import reduce
from operator import add as plus
from pathlib import Path
from typing import Any

from .accuracy import sample
from .speech.utterances import ROWS, VOICES, Utterance, utterances
from .support.arguments import SERVERS, add, headline, listed, parser, servers
from .support.clips import SAMPLE_RATE, WIDTH, Clip, accepted
from .support.playback import NoAnswer, play
from .support.report import align, progress, warn, write_json
from .support.scoring import Errors, word_errors
from .support.servers import PYTHONS, ROOT, Options, Server

MODES = ("at-once", "real-time")
MOST = 1.05  # target for each row: errors of this server relative to the reference's
TIMEOUT = 120  # seconds to wait for an answer, in addition to the length of the utterance


@dataclass(frozen=True, slots=True)
class Played:
    """One utterance in one mode."""

    mode: str  # one of MODES
    utterance: Utterance

    @property
    def key(self) -> str:
        """Key of the utterance and mode in a report."""
        return f"{self.mode}/{self.utterance.row}/{self.utterance.name}"


Texts = dict[str, str]  # text of the answer by Played.key; "" = no answer


@dataclass(frozen=True, slots=True)
class Row:
    """The errors of a kind in a mode. An order that is not accepted counts as one error."""

    mode: str
    name: str
    clips: int
    errors: dict[str, Errors]  # by server
    orders: bool  # errors are rejected orders, not wrong words

    @property
    def met(self) -> bool | None:
        """True if this server meets the target MOST; None if only one server ran."""
        if len(self.errors) < 2:
            return None
        return self.errors["this server"].wrong <= MOST * self.errors["reference"].wrong


def main() -> None:
    arguments = parse_arguments()
    if missing := [voice.engine for voice in VOICES if not voice.installed]:
        sys.exit(
            f"{', '.join(missing)} not installed; script/make-clips installs piper, the system's"
            " package manager flite and espeak-ng"
        )
    chosen = [
        each
        for row in arguments.rows
        for each in sample(list(utterances(row, arguments.speech)), arguments.limit)
    ]
    if not chosen:
        sys.exit("nothing to play")
    if arguments.write:
        write(chosen, arguments.write)
        return
    plays = [Played(mode, each) for mode in arguments.mode for each in chosen]
    options = servers(arguments)
    known = earlier(arguments.reference_from) if arguments.reference_from else None
    texts = asyncio.run(run(options, plays, known))

    rows = figures(plays, texts)
    title = headline(arguments, options)
    print(f"{title}; {len(chosen)} utterances")
    print(table(rows, list(options)))
    for line in goals(rows):
        print(line)
    if arguments.json:
        write_json(arguments.json, report(arguments, options, plays, texts, rows))


def parse_arguments() -> argparse.Namespace:
    flags = parser("kinds", __doc__)
    add(flags, *SERVERS, "--json")
    add(flags, "--limit", help="play a fixed random sample of N utterances for each row")
    flags.add_argument(
        "--rows",
        type=listed(ROWS),
        default=ROWS,
        metavar="A,B",
        help=f"kinds: {', '.join(ROWS)}; default: all",
    )
    flags.add_argument(
        "--mode",
        type=listed(MODES),
        default=MODES,
        metavar="A,B",
        help=f"modes: {', '.join(MODES)}; default: both",
    )
    flags.add_argument(
        "--speech",
        type=Path,
        metavar="DIR",
        default=ROOT.parent / "shared" / "speech",
        help="folder that contains commands, read and languages; default: %(default)s",
    )
    flags.add_argument(
        "--reference-from",
        type=Path,
        metavar="FILE",
        help="reuse the reference's answers in a file that --json wrote earlier",
    )
    flags.add_argument(
        "--write",
        type=Path,
        metavar="DIR",
        help="write the utterances as WAV files with an index, kinds.tsv; play nothing",
    )
    return flags.parse_args()


def write(chosen: Iterable[Utterance], folder: Path) -> None:
    """Write each utterance as a WAV file, and their kinds and transcripts as kinds.tsv."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = ["row\tfile\tlanguage\ttruth"]
    for each in chosen:
        file = f"{each.row}-{each.name}.wav"
        with wave.open(str(folder / file), "wb") as out:
            out.setparams((each.channels, WIDTH, SAMPLE_RATE, 0, "NONE", "not compressed"))
            out.writeframes(each.audio)
        truth = " | ".join(each.phrases) if each.text is None else each.text
        lines.append("\t".join((each.row, file, "auto" if each.auto else "en", truth)))
    (folder / "kinds.tsv").write_text("\n".join(lines) + "\n")


def earlier(file: Path) -> Texts:
    """Return the reference's answers from a report."""
    return {
        each["key"]: each["heard"]["reference"]
        for each in json.loads(file.read_text())["answers"]
        if "reference" in each["heard"]
    }


async def run(
    options: Mapping[str, Options], plays: Sequence[Played], known: Texts | None
) -> dict[str, Texts]:
    """Play the utterances to each server and return the answers; keep those that are known."""
    pythons = {name: PYTHONS[name]() for name in options}
    texts: dict[str, Texts] = {}
    for name, option in options.items():
        texts[name] = dict(known or {}) if name == "reference" else {}
        for language in ("en", "auto"):
            missing = [
                each
                for each in plays
                if each.utterance.auto == (language == "auto") and each.key not in texts[name]
            ]
            if missing:
                async with Server(pythons[name], replace(option, language=language)) as server:
                    texts[name] |= await run_server(server, name, missing)
    return texts


async def run_server(server: Server, name: str, plays: Sequence[Played]) -> Texts:
    texts: Texts = {}
    began = time.perf_counter()
    for number, each in enumerate(plays, start=1):
        minutes = (time.perf_counter() - began) / 60
        progress(f"{name}: {number}/{len(plays)}, {each.key}, {minutes:.0f} min")
        texts[each.key] = await answer(server, name, each)
    progress("")
    return texts


async def answer(server: Server, name: str, played: Played) -> str:
    utterance = played.utterance
    length = len(utterance.audio) / WIDTH / SAMPLE_RATE / utterance.channels
    try:
        found = await play(
            server.port,
            utterance.audio,
            silence=utterance.room,
            paced=played.mode == "real-time",
            language=None if utterance.auto else "en",
            channels=utterance.channels,
            timeout=TIMEOUT + length,
        )
    except NoAnswer as reason:
        _ = server.pid  # raises ServerDied if the server has died, which ends the run
        warn(f"{name}: {played.key}: {reason}")
        return ""
    return found.text


def errors(utterance: Utterance, text: str) -> Errors:
    """Count the word errors; for an order with known phrases, 1 if it is not accepted."""
    if utterance.text is not None:
        return word_errors(utterance.text, text, utterance.language)
    clip = Clip(utterance.name, b"", b"", phrases=utterance.phrases)
    return Errors(int(not accepted(clip, text)), 1)


def figures(plays: Sequence[Played], texts: Mapping[str, Texts]) -> list[Row]:
    rows = []
    for mode, name in dict.fromkeys((each.mode, each.utterance.row) for each in plays):
        some = [each for each in plays if (each.mode, each.utterance.row) == (mode, name)]
        rows.append(
            Row(
                mode,
                name,
                len(some),
                {
                    server: _sum(errors(each.utterance, heard[each.key]) for each in some)
                    for server, heard in texts.items()
                },
                orders=some[0].utterance.text is None,
            )
        )
    return rows


def pooled(rows: Sequence[Row]) -> dict[str, Errors]:
    """Sum the errors of several rows by server."""
    return {server: _sum(row.errors[server] for row in rows) for server in rows[0].errors}


def table(rows: Sequence[Row], servers: Sequence[str]) -> str:
    """Format a row for each kind and mode, and a total of the word errors for each mode."""
    lines = [["", "clips", "words", *servers, "goal"]]
    for mode in dict.fromkeys(row.mode for row in rows):
        for orders, title in ((False, "word errors"), (True, "orders accepted")):
            some = [row for row in rows if row.mode == mode and row.orders == orders]
            if not some:
                continue
            lines.append([f"{mode}: {title}"])
            every = [*some, Row(mode, "pooled", sum(r.clips for r in some), pooled(some), orders)]
            for row in every:
                counts = [
                    each.words - each.wrong if orders else each.wrong
                    for each in (row.errors[server] for server in servers)
                ]
                words = "-" if orders else str(row.errors[servers[0]].words)
                judged = not orders or row is every[-1]
                met = {None: "-", True: "met", False: "missed"}[row.met if judged else None]
                lines.append([f"  {row.name}", str(row.clips), words, *map(str, counts), met])
    return align(lines)


def goals(rows: Sequence[Row]) -> list[str]:
    """Return a line for each target of this server and mode, met or missed.

    The recorded orders count as one row: 40 of them, in one condition, are too few to compare.
    """
    lines = []
    for mode in dict.fromkeys(row.mode for row in rows):
        some = [row for row in rows if row.mode == mode and not row.orders]
        if orders := [row for row in rows if row.mode == mode and row.orders]:
            clips = sum(row.clips for row in orders)
            some.append(Row(mode, "orders", clips, pooled(orders), orders=True))
        if any(row.met is None for row in some):
            continue
        missed = [row.name for row in some if not row.met]
        state = f"missed in {', '.join(missed)}" if missed else "met"
        lines.append(f"{mode}: at most {MOST} of the reference's errors in each row: {state}")
        if words := [row for row in some if not row.orders]:
            totals = pooled(words)
            this, other = totals["this server"].wrong, totals["reference"].wrong
            state = "met" if this < other else "missed"
            lines.append(
                f"{mode}: fewer word errors than the reference: {state} ({this}, {other})"
            )
    return lines


def report(
    arguments: argparse.Namespace,
    options: Mapping[str, Options],
    plays: Sequence[Played],
    texts: Mapping[str, Texts],
    rows: Sequence[Row],
) -> dict[str, Any]:
    return {
        "model": arguments.model,
        "options": {
            name: asdict(each) | {"model": arguments.model} for name, each in options.items()
        },
        "figures": [asdict(row) for row in rows],
        "answers": [
            {
                "key": each.key,
                "mode": each.mode,
                "row": each.utterance.row,
                "name": each.utterance.name,
                "text": each.utterance.text,
                "phrases": each.utterance.phrases,
                "language": each.utterance.language,
                "heard": {name: heard[each.key] for name, heard in texts.items()},
                "errors": {
                    name: errors(each.utterance, heard[each.key]).wrong
                    for name, heard in texts.items()
                },
            }
            for each in plays
        ],
    }


def _sum(many: Iterable[Errors]) -> Errors:
    return reduce(plus, many, Errors(0, 0))


if __name__ == "__main__":
    main()
