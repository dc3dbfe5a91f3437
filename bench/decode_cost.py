"""Time and CPU time of the parts of a decode: spectrogram, VAD, encoder, decoder.

Runs the server's own engine in this process. The clips are spoken commands. Each run decodes
every clip in every encoder window, so that other load on the machine affects all windows alike.
Prints a table; progress goes to stderr.
"""

import argparse
import statistics
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import TypeVar

import numpy as np

from wyoming_faster_whisper.engine.protocol import DecodeOptions
from wyoming_faster_whisper.engine.whisper.ctranslate2 import CTranslate2Whisper
from wyoming_faster_whisper.engine.whisper.token_budget import token_budget
from wyoming_faster_whisper.engine.whisper.window import FRAMES_PER_SECOND
from wyoming_faster_whisper.speech.vad import Vad

from .support.arguments import RECORDINGS, add, given_clips, parser
from .support.clips import SAMPLE_RATE, Samples, to_samples
from .support.models import load_whisper, model_directory
from .support.plot import Panel, bars, check_plotting
from .support.report import align, progress, write_json

WINDOWS = (30.0, 20.0, 15.0, 12.0, 10.0, 8.0, 5.0)  # seconds
BEAMS = (1, 5)

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Cost:
    """A cost, as the median over runs and clips."""

    seconds: float  # wall clock
    cpu: float  # seconds, of all threads


@dataclass(frozen=True, slots=True)
class Row:
    """The cost of decoding one clip in a window."""

    window: float  # seconds
    full_vad: Cost  # for audio that fills the window
    full_spectrogram: Cost
    encoder: Cost
    decoder: dict[int, Cost]  # by beam
    tokens: dict[int, float]  # mean per clip, by beam
    total: dict[int, Cost]  # by beam: VAD and spectrogram of the clip, encoder and decoder


class Stopwatch:
    """Collects the costs of each part, by its name."""

    def __init__(self) -> None:
        self._costs: defaultdict[tuple[object, ...], list[Cost]] = defaultdict(list)

    def time(self, name: tuple[object, ...], work: Callable[[], Result]) -> Result:
        seconds, cpu = time.perf_counter(), time.process_time()
        result = work()
        cost = Cost(time.perf_counter() - seconds, time.process_time() - cpu)
        self._costs[name].append(cost)
        return result

    def median(self, *name: object) -> Cost:
        costs = self._costs[name]
        return Cost(
            statistics.median(cost.seconds for cost in costs),
            statistics.median(cost.cpu for cost in costs),
        )


def main() -> None:
    arguments = parse_arguments()
    if arguments.plot:
        check_plotting()
    clips = given_clips(arguments)
    sounds = [to_samples(clip.audio) for clip in clips]
    # A clip that is longer than a window would be truncated in it.
    fitting = [sound for sound in sounds if len(sound) / SAMPLE_RATE <= min(arguments.windows)]
    if not fitting:
        sys.exit("no clips found that fit into the shortest window")

    directory = model_directory(arguments.model)
    model = load_whisper(directory, arguments.threads)
    rows = measure(model, fitting, arguments.windows, arguments.runs)

    spoken = statistics.fmean(len(sound) / SAMPLE_RATE for sound in fitting)
    title = (
        f"{arguments.model} int8, {arguments.threads} threads; {len(fitting)} clips"
        f" of {spoken:.1f} s on average; medians of {arguments.runs} runs"
    )
    print(title)
    print(table("milliseconds", rows, lambda cost: cost.seconds))
    print(table("CPU milliseconds", rows, lambda cost: cost.cpu))
    if arguments.json:
        write_json(
            arguments.json,
            {
                "model": arguments.model,
                "threads": arguments.threads,
                "runs": arguments.runs,
                "clips": len(fitting),
                "clip_seconds": spoken,
                "windows": [asdict(row) for row in rows],
            },
        )
    if arguments.plot:
        panels = [
            panel("time of one clip", rows, lambda cost: cost.seconds),
            panel("CPU time of one clip", rows, lambda cost: cost.cpu),
        ]
        bars(title, panels, arguments.plot)


def parse_arguments() -> argparse.Namespace:
    flags = parser("decode_cost", __doc__)
    add(flags, "--model", "--threads", "--limit", "--json", "--plot")
    add(
        flags,
        "--recordings",
        help=f"{RECORDINGS}; clips longer than the shortest window are skipped",
    )
    flags.add_argument("--runs", type=int, default=5, help="decodes of each clip in each window")
    flags.add_argument(
        "--windows",
        type=lambda text: [float(window) for window in text.split(",")],
        default=WINDOWS,
        metavar="A,B",
        help="encoder windows in seconds; default: "
        + ",".join(f"{window:g}" for window in WINDOWS),
    )
    return flags.parse_args()


