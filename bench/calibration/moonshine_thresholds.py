"""Sounds taken for speech by Moonshine, by threshold: the experiment for its calibration.

Runs the server's own VAD and the first pass of its Moonshine engine in this process, once for
every segment that the VAD finds in sounds without speech and in orders. The probability of an
empty text is the no-speech probability. Prints how many segments are taken for speech, by the
least mean log-probability and the largest no-speech probability; progress goes to stderr.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product

from wyoming_faster_whisper.engine.whisper.hallucination import has_words
from wyoming_faster_whisper.speech.segmenter import SpeechRules, segments
from wyoming_faster_whisper.speech.vad import Vad

from ..support.clips import to_samples
from ..support.models import load_moonshine
from ..support.report import align, progress, write_json
from .hallucination import KINDS, all_sounds, sound_flags

THRESHOLDS = (-0.3, -0.4, -0.5, -0.6, -0.7, -0.8, -0.9, -1.0, -1.2, -1.5, -2.0)
MOST = (0.5, 0.8, 1.0)
BEAM = 5


@dataclass(frozen=True, slots=True)
class Heard:
    """The first pass over one segment."""

    kind: str  # one of KINDS
    name: str
    certain: bool  # the VAD is sure that there is speech
    text: str
    avg_logprob: float
    no_speech_prob: float
    repetitive: bool

    @property
    def wordless(self) -> bool:
        return not has_words(self.text) or (self.repetitive and not self.certain)


def main() -> None:
    arguments = parse_arguments()
    sounds = list(all_sounds(arguments))
    engine = load_moonshine(arguments.model, arguments.threads)
    vad, rules = Vad(), SpeechRules()
    heard: list[Heard] = []
    for number, (kind, name, pcm) in enumerate(sounds, start=1):
        progress(f"{number}/{len(sounds)}, {kind}")
        sound = to_samples(pcm)
        for part in segments(vad.probabilities(sound).tolist(), rules, len(sound)):
            samples = sound[part.start : part.end]
            encoding = engine.model.encode(samples)
            decoded = engine.model.generate(encoding, "", BEAM, len(samples) / 16_000)
            heard.append(
                Heard(
                    kind,
                    name,
                    part.certain_speech,
                    decoded.text,
                    decoded.avg_logprob,
                    decoded.no_speech_prob,
                    decoded.repetitive,
                )
            )
    progress("")
    if not heard:
        sys.exit("the VAD found no speech in any sound")
    print(f"{arguments.model}; {len(sounds)} sounds, {len(heard)} segments")
    print(table(heard))
    if arguments.json:
        write_json(arguments.json, {"segments": [asdict(each) for each in heard]})


def parse_arguments() -> argparse.Namespace:
    flags = sound_flags("calibration.moonshine_thresholds", __doc__)
    flags.set_defaults(model="moonshine-base-en")
    return flags.parse_args()


def table(heard: Sequence[Heard]) -> str:
    """Format how many segments are taken for speech; "sure" and "unsure" are the VAD's."""
    groups = {
        f"{kind}, {'sure' if certain else 'unsure'}": [
            each for each in heard if (each.kind, each.certain) == (kind, certain)
        ]
        for kind in KINDS
        for certain in (True, False)
    }
    groups = {name: some for name, some in groups.items() if some}
    titles = (f"{name} ({len(some)})" for name, some in groups.items())
    lines = [["log-probability", "no speech", *titles]]
    for least, most in product((float("-inf"), *sorted(THRESHOLDS)), MOST):
        counts = (
            sum(
                not each.wordless and each.avg_logprob >= least and each.no_speech_prob <= most
                for each in some
            )
            for some in groups.values()
        )
        lines.append([f"{least:g}", f"{most:g}", *map(str, counts)])
    return align(lines)


if __name__ == "__main__":
    main()
