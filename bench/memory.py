"""Memory of this server by model: while loading, and with one microphone.

Each model gets its own server with default settings. Every clip is played once, one after the
other. Prints a table; progress goes to stderr.
"""

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from wyoming_faster_whisper.models.auto import memory_needed

from .support.arguments import RECORDINGS, add, given_clips, parser
from .support.clips import Clip
from .support.models import model_directory
from .support.playback import play
from .support.report import align, progress, write_json
from .support.servers import Options, Server, this_python

TRAILING = 0.7  # seconds of silence after the speech, as Home Assistant's VAD waits


@dataclass(frozen=True, slots=True)
class Taken:
    """Memory of the server with one model, in MB."""

    model: str
    file: float  # size of model.bin
    estimate: float  # compared by the server with the available memory, before it loads
    loaded: float  # after the answer to the first clip
    peak: float  # from the start to the answer to the last clip


def main() -> None:
    arguments = parse_arguments()
    clips = given_clips(arguments)
    taken = asyncio.run(measure(arguments.model or ["tiny.en", "base"], clips))
    print(f"default settings, one microphone, {len(clips)} clips; MB")
    print(table(taken))
    if arguments.json:
        write_json(arguments.json, {"models": [asdict(each) for each in taken]})


def parse_arguments() -> argparse.Namespace:
    flags = parser("memory", __doc__)
    add(flags, "--limit", "--json")
    add(flags, "--recordings", help=RECORDINGS)
    flags.add_argument(
        "--model",
        action="append",
        metavar="MODEL",
        help="name or directory (repeatable); never downloaded; default: tiny.en and base",
    )
    return flags.parse_args()


async def measure(models: Sequence[str], clips: Sequence[Clip]) -> list[Taken]:
    taken = []
    for name in models:
        directory = model_directory(name)
        options = Options(
            directory, language="auto", compute_type="default", beam_size=0, cpu_threads=4
        )
        async with Server(this_python(), options) as server:
            loaded = 0
            for number, clip in enumerate(clips, start=1):
                progress(f"{name}: {number}/{len(clips)}")
                await play(server.port, clip.audio, silence=clip.silence(TRAILING))
                loaded = loaded or server.memory()
            peak = server.peak_memory()
        file = (directory / "model.bin").stat().st_size / 1e6
        taken.append(Taken(name, file, memory_needed(file, "default"), loaded / 1e6, peak / 1e6))
    progress("")
    return taken


def table(taken: Sequence[Taken]) -> str:
    head = ["model", "model.bin", "estimate", "after the first answer", "peak"]
    figures = [(each.file, each.estimate, each.loaded, each.peak) for each in taken]
    return align(
        [head]
        + [
            [each.model, *(f"{figure:.0f}" for figure in row)]
            for each, row in zip(taken, figures, strict=True)
        ]
    )


if __name__ == "__main__":
    main()
