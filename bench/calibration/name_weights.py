"""Weights of contextual biasing: the experiment for `names` in the calibrations.

Runs the server's own steps in this process, over orders with names of one or more homes, and over
sentences and recorded orders without names. Two logistic regressions are fitted to tell what was
said: one over all words that resemble a name (`candidate`), and one over which of the texts that
the decoder has scored was said (`rewrite`). Prints each weight beside its calibrated value, and
how many names are right, and how many sentences without names change, with the calibrated
weights, with the fitted ones, and without each of them. Progress goes to stderr.

Results of the model are kept on disk (--cache). Other candidate weights may lead to texts that
the decoder has not scored: these are left out.
"""

import argparse
import asyncio
import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from wyoming_faster_whisper.biasing.candidates import Candidate, words_of
from wyoming_faster_whisper.biasing.correct import Corrector
from wyoming_faster_whisper.biasing.hypotheses import Rewrite, choose_rewrite, rewrites
from wyoming_faster_whisper.biasing.weights import CandidateWeights, NameWeights, RewriteWeights
from wyoming_faster_whisper.engine.protocol import DecodeOptions, Job
from wyoming_faster_whisper.engine.whisper.bias import alternatives
from wyoming_faster_whisper.engine.whisper.calibration.values import Calibrations
from wyoming_faster_whisper.engine.whisper.clip import Pass
from wyoming_faster_whisper.engine.whisper.decoding import decode_batch
from wyoming_faster_whisper.engine.whisper.encoder import Encoder
from wyoming_faster_whisper.engine.whisper.hallucination import Verdict, judge_hypothesis
from wyoming_faster_whisper.engine.whisper.prompting import JobBiasing
from wyoming_faster_whisper.engine.whisper.second_pass import second_pass

from ..names import is_right, names_of, plain
from ..speech.fresh_home import fresh_home
from ..speech.homes import FRESH, FRESH_VOICES, HELD_OUT, TUNING, Home
from ..speech.synthesis import say
from ..support.arguments import RECORDINGS, add, parser
from ..support.clips import load, to_samples
from ..support.memo import MemoModel, remembered_whisper
from ..support.passes import engine_clip
from ..support.regression import fit, fit_choices
from ..support.report import align, progress
from ..support.scoring import word_errors

# Not fitted: a limit, not a weight.
_LIMITS = ("most_sounds",)


@dataclass(frozen=True, slots=True)
class Heard:
    """One utterance: its texts, and the scores of those with a name."""

    home: str  # whose names the decoder was given
    name: str  # the name that was said; "" = none
    said: str  # "" = unknown
    hypotheses: tuple[str, ...]
    biased: tuple[str, ...] = ()
    scores: dict[str, float] = field(default_factory=dict)

    def rewrites(self, home: Corrector) -> list[Rewrite]:
        """Return the texts with a name that the decoder has scored."""
        found = rewrites(home, self.hypotheses, self.biased)
        return [each for each in found if each.text in self.scores]

    def answer(self, home: Corrector) -> str:
        """Return the server's text with the weights of a corrector."""
        if not self.hypotheses:
            return ""
        found, first = self.rewrites(home), self.hypotheses[0]
        scores = [self.scores[each.text] for each in found]
        unbiased = self.scores.get(first, 0.0)
        chosen = choose_rewrite(found, scores, unbiased_score=unbiased)
        return home.correct(chosen.text if chosen else first)

    def right(self, text: str) -> bool:
        """Return whether a text has the name that was said, or changes nothing if none was."""
        if self.name:
            return is_right(self.name, text)
        return plain(text) == plain("".join(self.hypotheses[:1]))

    def errors(self, text: str) -> float:
        """Return the word errors of a text; infinite if it lacks the name that was said."""
        if not self.name or not self.right(text):
            return math.inf
        return word_errors(self.said, text).wrong


class Correctors:
    """Correctors of one home. They share the candidates of a text, which no weight changes."""

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._found: dict[str, list[Candidate]] = {}

    def of(self, weights: NameWeights) -> Corrector:
        found = self._found

        class Cached(Corrector):
            def candidates(self, text: str) -> Iterator[Candidate]:
                if text not in found:
                    found[text] = list(super().candidates(text))
                return iter(found[text])

        return Cached(self._names, "en", weights)


