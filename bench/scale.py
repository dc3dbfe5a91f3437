"""How many replicas does a number of homes need at the evening peak?

Simulates replicas behind a balancer (bench/support/queueing.py) with measured decode times, and
prints, for each number of homes, the fewest replicas that answer 95% of the utterances within
0.3 s after audio-stop, what they cost, and what the ScaledObject of deploy/kubernetes asks for.
Where a lone utterance takes longer than that, the queue may add 0.05 s.

Times are measured with bench.load's microphones in bursts, or read from files of bench.load: one
with one microphone and several with more. The load with the most microphones is not used for the
fit: the simulation is checked against it, and the exit status is 1 if it is off by more than 20%.
"""

import argparse
import asyncio
import json
import math
import re
import statistics
import sys
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from .load import LoadPhase, speak
from .support.arguments import add, numbers, parser
from .support.clips import TEST_CLIPS
from .support.clips import load as load_clips
from .support.models import model_directory
from .support.plot import Lines, check_plotting, lines
from .support.queueing import Outcome, Service, in_bursts, in_real_time
from .support.report import align, percentile, progress, write_json
from .support.servers import Options, Server, free_port, this_python

WAIT = 0.3  # seconds after audio-stop for 95% of the utterances
QUEUE = 0.05  # seconds that the queue may add where a lone utterance takes longer than that
OFF = 0.2  # greatest relative error of the simulation
UTTERANCES = 40_000  # simulated for each number of replicas
# Busy decoders for each replica, as in the ScaledObjects: 95% of the answers come in time then.
POD_BUSY, GPU_BUSY = 0.15, 0.6
OURS = "this server"
MICROPHONES = (1, 4, 8)
TOGETHER = 24  # utterances in a burst: the same clips for each number of microphones
# Bursts of each number of microphones, in turn, so that other programs slow all of them alike.
CYCLES = 2
SEEDS = 10  # simulations of a burst, of which the mean counts


@dataclass(frozen=True, slots=True)
class Measured:
    """What bench.load's microphones measured."""

    microphones: int
    rounds: int  # utterances of each in a burst
    waits: list[float]  # in bursts, seconds
    throughput: float  # in bursts, utterances per second
    burst_cpu: float  # CPU seconds per utterance in bursts: without dropped guesses
    real_cpu: float  # and in real time, with them

    @property
    def median(self) -> float:
        return statistics.median(self.waits)


@dataclass(frozen=True, slots=True)
class Hardware:
    """A kind of replica."""

    name: str
    service: Service
    unit: str  # what a replica costs
    units: int
    threshold: float  # busy decoders for each replica


@dataclass(frozen=True, slots=True)
class Need:
    """The fewest replicas for a load."""

    replicas: int
    outcome: Outcome

    @property
    def p95(self) -> float:
        return percentile(self.outcome.waits, 95) or 0.0


def main() -> int:
    arguments = parse_arguments()
    if arguments.plot:
        check_plotting()
    loads = [load for path in arguments.load for load in read(path)]
    max_batch = arguments.max_batch
    if not loads:
        loads, max_batch = asyncio.run(measure(arguments))
    loads.sort(key=lambda each: each.microphones)
    if len(loads) < 3 or loads[0].microphones != 1:
        sys.exit("give three files of bench.load at least, one of them with --microphones 1")
    if arguments.json:
        write_json(arguments.json, {"loads": [asdict(each) for each in loads]})
    *fitted, check = loads
    pod = fit(fitted, max_batch)
    print(f"one CPU pod: {described(pod)}")
    within = print_check(pod, check)
    hardware = [Hardware("CPU pods", pod, "cores", arguments.cores, POD_BUSY)]
    if arguments.gpu:
        first, more, batch = arguments.gpu
        gpu = replace(pod, first=first, more=more, max_batch=int(batch), overhead=0.0)
        print(f"one GPU: {described(gpu)}; given, not measured")
        hardware.append(Hardware("GPUs", gpu, "GPUs", 1, GPU_BUSY))
    print(f"\n{arguments.per_hour:g} utterances per home in the busiest hour\n")
    for kind in hardware:
        print(table(kind, arguments.homes, arguments.per_hour))
        print()
    if arguments.plot:
        lines(*plotted(hardware, arguments.per_hour), arguments.plot)
    return 0 if within else 1


