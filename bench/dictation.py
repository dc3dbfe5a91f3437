"""Word error rate of long dictations, compared with the reference's decoding.

Runs in this process, without a server and faster than real time. A dictation is minutes of
sentences with pauses. The server's own code takes its VAD windows one by one and cuts it into
segments, and the real model decodes every segment, including guesses that are dropped. The
reference decodes the whole dictation at once, as wyoming-faster-whisper 3.8.1 calls
faster-whisper. Prints a table; progress goes to stderr.
"""

import argparse
import re
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from wyoming_faster_whisper.engine.protocol import DecodeOptions, Engine, Job
from wyoming_faster_whisper.engine.whisper.calibration.values import Calibrations
from wyoming_faster_whisper.engine.whisper.engine import WhisperEngine
from wyoming_faster_whisper.models import choose
from wyoming_faster_whisper.session.text import GrowingText
from wyoming_faster_whisper.speech.hysteresis import Probabilities
from wyoming_faster_whisper.speech.segmenter import Segment
from wyoming_faster_whisper.speech.utterance import (
    Action,
    Decode,
    Finalize,
    Utterance,
    UtteranceRules,
)
from wyoming_faster_whisper.speech.vad import Vad

from .speech.noise import degrade, noise_of
from .speech.pauses import room
from .speech.streams import dictation
from .speech.synthesis import Voice, say
from .support.arguments import RECORDINGS, add, given_clips, parser
from .support.clips import (
    SAMPLE_RATE,
    Clip,
    Samples,
    to_samples,
)
from .support.clips import word_error_rate as error_rate
from .support.models import load_whisper, model_directory
from .support.report import align, progress, write_json

SILENCE = 0.7  # seconds after the last word
VOICES = (Voice("flite", "slt"), Voice("flite", "rms"), Voice("flite", "awb"))
PROSE = """
    Dear Margaret, thank you very much for your long letter, which arrived on Tuesday morning.
    We were all delighted to hear that the new house is finally finished, and that the garden
    looks so well. The children have been asking every day when they may come and visit you.
    Unfortunately my husband has to work until the end of the month, so we cannot travel before
    then. I have enclosed a few photographs of the mountains, where we spent our holidays in the
    summer. It rained almost every afternoon, but nobody complained. In the evenings we sat by
    the fire, read old newspapers, and listened to the wind in the chimney. Please remember to
    send me the address of the carpenter who built your kitchen shelves. Our own are falling
    apart, and I would rather not wait until the plates are on the floor. The committee met on
    the third of March to discuss the budget for the coming year. Everybody agreed that the roof
    of the library must be repaired before the winter. There was some disagreement about the
    cost, however, because two builders had given very different estimates. The first one
    promised to begin in April and to finish within six weeks. The second was cheaper, but he
    could not say when he would have time. After a long discussion we decided to ask a third
    company for its opinion. The patient is a man of fifty two who complains of pain in his left
    shoulder. He noticed it first about three weeks ago, after he had carried a heavy box up the
    stairs. There is no fever, and he sleeps well, although he cannot lie on that side. I
    recommend rest, warm compresses, and a careful examination in ten days. A ship that leaves
    the harbour at night must carry a white light at the top of its mast. When two vessels meet,
    each of them turns to the right, so that they pass one another safely. In thick fog it is
    wiser to stop the engine and to sound the horn every minute. The old fisherman told us that
    he had once drifted for two days without seeing the shore. He drank rain water from his hat,
    and ate nothing but a piece of bread. To make the soup, cut the onions and the carrots into
    small pieces, and fry them slowly in butter. Add a litre of water, a little salt, and two
    spoons of rice. Let it cook for half an hour, and stir it now and then. Just before serving,
    squeeze half a lemon into the pot. My grandfather kept bees behind the orchard, and he was
    stung so often that he no longer noticed. In spring he would open the hives, count the
    frames, and write everything into a little blue book. That book is now in my desk, and the
    numbers in it are still perfectly readable. The train to the coast leaves at a quarter past
    seven, and it is usually crowded. If you want a seat by the window, you had better be there
    before the doors are opened. The journey takes almost four hours, because the line follows
    the river through the valley. On a clear day you can see the castle on the hill long before
    the station. Nobody knows who built the bridge, but it must be older than the church. The
    stones were brought from a quarry on the other side of the forest. Every few years the water
    rises so high that the road disappears for a week. Then the farmers use their boats to bring
    milk and vegetables to the market. I think that is all for today, so let us stop here and
    continue tomorrow morning.
"""


@dataclass(frozen=True, slots=True)
class Heard:
    """The result of one dictation."""

    group: str
    name: str
    said: str
    text: str
    reference: str | None  # text of the reference; None = it did not run
    cpu: float  # seconds
    reference_cpu: float
    decodes: int  # decodes started
    parts: tuple[float, ...]  # length in seconds of each segment of the answer


def main() -> None:
    arguments = parse_arguments()
    noise = noise_of(arguments.noise)
    clips = given_clips(arguments)
    directory = model_directory(arguments.model)
    model = load_whisper(directory, arguments.threads)
    engine = WhisperEngine(model, calibrations=Calibrations(choose(arguments.model, []).name))
    reference = None if arguments.only == "this" else Reference(directory, arguments.threads)
    vad = Vad()
    heard: list[Heard] = []
    texts = list(dictations(clips, arguments.count, arguments.seconds))
    for condition in arguments.conditions:
        for number, (group, clip) in enumerate(texts, start=1):
            progress(f"{condition}: {number}/{len(texts)}, {clip.name}")
            pcm = clip.audio + room(clip, SILENCE)
            sound = to_samples(degrade(clip, pcm, condition, noise))
            heard.append(hear(f"{group}, {condition}", clip, sound, engine, vad, reference))
    progress("")
    if not heard:
        sys.exit("no clip with a complete transcript was found, and flite is not installed")
    print(f"{arguments.model} int8, {arguments.threads} thread(s); {len(heard)} dictations")
    print(table(heard))
    if arguments.json:
        write_json(arguments.json, {"dictations": [asdict(each) for each in heard]})


