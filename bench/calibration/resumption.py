"""Speech after a pause that speech/resumption.py takes for noise: the experiment for its share.

Runs the server's VAD in this process over commands with an inserted pause, and over recordings in
other languages with the pauses that their speakers make, clean, in noise and from afar. Prints,
by share, how many stretches of speech after a pause are not noticed at all, and how many later
than 0.16 s after the VAD notices them; progress goes to stderr.
"""

import argparse
from collections.abc import Iterator, Sequence

import numpy as np

from wyoming_faster_whisper.speech.hysteresis import Probabilities, Stretch, stretches, windows
from wyoming_faster_whisper.speech.resumption import SHARE, Resumption
from wyoming_faster_whisper.speech.vad import Vad

from ..accuracy import SPEECH
from ..speech.noise import degrade, noise_of
from ..speech.pauses import pause_set, room
from ..support.arguments import RECORDINGS, add, given_clips, listed, parser
from ..support.clips import Clip, load, to_samples
from ..support.models import model_directory
from ..support.report import align, progress

PAUSES = (0.5, 1.0)  # seconds, of those that are inserted
SHARES = (0.7, SHARE, 0.85, 0.9)
TRAILING = 1.0  # seconds of the room after each clip

_THRESHOLD = 0.5
_PAUSE = windows(0.13)  # between two stretches
_SHORTEST = windows(0.19)  # stretches that may be a click are not counted
_LATE = windows(0.16)


def main() -> None:
    arguments = parse_arguments()
    vad, noise = Vad(), noise_of(arguments.noise)
    rows = [["", "condition", "stretches", *(f"{share:g}: missed, late" for share in SHARES)]]
    for name, clips in groups(arguments):
        found = {condition: np.zeros((len(SHARES), 2), int) for condition in arguments.conditions}
        counts = dict.fromkeys(arguments.conditions, 0)
        for number, clip in enumerate(clips, start=1):
            progress(f"{name}: {number}/{len(clips)}")
            pcm = clip.audio + room(clip, TRAILING)
            clean = vad.probabilities(to_samples(pcm))
            for condition in arguments.conditions:
                heard = vad.probabilities(to_samples(degrade(clip, pcm, condition, noise)))
                some = [each for each in resumed(clean) if is_heard(heard, each)]
                counts[condition] += len(some)
                found[condition] += [outcomes(heard, some, share) for share in SHARES]
        for condition in arguments.conditions:
            cells = (f"{missed}, {late}" for missed, late in found[condition].tolist())
            rows.append([name, condition, str(counts[condition]), *cells])
    progress("")
    print(align(rows))


def parse_arguments() -> argparse.Namespace:
    flags = parser("calibration.resumption", __doc__)
    add(flags, "--model", "--limit", "--noise", "--languages-dir")
    add(flags, "--recordings", help=RECORDINGS)
    flags.add_argument("--conditions", type=listed(SPEECH), default=SPEECH, metavar="A,B")
    return flags.parse_args()


def groups(arguments: argparse.Namespace) -> Iterator[tuple[str, Sequence[Clip]]]:
    """Yield commands with an inserted pause, then recordings in other languages."""
    commands = given_clips(arguments)
    paused = pause_set(commands, model_directory(arguments.model))
    yield "inserted pauses", [clip for pause, clip in paused if pause in PAUSES]
    for each in arguments.languages_dir:
        for folder in sorted(path for path in each.iterdir() if path.is_dir()):
            yield folder.name, load([folder], arguments.limit)


def resumed(clean: Probabilities) -> list[Stretch]:
    """Return the stretches of speech after a pause, once there has been a second of speech."""
    found = stretches(clean.tolist(), threshold=_THRESHOLD, min_silence=_PAUSE)
    return [
        each
        for at, each in enumerate(found)
        if sum(map(len, found[:at])) >= windows(1.0) and len(each) >= _SHORTEST
    ]


def is_heard(probabilities: Probabilities, stretch: Stretch) -> bool:
    """Return whether the VAD finds some of a stretch."""
    return int((probabilities[stretch.start : stretch.end] >= _THRESHOLD).sum()) >= _SHORTEST // 2


def outcomes(
    probabilities: Probabilities, some: Sequence[Stretch], share: float
) -> tuple[int, int]:
    """Return how many stretches are missed with a share, and how many are noticed late."""
    kept = Resumption(threshold=_THRESHOLD, share=share).feed(probabilities)
    missed = late = 0
    for each in some:
        first, second = (
            np.flatnonzero(found[each.start : each.end] >= _THRESHOLD)
            for found in (probabilities, kept)
        )
        missed += not len(second)
        late += bool(len(second)) and bool(second[0] - first[0] > _LATE)
    return missed, late


if __name__ == "__main__":
    main()
