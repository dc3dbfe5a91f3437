"""Weights of contextual biasing: the experiment for `names` in the calibrations.

Runs the server's own engine in this process, over orders with names of the tuning home, and over
sentences and recorded orders without names. Two logistic regressions are fitted to tell what was
said: one over all words that resemble a name (`candidate`), one over all texts with a name that
the decoder has scored (`rewrite`). Prints each weight beside its calibrated value, and how many
names are right, and how many sentences without names change, with the calibrated weights, with
the fitted ones, and without each of them. Progress goes to stderr.

Decoding takes most of the time; --from FILE fits the texts of an earlier run. Other candidate
weights may lead to texts that the decoder has not scored: these are left out.
"""

import argparse
import asyncio
import json
import math
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

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
from ..speech.homes import TUNING
from ..speech.synthesis import say
from ..support.arguments import RECORDINGS, add, parser
from ..support.clips import load, to_samples
from ..support.models import load_whisper, model_directory
from ..support.passes import engine_clip
from ..support.regression import fit
from ..support.report import align, progress, write_json
from ..support.scoring import word_errors

# Not fitted: a limit, not a weight.
_LIMITS = ("most_sounds",)


@dataclass(frozen=True, slots=True)
class Heard:
    """One utterance: its texts, and the scores of those with a name."""

    name: str  # the name that was said; "" = none
    said: str  # "" = unknown
    hypotheses: tuple[str, ...]
    biased: tuple[str, ...] = ()
    avg_logprob: float = 0.0
    scores: dict[str, float] = field(default_factory=dict)

    def rewrites(self, home: Corrector) -> list[Rewrite]:
        """Return the texts with a name that the decoder has scored."""
        found = rewrites(home, self.hypotheses, self.biased, avg_logprob=self.avg_logprob)
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

    def errors(self, text: str) -> float:
        """Return the word errors of a text; infinite if it lacks the name that was said."""
        if not self.name or not is_right(self.name, text):
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
    names = asyncio.run(names_of(TUNING))
    if arguments.from_file:
        heard = [Heard(**each) for each in json.loads(arguments.from_file.read_text())["heard"]]
    else:
        heard = list(decode_all(arguments, names))
    if not any(each.name for each in heard) or all(each.name for each in heard):
        sys.exit(
            "needs orders with names and sentences without; is flite or espeak-ng installed?"
        )
    calibrated, homes = Calibrations("base").of("en").names, Correctors(names)
    fitted = NameWeights(
        fit_candidates(heard, homes, calibrated), fit_rewrites(heard, homes, calibrated)
    )
    if arguments.json:
        texts = [asdict(each) for each in heard]
        write_json(arguments.json, {"fitted": asdict(fitted), "heard": texts})
    spoken = sum(bool(each.name) for each in heard)
    print(f"{arguments.model} int8: {spoken} orders with a name, {len(heard) - spoken} without")
    print(table(heard, homes, calibrated, fitted))


def parse_arguments() -> argparse.Namespace:
    flags = parser("calibration.name_weights", __doc__)
    add(flags, "--model", "--json")
    add(flags, "--limit", help="use a fixed sample of N recorded orders")
    add(flags, "--threads", default=1)
    add(flags, "--recordings", help=f"{RECORDINGS}; without names")
    flags.add_argument("--count", type=int, default=200, help="orders with a name")
    flags.add_argument("--from", dest="from_file", type=Path, metavar="FILE")
    return flags.parse_args()


