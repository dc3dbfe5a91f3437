"""Texts over sounds without words: the fit of `speech` in the calibrations.

Runs the server's own VAD and the first pass of its engine in this process, over sounds without
speech and over speech: orders, words that are whispered or far away, other languages, and short
sounds that people speak. Recorded sounds are also played slower, faster and in noise. A logistic
regression on the features of speech_odds.py is fitted to tell the segments with a text apart: one
in English, and one in the other languages. A wrong text over an order or an English word is left
out, because it is no better than none. For each regression, cross-validated by recording, it
prints what is left of the sounds and what is lost of the speech by the first pass alone, at
several thresholds and without each of the features, beside the weights in use; then the weights,
and at last how many recordings have a text after both passes. Results of the model are kept on
disk (--cache). Progress goes to stderr.
"""

import argparse
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np

from wyoming_faster_whisper.audio.highpass import HighPass
from wyoming_faster_whisper.audio.pcm import to_pcm16
from wyoming_faster_whisper.engine.protocol import DecodeOptions
from wyoming_faster_whisper.engine.whisper.calibration.values import Calibrations
from wyoming_faster_whisper.engine.whisper.decoding import decode_batch
from wyoming_faster_whisper.engine.whisper.hallucination import Decoded, has_words
from wyoming_faster_whisper.engine.whisper.pipeline import WhisperPipeline
from wyoming_faster_whisper.engine.whisper.speech_odds import FEATURES, features
from wyoming_faster_whisper.engine.whisper.tuning import BEAM
from wyoming_faster_whisper.models import choose
from wyoming_faster_whisper.speech.segmenter import SpeechRules, segments
from wyoming_faster_whisper.speech.vad import Vad

from ..short_words import WORDS
from ..speech import voices
from ..speech.noise import degrade, noise_of, silence_set
from ..speech.whispering import whispered
from ..support.arguments import RECORDINGS, add, given_clips, parser
from ..support.clips import Clip, Samples, heard_words, load, read_wav, to_samples
from ..support.memo import remembered_whisper
from ..support.passes import engine_clip, segment_job
from ..support.regression import Labels, Matrix, balance, fit
from ..support.report import align, progress, write_json

_FOLDS = 5
_VOICED = FEATURES.index("voiced")
# Log-odds at which the table cuts. The classifier cuts at 0, and both classes weigh equally.
THRESHOLDS = (-1.5, -1.0, -0.5, 0.0, 0.5)
# What the decoder makes up over a sound differs by language.
LANGUAGES = ("en", "de", "es", "fi", "nl", "ru", "sv", "uk")
# Weight of `voiced`, set by hand on 2026-12-01: in English it would be -11 by the fit, but all
# the whispers there are synthetic, and quiet or distant people have a voice that the VAD doubts.
# In other languages it adds nothing.
_ENGLISH_VOICED, _OTHER_VOICED = -4.0, 0.0
_SPEEDS = {"slower": 0.91, "faster": 1.1}
_CHANGES = (*_SPEEDS, "noise")  # of each recorded sound


@dataclass(frozen=True, slots=True)
class Sound:
    """A recording, and whether it contains speech."""

    kind: str
    group: str  # recordings of one source: in the same fold
    spoken: bool
    language: str
    audio: Callable[[], Samples]
    clip: Clip | None = None  # with the phrases to recognise, if they are known


@dataclass(frozen=True, slots=True)
class Heard:
    """The first pass over one segment that has a text."""

    kind: str
    group: str
    spoken: bool
    language: str
    peak: float
    harmonicity: float
    decoded: Decoded
    in_use: float  # log-odds by the calibrated weights


def main() -> None:
    arguments = parse_arguments()
    sounds = list(all_sounds(arguments))
    heard: list[Heard] = []
    answered: list[bool] = []
    for number, (some, has_text) in enumerate(decoded(arguments, sounds)):
        if number % 20 == 0:
            progress(f"{number}/{len(sounds)}, {sounds[number].kind}")
        heard += some
        answered.append(has_text)
    progress("")
    print(f"{arguments.model} int8; {len(sounds)} sounds, {len(heard)} segments with a text")
    names = ("intercept", *FEATURES)
    for title in ("English", "other languages"):
        some = [each for each in heard if (each.language == "en") == (title == "English")]
        print(f"{title}: {len(some)} segments")
        print(table(some))
        weights = fitted(some, range(len(FEATURES)))
        print("; ".join(f"{name} {each:.3f}" for name, each in zip(names, weights, strict=True)))
    print(answers_table(sounds, answered))
    if arguments.json:
        write_json(arguments.json, {"segments": [asdict(each) for each in heard]})


