"""Speech that the VAD finds, by level: the experiment for speech/calibration/silero_v6.json.

Runs the server's own high-pass, gain control and VAD in this process. Orders are played at
several levels, and sounds without speech as recorded and 10 dB quieter: without gain control,
with the calibrated levels, and with each of them changed. Prints the share of speech windows that
are found, the orders in which no certain speech is found, and the sounds without speech in which
certain or possible speech is found; progress goes to stderr.
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

from wyoming_faster_whisper.audio.highpass import HighPass
from wyoming_faster_whisper.speech.gain_control import Gain
from wyoming_faster_whisper.speech.hysteresis import Probabilities
from wyoming_faster_whisper.speech.segmenter import SpeechRules, segments
from wyoming_faster_whisper.speech.vad import Vad, calibrated_gain

from ..speech.noise import kitchen_like, silence_set
from ..speech.pauses import room
from ..support.arguments import RECORDINGS, add, given_clips, parser
from ..support.clips import Samples, read_wav, spoken, to_samples
from ..support.report import align, progress, write_json

LEVELS = (-26.0, -40.0, -50.0, -60.0, -70.0)  # dBFS, RMS of the speech
QUIETER = (0.0, -10.0)  # dB, of sounds without speech
TRAILING = 0.7  # seconds of room tone after each order
OFF = replace(calibrated_gain(), most=0.0)

_SILENCE = 1e-6


@dataclass(frozen=True, slots=True)
class Found:
    """What the VAD finds with one setting."""

    name: str
    found: dict[float, float]  # by level: share of the windows that are speech at LEVELS[0]
    lost: dict[float, int]  # by level: orders in which no certain speech is found
    certain: dict[float, int]  # by QUIETER: sounds without speech in which some is found
    possible: dict[float, int]  # the same, with possible speech


def main() -> None:
    arguments = parse_arguments()
    clips = given_clips(arguments)
    speech = [usual_level(to_samples(clip.audio + room(clip, TRAILING))) for clip in clips]
    noises = [to_samples(read_wav(path)) for path in sorted(arguments.non_speech.glob("*.wav"))]
    if not noises:
        noises = [to_samples(clip.audio) for clip in silence_set(kitchen_like())]
    rows = []
    for number, (name, gain) in enumerate(settings(), start=1):
        progress(f"{number}, {name}")
        rows.append(measure(name, gain, speech, noises))
    progress("")
    print(f"{len(speech)} orders, {len(noises)} sounds without speech")
    print(table(rows))
    if arguments.json:
        write_json(arguments.json, {"rows": [asdict(row) for row in rows]})


def parse_arguments() -> argparse.Namespace:
    flags = parser("calibration.gain_control", __doc__)
    add(flags, "--limit", "--json")
    add(flags, "--recordings", help=RECORDINGS)
    flags.add_argument(
        "--non-speech",
        type=Path,
        default=Path("nowhere"),
        metavar="DIR",
        help="folder of WAV files without speech; default: synthetic sounds",
    )
    return flags.parse_args()


def settings() -> list[tuple[str, Gain]]:
    """Return the gains to compare, by name."""
    calibrated = calibrated_gain()
    changes: list[dict[str, float]] = [
        {"target": -50.0},
        {"target": -40.0},
        {"most": 10.0},
        {"most": 30.0},
        {"least_range": 0.0},
        {"least_range": 12.0},
        {"least_range": 24.0},
        {"decay": 0.0},
        {"decay": 0.05},
        {"rise": 0.0},
        {"rise": 0.02},
    ]
    return [
        ("off", OFF),
        ("as calibrated", calibrated),
        *(
            (
                " ".join(f"{key} {value:g}" for key, value in each.items()),
                replace(calibrated, **each),
            )
            for each in changes
        ),
    ]


def measure(name: str, gain: Gain, speech: Sequence[Samples], noises: Sequence[Samples]) -> Found:
    plain, vad, rules = Vad(OFF), Vad(gain), SpeechRules()
    found: dict[float, list[float]] = {level: [] for level in LEVELS}
    lost = dict.fromkeys(LEVELS, 0)
    for sound in speech:
        usual = None
        for level in LEVELS:
            quiet = np.asarray(sound * 10 ** ((level - LEVELS[0]) / 20), np.float32)
            if usual is None:
                usual = probabilities(plain, quiet) >= rules.threshold
            heard = probabilities(vad, quiet)
            if usual.any():
                found[level].append(float((heard[usual] >= rules.threshold).mean()))
            lost[level] += not certain(heard, rules, len(quiet))
    sure, maybe = dict.fromkeys(QUIETER, 0), dict.fromkeys(QUIETER, 0)
    for sound in noises:
        for decibels in QUIETER:
            heard = probabilities(vad, np.asarray(sound * 10 ** (decibels / 20), np.float32))
            parts = segments(heard.tolist(), rules, len(sound))
            sure[decibels] += any(part.certain_speech for part in parts)
            maybe[decibels] += bool(parts)
    return Found(
        name, {level: float(np.mean(some)) for level, some in found.items()}, lost, sure, maybe
    )


def usual_level(sound: Samples) -> Samples:
    """Scale a recording so that its speech has the first of LEVELS."""
    rms = np.sqrt(np.mean(sound[spoken(sound)] ** 2)) + _SILENCE
    return np.asarray(sound * 10 ** (LEVELS[0] / 20) / rms, np.float32)


def certain(heard: Probabilities, rules: SpeechRules, samples: int) -> bool:
    return any(part.certain_speech for part in segments(heard.tolist(), rules, samples))


def probabilities(vad: Vad, sound: Samples) -> Probabilities:
    """Return the probability of each window, as the server computes it."""
    return vad.probabilities(HighPass().feed(sound))


def table(rows: Sequence[Found]) -> str:
    lines = [
        [
            "",
            *(f"found {level:g}" for level in LEVELS),
            *(f"lost {level:g}" for level in LEVELS[-2:]),
            *(f"noise {decibels:+g} dB" for decibels in QUIETER),
            *(f"possible {decibels:+g} dB" for decibels in QUIETER),
        ]
    ]
    lines += [
        [
            row.name,
            *(f"{100 * row.found[level]:.1f}%" for level in LEVELS),
            *(str(row.lost[level]) for level in LEVELS[-2:]),
            *(str(row.certain[decibels]) for decibels in QUIETER),
            *(str(row.possible[decibels]) for decibels in QUIETER),
        ]
        for row in rows
    ]
    return align(lines)


if __name__ == "__main__":
    main()