def decode_all(arguments: argparse.Namespace, names: tuple[str, ...]) -> Iterator[Heard]:
    """Decode every utterance as the pipeline does, up to the choice of a text with a name."""
    commands = TUNING.commands(arguments.count)
    plain_voices = [TUNING.voices[at % len(TUNING.voices)] for at in range(len(TUNING.plain))]
    pairs = [(text, voice) for text, _, voice in commands]
    pairs += zip(TUNING.plain, plain_voices, strict=True)
    spoken = [name for _, name, _ in commands] + [""] * len(TUNING.plain)
    clips = say(pairs) + load(arguments.recordings, arguments.limit)
    spoken += [""] * (len(clips) - len(spoken))
    model = load_whisper(model_directory(arguments.model), arguments.threads)
    calibrations = Calibrations(arguments.model)
    encoder, fitted = Encoder(model, calibrations, full_window=False), calibrations.of("en")
    options = DecodeOptions(language="en", hotwords=names)
    for number, (name, each) in enumerate(zip(spoken, clips, strict=True), start=1):
        progress(f"decoding: {number}/{len(clips)}")
        clip = engine_clip(model, fitted, Job(to_samples(each.audio), options))
        [decoded] = decode_batch(model, [clip], encoder.first(clip))
        verdict = judge_hypothesis(decoded, fitted.hallucination, certain_speech=True)
        if verdict is Verdict.SECOND_PASS:
            first = Pass(decoded, looped=decoded.repetitive)
            decoded = second_pass(model, encoder, clip, first)[0].decoded
        biasing = JobBiasing(clip.job, "en", fitted.names)
        found = alternatives(model, encoder, clip, biasing, decoded.text, decoded)
        yield Heard(
            name,
            each.text or "",
            found.hypotheses,
            found.biased,
            decoded.avg_logprob,
            dict(found.scores),
        )
    progress("")


def fit_candidates(
    heard: Sequence[Heard], correctors: Correctors, calibrated: NameWeights
) -> CandidateWeights:
    """Fit the weights to tell the candidates that are the name from all others."""
    weights = [each for each in weight_names(calibrated.candidate) if each not in _LIMITS]
    units = [unit(calibrated.candidate, each) for each in weights]
    home = correctors.of(calibrated)
    rows: list[list[float]] = []
    right: list[bool] = []
    for each in heard:
        text = each.hypotheses[0] if each.hypotheses else ""
        found = list(home.candidates(text))
        errors = [each.errors(replaced(text, candidate)) for candidate in found]
        rows += [[candidate.evidence(one) for one in units] for candidate in found]
        right += best(errors)
    return replace(calibrated.candidate, **fit_named(weights, rows, right))


def fit_rewrites(
    heard: Sequence[Heard], correctors: Correctors, calibrated: NameWeights
) -> RewriteWeights:
    """Fit the required gain, in units of the decoder's score."""
    weights = weight_names(calibrated.rewrite)
    homes = [
        correctors.of(replace(calibrated, rewrite=unit(calibrated.rewrite, each)))
        for each in weights
    ]
    rows: list[list[float]] = []
    right: list[bool] = []
    for each in heard:
        found = [each.rewrites(home) for home in homes]
        some = [at for at, one in enumerate(found[0]) if one.min_gain < math.inf]
        for at in some:
            score = each.scores[found[0][at].text] - each.scores[each.hypotheses[0]]
            rows.append([*(row[at].min_gain for row in found), score])
        right += best([each.errors(found[0][at].text) for at in some])
    fitted = fit_named([*weights, "score"], rows, right)
    score = fitted.pop("score")
    return replace(
        calibrated.rewrite, **{name: -weight / score for name, weight in fitted.items()}
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
    heard: Sequence[Heard], correctors: Correctors, calibrated: NameWeights, fitted: NameWeights
) -> str:
    """Format the weights, and the names right and sentences changed with and without each."""
    lines = [["", "calibrated", "fitted", "names right", "sentences changed"]]

    def row(name: str, weights: NameWeights, *values: float) -> None:
        progress(name)
        shown = [f"{value:.1f}" for value in values] or ["", ""]
        lines.append([name, *shown, *map(str, outcome(heard, correctors.of(weights)))])

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


def outcome(heard: Sequence[Heard], home: Corrector) -> tuple[int, int]:
    """Return the names that are right, and the sentences without names that change."""
    answers = [each.answer(home) for each in heard]
    right = changed = 0
    for each, text in zip(heard, answers, strict=True):
        right += bool(each.name) and is_right(each.name, text)
        changed += not each.name and plain(text) != plain("".join(each.hypotheses[:1]))
    return right, changed


if __name__ == "__main__":
    main()
