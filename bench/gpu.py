"""Batches, compute types, memory pool and microphones on an NVIDIA GPU.

For each compute type, with and without memory kept in CUDA's pool, a process of its own decodes
batches of orders, and of 30 s of speech, and prints their times. Then a server with the GPU
serves microphones in real time. On a machine without a GPU it says so and measures nothing.
Prints tables; progress goes to stderr.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from pathlib import Path

import numpy as np

from wyoming_faster_whisper.engine.gpu_memory import ALL, GpuError, GpuMemory
from wyoming_faster_whisper.engine.protocol import DecodeOptions, Job

from .load import say, speak
from .support.arguments import RECORDINGS, THIS_SERVER, add, listed, numbers, parser, this_server
from .support.clips import SAMPLE_RATE, TEST_CLIPS, Clip, Samples, load, to_samples
from .support.models import model_directory
from .support.report import align, percentile, progress, write_json
from .support.servers import Server, this_python

COMPUTE_TYPES = ("float16", "int8_float16")
POOLS = {"kept": ALL, "returned": 0}
"""Release thresholds of CUDA's memory pool in bytes."""

BATCHES = (1, 2, 4, 8, 16, 32)
MICROPHONES = (8, 32, 64)


@dataclass(frozen=True, slots=True)
class Timed:
    """Times of batches of one size."""

    what: str  # "orders" or "30 s"
    batch: int  # jobs
    seconds: tuple[float, ...]  # of each batch
    pool: int  # MB that CUDA's pool held afterwards

    def row(self) -> Sequence[str]:
        median, most = percentile(self.seconds, 50), percentile(self.seconds, 95)
        assert median is not None
        assert most is not None
        return (
            self.what,
            str(self.batch),
            f"{median:.3f} s",
            f"{most:.3f} s",
            f"{self.batch / median:.1f}",
            f"{self.pool} MB",
        )


def main() -> None:
    arguments = parse_arguments()
    try:
        GpuMemory(0)
    except GpuError as missing:
        print(f"Nothing was measured, because there is no GPU here: {missing}.")
        return
    if arguments.child:
        compute_type, pool = arguments.child.split(",")
        print(json.dumps([list(one) for one in _child(arguments, compute_type, int(pool))]))
        return
    found: dict[str, list[list[object]]] = {}
    for compute_type in arguments.compute_types:
        for name, size in POOLS.items():
            label = f"{compute_type}, memory {name}"
            progress(label)
            found[label] = _in_child(arguments, compute_type, size)
            print(f"\n{arguments.model}, {label}")
            header = ("jobs", "batch", "median", "p95", "jobs per second", "pool")
            print(align([header, *(Timed(*row).row() for row in _timed(found[label]))]))
    progress("")
    streams = asyncio.run(_streams(arguments))
    print("\nmicrophones in real time, from audio-stop to the text")
    print(align([("microphones", "median", "p90", "p95", "lost"), *streams]))
    if arguments.json:
        write_json(arguments.json, {"batches": found, "microphones": streams})


def parse_arguments() -> argparse.Namespace:
    flags = parser("gpu", __doc__)
    add(flags, *THIS_SERVER, "--limit", "--json")
    add(flags, "--recordings", help=RECORDINGS)
    flags.add_argument("--compute-types", type=listed(COMPUTE_TYPES), default=COMPUTE_TYPES)
    flags.add_argument("--batches", type=numbers, default=BATCHES)
    flags.add_argument("--microphones", type=numbers, default=MICROPHONES)
    flags.add_argument("--rounds", type=int, default=5)
    flags.add_argument("--child", help=argparse.SUPPRESS)
    return flags.parse_args()


def _timed(rows: Sequence[Sequence[object]]) -> Iterator[tuple[str, int, tuple[float, ...], int]]:
    for what, batch, seconds, pool in rows:
        assert isinstance(what, str)
        assert isinstance(seconds, list)
        assert isinstance(batch, int)
        assert isinstance(pool, int)
        yield what, batch, tuple(seconds), pool


