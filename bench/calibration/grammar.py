"""Home Assistant's grammar among hypotheses: the experiment for `grammar` in the calibrations.

Runs the server's own engine in this process. Orders drawn from Home Assistant's sentence
templates are spoken by synthetic voices, clean and in noise, and decoded in one or two passes as
the server does. Of each n-best list, the hypothesis that the grammar prefers with several gains
is compared with the order: it is right if Home Assistant matches it to the same intent with the
same values. Sentences outside the grammar (--sentences, folders of clips with texts) must not
change.
Prints a table per language; progress goes to stderr.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from hassil.intents import Intents, SlotList, TextSlotList
from hassil.recognize import recognize_all
from home_assistant_intents import get_intents

from wyoming_faster_whisper.biasing.grammar import Fit, choose_order, grammar
from wyoming_faster_whisper.biasing.weights import OrderGains
from wyoming_faster_whisper.engine.protocol import Job
from wyoming_faster_whisper.engine.whisper.acoustic_model import AcousticModel
from wyoming_faster_whisper.engine.whisper.calibration.values import Calibrations
from wyoming_faster_whisper.engine.whisper.decoding import decode_batch
from wyoming_faster_whisper.engine.whisper.encoder import Encoder
from wyoming_faster_whisper.engine.whisper.hallucination import Decoded, Verdict, judge_hypothesis
from wyoming_faster_whisper.engine.whisper.missing_speech import check_coverage
from wyoming_faster_whisper.engine.whisper.repetition import plain_words
from wyoming_faster_whisper.engine.whisper.second_pass import second_pass
from wyoming_faster_whisper.speech.vad import Vad

from ..speech.noise import degrade, kitchen_like
from ..speech.orders import HOMES, draw_orders, home_names
from ..speech.synthesis import Voice, say
from ..speech.voices import ENGLISH_VOICES, VOICES
from ..support.arguments import add, listed, parser
from ..support.clips import Clip, load, to_samples
from ..support.models import load_whisper, model_directory
from ..support.passes import engine_clip
from ..support.report import align, progress, write_json
from .encoder_window import speech

GAINS = ((0.0, 0.0), (0.5, 1.0), (1.0, 1.0), (1.0, 2.0), (1.0, 3.0), (2.0, 2.0), (2.0, 3.0),
         (2.0, 4.0), (3.0, 5.0), (4.0, 6.0), (6.0, 9.0))  # fmt: skip
"""Log-probabilities gained by a text that fits as an order, and with the names of the home."""

CONDITIONS = ("clean", "10dB", "5dB")


@dataclass(frozen=True, slots=True)
class NBest:
    """The hypotheses of one clip, the most probable first."""

    language: str
    condition: str
    truth: str
    texts: tuple[str, ...]
    scores: tuple[float, ...]  # log-probability, natural


def main() -> None:
    arguments = parse_arguments()
    model = load_whisper(model_directory(arguments.model), arguments.threads)
    decoder = Decoder(model, Calibrations(arguments.model))
    orders: list[NBest] = []
    for language in arguments.languages:
        orders += decode(decoder, language, spoken_orders(language, arguments), CONDITIONS)
    sentences: list[NBest] = []
    for language, folder in arguments.sentences:
        clips = load([Path(folder)], arguments.limit)
        sentences += decode(decoder, language, clips, ("clean", "5dB"))
    progress("")
    print(f"{arguments.model} int8, {arguments.threads} thread(s)")
    for language in arguments.languages:
        own = [each for each in orders if each.language == language]
        others = [each for each in sentences if each.language == language]
        print(f"\n{language}: {len(own)} orders, {len(others)} sentences")
        print(table(language, own, others))
    if arguments.json:
        write_json(
            arguments.json,
            {"orders": list(map(asdict, orders)), "sentences": list(map(asdict, sentences))},
        )


def parse_arguments() -> argparse.Namespace:
    flags = parser("calibration.grammar", __doc__)
    add(flags, "--model", "--limit", "--json")
    add(flags, "--threads", default=2)
    flags.add_argument("--languages", type=listed(tuple(HOMES)), default=tuple(HOMES))
    flags.add_argument("--orders", type=int, default=40, help="per language (default: 40)")
    flags.add_argument(
        "--sentences",
        action="append",
        default=[],
        type=lambda given: tuple(given.split("=", 1)),
        metavar="LANGUAGE=DIR",
        help="clips of sentences that are not orders; repeatable",
    )
    return flags.parse_args()


def spoken_orders(language: str, arguments: argparse.Namespace) -> list[Clip]:
    """Return the orders of a language, spoken by its voices in turn."""
    names = ENGLISH_VOICES if language == "en" else VOICES[language]
    voices = [Voice("espeak-ng", name) for name in names]
    if language == "en":
        voices = [Voice("flite", name) for name in ("slt", "rms", "awb")] + voices[:3]
    texts = draw_orders(language, arguments.orders, seed=1)
    return say([(text, voices[at % len(voices)]) for at, text in enumerate(texts)])


class Decoder:
    """Decodes in one or two passes, as the pipeline does before the grammar is asked."""

    def __init__(self, model: AcousticModel, calibrations: Calibrations) -> None:
        self._model = model
        self._calibrations = calibrations
        self._encoder = Encoder(model, calibrations, full_window=False)

    def decode(self, job: Job, language: str) -> Decoded | None:
        """Return the n-best list; None if there is no speech, or some that no text covers."""
        fitted = self._calibrations.of(language)
        clip = engine_clip(self._model, fitted, job)
        clip.encoding = self._encoder.first(clip)
        [decoded] = decode_batch(self._model, [clip], clip.encoding)
        verdict = judge_hypothesis(
            decoded,
            fitted.hallucination,
            certain_speech=True,
            speech_odds=clip.speech_odds(decoded),
            sure=fitted.speech.sure,
            speech_seconds=job.speech_seconds,
        )
        if verdict is Verdict.NO_SPEECH:
            return None
        believed = check_coverage(self._model, clip, decoded, lambda: self._encoder.first(clip))
        if believed.gaps or verdict is Verdict.SECOND_PASS:
            believed, _ = second_pass(self._model, self._encoder, clip, believed)
        return None if believed.gaps else believed.decoded


def decode(
    decoder: Decoder, language: str, clips: Sequence[Clip], conditions: Sequence[str]
) -> list[NBest]:
    found: list[NBest] = []
    vad, noise = Vad(), kitchen_like()
    for number, clip in enumerate(clips, start=1):
        progress(f"{language} {number}/{len(clips)}")
        for condition in conditions:
            pcm = clip.audio + clip.silence(0.7)
            job = speech(to_samples(degrade(clip, pcm, condition, noise)), vad, language)
            heard = decoder.decode(job, language)
            if heard is not None and heard.scores:
                texts = (heard.text, *heard.alternatives)
                found.append(NBest(language, condition, clip.text or "", texts, heard.scores))
    return found


def table(language: str, orders: Sequence[NBest], sentences: Sequence[NBest]) -> str:
    names = home_names(language)
    understood = _Meaning(language, names)
    rows: list[Sequence[str]] = [
        ("order", "home", "right, names known", "changed to wrong", "right, unknown",
         "changed to wrong", "sentences changed", "ms")
    ]  # fmt: skip
    for gains in GAINS:
        cells = [f"{gain:g}" for gain in gains]
        seconds = 0.0
        for known in (names, ()):
            right = worse = 0
            for each in orders:
                start = time.process_time()
                text = each.texts[chosen(each, known, gains)]
                seconds += time.process_time() - start
                was, now = understood.same(each, each.texts[0]), understood.same(each, text)
                right += now
                worse += was and not now
            cells += [f"{right} of {len(orders)}", str(worse)]
        changed = sum(chosen(each, names, gains) > 0 for each in sentences)
        cells += [str(changed), f"{seconds / max(1, 2 * len(orders)) * 1000:.1f}"]
        rows.append(cells)
    return align(rows)


def chosen(each: NBest, names: tuple[str, ...], gains: tuple[float, float]) -> int:
    known = grammar("bench", each.language, names)
    assert known is not None
    weights = OrderGains(*gains)
    by_fit = {Fit.NONE: 0.0, Fit.ORDER: weights.order, Fit.HOME: weights.home}
    return choose_order(each.texts, each.scores, known, by_fit)


class _Meaning:
    """What Home Assistant would do for a text."""

    def __init__(self, language: str, names: Sequence[str]) -> None:
        source = get_intents(language)
        assert source is not None
        self._intents = Intents.from_dict(source)
        self._lists: dict[str, SlotList] = {
            place: TextSlotList.from_strings(names, name=place)
            for place in ("name", "area", "floor")
        }
        self._known: dict[str, frozenset[Any]] = {}

    def same(self, each: NBest, text: str) -> bool:
        if plain_words(text) == plain_words(each.truth):
            return True
        return not self._of(text).isdisjoint(self._of(each.truth))

    def _of(self, text: str) -> frozenset[Any]:
        if text not in self._known:
            self._known[text] = frozenset(
                (
                    found.intent.name,
                    frozenset((name, str(slot.value)) for name, slot in found.entities.items()),
                )
                for found in recognize_all(text, self._intents, slot_lists=self._lists)
            )
        return self._known[text]


if __name__ == "__main__":
    main()
