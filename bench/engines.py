"""Engines compared: same machine, same clips; those for Whisper with the same weights.

Each engine runs in its own process. Every clip goes through all engines before the next clip,
so that other load on the machine affects all engines alike. Prints a table; after Ctrl-C, with
the clips decoded so far. Progress goes to stderr.

whisper.cpp needs the package pywhispercpp; ONNX Runtime needs onnx. An engine whose package is
missing is skipped with a warning. The model files for these engines are converted from the
installed model (conversion/ggml.py, wyoming_faster_whisper/engine/onnx/whisper).
"""

import argparse
import os
import signal
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field
from multiprocessing import get_context

from wyoming_faster_whisper.hardware import resident_memory

from .accuracy import SPEECH
from .speech.noise import degrade, noise_of
from .support.arguments import RECORDINGS, add, given_clips, listed, parser
from .support.clips import (
    Clip,
    Samples,
    accepted,
    to_samples,
    word_error_rate,
)
from .support.engine_candidates import Candidate, Decode, at_hand, candidates_for
from .support.report import align, progress, write_json

ALL = "all"  # conditions together
ROOM = 0.3  # seconds of silence kept after the speech, so that no final consonant is cut


@dataclass(frozen=True, slots=True)
class EngineAnswer:
    text: str
    seconds: float
    cpu: float  # seconds, of all threads
    memory: int  # bytes, resident, after the decode


@dataclass(slots=True)
class Row:
    """The results of an engine over all clips."""

    engine: str
    window: str
    beam: str
    threads: int
    seconds: float  # median
    cpu: float  # seconds, mean
    slowest: float  # seconds
    memory: float  # MB, largest after a decode
    accepted: dict[str, float]  # share of the clips with phrases, by condition
    word_error_rate: float | None  # of the clips with a complete transcript
    texts: dict[str, str] = field(default_factory=dict)  # by clip and condition


@dataclass(frozen=True, slots=True)
class Trial:
    """A clip in one condition."""

    clip: Clip
    condition: str

    @property
    def name(self) -> str:
        return f"{self.clip.name}, {self.condition}"

    def samples(self, noise: Samples) -> Samples:
        pcm = self.clip.audio + self.clip.silence(ROOM)
        return to_samples(degrade(self.clip, pcm, self.condition, noise))


def main() -> None:
    arguments = parse_arguments()
    clips = [
        Trial(clip, condition)
        for condition in arguments.conditions
        for clip in given_clips(arguments)
    ]
    candidates = at_hand(candidates_for(arguments.model, arguments.threads), arguments.only)
    busy = os.getloadavg()[0]
    if not candidates:
        sys.exit("no engine to run")
    noise = noise_of(arguments.noise)
    answers = measure(candidates, clips, noise)
    clips = clips[: len(answers[0])]
    if not clips:
        sys.exit("interrupted before the first clip was decoded")
    rows = [row(candidate, clips, answers[number]) for number, candidate in enumerate(candidates)]

    spoken = statistics.fmean(trial.clip.seconds for trial in clips)
    load_average = (busy, os.getloadavg()[0])
    print(
        f"{arguments.model}; {len(clips)} clips of {spoken:.1f} s on average, each once;"
        f" load average {load_average[0]:.1f} before, {load_average[1]:.1f} after"
    )
    print(table(rows))
    if arguments.json:
        write_json(
            arguments.json,
            {
                "model": arguments.model,
                "clips": len(clips),
                "clip_seconds": spoken,
                "load_average": load_average,
                "engines": [asdict(each) for each in rows],
            },
        )


def parse_arguments() -> argparse.Namespace:
    flags = parser("engines", __doc__)
    add(flags, "--model", "--threads", "--limit", "--json", "--noise")
    add(flags, "--recordings", help=RECORDINGS)
    flags.add_argument(
        "--conditions",
        type=listed(SPEECH),
        default=("clean",),
        help="conditions of the clips, like clean,10dB,5dB (default: clean)",
    )
    flags.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="WORD",
        help="run only engines whose name contains WORD (repeatable)",
    )
    return flags.parse_args()