def _in_child(arguments: argparse.Namespace, compute_type: str, pool: int) -> list[list[object]]:
    """Measure in a process of its own: a pool's threshold and peak hold for a process."""
    command = [sys.executable, "-m", "bench.gpu", "--child", f"{compute_type},{pool}"]
    command += ["--model", arguments.model, "--rounds", str(arguments.rounds)]
    command += ["--batches", ",".join(f"{batch:g}" for batch in arguments.batches)]
    for folder in arguments.recordings or ():
        command += ["--recordings", str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    rows: list[list[object]] = json.loads(done.stdout.splitlines()[-1])
    return rows


def _child(
    arguments: argparse.Namespace, compute_type: str, pool: int
) -> Iterator[tuple[str, int, list[float], int]]:
    from wyoming_faster_whisper.engine.whisper.calibration.values import Calibrations
    from wyoming_faster_whisper.engine.whisper.ctranslate2 import CTranslate2Whisper
    from wyoming_faster_whisper.engine.whisper.pipeline import WhisperPipeline
    from wyoming_faster_whisper.engine.whisper.weights import load_model

    gpu = GpuMemory(0)
    gpu.keep(pool)
    directory = model_directory(arguments.model)
    weights = load_model(directory, device="cuda", compute_type=compute_type, threads=1)
    model = CTranslate2Whisper(weights, directory / "tokenizer.json")
    pipeline = WhisperPipeline(model, Calibrations(arguments.model))
    clips = [to_samples(clip.audio) for clip in _clips(arguments)]
    for what, sounds in (("orders", clips), ("30 s", [_joined(clips)])):
        for batch in map(int, arguments.batches):
            jobs = _jobs(sounds, batch)
            pipeline.decode(jobs, 5)  # warm-up
            seconds = []
            for _ in range(arguments.rounds):
                began = time.perf_counter()
                pipeline.decode(jobs, 5)
                seconds.append(time.perf_counter() - began)
            yield what, batch, seconds, gpu.pool().reserved // 1_000_000


def _clips(arguments: argparse.Namespace) -> list[Clip]:
    folders: list[Path] = arguments.recordings or [TEST_CLIPS]
    return load(folders, arguments.limit)


def _joined(clips: Sequence[Samples]) -> Samples:
    """Return 30 s of speech."""
    count = 30 * SAMPLE_RATE
    parts = islice(cycle(clips), count // min(map(len, clips)) + 1)
    return np.concatenate(list(parts))[:count]


def _jobs(sounds: Sequence[Samples], batch: int) -> list[Job]:
    options = DecodeOptions(language="en")
    longest = max(map(len, islice(cycle(sounds), batch)))
    jobs = []
    for sound in islice(cycle(sounds), batch):
        # Of one length, so that they share a window, and thus a batch.
        padded = np.pad(sound, (0, longest - len(sound)))
        jobs.append(Job(padded, options, speech=((0, len(sound)),), quick=True))
    return jobs


async def _streams(arguments: argparse.Namespace) -> list[Sequence[str]]:
    options = this_server(arguments)
    options = replace(options, compute_type="float16", extra=(*options.extra, "--device=cuda"))
    clips = _clips(arguments)
    rows: list[Sequence[str]] = []
    async with Server(this_python(), options) as server:
        await server.wait_until_idle()
        await say(server, clips[0])
        for count in map(int, arguments.microphones):
            progress(f"{count} microphones")
            phase = await speak(
                server, clips, microphones=count, rounds=arguments.rounds, paced=True
            )
            waits = [phase.wait(percent) for percent in (50, 90, 95)]
            shown = ["-" if wait is None else f"{wait:.3f} s" for wait in waits]
            rows.append((str(count), *shown, str(phase.lost)))
    return rows


if __name__ == "__main__":
    main()
