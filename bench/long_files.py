"""Long files: seconds of audio per second, and word errors, beside faster-whisper.

Runs in this process, without a server. Each file is minutes of sentences with pauses; a Session
takes it as fast as it can, over the engine that the server would load. faster-whisper decodes the
same file by its batched pipeline (batches of 8) and sentence after sentence (transcribe()), both
with a beam of 5. They take turns, each with the same model, threads and language. Prints each run
when it has ended, then a table; progress goes to stderr.

--segments FRAGMENT:ENOUGH,... also runs this server's way with other lengths of the segments:
seconds below which a segment waits longer for more speech, and above which a pause between
sentences closes it.

--memory SECONDS measures the memory of this process instead, while the Session takes a file of
that length.
"""

import argparse
import asyncio
import os
import random
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from itertools import chain, repeat
from pathlib import Path

from wyoming_faster_whisper.app.loading import load_engine
from wyoming_faster_whisper.app.whisper import padded_languages
from wyoming_faster_whisper.audio.pcm import PcmFormat
from wyoming_faster_whisper.config.settings import Settings
from wyoming_faster_whisper.engine.protocol import DecodeKind, DecodeOptions
from wyoming_faster_whisper.engine.queue import Worker
from wyoming_faster_whisper.engine.recognizer import EVERYTHING, ServedModel
from wyoming_faster_whisper.hardware import share_one_heap
from wyoming_faster_whisper.models import choose
from wyoming_faster_whisper.principal import Principal
from wyoming_faster_whisper.session.events import Answer
from wyoming_faster_whisper.session.request import Offer
from wyoming_faster_whisper.session.session import Session, SessionContext
from wyoming_faster_whisper.speech.utterance import UtteranceRules
from wyoming_faster_whisper.speech.vad import Vad

from .dictation import PROSE, VOICES, sentences
from .speech.pauses import room
from .speech.synthesis import say
from .support.arguments import RECORDINGS, add, given_clips, parser
from .support.clips import SAMPLE_RATE, WIDTH, Clip, load, to_samples
from .support.models import cache_directory, model_directory
from .support.report import align, percentile, progress, write_json
from .support.scoring import Errors, word_errors

BETWEEN = (0.2, 2.5)  # range of seconds of room tone between two sentences
BLOCK = 64 * 1024  # bytes given to the session at once
FORMAT = PcmFormat()


@dataclass(frozen=True, slots=True)
class File:
    """A long recording."""

    name: str
    language: str  # Whisper's code
    pcm: bytes  # 16-bit, 16 kHz, mono
    text: str

    @property
    def seconds(self) -> float:
        return len(self.pcm) / WIDTH / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class Run:
    """One transcription of a file."""

    file: str
    by: str
    seconds: float
    cpu: float  # seconds
    text: str


Transcribe = Callable[[File], str]


def main() -> None:
    arguments = parse_arguments()
    share_one_heap()  # as the server does
    files = list(make_files(arguments))
    if not files:
        sys.exit("no clip with a complete transcript was found, and flite is not installed")
    if arguments.memory:
        asyncio.run(print_memory(files, arguments))
        return
    print(f"{arguments.model} int8, {arguments.threads} threads; {arguments.rounds} rounds")
    runs = asyncio.run(measure(files, arguments))
    print(f"\n{table(files, runs)}")
    if arguments.json:
        write_json(arguments.json, {"runs": [asdict(run) for run in runs]})


def parse_arguments() -> argparse.Namespace:
    flags = parser("long_files", __doc__)
    add(flags, "--model", "--threads", "--json")
    add(flags, "--recordings", help=f"{RECORDINGS}, in English")
    flags.add_argument(
        "--language",
        action="append",
        default=[],
        metavar="CODE=DIR",
        help="folder of WAV files with .txt files in another language (repeatable)",
    )
    flags.add_argument("--no-english", action="store_true", help="only the other languages")
    flags.add_argument(
        "--seconds", type=float, default=600.0, help="length of a file (default: %(default)g)"
    )
    flags.add_argument(
        "--rounds", type=int, default=1, help="runs of each (default: %(default)s)"
    )
    flags.add_argument(
        "--only", action="append", choices=["this", "batched", "plain"], help="run only these"
    )
    flags.add_argument("--segments", type=_lengths, default=(), metavar="LENGTHS")
    flags.add_argument(
        "--memory", type=float, metavar="SECONDS", help="measure memory with a file so long"
    )
    return flags.parse_args()


