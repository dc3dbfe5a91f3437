"""Fit the weights of the end-of-turn classifier in speech/turn_classifier.py.

Runs the server's own code in this process. Whole commands, and the same commands cut between
two words, are followed by room tone and decoded when the server would make its guess, clean and
with noise. Two logistic regressions on the decoder's scores at the end of the text and on the
prosody are fitted to separate the two classes: one for quiet rooms, one for noise. Prints for
each the weights, the classification of whole and cut commands by cross-validation over speakers,
and what is lost without each feature. Progress goes to stderr.
"""

import argparse
import json
import random
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from wyoming_faster_whisper.engine.protocol import DecodeKind, DecodeOptions, Job
from wyoming_faster_whisper.engine.whisper.calibration.values import Calibrations
from wyoming_faster_whisper.engine.whisper.engine import WhisperEngine
from wyoming_faster_whisper.models import choose
from wyoming_faster_whisper.speech import turn_classifier
from wyoming_faster_whisper.speech.prosody import Prosody, measure_prosody
from wyoming_faster_whisper.speech.segmenter import Segment
from wyoming_faster_whisper.speech.turn_classifier import EndOfTextScores, TurnClassifier
from wyoming_faster_whisper.speech.utterance import Decode, Utterance, UtteranceRules
from wyoming_faster_whisper.speech.vad import Vad

from ..accuracy import POOLED
from ..speech import voices
from ..speech.noise import degrade, kitchen_like, noise_of
from ..speech.pauses import gaps, room, with_pause
from ..support import regression
from ..support.arguments import RECORDINGS, add, given_clips, listed, parser
from ..support.clips import (
    SAMPLE_RATE,
    WIDTH,
    Clip,
    Samples,
    to_samples,
)
from ..support.models import load_whisper, model_directory
from ..support.regression import Labels, Matrix, balance
from ..support.report import align, progress, write_json

SILENCE = 1.0  # seconds after each command: longer than the longest wait for a guess
CUTS = 4  # cut versions of each command, each ending at one of its quietest gaps

_MOST_CUT = 0.01  # share of cut commands that may count as finished
_FOLDS = 10  # of the cross-validation over speakers
_SHARES = (80, 95, 99)  # percent of whole commands that are over the threshold
_RESAMPLES = 500  # of the bootstrap over speakers

Speakers = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Sound:
    """A command, whole or cut, up to the silence at which the server guesses."""

    speaker: str
    condition: str
    whole: bool
    samples: Samples
    spoken: int  # end of the speech, in samples, by the VAD
    leading_silence: int  # samples of silence to put in front


@dataclass(frozen=True, slots=True)
class EndOfText:
    """The features of a sound at its guess, with the label."""

    speaker: str
    condition: str
    whole: bool
    seconds: float  # of decoded audio
    text: str
    scores: EndOfTextScores
    prosody: Prosody

    @property
    def features(self) -> tuple[float, ...]:
        return turn_classifier.features(self.scores, self.prosody)


def main() -> None:
    arguments = parse_arguments()
    calibrations = Calibrations(choose(arguments.model, []).name)
    ends = (
        read(arguments.from_file)
        if arguments.from_file
        else list(decode_all(arguments, calibrations))
    )
    classifier = calibrations.of("en").end_of_turn
    fitted = {}
    for name, is_noisy in (("quiet", False), ("noisy", True)):
        some = [end for end in ends if (end.condition != "clean") == is_noisy]
        if len({end.whole for end in some}) == 2:
            fitted[name] = report(f"{arguments.model} int8, {name}", some, classifier)
    if not fitted:
        sys.exit("needs both whole and cut commands, and found only one kind")
    if arguments.json:
        write_json(arguments.json, {"fitted": fitted, "ends": [asdict(end) for end in ends]})


def report(name: str, ends: Sequence[EndOfText], classifier: TurnClassifier) -> dict[str, float]:
    """Print what is fitted to some ends and how it classifies them; return the weights."""
    whole = labels(ends)
    left_out = without_their_speaker(ends, columns(ends))
    lower = max(0.0, float(np.quantile(left_out[~whole], 1 - _MOST_CUT)) - classifier.complete)
    weights = dict(named(fit(columns(ends), whole)))
    weights["base"] -= lower
    left_out -= lower
    print(f"{name}: {whole.sum()} whole commands, {(~whole).sum()} cut")
    print(align([[feature, f"{weight:.3f}"] for feature, weight in weights.items()]))
    for condition in dict.fromkeys(end.condition for end in ends):
        here = np.array([end.condition == condition for end in ends])
        if len(set(whole[here])) == 2:
            print(f"{condition}\n{table(whole[here], left_out[here], classifier)}")
    print(ablation(ends, classifier))
    return weights


