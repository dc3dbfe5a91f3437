"""The HTTP API: a command beside one over Wyoming, and the memory that long files take.

Commands are sent over both in turn, all at once. The long files have a command every 30 s and
silence between, so that their length and not their speech is measured; each format gets a server
of its own. Prints tables; progress goes to stderr.

Commands beside uploads are measured by bench.beside_files --over http, the speed of long files by
bench.long_files.
"""

import argparse
import asyncio
import io
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from fractions import Fraction

import av
import numpy as np

from .support.arguments import RECORDINGS, SERVERS, add, headline, listed, parser, servers
from .support.clips import SAMPLE_RATE, TEST_CLIPS, WIDTH, Clip, load
from .support.playback import play
from .support.report import Target, against, align, percentile, progress, write_json
from .support.servers import Options, Server, free_port, this_python
from .support.uploads import transcribe, wav

CODECS = {"flac": "flac", "mp3": "libmp3lame", "ogg": "libopus", "mp4": "aac", "webm": "libopus"}
FORMATS = ("wav", *CODECS)
EVERY = 30.0  # seconds between two commands in a long file
MOST_MORE = 0.015  # seconds that a command may take more than over Wyoming
MOST_MEMORY = 150e6  # bytes that a long file may take


@dataclass(frozen=True, slots=True)
class Command:
    """Seconds from the first byte sent to the text, of each command."""

    wyoming: list[float]
    http: list[float]

    @property
    def more(self) -> float:
        """Median of the differences between neighbours, in seconds."""
        pairs = zip(self.wyoming, self.http, strict=True)
        return percentile([http - wyoming for wyoming, http in pairs], 50) or 0.0


@dataclass(frozen=True, slots=True)
class Memory:
    """Memory of the server with one long file, in bytes."""

    format: str
    size: int  # of the file
    before: int  # after one command
    peak: int  # until the answer
    seconds: float  # until the answer

    @property
    def more(self) -> int:
        return self.peak - self.before


def main() -> None:
    arguments = parse_arguments()
    clips = load(arguments.recordings or [TEST_CLIPS], arguments.limit)
    if not clips:
        sys.exit("no clips found")
    options = servers(arguments)
    [ours] = options.values()
    command = asyncio.run(commands(clips, ours, arguments.rounds))
    memories = [
        asyncio.run(memory(clips, ours, arguments.hours, kind)) for kind in arguments.formats
    ]
    progress("")
    print(f"{headline(arguments, options)}; {len(command.http)} commands, all at once")
    if command.http:
        print(command_table(command))
    print(f"\none file of {arguments.hours:g} h, with a command every {EVERY:g} s")
    print(memory_table(memories))
    print(f"\n{targets(command, memories)}")
    if arguments.json:
        figures = {"command": asdict(command), "memory": [asdict(each) for each in memories]}
        write_json(arguments.json, figures)


def parse_arguments() -> argparse.Namespace:
    flags = parser("http", __doc__)
    add(flags, *SERVERS, "--limit", "--json")
    add(flags, "--recordings", help=RECORDINGS)
    flags.set_defaults(only="this")
    flags.add_argument("--rounds", type=int, default=5, help="commands of each clip; 0 = none")
    flags.add_argument("--hours", type=float, default=2.0, help="length of the long files")
    flags.add_argument(
        "--formats",
        type=listed(FORMATS),
        default=FORMATS,
        metavar="FORMATS",
        help=f"formats of the long files, of {','.join(FORMATS)} (default: all)",
    )
    return flags.parse_args()


def with_http(options: Options) -> tuple[Options, int]:
    """Add an HTTP port, and limits that let long files through; return the port as well."""
    port = free_port()
    more = (f"--http-port={port}", "--max-upload=4096", "--max-file-seconds=86400")
    return replace(options, extra=(*more, *options.extra)), port


async def commands(clips: Sequence[Clip], options: Options, rounds: int) -> Command:
    measured = Command([], [])
    served, port = with_http(options)
    async with Server(this_python(), served) as server:
        await server.wait_until_idle()
        for number in range(rounds + 1):
            for clip in clips:
                progress(f"commands, round {number}: {clip.name}")
                audio = clip.audio + clip.silence(0.5)
                began = time.perf_counter()
                await play(server.port, audio, silence=b"", paced=False)
                between = time.perf_counter()
                await asyncio.to_thread(transcribe, port, wav(audio), language=options.language)
                ended = time.perf_counter()
                if number:  # the first round warms up
                    measured.wyoming.append(between - began)
                    measured.http.append(ended - between)
    return measured