def _lengths(text: str) -> tuple[tuple[float, float], ...]:
    pairs = (each.partition(":") for each in text.split(","))
    return tuple((float(fragment), float(enough)) for fragment, _, enough in pairs)


def make_files(arguments: argparse.Namespace) -> Iterator[File]:
    """Make one file per language."""
    for language, clips in clips_by_language(arguments).items():
        if clips and not (language == "en" and arguments.no_english):
            yield make_file(language, clips, arguments.seconds)


def clips_by_language(arguments: argparse.Namespace) -> dict[str, list[Clip]]:
    """Load the clips with known texts; in English also letters read by voices."""
    clips = given_clips(arguments)
    if VOICES[0].installed:
        letter = sentences(PROSE)
        clips += say([(each, VOICES[at % len(VOICES)]) for at, each in enumerate(letter)])
    sets = {"en": clips}
    for each in arguments.language:
        code, _, folder = each.partition("=")
        sets[code] = load([Path(folder)])
    return {code: [clip for clip in some if clip.text] for code, some in sets.items()}


def make_file(language: str, clips: Sequence[Clip], seconds: float) -> File:
    """Join clips in random order, the same in each run, with pauses of random length."""
    chance = random.Random(language)
    pcm, said = bytearray(), []
    while len(pcm) < seconds * SAMPLE_RATE * WIDTH:
        for clip in chance.sample(clips, len(clips)):
            pcm += clip.audio + room(clip, chance.uniform(*BETWEEN))
            said.append(clip.text or "")
            if len(pcm) >= seconds * SAMPLE_RATE * WIDTH:
                break
    return File(f"{language}, {seconds:g} s", language, bytes(pcm), " ".join(said))


@asynccontextmanager
async def context(model: str, threads: int) -> AsyncIterator[SessionContext]:
    """Load a model as the server does, and yield what sessions with files share."""
    chosen = choose(model, [cache_directory()])
    settings = Settings(model=(model,), cpu_threads=threads, local_files_only=True)
    worker = Worker(lambda: load_engine(chosen, settings, [cache_directory()], loaded=_nothing))
    detector = Vad()

    async def vad() -> Vad:
        return detector

    worker.start()
    await worker.ready()
    padded = padded_languages(chosen, full_window=False)
    served = ServedModel(chosen.name, chosen.languages, capabilities=EVERYTHING, padded=padded)
    try:
        yield SessionContext(
            worker=worker,
            vad=vad,
            offer=Offer([served], DecodeOptions()),
            kind=DecodeKind.FILE,
            max_seconds=float("inf"),
        )
    finally:
        await worker.close()


def _nothing() -> None:
    pass


async def transcribe(shared: SessionContext, blocks: Iterator[bytes], language: str) -> Answer:
    """Transcribe a file by a Session, as fast as it takes the audio.

    Args:
        shared: from context(), or of a server's files.
        blocks: PCM, 16-bit, 16 kHz, mono.
        language: Whisper's code.
    """
    offer = replace(shared.offer, options=replace(shared.offer.options, language=language))
    answers: list[Answer] = []

    async def hear(session: Session) -> None:
        answers.extend([event async for event in session.events() if isinstance(event, Answer)])

    client = Principal("bench", "bench")
    async with (
        asyncio.TaskGroup() as tasks,
        Session(replace(shared, offer=offer), client) as session,
    ):
        tasks.create_task(hear(session))
        for block in blocks:
            await session.audio(FORMAT, block)
        await session.stop()
        await session.answered()
    [answer] = answers
    return answer


def blocks_of(pcm: bytes) -> Iterator[bytes]:
    return (pcm[at : at + BLOCK] for at in range(0, len(pcm), BLOCK))


