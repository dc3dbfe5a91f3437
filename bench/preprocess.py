"""Preprocessing: word errors and VAD errors with each step, in kitchen noise and in babble.

A server per setting of --preprocess, and one without, run at the same time; each clip in each
condition is played to all of them at once, in a fixed random order, until the time is up. The
VAD's errors are measured in this process, over the same clips. Prints two tables; progress goes
to stderr.
"""

import argparse
import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import reduce
from operator import add as plus

import numpy as np
from numpy.typing import NDArray

from wyoming_faster_whisper.app.preprocessing import make_preprocessing
from wyoming_faster_whisper.audio.pcm import to_pcm16
from wyoming_faster_whisper.audio.preprocess import Preprocessing, Preprocessor
from wyoming_faster_whisper.speech.hysteresis import WINDOW
from wyoming_faster_whisper.speech.vad import Vad

from .speech.noise import babble, noise_of, with_noise
from .speech.pauses import room
from .support.arguments import RECORDINGS, add, listed, parser
from .support.clips import (
    SAMPLE_RATE,
    TEST_CLIPS,
    Clip,
    Samples,
    accepted,
    load,
    to_samples,
)
from .support.models import model_directory
from .support.playback import NoAnswer, play
from .support.report import align, progress, warn, write_json
from .support.scoring import Errors, word_errors
from .support.servers import Options, Server, this_python

WITHOUT = "without"
STEPS = ("highpass:150", "gain", "denoise:1", "denoise:3", "denoise:2@vad")
NOISES = ("kitchen", "babble")
PARTS = ("vad", "texts")
LEVELS = ("clean", "20 dB", "10 dB", "5 dB")
CONDITIONS = (LEVELS[0], *(f"{noise} {level}" for noise in NOISES for level in LEVELS[1:]))
AROUND = 0.7  # seconds of room tone before and after the speech
SPEECH = 0.5  # probability from which a window is speech


@dataclass(frozen=True, slots=True)
class Trial:
    """One clip in one condition."""

    clip: Clip
    level: str  # of LEVELS
    noise: str  # of NOISES

    @property
    def condition(self) -> str:
        return self.level if self.level == LEVELS[0] else f"{self.noise} {self.level}"

    def samples(self, noises: Mapping[str, Samples]) -> Samples:
        clean = to_samples(room(self.clip, AROUND) + self.clip.audio + room(self.clip, AROUND))
        if self.level == LEVELS[0]:
            return clean
        snr = float(self.level.split()[0])
        return with_noise(clean, snr, noises[self.noise], self.clip.name)


@dataclass(frozen=True, slots=True)
class Played:
    """The text of a trial by one server."""

    setting: str
    level: str
    noise: str
    clip: str
    text: str
    errors: Errors  # of a clip with phrases: 1 of 1 if it is not accepted
    order: bool


@dataclass(slots=True)
class Listened:
    """What the VAD finds in one condition, compared with the clean clip without steps."""

    speech: int = 0  # windows
    missed: int = 0
    silence: int = 0
    false: int = 0
    seconds: float = 0.0  # of audio
    cpu: float = 0.0  # seconds in the steps

    def count(self, truth: NDArray[np.bool_], heard: NDArray[np.bool_]) -> None:
        self.speech += int(truth.sum())
        self.missed += int((truth & ~heard).sum())
        self.silence += int((~truth).sum())
        self.false += int((heard & ~truth).sum())


def main() -> None:
    arguments = parse_arguments()
    clips = load([TEST_CLIPS, *arguments.recordings], arguments.limit)
    kitchen = noise_of(arguments.noise)
    noises = {"kitchen": kitchen, "babble": babble([to_samples(c.audio) for c in clips])}
    settings = (WITHOUT, *(arguments.steps or STEPS))
    if "vad" in arguments.parts:
        listened = {name: measure_vad(steps_of(name), clips, noises) for name in settings}
        print(f"{len(clips)} clips, 32 ms windows of the VAD")
        print(vad_table(listened))
    model = Options(
        model_directory(arguments.model),
        beam_size=0,
        cpu_threads=arguments.threads,
    )
    options = {name: with_steps(model, name) for name in settings}
    if "texts" in arguments.parts:
        trials = [
            Trial(clip, level, NOISES[number % 2])
            for number, clip in enumerate(clips)
            for level in LEVELS
        ]
        random.Random(0).shuffle(trials)
        played = asyncio.run(run(options, trials, noises, 60 * arguments.minutes))
        print(f"{arguments.model} int8, {arguments.threads} threads; kitchen or babble")
        print(table(settings, played))
        if arguments.json:
            write_json(arguments.json, {"played": [asdict(each) for each in played]})


def parse_arguments() -> argparse.Namespace:
    flags = parser("preprocess", __doc__)
    add(flags, "--model", "--threads", "--limit", "--json", "--noise")
    add(flags, "--recordings", help=f"{RECORDINGS}, which is always played")
    flags.add_argument(
        "--steps",
        action="append",
        metavar="STEPS",
        help=f"value of --preprocess (repeatable); default: {', '.join(STEPS)}",
    )
    flags.add_argument(
        "--minutes",
        type=float,
        default=11.0,
        help="time for the servers (default: %(default)s)",
    )
    flags.add_argument(
        "--parts",
        type=listed(PARTS),
        default=PARTS,
        metavar="A,B",
        help=f"what to measure: {', '.join(PARTS)}; default: both",
    )
    return flags.parse_args()


