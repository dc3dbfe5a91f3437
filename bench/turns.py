"""Endpointing with `--vad-endpointing auto`: latency, and speakers that are cut off.

Runs the server's own code in this process, faster than real time. Commands, and the same
commands with a pause between two words, pass the VAD window by window, and the real model decodes
every guess. The time of a decode is not measured but given by --decode, so that every run prints
the same table. Progress goes to stderr.
"""

import argparse
import hashlib
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass

from wyoming_faster_whisper.config.settings import Settings
from wyoming_faster_whisper.engine.protocol import DecodeKind, DecodeOptions, Job, Transcript
from wyoming_faster_whisper.engine.whisper.calibration.values import Calibrations
from wyoming_faster_whisper.engine.whisper.engine import WhisperEngine
from wyoming_faster_whisper.models import choose
from wyoming_faster_whisper.speech.endpointing import EndOfTurn, Endpointing, TurnRules
from wyoming_faster_whisper.speech.hysteresis import WINDOW, Probabilities, windows
from wyoming_faster_whisper.speech.prosody import measure_prosody
from wyoming_faster_whisper.speech.segmenter import Segment, SpeechRules
from wyoming_faster_whisper.speech.turn_classifier import classify_text
from wyoming_faster_whisper.speech.utterance import Action, Decode, Drop, EndTurn, Utterance
from wyoming_faster_whisper.speech.vad import Vad

from .speech import voices
from .speech.pauses import PAUSES, pause_set, room
from .support.arguments import RECORDINGS, add, parser
from .support.clips import SAMPLE_RATE, TEST_CLIPS, Clip, Samples, load, to_samples
from .support.models import load_whisper, model_directory
from .support.report import align, percentile, progress, write_json

SILENCE = 3.0  # seconds after the last word: longer than any turn takes to end

Decoder = Callable[[Samples, int], Transcript]  # the second argument is Segment.leading_silence


@dataclass(frozen=True, slots=True)
class Heard:
    """One utterance and the end of its turn."""

    clip: str
    pause: float | None  # seconds of pause inserted between two words
    wait: float | None  # seconds from the last spoken sample to the text; None = cut off
    end_of_turn: str | None  # classification of the text, a value of EndOfTurn
    decodes: int


def main() -> None:
    arguments = parse_arguments()
    directory = model_directory(arguments.model)
    spoken = {"recorded": load(arguments.recordings or [TEST_CLIPS], arguments.limit)}
    if voices.installed():
        spoken["espeak-ng"] = voices.english()[: arguments.limit]
    model = load_whisper(directory, arguments.threads)
    engine = WhisperEngine(model, calibrations=Calibrations(choose(arguments.model, []).name))
    decode = guesses(engine)
    vad = Vad()
    sounds = {
        name: sounds_of([*((None, clip) for clip in clips), *pause_set(clips, directory)], vad)
        for name, clips in spoken.items()
    }
    found: dict[str, dict[str, list[Heard]]] = {}  # by seconds of a decode, and by set of clips
    for seconds in arguments.decode or [0.4]:
        heard: dict[str, list[Heard]] = {}
        for name, some in sounds.items():
            heard[name] = list(turns(some, decode, seconds, f"{seconds:g} s, {name}"))
        heard["all"] = [each for some in heard.values() for each in some]
        for name, results in heard.items():
            title = f"{arguments.model} int8, {seconds:g} s for a decode, {name}"
            print(f"{title}\n{table(results)}\n")
        found[f"{seconds:g}"] = heard
    if arguments.json:
        write_json(
            arguments.json,
            {
                seconds: {name: [asdict(each) for each in some] for name, some in heard.items()}
                for seconds, heard in found.items()
            },
        )


def parse_arguments() -> argparse.Namespace:
    flags = parser("turns", __doc__)
    add(flags, "--model", "--limit", "--threads", "--json")
    add(flags, "--recordings", help=RECORDINGS)
    flags.add_argument(
        "--decode",
        type=float,
        action="append",
        default=[],
        metavar="SECONDS",
        help="time of one pass of the model (repeatable); default: 0.4",
    )
    return flags.parse_args()


def guesses(engine: WhisperEngine) -> Decoder:
    """Make a function that decodes audio as the server decodes a guess."""

    known: dict[
        bytes, Transcript
    ] = {}  # cache: runs with another --decode decode mostly the same audio

    def decode(samples: Samples, lead: int) -> Transcript:
        key = hashlib.sha256(samples.tobytes()).digest()
        if key not in known:
            options = DecodeOptions(language="en")
            job = Job(
                samples,
                options,
                kind=DecodeKind.GUESS,
                score_end=True,
                leading_silence=lead,
            )
            [known[key]] = engine.decode([job])
        return known[key]

    return decode


