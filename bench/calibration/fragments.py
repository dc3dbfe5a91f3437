"""Word errors by fragment length: the experiment for SpeechRules.fragment.

Runs the server's own segmenter and engine in this process. A segment shorter than the fragment
length waits for the speech after it: an interjection says little about the language of the
sentence that follows, and an order with a long pause between two words needs both halves. Cuts
such utterances with several fragment lengths, and decodes the segments. Prints word errors,
orders that are not accepted, and the number of segments; progress goes to stderr.
"""

import argparse
import hashlib
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from wyoming_faster_whisper.engine.protocol import DecodeOptions
from wyoming_faster_whisper.engine.whisper.calibration.values import Calibrations
from wyoming_faster_whisper.engine.whisper.engine import WhisperEngine
from wyoming_faster_whisper.models import choose
from wyoming_faster_whisper.speech.segmenter import Segment, SpeechRules, segments
from wyoming_faster_whisper.speech.vad import Vad

from ..speech.pauses import gaps, room, with_pause
from ..speech.utterances import utterances
from ..support.arguments import add, numbers, parser
from ..support.clips import Samples, accepted, load, to_samples
from ..support.models import load_whisper, model_directory
from ..support.passes import segment_job
from ..support.report import align, progress, write_json
from ..support.scoring import word_errors
from ..support.servers import ROOT

FRAGMENTS = (0.0, 1.0, 2.0, 4.0, 6.0)  # seconds; 0 = no segment waits
PAUSES = (2.4, 4.0)  # seconds, in an order: longer than min_silence
TRAILING = 0.7  # seconds of room tone after each utterance


@dataclass(frozen=True, slots=True)
class Heard:
    """One utterance, cut with one fragment length."""

    fragment: float  # seconds
    row: str
    name: str
    segments: int
    text: str
    wrong: int  # word errors; for an order, 1 if it is not accepted
    words: int


def main() -> None:
    arguments = parse_arguments()
    directory = model_directory(arguments.model)
    calibrations = Calibrations(choose(arguments.model, []).name)
    engine = WhisperEngine(load_whisper(directory, arguments.threads), calibrations=calibrations)
    decoder = Decoder(engine)
    rows = list(utterances("auto", arguments.speech))[: arguments.limit]
    orders = load([arguments.speech / "commands"], arguments.limit or 40)
    places = gaps(orders, directory)
    heard: list[Heard] = []
    for number, each in enumerate(rows, start=1):
        progress(f"auto: {number}/{len(rows)}")
        sound = to_samples(each.audio + each.room)
        for fragment in arguments.fragments:
            count, text = decoder.decode(sound, SpeechRules(fragment=fragment), None)
            errors = word_errors(each.text or "", text, each.language)
            heard.append(
                Heard(fragment, "auto", each.name, count, text, errors.wrong, errors.words)
            )
    for number, clip in enumerate(orders, start=1):
        progress(f"orders: {number}/{len(orders)}")
        for pause in arguments.pauses if places[clip.name] else ():
            paused = with_pause(clip, places[clip.name][0], pause)
            sound = to_samples(paused.audio + room(paused, TRAILING))
            for fragment in arguments.fragments:
                count, text = decoder.decode(sound, SpeechRules(fragment=fragment), "en")
                wrong = int(not accepted(clip, text))
                row = f"orders, {pause:g} s"
                heard.append(Heard(fragment, row, clip.name, count, text, wrong, 1))
    progress("")
    if not heard:
        sys.exit("no recordings found")
    print(f"{arguments.model} int8, {arguments.threads} thread(s)")
    print(table(heard))
    if arguments.json:
        write_json(arguments.json, {"heard": [asdict(each) for each in heard]})


def parse_arguments() -> argparse.Namespace:
    flags = parser("calibration.fragments", __doc__)
    add(flags, "--model", "--limit", "--json")
    add(flags, "--threads", default=1)
    flags.add_argument(
        "--speech",
        type=Path,
        metavar="DIR",
        default=ROOT.parent / "shared" / "speech",
        help="folder that contains commands and languages; default: %(default)s",
    )
    flags.add_argument("--fragments", type=numbers, default=FRAGMENTS, metavar="A,B")
    flags.add_argument("--pauses", type=numbers, default=PAUSES, metavar="A,B")
    return flags.parse_args()


class Decoder:
    """Cuts utterances into segments and decodes each segment once.

    It keeps the texts, because most fragment lengths give the same segments.
    """

    def __init__(self, engine: WhisperEngine) -> None:
        self._engine = engine
        self._vad = Vad()
        self._known: dict[tuple[bytes, str | None], str] = {}

    def decode(self, sound: Samples, rules: SpeechRules, language: str | None) -> tuple[int, str]:
        """Return the number of segments of an utterance and its text."""
        probabilities = self._vad.probabilities(sound).tolist()
        parts = segments(probabilities, rules, len(sound))
        texts = [self._text(sound, part, language) for part in parts]
        return len(parts), " ".join(filter(None, texts))

    def _text(self, sound: Samples, part: Segment, language: str | None) -> str:
        key = hashlib.sha256(sound[part.start : part.end].tobytes()).digest(), language
        if key not in self._known:
            job = segment_job(sound, part, DecodeOptions(language=language))
            self._known[key] = self._engine.decode([job])[0].text
        return self._known[key]


def table(heard: Sequence[Heard]) -> str:
    rows = list(dict.fromkeys(each.row for each in heard))
    lines = [["fragment", *(title for row in rows for title in (row, "of", "segments"))]]
    for fragment in dict.fromkeys(each.fragment for each in heard):
        cells = [f"{fragment:g} s"]
        for row in rows:
            some = [each for each in heard if (each.fragment, each.row) == (fragment, row)]
            cells += [
                str(sum(each.wrong for each in some)),
                str(sum(each.words for each in some)),
                f"{sum(each.segments for each in some) / len(some):.2f}",
            ]
        lines.append(cells)
    return align(lines)


if __name__ == "__main__":
    main()