def parse_arguments() -> argparse.Namespace:
    flags = parser("calibration.non_speech", __doc__)
    add(flags, "--model", "--limit", "--json", "--noise", "--cache")
    add(flags, "--threads", default=1)
    add(flags, "--recordings", help=RECORDINGS)
    for flag, text in (
        ("--non-speech", "folder of WAV files without speech (repeatable)"),
        ("--languages-dir", "speech in other languages: a folder per language (repeatable)"),
        ("--spoken", "short spoken sounds: a folder per language (repeatable)"),
    ):
        flags.add_argument(flag, type=Path, action="append", default=[], metavar="DIR", help=text)
    return flags.parse_args()


def all_sounds(arguments: argparse.Namespace) -> Iterator[Sound]:
    """Yield the sounds without speech, then speech; --limit counts for each set of speech."""
    noise = noise_of(arguments.noise)
    for language in LANGUAGES:
        for clip in silence_set(noise):
            audio = partial(to_samples, clip.audio)
            yield Sound("synthetic sounds", clip.name, False, language, audio)
        for folder in arguments.non_speech:
            for path in sorted(folder.glob("*.wav")):
                # Two excerpts of one recording have names such as 4-59579-A and 4-59579-B.
                group = path.stem.rpartition("-")[0] or path.stem
                yield Sound(folder.name, group, False, language, partial(_read, path))
                for change in _CHANGES:
                    audio = partial(_changed, path, change, noise)
                    yield Sound(f"{folder.name}, changed", group, False, language, audio)
    for clip in given_clips(arguments):
        pcm = clip.audio + clip.silence(0.7)
        for condition in ("clean", "5dB"):
            audio = partial(_degraded, clip, pcm, condition, noise)
            yield Sound(f"orders, {condition}", clip.name, True, "en", audio, clip)
    for manner in voices.MANNERS if voices.installed() else ():
        for word, voice, speed in product(WORDS, voices.MANNERS[manner], voices.WORD_SPEEDS):
            clip = voices.say(word, voice, speed, phrases=(word,))
            condition = "distant" if manner == "distant" else "clean"
            audio = partial(_degraded, clip, clip.audio + clip.silence(0.7), condition, noise)
            yield Sound(f"words, {manner}", clip.name, True, "en", audio, clip)
    for parent in arguments.languages_dir:
        for folder in sorted(path for path in parent.iterdir() if path.is_dir()):
            for clip in load([folder], arguments.limit and arguments.limit // 3):
                pcm = clip.audio + clip.silence(0.7)
                for condition in ("clean", "5dB"):
                    audio = partial(_degraded, clip, pcm, condition, noise)
                    kind = f"{parent.name}, {condition}"
                    yield Sound(kind, f"{folder.name}/{clip.name}", True, folder.name, audio)
                audio = partial(_whispered, clip, pcm)
                kind = f"{parent.name}, whispered"
                yield Sound(kind, f"{folder.name}/{clip.name}", True, folder.name, audio)
    for parent in arguments.spoken:
        for folder in sorted(path for path in parent.iterdir() if path.is_dir()):
            for path in sorted(folder.glob("*.wav"))[: arguments.limit and arguments.limit // 4]:
                audio = partial(_read, path)
                yield Sound("letters and syllables", path.stem, True, folder.name, audio)


def _changed(path: Path, change: str, noise: Samples) -> Samples:
    """Return a sound played slower or faster, as a tape, or with noise 15 dB below it."""
    sound = _read(path)
    if change in _SPEEDS:
        times = np.arange(0, len(sound), _SPEEDS[change])
        return np.asarray(np.interp(times, np.arange(len(sound)), sound), np.float32)
    begin = zlib.crc32(path.stem.encode()) % len(noise)
    some = np.resize(np.roll(noise, -begin), len(sound))
    ratio = np.sqrt(np.mean(sound**2) / (np.mean(some**2) + 1e-12)) * 10 ** (-15 / 20)
    return np.asarray(sound + ratio * some, np.float32)


def _degraded(clip: Clip, pcm: bytes, condition: str, noise: Samples) -> Samples:
    return to_samples(degrade(clip, pcm, condition, noise))


def _whispered(clip: Clip, pcm: bytes) -> Samples:
    return to_samples(to_pcm16(whispered(to_samples(pcm), clip.name)))


def _read(path: Path) -> Samples:
    return to_samples(read_wav(path))


def decoded(
    arguments: argparse.Namespace, sounds: Sequence[Sound]
) -> Iterator[tuple[list[Heard], bool]]:
    """Yield the segments of each sound that have a text, and whether both passes leave any."""
    name = choose(arguments.model, []).name
    calibrations = Calibrations(name)
    model = remembered_whisper(arguments.model, arguments.threads, arguments.cache)
    pipeline = WhisperPipeline(model, calibrations)
    vad, rules = Vad(), SpeechRules()
    for sound in sounds:
        audio = HighPass().feed(sound.audio())
        found: list[Heard] = []
        has_text = False
        for part in segments(vad.probabilities(audio).tolist(), rules, len(audio)):
            job = segment_job(audio, part, DecodeOptions(language=sound.language))
            clip = engine_clip(model, calibrations.of(sound.language), job)
            [one] = decode_batch(model, [clip], pipeline.encoder.first(clip))
            if has_words(one.text):
                origin = (sound.kind, sound.group, sound.spoken, sound.language)
                odds = clip.speech_odds(one)
                if sound.clip is None or heard_words(sound.clip, one.text):
                    found.append(Heard(*origin, part.peak, clip.harmonicity, one, odds))
            [transcript] = pipeline.decode([job], BEAM)
            has_text = has_text or bool(transcript.text)
        yield found, has_text


def matrix(heard: Sequence[Heard]) -> Matrix:
    """Return a row per segment: the constant 1, then the features."""
    return np.array(
        [(1.0, *features(each.decoded, each.peak, each.harmonicity)) for each in heard]
    )


def labels(heard: Sequence[Heard]) -> Labels:
    return np.array([each.spoken for each in heard])


def fitted(heard: Sequence[Heard], chosen: Sequence[int]) -> Matrix:
    """Return the weights of the constant and of all features; both classes weigh equally.

    Args:
        heard: in English, or in other languages.
        chosen: the features that have a weight.
    """
    rows, truth = matrix(heard), labels(heard)
    english = heard[0].language == "en"
    weights = np.zeros(rows.shape[1])
    if _VOICED in chosen:
        weights[1 + _VOICED] = _ENGLISH_VOICED if english else _OTHER_VOICED
    columns = [0, *(1 + at for at in chosen if at != _VOICED)]
    weights[columns] += fit(rows[:, columns], truth, balance(truth), offset=rows @ weights)[0]
    return weights


def validated(heard: Sequence[Heard], chosen: Sequence[int]) -> Matrix:
    """Return the log-odds of each segment, by weights from the recordings of other folds."""
    names = sorted({each.group for each in heard})
    folds = np.array([names.index(each.group) % _FOLDS for each in heard])
    design, odds = matrix(heard), np.zeros(len(heard))
    for fold in range(_FOLDS):
        others = [each for each, at in zip(heard, folds, strict=True) if at != fold]
        odds[folds == fold] = design[folds == fold] @ fitted(others, chosen)
    return odds


def table(heard: Sequence[Heard]) -> str:
    """Format what is left of the sounds and lost of the speech.

    One row for the weights in use, one per threshold, then one without each feature.
    """
    kinds = list(dict.fromkeys((each.kind, each.spoken) for each in heard))
    titles = [
        f"{kind}, {'lost' if spoken else 'left'} of {sum(e.kind == kind for e in heard)}"
        for kind, spoken in kinds
    ]
    everything = range(len(FEATURES))
    rows = [["", *titles]]

    def row(title: str, odds: Matrix, threshold: float) -> None:
        cells = []
        for kind, is_spoken in kinds:
            some = odds[[each.kind == kind for each in heard]]
            count = (some < threshold).sum() if is_spoken else (some >= threshold).sum()
            cells.append(str(int(count)))
        rows.append([title, *cells])

    row("weights in use", np.array([each.in_use for each in heard]), 0.0)
    for threshold in THRESHOLDS:
        row(f"log-odds of {threshold:g}", validated(heard, everything), threshold)
    for at, name in enumerate(FEATURES):
        others = [each for each in everything if each != at]
        row(f"without {name}, 0", validated(heard, others), 0.0)
    return align(rows)


def answers_table(sounds: Sequence[Sound], answered: Sequence[bool]) -> str:
    """Format how many recordings have a text after both passes."""
    groups: dict[str, list[bool]] = {}
    for sound, has_text in zip(sounds, answered, strict=True):
        speech = "English" if sound.language == "en" else "other languages"
        group = f"{sound.kind}, {speech if sound.spoken else sound.language}"
        groups.setdefault(group, []).append(has_text)
    rows = [[name, f"{sum(some)} of {len(some)}"] for name, some in groups.items()]
    return align([["both passes", "with a text"], *rows])


if __name__ == "__main__":
    main()
