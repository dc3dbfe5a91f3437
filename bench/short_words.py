"""Short words: which are recognised, and what loses the others.

"Stop", "yes" and numbers by synthetic voices, normal, whispered and from afar, pass the server's
own VAD, segmenter and pipeline in this process; beside them, faster-whisper decodes the whole
clip as the reference server calls it. A lost word was not found by the VAD, rejected as a sound
without speech, or taken for another one. Results of the model are kept on disk (--cache).
Progress goes to stderr.
"""

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from wyoming_faster_whisper.audio.highpass import HighPass
from wyoming_faster_whisper.speech.segmenter import SpeechRules, segments
from wyoming_faster_whisper.speech.vad import Vad

from .languages import REFERENCE, Decoders
from .speech import voices
from .speech.noise import degrade
from .support.arguments import add, listed, parser
from .support.clips import Clip, Samples, heard_words, to_samples
from .support.report import align, progress, write_json

OURS = "as calibrated"
WORDS = ("stop", "yes", "no", "cancel", "lights", "five", "twelve", "thirty")
TRAILING = 0.7  # seconds of silence after a word
SPEED = 150  # words per minute
NO_NOISE: Samples = np.zeros(0, np.float32)


@dataclass(frozen=True, slots=True)
class Heard:
    """One word in one voice, and both texts."""

    manner: str
    word: str
    clip: str
    found: bool  # by the VAD
    text: str
    reference: str
    right: bool
    reference_right: bool


def main() -> None:
    arguments = parse_arguments()
    if not voices.installed():
        sys.exit("espeak-ng is not installed")
    decoders = Decoders(arguments.model, arguments.threads, arguments.cache)
    vad = Vad()
    heard: list[Heard] = []
    for manner in arguments.manners:
        clips = words_in(manner, arguments.words)
        for number, clip in enumerate(clips, start=1):
            progress(f"{manner}: {number}/{len(clips)}")
            heard.append(play(decoders, vad, manner, clip))
    progress("")
    print(f"{arguments.model} int8, {arguments.threads} thread(s); {len(arguments.words)} words")
    print(table(heard))
    if arguments.json:
        write_json(arguments.json, {"heard": [asdict(each) for each in heard]})


def parse_arguments() -> argparse.Namespace:
    flags = parser("short_words", __doc__)
    add(flags, "--model", "--threads", "--json", "--cache")
    manners = tuple(voices.MANNERS)
    flags.add_argument("--manners", type=listed(manners), default=manners, metavar="A,B")
    flags.add_argument("--words", type=lambda text: text.split(","), default=WORDS, metavar="A,B")
    return flags.parse_args()


def words_in(manner: str, words: Sequence[str]) -> list[Clip]:
    """Return each word by each voice of a manner."""
    return [
        voices.say(word, voice, SPEED, phrases=(word,))
        for word in words
        for voice in voices.MANNERS[manner]
    ]


def play(decoders: Decoders, vad: Vad, manner: str, clip: Clip) -> Heard:
    condition = "distant" if manner == "distant" else "clean"
    pcm = clip.audio + clip.silence(TRAILING)
    sound = to_samples(degrade(clip, pcm, condition, NO_NOISE))
    heard = HighPass().feed(sound)
    found = segments(vad.probabilities(heard).tolist(), SpeechRules(), len(heard))
    text, _ = decoders.decode(OURS, sound, "en")
    reference, _ = decoders.decode(REFERENCE, sound, "en")
    return Heard(
        manner,
        clip.phrases[0],
        clip.name,
        bool(found),
        text,
        reference,
        heard_words(clip, text),
        heard_words(clip, reference),
    )


def table(heard: Sequence[Heard]) -> str:
    """Format a row per manner, and one per word and manner that is not always recognised."""
    rows = [["", "clips", "right", "reference", "not found", "rejected", "another word"]]
    for manner in dict.fromkeys(each.manner for each in heard):
        some = [each for each in heard if each.manner == manner]
        rows.append([manner, *_row(some)])
        for word in dict.fromkeys(each.word for each in some):
            said = [each for each in some if each.word == word]
            if not all(each.right for each in said):
                rows.append([f"  {word}", *_row(said)])
    return align(rows)


def _row(some: Sequence[Heard]) -> list[str]:
    wrong = [each for each in some if not each.right]
    return [
        str(len(some)),
        str(len(some) - len(wrong)),
        str(sum(each.reference_right for each in some)),
        str(sum(not each.found for each in wrong)),
        str(sum(each.found and not each.text for each in wrong)),
        str(sum(bool(each.text) for each in wrong)),
    ]


if __name__ == "__main__":
    main()
