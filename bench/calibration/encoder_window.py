"""Accuracy by encoder window and beam: the experiment for `window` in the calibrations.

Runs the server's own engine in this process. Each clip is cut to its speech as the server does,
and decoded in every window, with every margin and beam. Orders count as accepted or not;
sentences in other languages (espeak-ng) by their word error rate. A margin matters only for clips
longer than the window: --together makes them. --speed 0.9 decodes slower audio, as a second pass
does. Prints a table; progress goes to stderr.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import product

from wyoming_faster_whisper.audio.pcm import slow_down
from wyoming_faster_whisper.engine.protocol import DecodeOptions, Job
from wyoming_faster_whisper.engine.whisper.ctranslate2 import CTranslate2Whisper
from wyoming_faster_whisper.engine.whisper.token_budget import token_budget
from wyoming_faster_whisper.engine.whisper.window import Window, window_frames
from wyoming_faster_whisper.speech.segmenter import SpeechRules, segments
from wyoming_faster_whisper.speech.vad import Vad

from ..accuracy import POOLED
from ..speech import voices
from ..speech.noise import degrade, noise_of
from ..speech.sentences import paragraphs
from ..support.arguments import RECORDINGS, add, given_clips, listed, numbers, parser
from ..support.clips import (
    Clip,
    Samples,
    accepted,
    to_samples,
    word_error_rate,
)
from ..support.models import load_whisper, model_directory
from ..support.report import align, progress, write_json

WINDOWS = (10.0, 12.0, 15.0, 20.0, 30.0)  # seconds
BEAMS = (1, 5)
MARGINS = (1.0,)  # least seconds of window after the speech


@dataclass(slots=True)
class Heard:
    """The results for one window, margin and beam in one condition."""

    condition: str
    window: float  # seconds
    margin: float  # seconds
    beam: int
    accepted: int = 0
    orders: int = 0
    texts: list[str] = field(default_factory=list)  # of the clips with a complete transcript
    truths: list[str] = field(default_factory=list)
    cpu: float = 0.0  # seconds, sum over all clips
    clips: int = 0


def main() -> None:
    arguments = parse_arguments()
    noise = noise_of(arguments.noise)
    clips = given_clips(arguments)
    if arguments.together > 1:
        sentences = [clip for clip in clips if clip.text] + voices.english()
        clips = list(paragraphs(sentences, arguments.together))[: arguments.limit]
    directory = model_directory(arguments.model)
    model = load_whisper(directory, arguments.threads)
    vad = Vad()
    found: dict[tuple[str, float, float, int], Heard] = {}
    sounds = list(trials(arguments, clips))
    for number, (condition, language, clip) in enumerate(sounds, start=1):
        progress(f"{number}/{len(sounds)}, {condition}")
        pcm = clip.audio + clip.silence(arguments.trailing)
        if condition in POOLED:
            pcm = degrade(clip, pcm, condition, noise)
        job = speech(to_samples(pcm), vad, language)
        if arguments.speed < 1:
            job = replace(job, samples=slow_down(job.samples, arguments.speed))
        for window, margin in product(arguments.windows, arguments.margins):
            frames = window_frames(job.seconds, Window(window, margin, window))
            for beam, text, cpu in decoded(model, job, frames, arguments.beams):
                key = condition, window, margin, beam
                row = found.setdefault(key, Heard(*key))
                row.cpu, row.clips = row.cpu + cpu, row.clips + 1
                if clip.phrases:
                    row.orders, row.accepted = row.orders + 1, row.accepted + accepted(clip, text)
                if clip.text is not None:
                    row.truths.append(clip.text)
                    row.texts.append(text)
    progress("")
    if not found:
        sys.exit("no clips found")
    print(f"{arguments.model} int8, {arguments.threads} thread(s); {len(sounds)} sounds")
    print(table(list(found.values())))
    if arguments.json:
        write_json(arguments.json, {"rows": [asdict(row) for row in found.values()]})


def parse_arguments() -> argparse.Namespace:
    flags = parser("calibration.encoder_window", __doc__)
    add(flags, "--model", "--limit", "--json", "--noise")
    add(flags, "--threads", default=1)
    add(flags, "--recordings", help=RECORDINGS)
    add(flags, "--trailing", default=0.7)
    flags.add_argument("--conditions", type=listed(POOLED), default=("clean", "20dB"))
    flags.add_argument("--languages", type=listed(tuple(voices.VOICES)), default=())
    flags.add_argument("--windows", type=numbers, default=WINDOWS, metavar="A,B")
    flags.add_argument("--margins", type=numbers, default=MARGINS, metavar="A,B")
    flags.add_argument(
        "--beams", type=lambda text: tuple(map(int, text.split(","))), default=BEAMS
    )
    flags.add_argument(
        "--together",
        type=int,
        default=1,
        metavar="N",
        help="join N English sentences, recorded or by espeak-ng, into one utterance",
    )
    flags.add_argument(
        "--speed",
        type=float,
        default=1.0,
        help="playback speed, 0 to 1; a second pass uses 0.9 (default: %(default)s)",
    )
    return flags.parse_args()


def trials(
    arguments: argparse.Namespace, clips: Sequence[Clip]
) -> Iterator[tuple[str, str, Clip]]:
    """Yield the row (a condition, or a language), the language and the clip of each trial."""
    for condition in arguments.conditions:
        for clip in clips:
            yield condition, "en", clip
    for language in arguments.languages:
        for clip in voices.foreign(language)[: arguments.limit]:
            yield language, language, clip


def speech(sound: Samples, vad: Vad, language: str) -> Job:
    """Return the job that the server would decode for a clip, pauses included."""
    options = DecodeOptions(language=language)
    found = segments(vad.probabilities(sound).tolist(), SpeechRules(), len(sound))
    if not found:
        return Job(sound, options)
    start, end = found[0].start, found[-1].end
    voice = tuple(
        (part.start + first - start, part.start + last - start)
        for part in found
        for first, last in part.speech_samples
    )
    return Job(sound[start:end], options, speech=voice)


def decoded(
    model: CTranslate2Whisper, job: Job, frames: int, beams: Sequence[int]
) -> Iterator[tuple[int, str, float]]:
    """Yield beam, text and CPU seconds of a first pass.

    Not by decode(), which would choose the window itself.
    """
    language = job.options.language or "en"
    began = time.process_time()
    encoding = model.encode([model.features(job.samples)], frames)
    encoder = time.process_time() - began
    prompt = model.tokenizer.prompt(job.options, language)
    for beam in beams:
        began = time.process_time()
        budget = token_budget(job.seconds, language)
        [first] = model.generate(encoding, [prompt], beam, [budget])
        yield beam, first.text, encoder + time.process_time() - began


def table(rows: Sequence[Heard]) -> str:
    lines = [["", "window", "margin", "beam", "accepted", "of", "WER", "of", "CPU s"]]
    for row in rows:
        share = f"{100 * row.accepted / row.orders:.1f}%" if row.orders else ""
        language = row.condition if row.condition in voices.VOICES else "en"
        wer = ""
        if row.truths:
            wer = f"{100 * word_error_rate(row.truths, row.texts, language=language):.1f}%"
        lines.append(
            [
                row.condition,
                f"{row.window:g} s",
                f"{row.margin:g} s",
                str(row.beam),
                share,
                str(row.orders or ""),
                wer,
                str(len(row.truths) or ""),
                f"{row.cpu / row.clips:.2f}",
            ]
        )
    return align(lines)


if __name__ == "__main__":
    main()