def parse_arguments() -> argparse.Namespace:
    flags = parser("dictation", __doc__)
    add(flags, "--model", "--json", "--noise")
    add(flags, "--threads", default=1)
    add(flags, "--only", choices=["this"], help="do not run the reference")
    add(flags, "--recordings", help=RECORDINGS)
    flags.add_argument(
        "--count", type=int, default=4, help="dictations of each kind (default: %(default)s)"
    )
    flags.add_argument(
        "--seconds",
        type=int,
        default=120,
        help="approximate length of a dictation (default: %(default)s)",
    )
    flags.add_argument(
        "--conditions",
        type=lambda text: tuple(text.split(",")),
        default=("clean", "15dB"),
        metavar="A,B",
        help="clean, or a signal-to-noise ratio like 15dB; default: clean,15dB",
    )
    return flags.parse_args()


def dictations(clips: Sequence[Clip], count: int, seconds: int) -> Iterator[tuple[str, Clip]]:
    """Yield group and clip of dictations, recorded and read by synthetic voices."""
    known = [clip for clip in clips if clip.text is not None]
    for seed in range(count if known else 0):
        yield "recorded", dictation(known, seconds, seed=seed)
    if VOICES[0].installed:
        for seed in range(count):
            voice = VOICES[seed % len(VOICES)]
            read = say([(sentence, voice) for sentence in sentences(PROSE)])
            yield "letters", dictation(read, seconds, seed=seed)


def sentences(prose: str) -> list[str]:
    return re.split(r"(?<=\.) ", " ".join(prose.split()))


def hear(
    group: str,
    clip: Clip,
    sound: Samples,
    engine: WhisperEngine,
    vad: Vad,
    reference: "Reference | None",
) -> Heard:
    """Decode one dictation as this server does and as the reference does."""
    began = time.process_time()
    text, decodes, parts = this_server(engine, vad.probabilities(sound), sound)
    cpu = time.process_time() - began
    theirs = reference.text(sound) if reference else None
    return Heard(
        group,
        clip.name,
        clip.text or "",
        text,
        theirs,
        cpu,
        time.process_time() - began - cpu,
        decodes,
        tuple((part.end - part.start) / SAMPLE_RATE for part in parts),
    )


def this_server(
    engine: Engine, probabilities: Probabilities, sound: Samples
) -> tuple[str, int, tuple[Segment, ...]]:
    """Return the text of a dictation, the number of decodes and the segments of the answer."""
    said = Utterance(UtteranceRules())
    texts: dict[Segment, str] = {}
    answer: tuple[Segment, ...] = ()

    def perform(actions: Sequence[Action]) -> None:
        nonlocal answer
        for action in actions:
            match action:
                case Decode(segment=segment) if segment not in texts:
                    samples = sound[segment.start : segment.end]
                    options = DecodeOptions(language="en")
                    job = Job(
                        samples,
                        options,
                        certain_speech=segment.certain_speech,
                        leading_silence=segment.leading_silence,
                    )
                    texts[segment] = engine.decode([job])[0].text
                case Finalize(segments=segments):
                    answer = segments

    for probability in probabilities.tolist():
        perform(said.feed([probability], may_guess=True))
    perform(said.stop(len(sound)))
    text = GrowingText()
    for segment in answer:
        text.append(texts[segment], "en")
    text.end()
    return text.sent, len(texts), answer


class Reference:
    """Decodes a recording as wyoming-faster-whisper 3.8.1 does, without its server."""

    def __init__(self, directory: Path, threads: int) -> None:
        from faster_whisper import WhisperModel

        self._model = WhisperModel(
            str(directory), device="cpu", compute_type="int8", cpu_threads=threads
        )

    def text(self, sound: Samples) -> str:
        parts, _ = self._model.transcribe(sound, beam_size=5, language="en")
        return " ".join(part.text for part in parts)


def table(heard: Sequence[Heard]) -> str:
    """Format a row for each kind of dictation and one for all of them."""
    lines = [
        ["", "dictations", "WER", "reference", "CPU s", "reference", "decodes", "longest part"]
    ]
    groups = {
        group: [each for each in heard if each.group == group]
        for group in dict.fromkeys(each.group for each in heard)
    }
    for group, some in (groups | {"all": list(heard)}).items():
        truths = [each.said for each in some]
        theirs = [each.reference for each in some if each.reference is not None]
        rates = [
            f"{100 * error_rate(truths, texts):.1f}%" if texts else "-"
            for texts in ([each.text for each in some], theirs)
        ]
        lines.append(
            [
                group,
                str(len(some)),
                *rates,
                f"{sum(each.cpu for each in some) / len(some):.1f}",
                f"{sum(each.reference_cpu for each in some) / len(some):.1f}" if theirs else "-",
                f"{sum(each.decodes for each in some) / len(some):.1f}",
                f"{max(max(each.parts, default=0.0) for each in some):.1f} s",
            ]
        )
    return align(lines)


if __name__ == "__main__":
    main()
