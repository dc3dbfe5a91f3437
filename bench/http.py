"""The HTTP API: a command beside one over Wyoming, and the memory that long files take.

Commands are sent over both in turn, all at once. The long files have a command every 30 s and
silence between, or as many as fit with --every 0. The answer asked for is the largest: times of
segments and words, and log-probabilities. Each format gets a server of its own. Prints tables, a
row of the second when it is measured; progress goes to stderr.

Commands beside uploads are measured by bench.beside_files --over http, the speed of long files by
bench.long_files.
"""

import argparse
import asyncio
import math
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from fractions import Fraction

import av
import numpy as np

from .support.arguments import (
    RECORDINGS,
    THIS_SERVER,
    add,
    given_clips,
    headline,
    listed,
    parser,
    this_server,
)
from .support.clips import SAMPLE_RATE, WIDTH, Clip
from .support.playback import play
from .support.report import Target, against, align, percentile, progress, write_json
from .support.servers import Options, Server, free_port, this_python
from .support.uploads import subtitles, transcribe, wav


@dataclass(frozen=True, slots=True)
class Container:
    """How FFmpeg writes a format."""

    muxer: str
    codec: str
    options: dict[str, str] = field(default_factory=dict)


CONTAINERS = {
    "flac": Container("flac", "flac"),
    "mp3": Container("mp3", "libmp3lame"),
    "ogg": Container("ogg", "libopus"),
    "webm": Container("webm", "libopus"),
    "mp4": Container("mp4", "aac"),  # its index is at the end
    "m4a": Container("ipod", "aac", {"movflags": "faststart"}),
    # As browsers record it, in parts of 1 s.
    "mp4-parts": Container("mp4", "aac", {"movflags": "empty_moov", "frag_duration": "1000000"}),
}
PCM = "pcm"  # to /asr, as Bazarr sends a film
FORMATS = ("wav", PCM, *CONTAINERS)
PAUSE = 0.5  # seconds between two commands at least
EVERY = 30.0  # seconds from one command to the next in a long file
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
    left: int  # of files that were not deleted

    @property
    def more(self) -> int:
        return self.peak - self.before


def main() -> None:
    arguments = parse_arguments()
    clips = given_clips(arguments)
    ours = this_server(arguments)
    command = asyncio.run(commands(clips, ours, arguments.rounds))
    progress("")
    print(f"{headline(arguments)}; {len(command.http)} commands, all at once")
    if command.http:
        print(command_table(command))
    audio = film(clips, arguments.every)
    speech = sum(clip.seconds for clip in clips) / (len(audio) / WIDTH / SAMPLE_RATE)
    print(f"\nfiles of {arguments.hours:g} h, {speech:.0%} of it commands")
    print(row(*MEMORY_COLUMNS), flush=True)
    memories = []
    for kind in arguments.formats:
        memories.append(asyncio.run(memory(clips[0], audio, ours, arguments.hours, kind)))
        progress("")
        print(memory_row(memories[-1]), flush=True)
    print(f"\n{targets(command, memories)}")
    if arguments.json:
        figures = {"command": asdict(command), "memory": [asdict(each) for each in memories]}
        write_json(arguments.json, figures)


def parse_arguments() -> argparse.Namespace:
    flags = parser("http", __doc__)
    add(flags, *THIS_SERVER, "--limit", "--json")
    add(flags, "--recordings", help=RECORDINGS)
    flags.add_argument("--rounds", type=int, default=5, help="commands of each clip; 0 = none")
    flags.add_argument("--hours", type=float, default=2.0, help="length of the long files")
    flags.add_argument(
        "--every",
        type=float,
        default=EVERY,
        metavar="SECONDS",
        help=f"from one command in a long file to the next, {PAUSE:g} s after its end at least "
        "(default: %(default)g)",
    )
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
    if not rounds:
        return measured
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


async def memory(first: Clip, audio: bytes, options: Options, hours: float, kind: str) -> Memory:
    progress(f"{hours:g} h of {kind}")
    file = await asyncio.to_thread(encode, audio, kind, 3600 * hours)
    served, port = with_http(options)
    async with Server(this_python(), served) as server:
        await server.wait_until_idle()
        await play(server.port, first.audio, silence=first.silence(0.5), paced=False)
        before = server.memory()
        began = time.perf_counter()
        if kind == PCM:
            await asyncio.to_thread(subtitles, port, file, language=options.language)
        else:
            await asyncio.to_thread(
                transcribe, port, file, language=options.language, detailed=True
            )
        seconds = time.perf_counter() - began
        left = server.left_on_disk("tmp")
        return Memory(kind, len(file), before, server.peak_memory(), seconds, left)


def film(clips: Sequence[Clip], every: float) -> bytes:
    """Return PCM with each clip once.

    Args:
        every: seconds from the start of one to the next; more if a clip and a pause take longer.
    """
    pause = bytes(round(PAUSE * SAMPLE_RATE) * WIDTH)
    step = round(every * SAMPLE_RATE) * WIDTH
    return b"".join((clip.audio + pause).ljust(step, b"\0") for clip in clips)


def encode(audio: bytes, kind: str, seconds: float) -> bytes:
    """Return PCM as a file of a format, repeated until it has a length.

    Compressed audio is repeated, because to encode hours of it takes minutes.
    """
    size = round(seconds * SAMPLE_RATE) * WIDTH
    if kind in ("wav", PCM):
        pcm = (audio * (size // len(audio) + 1))[:size]
        return wav(pcm) if kind == "wav" else pcm
    container = CONTAINERS[kind]
    # A file with a name: FFmpeg opens it again to move the index to its start.
    with tempfile.NamedTemporaryFile() as target:
        with av.open(target.name, "w", container.muxer, container.options) as file:
            track = file.add_stream(container.codec, rate=48_000, layout="mono")
            assert isinstance(track, av.AudioStream)
            length = len(audio) // WIDTH * 48_000 // SAMPLE_RATE  # samples
            packets = [(part, at) for part, at in packets_of(track, audio) if 0 <= at < length]
            for number in range(math.ceil(size / len(audio))):
                for packet, at in packets:
                    part = av.Packet(packet)
                    part.stream, part.time_base = track, Fraction(1, 48_000)
                    part.pts = part.dts = at + number * length
                    file.mux(part)
        return target.read()


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


MEMORY_COLUMNS = ("format", "file", "before", "peak", "more", "transcribed in", "left on disk")


def memory_row(each: Memory) -> str:
    sizes = (f"{size / 1e6:.0f} MB" for size in (each.size, each.before, each.peak, each.more))
    return row(each.format, *sizes, f"{each.seconds:.0f} s", f"{each.left} bytes")


def row(first: str, *others: str) -> str:
    """Format a row of a table whose other rows are not known yet."""
    return first.ljust(14) + "".join(cell.rjust(max(10, len(cell) + 2)) for cell in others)


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
