"""Accuracy by language, window and passes: the experiment for `window` of other languages.

Decodes recordings in several languages with the server's own VAD, segmenter and pipeline in this
process, once per arm: a window and a number of passes, with the language named or detected.
Beside them, faster-whisper decodes the whole recording as the reference server calls it. Results
of the model are kept on disk (--cache), so an arm that was decoded before takes no time. Prints,
by language, the word error rate of each arm, the difference from the baseline with its 95%
interval, and the number of recordings that were taken for another language; progress goes to
stderr. In scripts without spaces, and in Korean, characters count; an order of which only phrases
are known counts as one word.
"""

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from wyoming_faster_whisper.audio.highpass import HighPass
from wyoming_faster_whisper.audio.pcm import to_pcm16
from wyoming_faster_whisper.engine.protocol import DecodeOptions
from wyoming_faster_whisper.engine.whisper.calibration.values import Calibration, Calibrations
from wyoming_faster_whisper.engine.whisper.pipeline import WhisperPipeline
from wyoming_faster_whisper.engine.whisper.tokens import WhisperTokenizer
from wyoming_faster_whisper.engine.whisper.tuning import BEAM
from wyoming_faster_whisper.engine.whisper.window import Window
from wyoming_faster_whisper.models import choose
from wyoming_faster_whisper.speech.segmenter import SpeechRules, segments
from wyoming_faster_whisper.speech.vad import Vad

from ..accuracy import SPEECH
from ..speech.noise import degrade, noise_of
from ..speech.variations import (
    SPEECH_LEVEL,
    VARIATIONS,
    Variation,
    at_level,
    clipped,
    lost,
    telephone,
)
from ..support.arguments import add, listed, parser
from ..support.bootstrap import paired
from ..support.clips import Clip, Samples, accepted, load, to_samples
from ..support.memo import MemoModel, Store, key_of
from ..support.models import load_whisper, model_directory
from ..support.passes import segment_job
from ..support.report import align, progress, write_json
from ..support.scoring import Errors, language_errors

REFERENCE = "reference"

SOUNDS: Mapping[str, Variation] = {
    "telephone": telephone,
    "clipped": clipped(24),
    "hum": VARIATIONS["hum50q"],
    "reverb": VARIATIONS["reverb0.5"],
    "lost": lost(0.1),
}
"""Conditions other than noise and distance."""
CONDITIONS = (*SPEECH, *SOUNDS)


@dataclass(frozen=True, slots=True)
class Arm:
    """How the pipeline decodes."""

    window: float | None = None  # least seconds of the first pass; None = as calibrated
    passes: int = 2  # 1 = no second pass
    named: bool = True  # False = the language is detected
    detection: float | None = None  # least seconds in which it is; None = as calibrated

    def calibration(self, fitted: Calibration) -> Calibration:
        if self.window is not None:
            fitted = replace(fitted, window=Window(self.window, 1.0, self.window))
        if self.detection is not None:
            detection = replace(fitted.detection, floor=self.detection, margin=1.0)
            fitted = replace(fitted, detection=detection)
        return fitted


ARMS: Mapping[str, Arm] = {
    "as calibrated": Arm(),
    **{f"{window} s": Arm(window) for window in (10, 15, 20, 30)},
    **{f"{window} s in one pass": Arm(window, passes=1) for window in (10, 15, 20, 30)},
    "detected": Arm(named=False),
    "detected in 30 s": Arm(named=False, detection=30),
}


class ArmCalibrations(Calibrations):
    """Calibrations of a model, changed as an arm says."""

    def __init__(self, model: str, arm: Arm) -> None:
        super().__init__(model)
        self._arm = arm

    def of(self, language: str) -> Calibration:
        return self._arm.calibration(super().of(language))


@dataclass(frozen=True, slots=True)
class Heard:
    """One recording, decoded by one arm."""

    arm: str
    language: str
    condition: str
    name: str
    text: str
    wrong: int
    words: int
    cpu: float  # seconds
    detected: str | None  # language of the longest text


