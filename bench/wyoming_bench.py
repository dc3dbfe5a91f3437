"""Run the independent benchmark wyoming-bench (PyPI) on this server and the reference.

wyoming-bench is installed in a separate environment and runs in both of its modes, with the clips
that have a complete transcript. The servers run one after the other. Prints the output of
wyoming-bench.
"""

import argparse
import asyncio
import sys
import tempfile
import wave
from collections.abc import Sequence
from pathlib import Path

from .support.arguments import RECORDINGS, SERVERS, add, headline, parser, servers
from .support.clips import SAMPLE_RATE, TEST_CLIPS, WIDTH, Clip, load
from .support.report import progress
from .support.servers import PYTHONS, ROOT, Options, Server, python_with

VERSION = "2026.10.0"


def main() -> None:
    arguments = parse_arguments()
    folders = [*arguments.recordings, TEST_CLIPS]
    clips = [clip for clip in load(folders, arguments.limit) if clip.text is not None]
    if not clips:
        sys.exit("no clips with a complete transcript found")
    options = servers(arguments)
    program = bench_python().parent / "wyoming-bench"
    print(f"{headline(arguments, options)}; wyoming-bench {VERSION}, {len(clips)} clips")
    with tempfile.TemporaryDirectory(prefix="wyoming-bench-") as folder:
        corpus = Path(folder)
        write_corpus(clips, corpus)
        for name, each in options.items():
            progress(f"{name}: {arguments.rounds} rounds")
            said = asyncio.run(measure(program, name, each, corpus, arguments.rounds))
            print(f"\n{name}\n{said}")


def parse_arguments() -> argparse.Namespace:
    flags = parser("wyoming_bench", __doc__)
    add(flags, *SERVERS, "--limit")
    add(flags, "--recordings", help=f"{RECORDINGS}; the test clips are always used too")
    flags.add_argument("--rounds", type=int, default=3, help="runs of each clip in each mode")
    return flags.parse_args()


def bench_python() -> Path:
    """Return a Python with wyoming-bench; install it if it is missing."""
    return python_with(ROOT / ".venv-wyoming-bench", "wyoming-bench", VERSION)


def write_corpus(clips: Sequence[Clip], folder: Path) -> None:
    """Write the clips in the format of wyoming-bench: data.wav next to data.txt."""
    for number, clip in enumerate(clips, start=1):
        path = folder / f"{number:03}.wav"
        with wave.open(str(path), "wb") as file:
            file.setframerate(SAMPLE_RATE)
            file.setsampwidth(WIDTH)
            file.setnchannels(1)
            file.writeframes(clip.audio)
        path.with_suffix(".txt").write_text(clip.text or "")


async def measure(program: Path, name: str, options: Options, corpus: Path, rounds: int) -> str:
    """Start a server and return the output of wyoming-bench for it."""
    async with Server(PYTHONS[name](), options) as server:
        bench = await asyncio.create_subprocess_exec(
            program,
            "stt",
            f"127.0.0.1:{server.port}",
            f"--corpus={corpus}",
            '--config={"language": "en"}',
            "--mode=both",
            f"--rounds={rounds}",
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        said, _ = await bench.communicate()
        return said.decode(errors="replace").strip()


if __name__ == "__main__":
    main()