def parse_arguments() -> argparse.Namespace:
    flags = parser("scale", __doc__)
    add(flags, "--model", "--threads", "--limit", "--recordings", "--json", "--plot")
    flags.add_argument(
        "--load",
        type=Path,
        nargs="+",
        default=[],
        metavar="LOAD.json",
        help="files of bench.load --json, or of this --json, instead of measuring",
    )
    flags.add_argument(
        "--homes",
        type=int,
        nargs="+",
        default=[1, 1_000, 1_000_000],
        metavar="N",
        help="numbers of homes (default: 1 1000 1000000)",
    )
    flags.add_argument(
        "--per-hour",
        type=float,
        default=6.0,
        metavar="N",
        help="utterances of a home in the busiest hour; an assumption (default: %(default)g)",
    )
    flags.add_argument(
        "--max-batch", type=int, default=4, help="of the files of --load (default: %(default)s)"
    )
    flags.add_argument(
        "--cores", type=int, default=2, help="of a CPU pod and of the load (default: %(default)s)"
    )
    flags.add_argument(
        "--gpu",
        type=numbers,
        metavar="FIRST,MORE,BATCH",
        help="seconds of a batch with one job, seconds of each further job, largest batch",
    )
    return flags.parse_args()


async def measure(arguments: argparse.Namespace) -> tuple[list[Measured], int]:
    """Measure this server with few and many microphones; takes a minute or two.

    Returns:
        The loads, and the largest batch that the server decoded.
    """
    clips = load_clips(arguments.recordings or [TEST_CLIPS], arguments.limit)
    port = free_port()
    options = Options(
        model_directory(arguments.model),
        cpu_threads=arguments.threads,
        beam_size=0,
        extra=(f"--metrics-port={port}",),
    )
    bursts: dict[int, list[LoadPhase]] = {microphones: [] for microphones in MICROPHONES}
    async with Server(this_python(), options) as server:
        await server.wait_until_idle()
        await speak(server, clips, microphones=1, rounds=1, paced=False)  # waits for the model
        progress("one microphone in real time")
        real = await speak(server, clips, microphones=1, rounds=6, paced=True)
        for _ in range(CYCLES):
            for microphones, phases in bursts.items():
                progress(f"{microphones} microphones in bursts")
                phases.append(
                    await speak(
                        server,
                        clips,
                        microphones=microphones,
                        rounds=TOGETHER // microphones,
                        paced=False,
                    )
                )
        sizes = await asyncio.to_thread(_batch_sizes, port)
    progress("")
    loads = [
        Measured(
            microphones,
            TOGETHER // microphones,
            [wait for phase in phases for wait in phase.waits],
            sum(phase.utterances for phase in phases) / sum(phase.seconds for phase in phases),
            sum(phase.cpu for phase in phases) / sum(phase.utterances for phase in phases),
            real.cpu / real.utterances,
        )
        for microphones, phases in bursts.items()
    ]
    return loads, max(sizes)


def _batch_sizes(port: int) -> list[int]:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
        text = str(answer.read(), "utf-8")
    return list(map(int, re.findall(r'wyoming_stt_batches_total\{size="(\d+)"\}', text)))


def read(path: Path) -> list[Measured]:
    """Read a file of bench.load, or of this benchmark."""
    content: dict[str, Any] = json.loads(path.read_text())
    if "loads" in content:
        return [Measured(**load) for load in content["loads"]]
    phases: Mapping[str, Any] = content["servers"][OURS]
    one, burst = phases["one"], phases["burst"]
    return [
        Measured(
            content["microphones"],
            content["rounds"],
            burst["waits"],
            len(burst["waits"]) / burst["seconds"],
            burst["cpu"] / len(burst["waits"]),
            one["cpu"] / len(one["waits"]),
        )
    ]


def fit(loads: Sequence[Measured], max_batch: int) -> Service:
    """Return the decode times with which the simulation gives what was measured.

    A batch of several jobs takes less CPU time for each than one job, which says what a further
    job costs relative to the first. The throughput of several microphones then gives the time of
    the first, and that of one microphone what is not decoding.
    """
    alone, *others = loads
    mean = statistics.mean(alone.waits)
    service = Service(
        mean,
        mean,
        max_batch,
        wasted=max(0.0, alone.real_cpu / alone.burst_cpu - 1),
        ratios=tuple(wait / mean for wait in alone.waits),
    )
    load = others[-1]
    wanted_share = load.burst_cpu / alone.burst_cpu
    fits = [_with_share(service, load, 1 / alone.throughput, step / 20) for step in range(21)]
    return min(fits, key=lambda each: abs(_cpu_share(each, load) - wanted_share))


def _with_share(service: Service, load: Measured, alone: float, share: float) -> Service:
    """Return the service that has a load's throughput if a further job costs a share of one."""

    def made(first: float) -> Service:
        return replace(service, first=first, more=share * first, overhead=alone - first)

    first = bisect(lambda first: simulated(made(first), load)[0], load.throughput, alone)
    return made(first)


def _cpu_share(service: Service, load: Measured) -> float:
    """Return the decoder time of a job in a load, relative to that of a job alone."""
    outcome = in_bursts(service, clients=load.microphones, rounds=50)
    return outcome.busy * outcome.seconds / len(outcome.waits) / service.first