def main() -> None:
    arguments = parse_arguments()
    noise = noise_of(arguments.noise)
    sounds = list(all_sounds(arguments, noise))
    if not sounds:
        sys.exit("no recording with a text was found")
    decoders = Decoders(arguments.model, arguments.threads, arguments.cache)
    heard: list[Heard] = []
    ends = time.monotonic() + 60 * arguments.minutes
    for name in dict.fromkeys((arguments.baseline, *arguments.arms)):
        for number, (language, condition, clip, sound) in enumerate(sounds, start=1):
            if time.monotonic() > ends:
                sys.exit("not finished; what was decoded is kept, so run it again")
            if number % 20 == 1:
                progress(f"{name}: {number}/{len(sounds)}, {language}")
            text, cpu, detected = decoders.decode(name, sound, language)
            errors = errors_of(clip, text, language)
            heard.append(
                Heard(
                    name,
                    language,
                    condition,
                    clip.name,
                    text,
                    errors.wrong,
                    errors.words,
                    cpu,
                    detected,
                )
            )
    progress("")
    recordings = len(sounds) // len(arguments.conditions)
    print(f"{arguments.model} int8, {arguments.threads} thread(s); {recordings} recordings")
    for condition in arguments.conditions:
        some = [each for each in heard if each.condition == condition]
        print(table(some, condition, arguments.baseline))
    if arguments.json:
        write_json(arguments.json, {"heard": [asdict(each) for each in heard]})


def parse_arguments() -> argparse.Namespace:
    flags = parser("calibration.languages", __doc__)
    add(flags, "--model", "--threads", "--limit", "--json", "--noise", "--cache")
    add(flags, "--languages-dir", action="store", required=True)
    flags.add_argument("--languages", type=lambda text: text.split(","), metavar="A,B")
    flags.add_argument("--arms", type=listed(tuple(ARMS)), default=tuple(ARMS), metavar="A,B")
    flags.add_argument("--baseline", choices=(REFERENCE, *ARMS), default=REFERENCE)
    flags.add_argument("--conditions", type=listed(CONDITIONS), default=("clean",))
    flags.add_argument(
        "--times", type=int, default=1, help="times that each recording is said in a row"
    )
    flags.add_argument(
        "--pause", type=float, default=0.35, help="seconds between them (default: %(default)g)"
    )
    flags.add_argument("--trailing", type=float, default=0.7)
    flags.add_argument("--minutes", type=float, default=600.0, help="time limit in minutes")
    return flags.parse_args()


def all_sounds(
    arguments: argparse.Namespace, noise: Samples
) -> Iterator[tuple[str, str, Clip, Samples]]:
    """Yield language, condition, clip and audio of each recording."""
    for folder in sorted(path for path in arguments.languages_dir.iterdir() if path.is_dir()):
        if arguments.languages and folder.name not in arguments.languages:
            continue
        for clip in load([folder], arguments.limit):
            clip = said_again(clip, arguments.times, arguments.pause)
            pcm = clip.audio + clip.silence(arguments.trailing)
            for condition in arguments.conditions:
                yield folder.name, condition, clip, changed(clip, pcm, condition, noise)


def changed(clip: Clip, pcm: bytes, condition: str, noise: Samples) -> Samples:
    """Return a clip's audio under one of CONDITIONS."""
    if condition not in SOUNDS:
        return to_samples(degrade(clip, pcm, condition, noise))
    sound = SOUNDS[condition](at_level(to_samples(pcm), SPEECH_LEVEL), clip.name)
    return to_samples(to_pcm16(sound))


def said_again(clip: Clip, times: int, pause: float) -> Clip:
    """Return a clip that is said several times in a row, with seconds of pause in between."""
    if times == 1 or clip.text is None:
        return clip
    return replace(
        clip,
        audio=clip.silence(pause).join([clip.audio] * times),
        text=" ".join([clip.text] * times),
    )


def errors_of(clip: Clip, text: str, language: str) -> Errors:
    """Return the word errors of a text; an order without a transcript counts as one word."""
    if clip.text is None and clip.phrases:
        return Errors(0 if accepted(clip, text) else 1, 1)
    return language_errors(clip.text or "", text, language)


