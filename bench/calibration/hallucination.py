"""Sounds taken for speech, by threshold: the experiment for `hallucination` in the calibrations.

Runs the server's own VAD and the first pass of its engine in this process, once for every segment
that the VAD finds in sounds without speech, in whispered words and in orders. The hallucination
check then judges the results with the calibrated thresholds, and with each of them changed.
Prints how many segments it accepts, rejects and decodes again; progress goes to stderr.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from wyoming_faster_whisper.engine.protocol import DecodeOptions
from wyoming_faster_whisper.engine.whisper.calibration.values import Calibrations
from wyoming_faster_whisper.engine.whisper.decoding import decode_batch
from wyoming_faster_whisper.engine.whisper.encoder import Encoder
from wyoming_faster_whisper.engine.whisper.hallucination import (
    Decoded,
    Thresholds,
    Verdict,
    judge_hypothesis,
)
from wyoming_faster_whisper.models import choose
from wyoming_faster_whisper.speech.segmenter import SpeechRules, segments
from wyoming_faster_whisper.speech.vad import Vad

from ..accuracy import POOLED
from ..speech import voices
from ..speech.noise import degrade, noise_of, silence_set
from ..support.arguments import RECORDINGS, add, given_clips, listed, parser
from ..support.clips import Clip, read_wav, to_samples
from ..support.models import load_whisper, model_directory
from ..support.passes import engine_clip, segment_job
from ..support.report import align, progress, write_json

NOISE, WHISPERS, ORDERS = "no speech", "whispers", "orders"
KINDS = (NOISE, WHISPERS, ORDERS)
CHANGES: dict[str, tuple[float, ...]] = {
    "min_logprob": (-0.2, -0.3, -0.5, -0.6),
    "long_speech": (0.0, 1.0, 2.0, 4.0, 6.0),
}


@dataclass(frozen=True, slots=True)
class Heard:
    """The first pass over one segment."""

    kind: str  # one of KINDS
    name: str
    certain: bool  # the VAD is sure that there is speech
    speech_seconds: float
    speech_odds: float  # by the calibrated classifier
    decoded: Decoded

    def verdict(self, thresholds: Thresholds) -> Verdict:
        return judge_hypothesis(
            self.decoded,
            thresholds,
            certain_speech=self.certain,
            speech_odds=self.speech_odds,
            speech_seconds=self.speech_seconds,
        )


def main() -> None:
    arguments = parse_arguments()
    fitted = Calibrations(choose(arguments.model, []).name).of("en")
    sounds = list(all_sounds(arguments))
    model = load_whisper(model_directory(arguments.model), arguments.threads)
    encoder = Encoder(model, Calibrations(arguments.model), full_window=False)
    vad, rules, options = Vad(), SpeechRules(), DecodeOptions(language="en")
    heard: list[Heard] = []
    for number, (kind, name, pcm) in enumerate(sounds, start=1):
        progress(f"{number}/{len(sounds)}, {kind}")
        sound = to_samples(pcm)
        for part in segments(vad.probabilities(sound).tolist(), rules, len(sound)):
            job = segment_job(sound, part, options)
            clip = engine_clip(model, fitted, job)
            [decoded] = decode_batch(model, [clip], encoder.first(clip))
            odds = clip.speech_odds(decoded)
            heard.append(
                Heard(kind, name, part.certain_speech, job.speech_seconds, odds, decoded)
            )
    progress("")
    if not heard:
        sys.exit("the VAD found no speech in any sound")
    print(f"{arguments.model} int8; {len(sounds)} sounds, {len(heard)} segments")
    print(table(heard, fitted.hallucination))
    if arguments.json:
        write_json(arguments.json, {"segments": [asdict(each) for each in heard]})


def parse_arguments() -> argparse.Namespace:
    return sound_flags("calibration.hallucination", __doc__).parse_args()


def sound_flags(name: str, description: str | None) -> argparse.ArgumentParser:
    """Return a parser with the flags that all_sounds() needs, and the shared ones."""
    flags = parser(name, description)
    add(flags, "--model", "--limit", "--json", "--noise")
    add(flags, "--threads", default=1)
    add(flags, "--recordings", help=RECORDINGS)
    flags.add_argument("--conditions", type=listed(POOLED), default=("clean", "5dB"))
    flags.add_argument(
        "--non-speech",
        type=Path,
        metavar="DIR",
        help="folder of WAV files without speech, in addition to synthetic sounds",
    )
    return flags


def all_sounds(arguments: argparse.Namespace) -> Iterator[tuple[str, str, bytes]]:
    """Yield the kind, the name and the PCM of each sound."""
    noise = noise_of(arguments.noise)
    for clip in silence_set(noise):
        yield NOISE, clip.name, clip.audio
    for path in sorted(arguments.non_speech.glob("*.wav")) if arguments.non_speech else ():
        yield NOISE, path.name, read_wav(path)
    whispers = voices.short_words("whispered") if voices.installed() else []
    orders = given_clips(arguments)
    for clip in whispers:
        yield WHISPERS, clip.name, _with_tail(clip)
    for condition in arguments.conditions:
        for clip in orders:
            yield (
                ORDERS,
                f"{clip.name}, {condition}",
                degrade(clip, _with_tail(clip), condition, noise),
            )


def _with_tail(clip: Clip) -> bytes:
    return clip.audio + clip.silence(0.7)


def settings(fitted: Thresholds) -> Iterator[tuple[str, Thresholds]]:
    """Yield the thresholds to compare, by name."""
    yield "as calibrated", fitted
    for name, values in CHANGES.items():
        for value in values:
            yield f"{name} {value:g}", replace(fitted, **{name: value})


def table(heard: Sequence[Heard], fitted: Thresholds) -> str:
    """Format what happens to the segments; "sure" and "unsure" are those of the VAD."""
    groups = {
        f"{kind}, {'sure' if certain else 'unsure'}": [
            each for each in heard if (each.kind, each.certain) == (kind, certain)
        ]
        for kind in KINDS
        for certain in (True, False)
    }
    groups = {name: some for name, some in groups.items() if some}
    titles = [f"{name} ({len(some)})" for name, some in groups.items()]
    lines = [["accepted + decoded again", *titles]]
    for name, thresholds in settings(fitted):
        verdicts = [[each.verdict(thresholds) for each in some] for some in groups.values()]
        counts = (
            f"{some.count(Verdict.ACCEPT)} + {some.count(Verdict.SECOND_PASS)}"
            for some in verdicts
        )
        lines.append([name, *counts])
    return align(lines)


if __name__ == "__main__":
    main()