def measure(
    model: CTranslate2Whisper, sounds: Sequence[Samples], windows: Sequence[float], runs: int
) -> list[Row]:
    watch, vad = Stopwatch(), Vad()
    tokens: defaultdict[tuple[float, int], list[int]] = defaultdict(list)
    measure_once(model, vad, Stopwatch(), sounds[0], max(windows), defaultdict(list))  # warm up
    for run in range(1, runs + 1):
        for number, sound in enumerate(sounds, start=1):
            for window in windows:
                progress(f"run {run}/{runs}, clip {number}/{len(sounds)}, {window:g} s")
                measure_once(model, vad, watch, sound, window, tokens)
    progress("")
    return [row(watch, window, tokens) for window in windows]


def measure_once(
    model: CTranslate2Whisper,
    vad: Vad,
    watch: Stopwatch,
    sound: Samples,
    window: float,
    tokens: defaultdict[tuple[float, int], list[int]],
) -> None:
    """Measure one clip in one window with each beam."""
    # Not decode(), which would choose the window itself.
    full = np.resize(sound, round(window * SAMPLE_RATE))
    watch.time(("vad", window), lambda: vad.probabilities(full))
    watch.time(("spectrogram", window), lambda: model.features(full))

    watch.time(("vad",), lambda: vad.probabilities(sound))
    features = watch.time(("spectrogram",), lambda: model.features(sound))
    frames = round(window * FRAMES_PER_SECOND)
    encoding = watch.time(("encoder", window), lambda: model.encode([features], frames))
    prompt = model.tokenizer.prompt(DecodeOptions(), "en")
    budget = token_budget(len(sound) / SAMPLE_RATE, "en")
    for beam in BEAMS:
        generate = partial(model.generate, encoding, [prompt], beam, [budget])
        [decoded] = watch.time(("decoder", window, beam), generate)
        tokens[window, beam].append(decoded.tokens)


def row(
    watch: Stopwatch, window: float, tokens: defaultdict[tuple[float, int], list[int]]
) -> Row:
    encoder = watch.median("encoder", window)
    decoder = {beam: watch.median("decoder", window, beam) for beam in BEAMS}
    before = [watch.median("vad"), watch.median("spectrogram"), encoder]
    return Row(
        window=window,
        full_vad=watch.median("vad", window),
        full_spectrogram=watch.median("spectrogram", window),
        encoder=encoder,
        decoder=decoder,
        tokens={beam: statistics.fmean(tokens[window, beam]) for beam in BEAMS},
        total={
            beam: Cost(
                sum(cost.seconds for cost in (*before, decoder[beam])),
                sum(cost.cpu for cost in (*before, decoder[beam])),
            )
            for beam in BEAMS
        },
    )


def table(unit: str, rows: Sequence[Row], value: Callable[[Cost], float]) -> str:
    """Format a row per window and a column per part."""
    titles = ["VAD*", "spectrogram*", "encoder"]
    titles += [f"decoder, beam {beam}" for beam in BEAMS]
    titles += [f"tokens, beam {beam}" for beam in BEAMS]
    titles += [f"a clip, beam {beam}" for beam in BEAMS]
    cells = [[unit, *titles]]
    for each in rows:
        costs = [each.full_vad, each.full_spectrogram, each.encoder, *each.decoder.values()]
        cells.append(
            [
                f"{each.window:g} s",
                *(f"{1000 * value(cost):.1f}" for cost in costs),
                *(f"{count:.1f}" for count in each.tokens.values()),
                *(f"{1000 * value(cost):.1f}" for cost in each.total.values()),
            ]
        )
    return align([*cells, ["* of sound that fills the window; a clip has less of it"]])


def panel(title: str, rows: Sequence[Row], value: Callable[[Cost], float]) -> Panel:
    """Make a panel with the parts of a decode, stacked up to the largest beam."""
    beam = max(BEAMS)
    parts: dict[str, Callable[[Row], float]] = {
        "VAD and spectrogram": lambda row: (
            value(row.total[beam]) - value(row.encoder) - value(row.decoder[beam])
        ),
        "encoder": lambda row: value(row.encoder),
        f"decoder, beam {min(BEAMS)}": lambda row: value(row.decoder[min(BEAMS)]),
        f"beam {beam}, on top of that": lambda row: max(
            0.0, value(row.decoder[beam]) - value(row.decoder[min(BEAMS)])
        ),
    }
    return Panel(
        title=title,
        unit="ms",
        labels=[f"{row.window:g} s" for row in rows],
        series={name: [1000 * part(row) for row in rows] for name, part in parts.items()},
        stacked=True,
    )


if __name__ == "__main__":
    main()
