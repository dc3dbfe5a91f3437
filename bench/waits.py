"""Wait after the last word in several languages, with `--vad-endpointing auto`, in real time.

Recordings are cut at their last spoken sample, followed by room tone, and sent in real time in
chunks of 10 ms. With several --tree the servers of these checkouts take turns, utterance by
utterance. Prints, by language and checkout, the wait, what was cut off, and the word error rate
(characters in scripts without spaces); progress goes to stderr.
"""

import argparse
import asyncio
import contextlib
import statistics
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from .speech.pauses import room
from .support.arguments import add, parser
from .support.clips import Clip, load
from .support.models import model_directory
from .support.playback import NoAnswer, play
from .support.report import align, percentile, progress, warn, write_json
from .support.scoring import Errors, language_errors
from .support.servers import ROOT, Options, Server, this_python

SILENCE = 5.0  # seconds of room tone after the last word
REST = 0.3  # seconds between two utterances, for a server's background work


@dataclass(frozen=True, slots=True)
class Heard:
    """One utterance and its answer."""

    tree: str
    language: str
    clip: str
    text: str | None  # None = no answer
    wait: float | None  # seconds from the last spoken sample to the text; None = cut off
    wrong: int  # word errors; of a text that was cut off, too
    words: int


def main() -> None:
    arguments = parse_arguments()
    clips = list(recordings(arguments.languages_dir, arguments.languages, arguments.limit))
    if not clips:
        sys.exit("no recording with a text was found")
    heard = asyncio.run(run(arguments, clips))
    flags = " ".join(arguments.flag)
    print(f"{arguments.model} int8, {arguments.threads} threads{', ' * bool(flags)}{flags}")
    print(table(heard))
    if arguments.json:
        write_json(arguments.json, {"heard": [asdict(each) for each in heard]})


def parse_arguments() -> argparse.Namespace:
    flags = parser("waits", __doc__)
    add(flags, "--model", "--threads", "--limit", "--flag", "--json", "--tree")
    add(flags, "--languages-dir", required=True)
    flags.add_argument("--languages", type=lambda text: text.split(","), metavar="A,B")
    return flags.parse_args()


def recordings(
    folders: Sequence[Path], languages: Sequence[str] | None, limit: int | None
) -> Iterator[tuple[str, Clip]]:
    """Yield language and clip; at most `limit` of each folder of a language."""
    for each in folders:
        for folder in sorted(path for path in each.iterdir() if path.is_dir()):
            if not languages or folder.name in languages:
                yield from ((folder.name, clip) for clip in load([folder], limit))


async def run(arguments: argparse.Namespace, clips: Sequence[tuple[str, Clip]]) -> list[Heard]:
    trees = arguments.tree or [ROOT]
    extra = ("--vad-endpointing=auto", *arguments.flag)
    heard: list[Heard] = []
    async with contextlib.AsyncExitStack() as stack:
        servers: dict[str, Server] = {}
        for tree in trees:
            options = Options(
                model_directory(arguments.model),
                beam_size=0,
                cpu_threads=arguments.threads,
                extra=extra,
                tree=tree,
            )
            servers[tree.name] = await stack.enter_async_context(Server(this_python(), options))
        await warm_up(servers, clips[0])
        for number, (language, clip) in enumerate(clips, start=1):
            progress(f"{number}/{len(clips)}, {language}")
            for name, server in servers.items():
                heard.append(await play_one(server, name, language, clip))
                await asyncio.sleep(REST)
    progress("")
    return heard


async def warm_up(servers: Mapping[str, Server], first: tuple[str, Clip]) -> None:
    """Let each server load its model and measure the machine."""
    for server in servers.values():
        await play(server.port, first[1].audio, language=first[0])
        await server.wait_until_idle()


async def play_one(server: Server, tree: str, language: str, clip: Clip) -> Heard:
    text, wait = None, None
    try:
        answer = await play(
            server.port, clip.audio, silence=room(clip, SILENCE), paced=True, language=language
        )
        text, wait = answer.text, answer.after_speech
    except NoAnswer as reason:
        _ = server.pid  # raises ServerDied if the server has died, which ends the run
        warn(f"{clip.name}: {reason}")
    errors = language_errors(clip.text or "", text or "", language)
    return Heard(tree, language, clip.name, text, wait, errors.wrong, errors.words)


def table(heard: Sequence[Heard]) -> str:
    """Format a row per language and checkout, and one per checkout for all."""
    rows = [["", "", "clips", "mean", "median", "95th", "longest", "cut off", "word errors"]]
    trees = list(dict.fromkeys(each.tree for each in heard))
    for name in (*dict.fromkeys(each.language for each in heard), "all"):
        for tree in trees:
            some = [e for e in heard if e.tree == tree and name in (e.language, "all")]
            waits = [each.wait for each in some if each.wait is not None]
            cut = sum(each.wait is None and each.text is not None for each in some)
            errors = sum((Errors(each.wrong, each.words) for each in some), Errors(0, 0))
            times = (
                [statistics.fmean(waits), *(percentile(waits, at) for at in (50, 95, 100))]
                if waits
                else []
            )
            rows.append(
                [
                    name,
                    tree,
                    str(len(some)),
                    *("" if each is None else f"{each:.2f} s" for each in times or [None] * 4),
                    str(cut),
                    f"{100 * errors.wrong / max(1, errors.words):.1f}%",
                ]
            )
    return align(rows)


if __name__ == "__main__":
    main()