def decode_all(arguments: argparse.Namespace, calibrations: Calibrations) -> Iterator[EndOfText]:
    """Yield the end of every command, whole and cut, as far as the time allows."""
    directory = model_directory(arguments.model)
    clips = given_clips(arguments)
    speakers = [(clip.name, clip) for clip in clips]
    if voices.installed():
        made = voices.english()[: arguments.limit]
        speakers += [(clip.name.split()[1], clip) for clip in made]
    noises = (noise_of(arguments.noise), kitchen_like())
    sounds = list(heard(speakers, directory, arguments.conditions, noises))
    # Shuffled with a fixed seed: a run that stops early has decoded a fair sample.
    random.Random(0).shuffle(sounds)
    model = load_whisper(directory, arguments.threads)
    engine = WhisperEngine(model, calibrations=calibrations)
    yield from decoded(engine, sounds, 60 * arguments.minutes)


def read(file: Path) -> list[EndOfText]:
    """Return the ends of an earlier run."""
    return [
        EndOfText(
            **each
            | {
                "scores": EndOfTextScores(**each["scores"]),
                "prosody": Prosody(**each["prosody"]),
            }
        )
        for each in json.loads(file.read_text())["ends"]
    ]


def parse_arguments() -> argparse.Namespace:
    flags = parser("calibration.end_of_turn", __doc__)
    add(flags, "--model", "--limit", "--threads", "--json", "--noise")
    add(flags, "--recordings", help=RECORDINGS)
    flags.add_argument(
        "--conditions",
        type=listed(POOLED),
        default=POOLED,
        metavar="A,B",
        help=f"conditions: {', '.join(POOLED)}; default: all",
    )
    flags.add_argument(
        "--minutes",
        type=float,
        default=8.0,
        help="minutes after which no decode is started (default: %(default)s)",
    )
    flags.add_argument(
        "--from",
        dest="from_file",
        type=Path,
        metavar="FILE",
        help="fit the decodes that --json wrote earlier; decode nothing",
    )
    return flags.parse_args()


def heard(
    speakers: Sequence[tuple[str, Clip]],
    model: Path,
    conditions: Sequence[str],
    noises: Sequence[Samples],
) -> Iterator[Sound]:
    """Yield each clip and its cut versions, as far as the server would decode them.

    Args:
        noises: the clips get one of them in turn.
    """
    vad = Vad()
    places = gaps([clip for _, clip in speakers], model)
    for number, (speaker, clip) in enumerate(speakers):
        noise = noises[number % len(noises)]
        sounds = [(True, clip.audio + room(clip, SILENCE))]
        for at in places[clip.name][:CUTS]:
            paused = with_pause(clip, at, SILENCE).audio
            sounds.append((False, paused[: at * WIDTH + len(room(clip, SILENCE))]))
        for condition, (whole, pcm) in product(conditions, sounds):
            samples = to_samples(degrade(clip, pcm, condition, noise))
            segment = guessed(samples, vad)
            if segment is not None:
                yield Sound(
                    speaker,
                    condition,
                    whole,
                    samples[segment.start : segment.end],
                    segment.speech_end,
                    segment.leading_silence,
                )


def guessed(sound: Samples, vad: Vad) -> Segment | None:
    """Return the segment of the last guess in a sound; None if there is no guess."""
    utterance = Utterance(UtteranceRules())
    actions = utterance.feed(vad.probabilities(sound).tolist(), may_guess=True)
    guesses = [action.segment for action in actions if isinstance(action, Decode)]
    return guesses[-1] if guesses else None


def decoded(
    engine: WhisperEngine, sounds: Sequence[Sound], seconds: float
) -> Iterator[EndOfText]:
    """Decode each sound once until the time is up; skip those with an empty text."""
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
            kind=DecodeKind.GUESS,
            leading_silence=sound.leading_silence,
            quick=True,
        )
        [said] = engine.decode([job])
        if said.text and said.end_scores is not None:
            yield EndOfText(
                sound.speaker,
                sound.condition,
                sound.whole,
                len(sound.samples) / SAMPLE_RATE,
                said.text,
                said.end_scores,
                measure_prosody(sound.samples, sound.spoken),
            )
    progress("")


def fit(design: Matrix, whole: Labels) -> Matrix:
    """Fit the weights; whole and cut commands are about equally frequent in real speech."""
    return regression.fit(design, whole, balance(whole))[0]


def without_their_speaker(ends: Sequence[EndOfText], design: Matrix) -> Matrix:
    """Return the score of each end by weights that were fitted without its speaker."""
    speakers = sorted({end.speaker for end in ends})
    fold = {speaker: number % _FOLDS for number, speaker in enumerate(speakers)}
    folds = np.array([fold[end.speaker] for end in ends])
    found, whole = np.zeros(len(ends)), labels(ends)
    for number in range(_FOLDS):
        own = folds == number
        if own.any():
            found[own] = design[own] @ fit(design[~own], whole[~own])
    return found