_decode: Decode | None = None  # set in the engine's own process


def _start(load_engine: Callable[[], Decode]) -> None:
    global _decode
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent process handles it
    _decode = load_engine()


def _answer(samples: Samples) -> EngineAnswer:
    assert _decode is not None
    seconds, cpu = time.perf_counter(), time.process_time()
    text = _decode(samples)
    seconds, cpu = time.perf_counter() - seconds, time.process_time() - cpu
    return EngineAnswer(text, seconds, cpu, resident_memory())


def measure(
    candidates: Sequence[Candidate], trials: Sequence[Trial], noise: Samples
) -> list[list[EngineAnswer]]:
    """Return the answers of each candidate, by trial; after Ctrl-C, for the trials so far."""
    sounds = [trial.samples(noise) for trial in trials]
    answers: list[list[EngineAnswer]] = [[] for _ in candidates]
    with ExitStack() as stack:
        pools = []
        for candidate in candidates:
            progress(f"loading {candidate.name}")
            pool = ProcessPoolExecutor(
                1, get_context("spawn"), initializer=_start, initargs=(candidate.load,)
            )
            pools.append(stack.enter_context(pool))
            pool.submit(_answer, sounds[0]).result()  # load and warm up
        with suppress(KeyboardInterrupt):
            for number, sound in enumerate(sounds, start=1):
                for candidate, pool, kept in zip(candidates, pools, answers, strict=True):
                    progress(f"clip {number}/{len(sounds)}, {candidate.name}")
                    kept.append(pool.submit(_answer, sound).result())
    progress("")
    complete = min(map(len, answers))
    return [kept[:complete] for kept in answers]


def row(candidate: Candidate, trials: Sequence[Trial], answers: Sequence[EngineAnswer]) -> Row:
    texts = {trial.name: answer.text for trial, answer in zip(trials, answers, strict=True)}
    return Row(
        engine=candidate.name,
        window=candidate.window,
        beam=candidate.beam,
        threads=candidate.threads,
        seconds=statistics.median(answer.seconds for answer in answers),
        cpu=statistics.fmean(answer.cpu for answer in answers),
        slowest=max(answer.seconds for answer in answers),
        memory=max(answer.memory for answer in answers) / 1e6,
        accepted=_accepted(trials, texts),
        word_error_rate=_word_error_rate(trials, texts),
        texts=texts,
    )


def _accepted(trials: Sequence[Trial], texts: Mapping[str, str]) -> dict[str, float]:
    """Return the share of accepted orders by condition, and that of all conditions."""
    right: dict[str, list[bool]] = {}
    for trial in trials:
        if trial.clip.phrases:
            is_right = accepted(trial.clip, texts[trial.name])
            right.setdefault(trial.condition, []).append(is_right)
    if len(right) > 1:
        right[ALL] = [one for some in right.values() for one in some]
    return {condition: statistics.fmean(some) for condition, some in right.items()}


def _word_error_rate(trials: Sequence[Trial], texts: Mapping[str, str]) -> float | None:
    known = [(trial.clip.text, texts[trial.name]) for trial in trials if trial.clip.text]
    if not known:
        return None
    truths, heard = zip(*known, strict=True)
    return word_error_rate(truths, heard)


def table(rows: Sequence[Row]) -> str:
    titles = ["window", "beam", "threads", "median s", "slowest s", "CPU s", "MB"]
    conditions = list(rows[0].accepted)
    cells = [["engine", *titles, *(f"accepted, {each}" for each in conditions), "WER"]]
    cells += [
        [
            each.engine,
            each.window,
            each.beam,
            str(each.threads),
            f"{each.seconds:.2f}",
            f"{each.slowest:.2f}",
            f"{each.cpu:.2f}",
            f"{each.memory:.0f}",
            *(_percent(each.accepted[condition]) for condition in conditions),
            _percent(each.word_error_rate),
        ]
        for each in rows
    ]
    return align(cells)


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}%"


if __name__ == "__main__":
    main()