class Decoders:
    """Decodes recordings with each arm.

    Args:
        cache: file with results of the model.
    """

    def __init__(self, name: str, threads: int, cache: Path | None) -> None:
        self._directory = model_directory(name)
        self._name = choose(name, []).name
        self._threads = threads
        self._store = Store(cache)
        self.model = MemoModel(
            f"{self._name} int8",
            partial(load_whisper, self._directory, threads),
            WhisperTokenizer(self._directory / "tokenizer.json", multilingual=True),
            self._store,
        )
        self._reference: Any = None
        self._pipelines: dict[str, WhisperPipeline] = {}
        self._vad, self._rules = Vad(), SpeechRules()

    def decode(self, arm: str, sound: Samples, language: str) -> tuple[str, float, str | None]:
        """Return the text, the CPU seconds and the language of a recording."""
        if arm == REFERENCE:
            text, cpu = self._store.get(
                key_of("reference", self._name, language, sound),
                partial(self._transcribe, sound, language),
            )
            return text, cpu, language
        return self._answer(arm, sound, language)

    def _answer(self, arm: str, sound: Samples, language: str) -> tuple[str, float, str | None]:
        if arm not in self._pipelines:
            calibrations = ArmCalibrations(self._name, ARMS[arm])
            self._pipelines[arm] = WhisperPipeline(self.model, calibrations)
        sound = HighPass().feed(sound)
        options = DecodeOptions(language=language if ARMS[arm].named else None)
        self.model.cpu, found = 0.0, []
        for part in segments(self._vad.probabilities(sound).tolist(), self._rules, len(sound)):
            job = replace(segment_job(sound, part, options), quick=ARMS[arm].passes == 1)
            [transcript] = self._pipelines[arm].decode([job], BEAM)
            found.append(transcript)
        longest = max(found, key=lambda each: len(each.text), default=None)
        text = " ".join(each.text for each in found if each.text)
        return text, self.model.cpu, longest.language if longest else None

    def _transcribe(self, sound: Samples, language: str) -> str:
        """Decode as wyoming-faster-whisper 3.8.1 does (faster_whisper_handler.py)."""
        if self._reference is None:
            import faster_whisper

            self._reference = faster_whisper.WhisperModel(
                str(self._directory),
                device="cpu",
                compute_type="int8",
                cpu_threads=self._threads,
            )
        found, _ = self._reference.transcribe(sound, beam_size=BEAM, language=language)
        return " ".join(each.text.strip() for each in found)


def table(heard: Sequence[Heard], condition: str, baseline: str) -> str:
    """Format a row per language and one for all, with a column per arm.

    Args:
        baseline: the arm from which the others differ.
    """
    arms = list(dict.fromkeys(each.arm for each in heard))
    names = list(dict.fromkeys(each.language for each in heard))
    rows = [[condition, "clips", *arms]]
    for name in (*names, "all"):
        by_arm = {
            arm: [e for e in heard if e.arm == arm and name in (e.language, "all")]
            for arm in arms
        }
        reference = by_arm[baseline]
        rates, differences, cpu, others = [], [], [], []
        for arm, some in by_arm.items():
            errors = sum((Errors(each.wrong, each.words) for each in some), Errors(0, 0))
            rates.append(f"{100 * errors.wrong / max(1, errors.words):.1f}%")
            differences.append("" if arm == baseline else str(compare(some, reference)))
            cpu.append(f"{sum(each.cpu for each in some) / len(some):.2f}")
            others.append(str(sum(each.detected not in (None, each.language) for each in some)))
        rows.append([name, str(len(reference)), *rates])
        rows.append(["  difference, 95% interval", "", *differences])
        rows.append(["  CPU seconds", "", *cpu])
        rows.append(["  in another language", "", *others])
    return align(rows)


def compare(some: Sequence[Heard], reference: Sequence[Heard]) -> Any:
    return paired(
        [each.wrong for each in some],
        [each.wrong for each in reference],
        [each.words for each in some],
        [each.language for each in some],
    )


if __name__ == "__main__":
    main()