def main() -> None:
    arguments = parse_arguments()
    model = remembered_whisper(arguments.model, arguments.threads, arguments.cache)
    heard: list[Heard] = []
    homes: dict[str, Correctors] = {}
    for label in dict.fromkeys(arguments.home or ["tuning"]):
        names = asyncio.run(names_of(home_of(label)))
        homes[label] = Correctors(names)
        heard += decode_all(arguments, model, label, names)
    progress("")
    if not any(each.name for each in heard) or all(each.name for each in heard):
        sys.exit(
            "needs orders with names and sentences without; is flite or espeak-ng installed?"
        )
    calibrated = Calibrations(arguments.model).of("en").names
    fitted = NameWeights(
        fit_candidates(heard, homes, calibrated), fit_rewrites(heard, homes, calibrated)
    )
    spoken = sum(bool(each.name) for each in heard)
    print(f"{arguments.model} int8: {spoken} orders with a name, {len(heard) - spoken} without")
    print(table(heard, homes, calibrated, fitted))


def parse_arguments() -> argparse.Namespace:
    flags = parser("calibration.name_weights", __doc__)
    add(flags, "--model", "--cache")
    add(flags, "--limit", help="use a fixed sample of N recorded orders")
    add(flags, "--threads", default=1)
    add(flags, "--recordings", help=f"{RECORDINGS}; without names")
    flags.add_argument(
        "--home",
        action="append",
        metavar="HOME",
        help="tuning (the default), held-out, or the seed of a fresh home (repeatable)",
    )
    flags.add_argument("--count", type=int, default=200, help="orders with a name in each home")
    flags.add_argument(
        "--others", type=int, metavar="N", help="use only the first N sentences of each list"
    )
    return flags.parse_args()


def home_of(label: str) -> Home:
    known = {"tuning": TUNING, "held-out": HELD_OUT}
    return known[label] if label in known else fresh_home(int(label))


def decode_all(
    arguments: argparse.Namespace, model: MemoModel, label: str, names: tuple[str, ...]
) -> Iterator[Heard]:
    """Decode every utterance as the pipeline does, up to the choice of a text with a name."""
    home = home_of(label)
    commands = home.commands(arguments.count)
    pairs = [(text, voice) for text, _, voice in commands]
    pairs += [
        (text, home.voices[at % len(home.voices)])
        for at, text in enumerate(home.plain[: arguments.others])
    ]
    pairs += [(text, voice) for voice in FRESH_VOICES for text in FRESH[: arguments.others]]
    pairs += [(text, FRESH_VOICES[0]) for text in home.similar[: arguments.others]]
    clips = say(pairs) + load(arguments.recordings, arguments.limit)
    spoken = [name for _, name, _ in commands]
    spoken += [""] * (len(clips) - len(spoken))
    calibrations = Calibrations(arguments.model)
    encoder, fitted = Encoder(model, calibrations, full_window=False), calibrations.of("en")
    options = DecodeOptions(language="en", hotwords=names)
    for number, (name, each) in enumerate(zip(spoken, clips, strict=True), start=1):
        progress(f"home {label}: {number}/{len(clips)}")
        clip = engine_clip(model, fitted, Job(to_samples(each.audio), options))
        [decoded] = decode_batch(model, [clip], encoder.first(clip))
        verdict = judge_hypothesis(decoded, fitted.hallucination, certain_speech=True)
        if verdict is Verdict.SECOND_PASS:
            first = Pass(decoded, looped=decoded.repetitive)
            decoded = second_pass(model, encoder, clip, first)[0].decoded
        biasing = JobBiasing(clip.job, "en", fitted.names)
        found = alternatives(model, encoder, clip, biasing, decoded.text, decoded)
        yield Heard(
            label, name, each.text or "", found.hypotheses, found.biased, dict(found.scores)
        )


def fit_candidates(
    heard: Sequence[Heard], correctors: Mapping[str, Correctors], calibrated: NameWeights
) -> CandidateWeights:
    """Fit the weights to tell the candidates that are the name from all others."""
    weights = [each for each in weight_names(calibrated.candidate) if each not in _LIMITS]
    units = [unit(calibrated.candidate, each) for each in weights]
    homes = {label: each.of(calibrated) for label, each in correctors.items()}
    rows: list[list[float]] = []
    right: list[bool] = []
    for each in heard:
        text = each.hypotheses[0] if each.hypotheses else ""
        found = list(homes[each.home].candidates(text))
        errors = [each.errors(replaced(text, candidate)) for candidate in found]
        rows += [[candidate.evidence(one) for one in units] for candidate in found]
        right += best(errors)
    return replace(calibrated.candidate, **fit_named(weights, rows, right))


