"""Which words end a command: the trial behind the weights of speech/turn_classifier.py.

In this process, with the server's own parts: commands that are whole, and the same cut
between two of their words, with room tone behind them, are decoded at the moment of the
guess. A logistic regression over what the decoder thought of the end and how the voice fell
is fitted to tell the two apart. Prints its weights, and how whole and cut commands read by
weights that were fitted without their speaker. Progress goes to stderr.
"""

import argparse
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wyoming_faster_whisper.config.settings import Settings
from wyoming_faster_whisper.engine.protocol import DecodeOptions, Job
from wyoming_faster_whisper.engine.whisper.ctranslate2 import load_model
from wyoming_faster_whisper.engine.whisper.pipeline import WhisperEngine
from wyoming_faster_whisper.models import choose, size_of
from wyoming_faster_whisper.speech import turn_classifier
from wyoming_faster_whisper.speech.hysteresis import windows
from wyoming_faster_whisper.speech.prosody import Prosody, measure_prosody
from wyoming_faster_whisper.speech.segmenter import Segment, SpeechRules
from wyoming_faster_whisper.speech.turn_classifier import EndOfTextScores
from wyoming_faster_whisper.speech.utterance import Decode, Utterance
from wyoming_faster_whisper.speech.vad import Vad

from .speech import voices
from .speech.pauses import gaps, room, with_pause
from .support.arguments import RECORDINGS, add, parser
from .support.clips import (
    SAMPLE_RATE,
    TEST_CLIPS,
    WIDTH,
    Clip,
    Samples,
    load,
    to_samples,
)
from .support.models import model_directory
from .support.report import align, progress, write_json

SILENCE = 1.0  # seconds behind each command: more than the longest wait for a guess
CUTS = 4  # places, the quietest, at which a command is cut, one at a time

_RIDGE = 1.0  # holds the weights of signs that say little near zero
_STEPS = 20  # of Newton's; a few are enough
_FOLDS = 10  # parts that the speakers are left out in

Matrix = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Sound:
    """A command, whole or cut, as the server would hear it at its first guess."""

    speaker: str
    whole: bool
    samples: Samples
    spoken: int  # samples up to which the VAD hears speech
    leading_silence: int  # samples of silence that are missing in front


@dataclass(frozen=True, slots=True)
class EndOfText:
    """What is known of it then."""

    speaker: str
    whole: bool
    seconds: float  # that were decoded
    text: str
    scores: EndOfTextScores
    prosody: Prosody

    @property
    def features(self) -> tuple[float, ...]:
        return turn_classifier.features(self.scores, self.prosody)


def main() -> None:
    arguments = parse_arguments()
    directory = model_directory(arguments.model)
    clips = load(arguments.recordings or [TEST_CLIPS], arguments.limit)
    speakers = [(clip.name, clip) for clip in clips]
    if voices.installed():
        made = voices.english()[: arguments.limit]
        speakers += [(clip.name.split()[1], clip) for clip in made]
    sounds = list(heard(speakers, directory))
    # However early it stops, it has seen a fair sample, and the same each time.
    random.Random(0).shuffle(sounds)
    model = load_model(directory, device="cpu", compute_type="int8", threads=arguments.threads)
    engine = WhisperEngine(model, directory, size=size_of(choose(arguments.model, []).name))
    ends = list(decoded(engine, sounds, 60 * arguments.minutes))
    if len({end.whole for end in ends}) < 2:
        sys.exit("no commands found that are whole, or none that can be cut")
    weights = fit(ends)
    left_out = without_their_speaker(ends)
    whole = np.array([end.whole for end in ends])
    print(f"{arguments.model} int8: {whole.sum()} whole commands, {(~whole).sum()} cut")
    print(align([[name, f"{weight:.3f}"] for name, weight in named(weights)]))
    print(table(whole, left_out))
    if arguments.json:
        report = {"weights": dict(named(weights)), "left_out": left_out.tolist()}
        write_json(arguments.json, report | {"ends": [asdict(end) for end in ends]})


def parse_arguments() -> argparse.Namespace:
    flags = parser("end_of_turn", __doc__)
    add(flags, "--model", "--limit", "--threads", "--json")
    add(flags, "--recordings", help=RECORDINGS)
    flags.add_argument(
        "--minutes",
        type=float,
        default=8.0,
        help="begin no decode after so many (default: %(default)s)",
    )
    return flags.parse_args()


def heard(speakers: Sequence[tuple[str, Clip]], model: Path) -> Iterator[Sound]:
    """Each clip, and the clip up to some of its gaps, as far as the server would decode it."""
    vad = Vad()
    places = gaps([clip for _, clip in speakers], model)
    for speaker, clip in speakers:
        sounds = [(True, clip.audio + room(clip, SILENCE))]
        for at in places[clip.name][:CUTS]:
            paused = with_pause(clip, at, SILENCE).audio
            sounds.append((False, paused[: at * WIDTH + len(room(clip, SILENCE))]))
        for whole, pcm in sounds:
            samples = to_samples(pcm)
            segment = guessed(samples, vad)
            if segment is not None:
                heard = samples[segment.start : segment.end]
                yield Sound(speaker, whole, heard, segment.speech_end, segment.leading_silence)