def steps_of(setting: str) -> Preprocessing:
    steps = make_preprocessing(() if setting == WITHOUT else setting.split(","))
    # The time in each step is to be CPU time, whatever else runs on the machine.
    return replace(steps, clock=time.process_time)


def with_steps(options: Options, setting: str) -> Options:
    flags = () if setting == WITHOUT else (f"--preprocess={setting}",)
    return replace(options, extra=flags)


# What the VAD finds.


def measure_vad(
    preprocessing: Preprocessing, clips: Sequence[Clip], noises: Mapping[str, Samples]
) -> dict[str, Listened]:
    """Return what the VAD finds, by condition."""
    vad, standard = Vad(), Preprocessing()
    found = {condition: Listened() for condition in CONDITIONS}
    for number, clip in enumerate(clips, start=1):
        progress(f"VAD: {number}/{len(clips)}")
        clean = Trial(clip, LEVELS[0], NOISES[0]).samples(noises)
        truth = vad.probabilities(for_vad(standard.stream(), clean)) >= SPEECH
        for noise in NOISES:
            for level in LEVELS if noise == NOISES[0] else LEVELS[1:]:
                trial = Trial(clip, level, noise)
                into = found[trial.condition]
                stream, samples = preprocessing.stream(), trial.samples(noises)
                into.count(truth, vad.probabilities(for_vad(stream, samples)) >= SPEECH)
                into.seconds += len(samples) / SAMPLE_RATE
                into.cpu += sum(use.seconds for use in stream.used())
    progress("")
    return found


def for_vad(stream: Preprocessor, samples: Samples) -> Samples:
    """Return what the VAD hears of a clip that arrives in windows."""
    heard = [stream.feed(samples[at : at + WINDOW])[1] for at in range(0, len(samples), WINDOW)]
    return np.concatenate([*heard, stream.finish()[1]])


def vad_table(listened: Mapping[str, Mapping[str, Listened]]) -> str:
    lines = [["", *CONDITIONS]]
    parts: tuple[tuple[str, Callable[[Listened], float], str], ...] = (
        ("speech that is missed", lambda f: 100 * f.missed / max(1, f.speech), "{:.1f} %"),
        ("noise taken for speech", lambda f: 100 * f.false / max(1, f.silence), "{:.1f} %"),
        ("CPU time of the steps per second", lambda f: 1000 * f.cpu / f.seconds, "{:.1f} ms"),
    )
    for title, value, form in parts:
        lines.append([title])
        lines += [
            [f"  {name}", *(form.format(value(found[at])) for at in CONDITIONS)]
            for name, found in listened.items()
        ]
    return align(lines)


# What the server answers.


async def run(
    options: Mapping[str, Options],
    trials: Sequence[Trial],
    noises: Mapping[str, Samples],
    seconds: float,
) -> list[Played]:
    """Play each trial to all servers at once until the time is up."""
    played: list[Played] = []
    async with contextlib.AsyncExitStack() as stack:
        servers = {}
        for name, each in options.items():
            servers[name] = await stack.enter_async_context(Server(this_python(), each))
            await play(servers[name].port, trials[0].clip.audio)  # waits for the model
        end = time.perf_counter() + seconds
        for number, trial in enumerate(trials, start=1):
            if time.perf_counter() > end:
                break
            progress(f"{number}/{len(trials)}, {trial.level}, {trial.noise}")
            pcm = to_pcm16(trial.samples(noises))
            texts = await asyncio.gather(
                *(answer(server, name, trial, pcm) for name, server in servers.items())
            )
            played += [
                scored(name, trial, text) for name, text in zip(servers, texts, strict=True)
            ]
    progress("")
    return played


async def answer(server: Server, name: str, trial: Trial, pcm: bytes) -> str:
    try:
        return (await play(server.port, pcm)).text
    except NoAnswer as reason:
        _ = server.pid  # raises ServerDied if the server has died
        warn(f"{name}: {trial.clip.name}: {reason}")
        return ""


def scored(setting: str, trial: Trial, text: str) -> Played:
    clip = trial.clip
    order = clip.text is None
    errors = (
        Errors(int(not accepted(clip, text)), 1)
        if clip.text is None
        else word_errors(clip.text, text)
    )
    return Played(setting, trial.level, trial.noise, clip.name, text, errors, order)


def table(settings: Sequence[str], played: Sequence[Played]) -> str:
    """Format word errors of clips with a text, and orders not accepted, by level of noise."""
    lines = [["", *LEVELS, "all"]]
    for order, title in ((False, "word errors"), (True, "orders not accepted")):
        some = [each for each in played if each.order == order]
        if not some:
            continue
        lines.append([title])
        groups = [[each for each in some if each.level == level] for level in LEVELS]
        sizes = [_sum(group, settings[0]).words for group in (*groups, some)]
        lines.append(["  words" if not order else "  orders", *map(str, sizes)])
        lines += [
            [f"  {name}", *(str(_sum(group, name).wrong) for group in (*groups, some))]
            for name in settings
        ]
    return align(lines)


def _sum(played: Sequence[Played], setting: str) -> Errors:
    return reduce(plus, (each.errors for each in played if each.setting == setting), Errors(0, 0))


if __name__ == "__main__":
    main()