def fit_rewrites(
    heard: Sequence[Heard], correctors: Mapping[str, Correctors], calibrated: NameWeights
) -> RewriteWeights:
    """Fit the required gain, in units of the decoder's score."""
    weights = weight_names(calibrated.rewrite)
    units = [replace(calibrated, rewrite=unit(calibrated.rewrite, each)) for each in weights]
    homes = {label: [each.of(one) for one in units] for label, each in correctors.items()}
    choices: list[NDArray[np.float64]] = []
    labels: list[NDArray[np.bool_]] = []
    for each in heard:
        found = [each.rewrites(home) for home in homes[each.home]]
        some = [at for at, one in enumerate(found[0]) if one.min_gain < math.inf]
        if not some:
            continue
        first, home = each.hypotheses[0], homes[each.home][0]
        rows = [[0.0] * (len(weights) + 1)]
        right = [each.right(home.correct(first))]
        for at in some:
            text = found[0][at].text
            rows.append(
                [*(-row[at].min_gain for row in found), each.scores[text] - each.scores[first]]
            )
            right.append(each.right(home.correct(text)))
        choices.append(np.array(rows))
        labels.append(np.array(right if any(right) else [True, *right[1:]]))
    *fitted, score = fit_choices(choices, labels).tolist()
    return RewriteWeights(
        **{name: value / score for name, value in zip(weights, fitted, strict=True)}
    )


def fit_named(
    names: Sequence[str], rows: Sequence[Sequence[float]], right: Sequence[bool]
) -> dict[str, float]:
    """Return the fitted weights by name; the first one is that of the constant."""
    weights, _ = fit(np.array(rows), np.array(right))
    return dict(zip(names, weights.tolist(), strict=True))


def best(errors: Sequence[float]) -> list[bool]:
    """Return for each text whether it has the name, and no other has fewer word errors."""
    least = min(errors, default=math.inf)
    return [each == least < math.inf for each in errors]


def replaced(text: str, candidate: Candidate) -> str:
    words = words_of(text)
    start, end = words[candidate.first].start, words[candidate.last - 1].end
    return text[:start] + candidate.name + text[end:]


Weights = CandidateWeights | RewriteWeights
Some = TypeVar("Some", CandidateWeights, RewriteWeights)


def weight_names(weights: Weights) -> list[str]:
    return [each.name for each in fields(weights)]


def unit(weights: Some, name: str) -> Some:
    """Return weights of which one is 1 and the others 0: with these, a sum is one feature."""
    zero = {each: 0.0 for each in weight_names(weights) if each not in _LIMITS}
    return replace(weights, **zero | {name: 1.0})


def table(
    heard: Sequence[Heard],
    correctors: Mapping[str, Correctors],
    calibrated: NameWeights,
    fitted: NameWeights,
) -> str:
    """Format the weights, and the names right and sentences changed with and without each."""
    labels = list(correctors)
    lines = [["", "calibrated", "fitted"]]
    lines[0] += [*(f"names right, home {each}" for each in labels), "sentences changed"]

    def row(name: str, weights: NameWeights, *values: float) -> None:
        progress(name)
        shown = [f"{value:.1f}" for value in values] or ["", ""]
        homes = {label: each.of(weights) for label, each in correctors.items()}
        right, changed = outcome(heard, homes)
        lines.append([name, *shown, *(str(right[label]) for label in labels), str(changed)])

    row("as calibrated", calibrated)
    row("fitted candidate weights", replace(calibrated, candidate=fitted.candidate))
    row("fitted rewrite weights", replace(calibrated, rewrite=fitted.rewrite))
    row("both fitted", fitted)
    for part in ("candidate", "rewrite"):
        lines.append([f"{part}: without"])
        now = getattr(calibrated, part)
        for name in weight_names(now):
            changes: dict[str, Any] = {part: replace(now, **{name: 0.0})}
            without = replace(calibrated, **changes)
            row(f"  {name}", without, getattr(now, name), getattr(getattr(fitted, part), name))
    progress("")
    return align(lines)


def outcome(heard: Sequence[Heard], homes: Mapping[str, Corrector]) -> tuple[dict[str, int], int]:
    """Return the right names by home, and how many sentences without names change."""
    right, changed = dict.fromkeys(homes, 0), 0
    for each in heard:
        good = each.right(each.answer(homes[each.home]))
        right[each.home] += bool(each.name) and good
        changed += not each.name and not good
    return right, changed


if __name__ == "__main__":
    main()