def guessed(sound: Samples, vad: Vad) -> Segment | None:
    """What the last guess about a sound is about; None where there is none."""
    utterance = Utterance(SpeechRules(), guess_after=windows(Settings().guess_after))
    actions = utterance.feed(vad.probabilities(sound).tolist(), may_guess=True)
    guesses = [action.segment for action in actions if isinstance(action, Decode)]
    return guesses[-1] if guesses else None


def decoded(
    engine: WhisperEngine, sounds: Sequence[Sound], seconds: float
) -> Iterator[EndOfText]:
    """Decode each once, as long as there is time; what reads as nothing is left out."""
    until = time.monotonic() + seconds
    for number, sound in enumerate(sounds, start=1):
        if time.monotonic() > until:
            break
        progress(f"decoding: {number}/{len(sounds)}")
        options = DecodeOptions(language="en")
        job = Job(
            sound.samples,
            options,
            score_end=True,
            guess=True,
            leading_silence=sound.leading_silence,
        )
        [said] = engine.decode([job])
        if said.text and said.end_scores is not None:
            yield EndOfText(
                sound.speaker,
                sound.whole,
                len(sound.samples) / SAMPLE_RATE,
                said.text,
                said.end_scores,
                measure_prosody(sound.samples, sound.spoken),
            )
    progress("")


def fit(ends: Sequence[EndOfText]) -> Matrix:
    """The weights of a constant and of the signs; by Newton's method."""
    signs, whole = columns(ends), np.array([end.whole for end in ends], np.float64)
    # In units of how much each varies, so that the ridge holds all of them alike.
    units = np.array([1.0, *signs[:, 1:].std(axis=0)])
    signs = signs / units
    # As if there were as many whole commands as cut ones, which is how people speak, about.
    share = whole.mean()
    counts = np.where(whole > 0, 0.5 / share, 0.5 / (1 - share))
    ridge = _RIDGE * np.diag([0.0, *np.ones(signs.shape[1] - 1)])
    weights = np.zeros(signs.shape[1])
    for _ in range(_STEPS):
        likely = 1 / (1 + np.exp(-signs @ weights))
        slope = signs.T @ (counts * (whole - likely)) - ridge @ weights
        bend = (signs.T * (counts * likely * (1 - likely))) @ signs + ridge
        weights = weights + np.linalg.solve(bend, slope)
    fitted: Matrix = weights / units
    return fitted


def without_their_speaker(ends: Sequence[EndOfText]) -> Matrix:
    """What weights say of each end that were fitted to the ends of others."""
    speakers = sorted({end.speaker for end in ends})
    fold = {speaker: number % _FOLDS for number, speaker in enumerate(speakers)}
    folds = np.array([fold[end.speaker] for end in ends])
    found = np.zeros(len(ends))
    for number in range(_FOLDS):
        others = [end for end, own in zip(ends, folds, strict=True) if own != number]
        if (folds == number).any():
            found[folds == number] = (columns(ends) @ fit(others))[folds == number]
    return found


def columns(ends: Sequence[EndOfText]) -> Matrix:
    """A row per end: one, and its signs."""
    return np.array([[1.0, *end.features] for end in ends])


def named(weights: Matrix) -> list[tuple[str, float]]:
    return list(zip(("base", *turn_classifier.FEATURES), weights.tolist(), strict=True))


def table(whole: NDArray[np.bool_], found: Matrix) -> str:
    """How whole and cut commands read: by the thresholds of the server, and by others."""
    rows = [["reads as", "from", "whole", "cut"]]

    def row(name: str, least: float, most: float = np.inf) -> None:
        here = (found >= least) & (found < most)
        shares = [f"{100 * here[kind].mean():.1f}%" for kind in (whole, ~whole)]
        rows.append([name, f"{least:.2f}" if np.isfinite(least) else "", *shares])

    most = np.inf
    for end_of_turn, least in turn_classifier.THRESHOLDS.items():
        row(end_of_turn.value, least, most)
        most = least
    row("unfinished", -np.inf, most)
    for percent in (1, 2, 5, 10):
        row(
            f"{percent} in 100 cut ones over it",
            float(np.quantile(found[~whole], 1 - percent / 100)),
        )
    for percent in (80, 90, 95, 98):
        row(
            f"{percent} in 100 whole ones over it",
            float(np.quantile(found[whole], 1 - percent / 100)),
        )
    return align(rows)


if __name__ == "__main__":
    main()