@dataclass(frozen=True, slots=True)
class Sound:
    """A clip with the silence after it, and what the VAD makes of it."""

    clip: Clip
    pause: float | None  # seconds of pause inserted between two words
    probabilities: Probabilities

    @property
    def samples(self) -> Samples:
        return with_silence(self.clip)


def with_silence(clip: Clip) -> Samples:
    return to_samples(clip.audio + room(clip, SILENCE))


def sounds_of(played: Sequence[tuple[float | None, Clip]], vad: Vad) -> list[Sound]:
    """Return the sound of each clip with its inserted pause."""
    return [Sound(clip, pause, vad.probabilities(with_silence(clip))) for pause, clip in played]


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
    guess_after: float | None = None,
) -> Heard:
    """Play a sound to the server's endpointing.

    Args:
        seconds: time of one pass of the model.
        endpointing: when the server ends a turn; default: as with `auto`.
        guess_after: seconds of silence before a guess; default: the server's.
    """
    turn = SimulatedTurn(
        sound.samples,
        sound.probabilities,
        decode,
        seconds,
        endpointing=endpointing,
        guess_after=guess_after,
    )
    ended = turn.end()
    late = None if ended < sound.clip.seconds else ended - sound.clip.seconds
    read = turn.end_of_turn.value if turn.end_of_turn else None
    return Heard(sound.clip.name, sound.pause, late, read, turn.decodes)


class SimulatedTurn:
    """One turn as the server runs it, with a simulated clock.

    Args:
        seconds: time of one pass of the model; a second pass takes the same again.
        endpointing, guess_after: as for simulate().
    """

    def __init__(
        self,
        sound: Samples,
        probabilities: Probabilities,
        decode: Decoder,
        seconds: float,
        *,
        endpointing: Endpointing | None = None,
        guess_after: float | None = None,
    ) -> None:
        self.decodes = 0
        self.end_of_turn: EndOfTurn | None = None  # of the last decode
        self._sound = sound
        self._probabilities = probabilities.tolist()
        self._decode = decode
        self._seconds = seconds
        self._said = Utterance(
            SpeechRules(),
            guess_after=windows(Settings().guess_after if guess_after is None else guess_after),
            endpointing=endpointing or TurnRules(auto=True).endpointing(None),
        )
        self._segment: Segment | None = None  # segment of the last decode that was started
        self._due: EndOfTurn | None = None  # its result, while the decode runs
        self._free = 0.0  # time at which the model becomes idle, in seconds

    def end(self) -> float:
        """Time of the text in seconds; that of the last sample if there is no text."""
        for number, probability in enumerate(self._probabilities, start=1):
            now = number * WINDOW / SAMPLE_RATE
            if self._free <= now and self._read():
                return self._free
            actions = self._said.feed([probability], may_guess=self._free <= now)
            if self._perform(actions, now):
                return now if self._due is None else max(now, self._free)
        return len(self._sound) / SAMPLE_RATE

    def _read(self) -> bool:
        """Apply the result of the finished decode; return True if the turn is over."""
        if self._segment is None or self._due is None:
            return False
        self.end_of_turn, self._due = self._due, None
        return self._perform(self._said.decoded(self._segment, self.end_of_turn), self._free)

    def _perform(self, actions: Sequence[Action], now: float) -> bool:
        """Start the requested decodes; return True if the turn is over."""
        for action in actions:
            if isinstance(action, Drop):
                self._due = None  # the decode still runs to its end
            elif isinstance(action, Decode) and action.segment is not self._segment:
                self._segment = action.segment
                samples = self._sound[action.segment.start : action.segment.end]
                said = self._decode(samples, action.segment.leading_silence)
                if not said.text or said.end_scores is None or said.turn_classifier is None:
                    self._due = classify_text(said.text)
                else:
                    prosody = measure_prosody(samples, action.segment.speech_end)
                    self._due = said.turn_classifier.classify(said.end_scores, prosody)
                self._free = max(self._free, now) + self._seconds * said.passes
                self.decodes += 1
        return any(isinstance(action, EndTurn) for action in actions)


def table(heard: Sequence[Heard]) -> str:
    """Format the latency and the share of utterances cut off, by the inserted pause."""
    rows = [["", "utterances", "median", "95th percentile", "cut off", "decodes"]]
    kinds: list[tuple[str, list[Heard]]] = [
        ("whole commands", [each for each in heard if each.pause is None]),
        ("a pause inside", [each for each in heard if each.pause is not None]),
    ]
    kinds += [
        (f"  of {pause:g} s", [each for each in heard if each.pause == pause]) for pause in PAUSES
    ]
    for name, some in kinds:
        if not some:
            continue
        waits = [each.wait for each in some if each.wait is not None]
        times = [percentile(waits, share) for share in (50, 95)]
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
