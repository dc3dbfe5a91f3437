"""Speech at the beginning of a stream: the experiment for the VAD's initial state.

Recordings of words, cut at their first spoken sample, and sounds without speech pass the server's
own high-pass and VAD in this process, from several initial states of the model: zeros, and the
state after half a second of silence or noise. Prints, at the level as recorded and 30 dB quieter,
in how many of them certain speech is found, only possible speech, or none; progress goes to
stderr.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from wyoming_faster_whisper.audio.highpass import HighPass
from wyoming_faster_whisper.speech.hysteresis import WINDOW
from wyoming_faster_whisper.speech.segmenter import SpeechRules, segments
from wyoming_faster_whisper.speech.vad import Vad, noise

from ..support.arguments import add, parser
from ..support.clips import Samples, load, read_wav, speech_start, to_samples
from ..support.report import align, progress

TRAILING = 0.7  # seconds of room tone after each word
LEVELS = (0.0, -30.0)  # dB, relative to the recording
WINDOWS = 16  # half a second
BEFORE: dict[str, Samples] = {
    "zeros": np.zeros(0, np.float32),
    "silence": np.zeros(WINDOWS * WINDOW, np.float32),
    **{f"noise, {level:g} dBFS": noise(level, WINDOWS) for level in (-80.0, -70.0, -60.0, -50.0)},
}


def main() -> None:
    arguments = parse_arguments()
    speech: list[Samples] = []
    for folder in sorted(path for path in arguments.languages_dir.iterdir() if path.is_dir()):
        progress(f"{folder.name}")
        for clip in load([folder], arguments.limit):
            sound = to_samples(clip.audio + clip.silence(TRAILING))
            speech.append(sound[speech_start(sound) :])
    sounds = [to_samples(read_wav(path)) for path in sorted(arguments.non_speech.glob("*.wav"))]
    if not speech or not sounds:
        sys.exit("no recordings were found")
    kinds = {"words": speech, "sounds without speech": sounds}
    rows = [["", *(f"{kind}, {level:g} dB" for kind in kinds for level in LEVELS)]]
    for name, before in BEFORE.items():
        progress(name)
        vad = Vad(before=before)
        cells = [found(vad, kinds[kind], level) for kind in kinds for level in LEVELS]
        rows.append([name, *cells])
    progress("")
    print(f"{len(speech)} recordings of words, {len(sounds)} sounds without speech")
    print("certain speech / possible speech only / none")
    print(align(rows))


def parse_arguments() -> argparse.Namespace:
    flags = parser("calibration.vad_start", __doc__)
    add(flags, "--limit")
    add(flags, "--languages-dir", action="store", required=True)
    flags.add_argument(
        "--non-speech", type=Path, required=True, metavar="DIR", help="folder of WAV files"
    )
    return flags.parse_args()


def found(vad: Vad, sounds: Sequence[Samples], level: float) -> str:
    """Return in how many sounds there is certain speech, only possible speech, and none."""
    certain, possible = 0, 0
    for sound in sounds:
        quiet = np.asarray(sound * 10 ** (level / 20), np.float32)
        probabilities = vad.probabilities(HighPass().feed(quiet)).tolist()
        parts = segments(probabilities, SpeechRules(), len(quiet))
        certain += any(part.certain_speech for part in parts)
        possible += any(not part.certain_speech for part in parts)
    return f"{certain} / {possible} / {len(sounds) - certain - possible}"


if __name__ == "__main__":
    main()
