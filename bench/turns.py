"""Endpointing with `--vad-endpointing auto`: latency, and speakers that are cut off.

Runs the server's own code in this process, faster than real time. Commands, and the same
commands with a pause between two words, pass the VAD window by window, and the real model decodes
every guess. Recordings in other languages pass as they are, with the pauses that their speakers
make. The time of a decode is not measured but given by --decode, so that every run prints the
same table. Also prints the four figures of eot-bench. Progress goes to stderr.
"""

import argparse
import math
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial

from wyoming_faster_whisper.engine.whisper.calibration.values import Calibrations
from wyoming_faster_whisper.engine.whisper.pipeline import WhisperPipeline
from wyoming_faster_whisper.models import choose
from wyoming_faster_whisper.speech.endpointing import Endpointing
from wyoming_faster_whisper.speech.hysteresis import WINDOW, Probabilities
from wyoming_faster_whisper.speech.prosody import measure_prosody
from wyoming_faster_whisper.speech.resumption import Resumption
from wyoming_faster_whisper.speech.segmenter import Segment
from wyoming_faster_whisper.speech.utterance import Decode, Drop, Utterance, UtteranceRules
from wyoming_faster_whisper.speech.vad import Vad

from .accuracy import POOLED
from .speech import voices
from .speech.noise import degrade, noise_of
from .speech.pauses import PAUSES, pause_set, room
from .support.arguments import RECORDINGS, add, given_clips, listed, parser
from .support.clips import SAMPLE_RATE, Clip, Samples, load, to_samples
from .support.memo import remembered_whisper
from .support.models import model_directory
from .support.operating_points import BUDGETS, Silence, within_budgets
from .support.report import align, percentile, progress, write_json
from .support.simulated_turn import Decoder, SimulatedTurn, guesses

SILENCE = 3.0  # seconds after the last word: longer than any turn takes to end

USUAL_WINDOW = 10.0  # seconds: encoder window of the pass that takes --decode seconds


@dataclass(frozen=True, slots=True)
class Heard:
    """One utterance and the end of its turn."""

    clip: str
    pause: float | None  # seconds of pause inserted between two words
    wait: float | None  # seconds from the last spoken sample to the text; None = cut off
    end_of_turn: str | None  # classification of the text, a value of EndOfTurn
    decodes: int


@dataclass(frozen=True, slots=True)
class Group:
    """Recordings that share a row of the tables."""

    name: str
    language: str
    clips: Sequence[Clip]
    pauses: bool = False  # also play the clips with a pause between two words
    condition: str = "clean"


def main() -> None:
    arguments = parse_arguments()
    directory = model_directory(arguments.model)
    model = remembered_whisper(arguments.model, arguments.threads, arguments.cache)
    calibrations = Calibrations(choose(arguments.model, []).name)
    pipeline = WhisperPipeline(model, calibrations)
    noise = noise_of(arguments.noise)
    vad = Vad()
    budgets = [["", "pauses", "ends", *BUDGETS]]
    found: dict[str, dict[str, list[Heard]]] = {}  # by seconds of a decode, and by group
    for group in groups(arguments):
        played: list[tuple[float | None, Clip]] = [(None, clip) for clip in group.clips]
        if group.pauses:
            played += pause_set(group.clips, directory)
        sounds = sounds_of(played, vad, partial(degraded, group.condition, noise))
        decode = guesses(pipeline, group.language)
        window = calibrations.of(group.language).window.floor / USUAL_WINDOW
        for seconds in arguments.decode or [0.4]:
            label = f"{seconds:g} s, {group.name}"
            heard = list(turns(sounds, decode, seconds * window, label))
            found.setdefault(f"{seconds:g}", {})[group.name] = heard
            print(f"{arguments.model} int8, {label} for a decode\n{table(heard)}\n", flush=True)
        silences = [each for sound in sounds for each in silences_in(sound, decode)]
        ends = sum(each.seconds is None for each in silences)
        counts = str(len(silences) - ends), str(ends)
        budgets.append([group.name, *counts, *within_budgets(silences)])
    print(align(budgets))
    if arguments.json:
        write_json(
            arguments.json,
            {
                seconds: {name: [asdict(each) for each in some] for name, some in heard.items()}
                for seconds, heard in found.items()
            },
        )


def groups(arguments: argparse.Namespace) -> Iterator[Group]:
    """Yield what to play: English commands in each condition, then other languages."""
    recorded = given_clips(arguments)
    for condition in arguments.conditions:
        name = "recorded" if condition == "clean" else f"recorded, {condition}"
        yield Group(name, "en", recorded, pauses=True, condition=condition)
    if voices.installed():
        yield Group("espeak-ng", "en", voices.english()[: arguments.limit], pauses=True)
    found: dict[str, list[Clip]] = {}
    for each in arguments.languages_dir:
        for folder in sorted(path for path in each.iterdir() if path.is_dir()):
            found.setdefault(folder.name, []).extend(load([folder], arguments.limit))
    for language, clips in found.items():
        for condition in arguments.conditions:
            name = language if condition == "clean" else f"{language}, {condition}"
            yield Group(name, language, clips, condition=condition)