async def measure(files: Sequence[File], arguments: argparse.Namespace) -> list[Run]:
    """Transcribe each file by each of them, in turn."""
    wanted = arguments.only or ["this", "batched", "plain"]
    others = rivals(model_directory(arguments.model), arguments.threads)
    runs: list[Run] = []
    async with context(arguments.model, arguments.threads) as shared:
        unpadded = replace(shared.offer.models[0], padded=frozenset())  # the rules hold as given
        ours = {"this": shared} | {
            f"{fragment:g}:{enough:g}": replace(
                shared,
                offer=Offer([unpadded]),
                rules=UtteranceRules(fragment=fragment, enough=enough),
            )
            for fragment, enough in arguments.segments
        }
        for number in range(arguments.rounds):
            for file in files:
                for by in (*wanted, *list(ours)[1:]):
                    progress(f"round {number + 1}, {file.name}: {by}")
                    began, cpu = time.perf_counter(), time.process_time()
                    if by in ours:
                        answer = await transcribe(ours[by], blocks_of(file.pcm), file.language)
                        text = answer.transcript.text
                    else:
                        text = await asyncio.to_thread(others[by], file)
                    ended = time.perf_counter() - began, time.process_time() - cpu
                    runs.append(Run(file.name, by, *ended, text))
                    progress("")
                    print(run_line(file, runs[-1]), flush=True)
    progress("")
    return runs


def rivals(directory: Path, threads: int) -> dict[str, Transcribe]:
    """Load faster-whisper; return its two ways to transcribe a file."""
    from faster_whisper import BatchedInferencePipeline, WhisperModel

    model = WhisperModel(str(directory), device="cpu", compute_type="int8", cpu_threads=threads)
    batched = BatchedInferencePipeline(model)

    def by_batches(file: File) -> str:
        parts, _ = batched.transcribe(
            to_samples(file.pcm), language=file.language, beam_size=5, batch_size=8
        )
        return " ".join(part.text.strip() for part in parts)

    def plainly(file: File) -> str:
        parts, _ = model.transcribe(to_samples(file.pcm), language=file.language, beam_size=5)
        return " ".join(part.text.strip() for part in parts)

    return {"batched": by_batches, "plain": plainly}


def run_line(file: File, run: Run) -> str:
    errors = word_errors(file.text, run.text, file.language)
    return (
        f"{run.file}  {run.by:7}  {run.seconds:6.1f} s  {run.cpu:6.1f} CPU s  "
        f"{errors.wrong:4} of {errors.words} words wrong"
    )


def table(files: Sequence[File], runs: Sequence[Run]) -> str:
    """Format a row per file and way: the median of its rounds, and the errors of the last."""
    rows = [["", "", "audio s per s", "CPU s", "word errors", "of", "time beside this"]]
    for file in files:
        ways = list(dict.fromkeys(run.by for run in runs if run.file == file.name))
        ours: float | None = None
        for by in ways:
            some = [run for run in runs if (run.file, run.by) == (file.name, by)]
            seconds = percentile([run.seconds for run in some], 50) or 0.0
            cpu = percentile([run.cpu for run in some], 50) or 0.0
            errors: Errors = word_errors(file.text, some[-1].text, file.language)
            ours = seconds if by == "this" else ours
            rows.append(
                [
                    file.name,
                    by,
                    f"{file.seconds / seconds:.2f}",
                    f"{cpu:.1f}",
                    str(errors.wrong),
                    str(errors.words),
                    f"{seconds / ours:.2f}" if ours else "-",
                ]
            )
    return align(rows)


async def print_memory(files: Sequence[File], arguments: argparse.Namespace) -> None:
    """Print by how much the memory of this process grows while a session takes a file."""
    [file, *_] = files
    minute = 60 * SAMPLE_RATE * WIDTH
    async with context(arguments.model, arguments.threads) as shared:
        await transcribe(shared, blocks_of(file.pcm[: minute // 10]), file.language)
        before = resident()
        print(f"{arguments.model} int8, {arguments.threads} threads; idle: {before / 1e6:.0f} MB")

        def blocks() -> Iterator[bytes]:
            sent, peak, audio = 0, 0, 0
            for block in chain.from_iterable(map(blocks_of, repeat(file.pcm))):
                yield block
                before_it, sent = sent, sent + len(block)
                peak, audio = max(peak, resident()), max(audio, shared.memory.used)
                if sent // (5 * minute) > before_it // (5 * minute):
                    grown = f"{(peak - before) / 1e6:+.0f} MB, of it {audio / 1e6:.1f} MB audio"
                    print(f"{sent / minute:.0f} min, peak so far: {grown}", flush=True)
                if sent >= arguments.memory / 60 * minute:
                    return

        await transcribe(shared, blocks(), file.language)
        print(f"after the answer: {(resident() - before) / 1e6:+.0f} MB")


def resident() -> int:
    """Return the resident memory of this process in bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


if __name__ == "__main__":
    main()