def columns(ends: Sequence[EndOfText]) -> Matrix:
    """Return a row per end: the constant 1 and the features."""
    return np.array([[1.0, *end.features] for end in ends])


def labels(ends: Sequence[EndOfText]) -> Labels:
    return np.array([end.whole for end in ends])


def ablation(ends: Sequence[EndOfText], classifier: TurnClassifier) -> str:
    """Format what is lost without features: first each alone, then one after the other.

    The loss is that of scores by weights from other speakers. Its change has a standard error
    by speakers. "Finished" is the share of whole commands that are finished at once, if as many
    cut ones are as with all features; its change has a standard error by bootstrap over speakers.
    """
    whole, design = labels(ends), columns(ends)
    speakers = np.unique([end.speaker for end in ends], return_inverse=True)[1]
    rows = [["without", "loss", "change", "+-"]]
    rows[0] += [*(f"cut at {share}%" for share in _SHARES), "finished", "change", "+-"]

    def scored(kept: Sequence[int]) -> Matrix:
        return without_their_speaker(ends, design[:, [0, *(1 + at for at in kept)]])

    def row(name: str, found: Matrix) -> None:
        changes = losses(found, whole) - losses(everything, whole)
        by_speaker = np.bincount(speakers, changes)
        error = float(np.std(by_speaker) * len(by_speaker) ** 0.5 / len(ends))
        cut = (
            100 * float((found[~whole] >= np.quantile(found[whole], 1 - share / 100)).mean())
            for share in _SHARES
        )
        loss, change = losses(found, whole).mean(), changes.mean()
        rows.append(
            [
                name,
                f"{loss:.4f}",
                f"{change:+.4f}",
                f"{error:.4f}",
                *(f"{c:.1f}%" for c in cut),
                *finished_row(everything, found, whole, speakers, most_cut),
            ]
        )

    features = turn_classifier.FEATURES
    kept = list(range(len(features)))
    everything = scored(kept)
    most_cut = float((everything[~whole] >= classifier.complete).mean())
    row("nothing", everything)
    for at in kept:
        row(features[at], scored([other for other in kept if other != at]))
    rows.append(["one after the other"])
    while len(kept) > 1:
        tried = {at: scored([other for other in kept if other != at]) for at in kept}
        gone = min(tried, key=lambda at: float(losses(tried[at], whole).mean()))
        kept.remove(gone)
        row(f"and {features[gone]}", tried[gone])
    return align(rows)


def finished_row(
    everything: Matrix, found: Matrix, whole: Labels, speakers: Speakers, most_cut: float
) -> Iterator[str]:
    """Yield the share of whole commands that are finished, its change and standard error.

    Args:
        everything: scores with all features.
        found: scores without some.
        speakers: the number of each end's speaker.
        most_cut: share of the cut commands that may count as finished.
    """

    def change(at: Speakers) -> float:
        after, before = (
            finished(scores[at], whole[at], most_cut) for scores in (found, everything)
        )
        return 100 * (after - before)

    chance = np.random.default_rng(0)
    by_speaker = [np.flatnonzero(speakers == speaker) for speaker in range(speakers.max() + 1)]
    changes = []
    for _ in range(_RESAMPLES):
        chosen = chance.integers(len(by_speaker), size=len(by_speaker))
        changes.append(change(np.concatenate([by_speaker[speaker] for speaker in chosen])))
    yield f"{100 * finished(found, whole, most_cut):.1f}%"
    yield f"{change(np.arange(len(whole))):+.1f}"
    yield f"{np.std(changes):.1f}"


def finished(found: Matrix, whole: Labels, most_cut: float) -> float:
    """Return the share of whole commands above the score that most_cut of the cut ones exceed."""
    return float((found[whole] > np.quantile(found[~whole], 1 - most_cut)).mean())


def losses(found: Matrix, whole: Labels) -> Matrix:
    """Return the log loss of each end, with both classes weighted equally."""
    signed = np.where(whole, found, -found)
    lost: Matrix = balance(whole) * np.logaddexp(0.0, -signed)
    return lost


def named(weights: Matrix) -> list[tuple[str, float]]:
    return list(zip(("base", *turn_classifier.FEATURES), weights.tolist(), strict=True))


def table(whole: Labels, found: Matrix, classifier: TurnClassifier) -> str:
    """Format the shares of whole and cut commands by the server's thresholds and by others."""
    rows = [["reads as", "from", "whole", "cut"]]

    def row(name: str, least: float, most: float = np.inf) -> None:
        here = (found >= least) & (found < most)
        shares = [f"{100 * here[kind].mean():.1f}%" for kind in (whole, ~whole)]
        rows.append([name, f"{least:.2f}" if np.isfinite(least) else "", *shares])

    most = np.inf
    for end_of_turn, least in classifier.thresholds:
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