def degraded(condition: str, noise: Samples, clip: Clip) -> Samples:
    """Return a clip with silence after it, under a condition."""
    return to_samples(degrade(clip, clip.audio + room(clip, SILENCE), condition, noise))


def parse_arguments() -> argparse.Namespace:
    flags = parser("turns", __doc__)
    add(flags, "--model", "--limit", "--threads", "--json", "--noise", "--cache")
    add(flags, "--recordings", help=RECORDINGS)
    flags.add_argument(
        "--decode",
        type=float,
        action="append",
        default=[],
        metavar="SECONDS",
        help="time of one pass of the model over a window of 10 s (repeatable); default: 0.4",
    )
    add(flags, "--languages-dir")
    flags.add_argument("--conditions", type=listed(POOLED), default=("clean",), metavar="A,B")
    return flags.parse_args()


@dataclass(frozen=True, slots=True)
class Sound:
    """A clip with the silence after it, and what the VAD makes of it."""

    clip: Clip
    pause: float | None  # seconds of pause inserted between two words
    probabilities: Probabilities
    play: Callable[[Clip], Samples] = field(default=lambda clip: with_silence(clip))

    @property
    def samples(self) -> Samples:
        return self.play(self.clip)


def with_silence(clip: Clip) -> Samples:
    return to_samples(clip.audio + room(clip, SILENCE))


def sounds_of(
    played: Sequence[tuple[float | None, Clip]],
    vad: Vad,
    play: Callable[[Clip], Samples] = with_silence,
) -> list[Sound]:
    """Return the sound of each clip with its inserted pause."""
    return [Sound(clip, pause, vad.probabilities(play(clip)), play) for pause, clip in played]


def turns(
    sounds: Sequence[Sound], decode: Decoder, seconds: float, label: str
) -> Iterator[Heard]:
    """Yield the result for each sound."""
    for number, sound in enumerate(sounds, start=1):
        progress(f"{label}: {number}/{len(sounds)}")
        yield simulate(sound, decode, seconds)
    progress("")


def simulate(
    sound: Sound,
    decode: Decoder,
    seconds: float,
    *,
    endpointing: Endpointing | None = None,
    rules: UtteranceRules | None = None,
) -> Heard:
    """Play a sound to the server's endpointing.

    Args:
        seconds, endpointing, rules: as for SimulatedTurn.
    """
    turn = SimulatedTurn(
        sound.samples,
        sound.probabilities,
        decode,
        seconds,
        endpointing=endpointing,
        rules=rules,
    )
    ended = turn.end()
    late = None if ended < sound.clip.seconds else ended - sound.clip.seconds
    read = turn.end_of_turn.value if turn.end_of_turn else None
    return Heard(sound.clip.name, sound.pause, late, read, turn.decodes)


def silences_in(sound: Sound, decode: Decoder) -> Iterator[Silence]:
    """Yield the silences at which the server guesses, the end of the turn last."""
    utterance = Utterance(UtteranceRules())
    samples = sound.samples
    last: tuple[float, Segment] | None = None
    for number, probability in enumerate(Resumption().feed(sound.probabilities).tolist()):
        for action in utterance.feed([probability], may_guess=True):
            if isinstance(action, Drop) and last is not None:
                if last[1].speech == action.segment.speech:
                    yield Silence(last[0], (number - last[1].speech[1]) * WINDOW / SAMPLE_RATE)
                    last = None
            elif isinstance(action, Decode):
                last = score(action.segment, decode, samples), action.segment
    yield Silence(-math.inf if last is None else last[0], None)


def score(segment: Segment, decode: Decoder, sound: Samples) -> float:
    """Return the log-odds that the turn is over after a segment; -inf without scores."""
    samples = sound[segment.start : segment.end]
    text = decode(samples, segment.leading_silence, True)
    if not text.text or text.end_scores is None or text.turn_classifier is None:
        return -math.inf
    prosody = measure_prosody(samples, segment.speech_end)
    return text.turn_classifier.log_odds(text.end_scores, prosody)


def table(heard: Sequence[Heard]) -> str:
    """Format the latency and the share of utterances cut off, by the inserted pause."""
    rows = [["", "utterances", "mean", "median", "95th percentile", "cut off", "decodes"]]
    kinds: list[tuple[str, list[Heard]]] = [
        ("whole utterances", [each for each in heard if each.pause is None]),
        ("a pause inside", [each for each in heard if each.pause is not None]),
    ]
    kinds += [
        (f"  of {pause:g} s", [each for each in heard if each.pause == pause]) for pause in PAUSES
    ]
    for name, some in kinds:
        if not some:
            continue
        waits = [each.wait for each in some if each.wait is not None]
        mean = statistics.fmean(waits) if waits else None
        times = [mean, *(percentile(waits, share) for share in (50, 95))]
        rows.append(
            [
                name,
                str(len(some)),
                *("" if each is None else f"{each:.3f} s" for each in times),
                f"{100 * statistics.fmean(each.wait is None for each in some):.1f}%",
                f"{statistics.fmean(each.decodes for each in some):.2f}",
            ]
        )
    return align(rows)


if __name__ == "__main__":
    main()