async def memory(clips: Sequence[Clip], options: Options, hours: float, kind: str) -> Memory:
    progress(f"{hours:g} h of {kind}")
    file = await asyncio.to_thread(encode, film(clips), kind, 3600 * hours)
    served, port = with_http(options)
    async with Server(this_python(), served) as server:
        await server.wait_until_idle()
        await play(server.port, clips[0].audio, silence=clips[0].silence(0.5), paced=False)
        before = server.memory()
        began = time.perf_counter()
        await asyncio.to_thread(transcribe, port, file, language=options.language)
        seconds = time.perf_counter() - began
        return Memory(kind, len(file), before, server.peak_memory(), seconds)


def film(clips: Sequence[Clip]) -> bytes:
    """Return PCM with each clip once, one every 30 s."""
    step = round(EVERY * SAMPLE_RATE) * WIDTH
    return b"".join(clip.audio[:step].ljust(step, b"\0") for clip in clips)


def encode(audio: bytes, kind: str, seconds: float) -> bytes:
    """Return PCM as a file of a format, repeated until it has a length.

    Compressed audio is repeated, because to encode hours of it takes minutes.
    """
    size = round(seconds * SAMPLE_RATE) * WIDTH
    if kind == "wav":
        return wav((audio * (size // len(audio) + 1))[:size])
    data = io.BytesIO()
    with av.open(data, "w", format=kind) as file:
        track = file.add_stream(CODECS[kind], rate=48_000, layout="mono")
        assert isinstance(track, av.AudioStream)
        length = len(audio) // WIDTH * 48_000 // SAMPLE_RATE  # samples
        packets = [(part, at) for part, at in packets_of(track, audio) if 0 <= at < length]
        for number in range(math.ceil(size / len(audio))):
            for packet, at in packets:
                part = av.Packet(packet)
                part.stream, part.time_base = track, Fraction(1, 48_000)
                part.pts = part.dts = at + number * length
                file.mux(part)
    return data.getvalue()


def packets_of(track: av.AudioStream, audio: bytes) -> list[tuple[bytes, int]]:
    """Encode PCM; return each packet with its time in samples, at 48 kHz."""
    resampler = av.AudioResampler(
        track.format.name, "mono", 48_000, frame_size=track.frame_size or None
    )
    samples = np.frombuffer(audio, np.int16).reshape(1, -1)
    frames: list[av.AudioFrame] = []
    for at in range(0, samples.shape[1], SAMPLE_RATE):
        frame = av.AudioFrame.from_ndarray(samples[:, at : at + SAMPLE_RATE], "s16", "mono")
        frame.sample_rate = SAMPLE_RATE
        frames += resampler.resample(frame)
    packets, position = [], 0
    for part in [*frames, *resampler.resample(None)]:
        part.pts, part.time_base = position, Fraction(1, 48_000)
        position += part.samples
        packets += track.encode(part)
    packets += track.encode(None)
    return [(bytes(packet), -1 if packet.pts is None else packet.pts) for packet in packets]


def command_table(command: Command) -> str:
    rows = [["first byte to text", "Wyoming", "HTTP", "HTTP - Wyoming"]]
    for name, which in (("median", 50), ("p90", 90)):
        before, after = percentile(command.wyoming, which), percentile(command.http, which)
        assert before is not None
        assert after is not None
        figures = [f"{before:.3f} s", f"{after:.3f} s", f"{1000 * (after - before):.0f} ms"]
        rows.append([name, *figures])
    rows.append(["median of neighbours", "", "", f"{1000 * command.more:.0f} ms"])
    return align(rows)


def memory_table(memories: Sequence[Memory]) -> str:
    rows = [["format", "file", "memory before", "peak", "peak - before", "transcribed in"]]
    for each in memories:
        sizes = (each.size, each.before, each.peak, each.more)
        rows.append(
            [each.format, *(f"{size / 1e6:.0f} MB" for size in sizes), f"{each.seconds:.0f} s"]
        )
    return align(rows)


def targets(command: Command, memories: Sequence[Memory]) -> str:
    wanted = [
        Target(
            "a command over HTTP, beyond Wyoming",
            command.more if command.http else None,
            MOST_MORE,
            "{:.3f} s",
        ),
        Target(
            "memory of a long file",
            max(each.more for each in memories) / 1e6 if memories else None,
            MOST_MEMORY / 1e6,
            "{:.0f} MB",
        ),
    ]
    return against(wanted)


if __name__ == "__main__":
    main()