def bisect(function: Callable[[float], float], wanted: float, most: float) -> float:
    """Return where a falling function has a value, between 0 and most."""
    low, high = 0.0, most
    for _ in range(20):
        middle = (low + high) / 2
        if function(middle) > wanted:
            low = middle
        else:
            high = middle
    return low


def simulated(service: Service, load: Measured) -> tuple[float, float]:
    """Return the throughput and the median wait of a load in bursts."""
    outcomes = [
        in_bursts(service, clients=load.microphones, rounds=load.rounds, seed=seed)
        for seed in range(SEEDS)
    ]
    waits = [wait for each in outcomes for wait in each.waits]
    return len(waits) / sum(each.seconds for each in outcomes), statistics.median(waits)


def print_check(service: Service, load: Measured) -> bool:
    """Compare the simulation with a measurement; return whether it is close enough."""
    throughput, median = simulated(service, load)
    rows = [["", "measured", "simulated", "off"]]
    within = True
    for title, real, model in (
        ("utterances per second", load.throughput, throughput),
        ("audio-stop to text, median", load.median, median),
    ):
        off = model / real - 1
        within &= abs(off) <= OFF
        rows.append([title, f"{real:.2f}", f"{model:.2f}", f"{off:+.0%}"])
    print(f"\n{load.microphones} microphones in bursts, not used for the fit:\n{align(rows)}")
    return within


def wanted(service: Service) -> float:
    """Return the wait in seconds that 95% of the utterances may have."""
    alone = in_real_time(service, replicas=1, per_second=1e-6, utterances=UTTERANCES // 4)
    return max(WAIT, (percentile(alone.waits, 95) or 0.0) + QUEUE)


def need(service: Service, per_second: float, most: float, utterances: int = UTTERANCES) -> Need:
    """Return the smallest number of replicas whose p95 wait is within a limit in seconds."""

    def trial(replicas: int) -> Need:
        outcome = in_real_time(
            service, replicas=replicas, per_second=per_second, utterances=utterances
        )
        return Need(replicas, outcome)

    # With fewer, the queue would grow without bound.
    low = max(0, math.floor(per_second * service.per_job))
    high = trial(max(1, low))
    while high.p95 > most:
        low, high = high.replicas, trial(math.ceil(high.replicas * 1.3 + 1))
    while high.replicas - low > max(1, high.replicas // 100):
        middle = trial((low + high.replicas) // 2)
        if middle.p95 <= most:
            high = middle
        else:
            low = middle.replicas
    return high


def table(kind: Hardware, homes: Sequence[int], per_hour: float) -> str:
    """Format a row for each number of homes."""
    most = wanted(kind.service)
    titles = ("homes", "utterances/s", "replicas", kind.unit, "p95", "busy decoders", "of each")
    rows = [[*titles, "KEDA"]]
    for number in homes:
        per_second = number * per_hour / 3600
        found = need(kind.service, per_second, most)
        keda = max(2, math.ceil(found.outcome.busy / kind.threshold))
        rows.append(
            [
                f"{number:,}",
                f"{per_second:.3g}",
                f"{found.replicas:,}",
                f"{found.replicas * kind.units:,}",
                f"{found.p95:.2f} s",
                f"{found.outcome.busy:.3g}",
                f"{found.outcome.busy / found.replicas:.2f}",
                f"{keda:,}",
            ]
        )
    return f"{kind.name}, 95% within {most:.2f} s\n{align(rows)}"


def plotted(hardware: Sequence[Hardware], per_hour: float) -> tuple[str, list[Lines]]:
    """Return a panel for each kind: waits by homes per replica, for few and many replicas."""
    panels = []
    for kind in hardware:
        service = kind.service
        most = 3600 / per_hour / service.per_job
        homes = [round(most * share / 20) for share in range(1, 20)]
        series = {}
        for replicas in (1, 4, 32):
            waits = [
                percentile(
                    in_real_time(
                        service,
                        replicas=replicas,
                        per_second=each * replicas * per_hour / 3600,
                        utterances=UTTERANCES // 4,
                    ).waits,
                    95,
                )
                for each in homes
            ]
            series[f"{replicas} replica{'s' if replicas > 1 else ''}"] = waits
        panels.append(
            Lines(kind.name, "homes per replica", "p95 of the wait, s", homes, series, 2)
        )
    return f"Waits at the evening peak, {per_hour:g} utterances per home and hour", panels


def described(service: Service) -> str:
    return (
        f"{service.first:.3f} s for one job, {service.more:.3f} s for each further one of a "
        f"batch of up to {service.max_batch}, {service.overhead:.3f} s before one in bursts, "
        f"{service.wasted:.2f} dropped decodes per utterance"
    )


if __name__ == "__main__":
    sys.exit(main())
