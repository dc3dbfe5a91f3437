"""Waits and cut-offs by the silence that ends a turn: the experiment for speech/endpointing.py.

Runs the server's own VAD, state machine and engine in this process, with a simulated clock, as
bench.turns does: whole commands, and the same commands with a pause between two words. Every
silence of `auto`, every threshold of the end-of-turn classifier and the silence before a guess
is changed in turn. Decodes are kept, so a change costs little. Progress goes to stderr.
"""

import argparse
import statistics
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from wyoming_faster_whisper.engine.protocol import Transcript
from wyoming_faster_whisper.engine.whisper.calibration.values import Calibrations
from wyoming_faster_whisper.engine.whisper.pipeline import WhisperPipeline
from wyoming_faster_whisper.models import choose
from wyoming_faster_whisper.speech.endpointing import Endpointing, TurnRules
from wyoming_faster_whisper.speech.turn_classifier import TurnClassifier
from wyoming_faster_whisper.speech.utterance import UtteranceRules
from wyoming_faster_whisper.speech.vad import Vad

from ..speech import voices
from ..speech.pauses import PAUSES, pause_set
from ..support.arguments import RECORDINGS, add, given_clips, parser
from ..support.clips import Samples
from ..support.memo import remembered_whisper
from ..support.models import model_directory
from ..support.report import align, percentile, progress, write_json
from ..support.simulated_turn import Decoder, guesses
from ..turns import Heard, Sound, simulate, sounds_of

# By the fields of Endpointing; min_silence is that of the class "unsure".
SILENCES = {
    "complete": (0.2, 0.26, 0.38, 0.45, 0.6),
    "likely": (0.5, 0.65, 0.96, 1.12),
    "min_silence": (0.8, 0.96, 1.28),
    "incomplete": (1.12, 1.7),
}
THRESHOLDS = {"complete": (1.4, 3.4), "likely": (0.0, 1.0, 1.6), "unsure": (-3.0, -1.0)}
GUESS_AFTER = (0.1, 0.16, 0.19, 0.26)  # seconds


@dataclass(frozen=True, slots=True)
class Setting:
    """When the server guesses and ends a turn."""

    name: str
    endpointing: Endpointing
    classifier: TurnClassifier
    guess_after: float  # seconds


def main() -> None:
    arguments = parse_arguments()
    directory = model_directory(arguments.model)
    clips = given_clips(arguments)
    if voices.installed() and arguments.synthetic:
        clips += voices.english()[: arguments.limit]
    if not clips:
        sys.exit("no recordings found")
    calibrations = Calibrations(choose(arguments.model, []).name)
    model = remembered_whisper(arguments.model, arguments.threads, arguments.cache)
    decode = guesses(WhisperPipeline(model, calibrations))
    sounds = sounds_of([*((None, clip) for clip in clips), *pause_set(clips, directory)], Vad())
    found: dict[str, list[Heard]] = {}
    for each in settings(calibrations.of("en").end_of_turn):
        progress(each.name)
        found[each.name] = list(heard(sounds, each, decode, arguments.decode))
    progress("")
    print(f"{arguments.model} int8, {arguments.decode:g} s for a decode, {len(clips)} commands")
    print(table(found))
    if arguments.json:
        rows = {name: [asdict(each) for each in some] for name, some in found.items()}
        write_json(arguments.json, {"settings": rows})


def parse_arguments() -> argparse.Namespace:
    flags = parser("calibration.silences", __doc__)
    add(flags, "--model", "--limit", "--threads", "--json", "--cache")
    add(flags, "--recordings", help=RECORDINGS)
    flags.add_argument("--synthetic", action="store_true", help="add sentences by espeak-ng")
    flags.add_argument(
        "--decode",
        type=float,
        default=0.2,
        metavar="SECONDS",
        help="time of one pass of the model (default: %(default)s)",
    )
    return flags.parse_args()


def settings(classifier: TurnClassifier) -> Iterator[Setting]:
    """Yield the settings of the server, and those with one value changed."""
    now = Setting(
        "as it is",
        TurnRules(auto=True).endpointing(None),
        classifier,
        UtteranceRules().guess_after,
    )
    yield now
    for name, values in SILENCES.items():
        for value in values:
            rules = replace(now.endpointing, **{name: value})
            yield replace(now, name=f"silence {name} {value:g} s", endpointing=rules)
    for name, values in THRESHOLDS.items():
        for value in values:
            change: dict[str, Any] = {name: value}
            other = replace(classifier, **change)
            yield replace(now, name=f"threshold {name} {value:g}", classifier=other)
    for value in GUESS_AFTER:
        yield replace(now, name=f"guess after {value:g} s", guess_after=value)


def heard(
    sounds: Sequence[Sound], setting: Setting, decode: Decoder, seconds: float
) -> Iterator[Heard]:
    """Yield the result for each sound with a setting."""

    def classified(samples: Samples, lead: int, quick: bool) -> Transcript:
        said = decode(samples, lead, quick)
        return replace(said, turn_classifier=setting.classifier) if said.end_scores else said

    for sound in sounds:
        yield simulate(
            sound,
            classified,
            seconds,
            endpointing=setting.endpointing,
            rules=UtteranceRules(guess_after=setting.guess_after),
        )


def table(found: dict[str, list[Heard]]) -> str:
    """Format waits of whole commands, and the share of turns that are cut off."""
    pauses = [f"{pause:g} s" for pause in PAUSES]
    lines = [["", "median", "95th percentile", "cut off: whole", *pauses, "decodes"]]
    for name, some in found.items():
        whole = [each for each in some if each.pause is None]
        waits = [each.wait for each in whole if each.wait is not None]
        times = (percentile(waits, share) for share in (50, 95))
        groups = [whole, *([each for each in some if each.pause == p] for p in PAUSES)]
        cut = (statistics.fmean(each.wait is None for each in g) if g else 0.0 for g in groups)
        lines.append(
            [
                name,
                *("" if each is None else f"{each:.3f} s" for each in times),
                *(f"{100 * share:.1f}%" for share in cut),
                f"{statistics.fmean(each.decodes for each in some):.2f}",
            ]
        )
    return align(lines)


if __name__ == "__main__":
    main()
