"""The command `bench`: how fast and how right servers answer, any Wyoming servers.

Each recording goes out as a microphone sends it, in real time and with a little
silence at its end, on a connection of its own; with --burst all at once. Where a
.txt of the same name lies beside it, its words are compared.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from ..audio.pcm import SAMPLE_RATE, PcmFormat
from ..errors import AudioError, SettingError, printable, visible
from ..transports.address import DEFAULT_URI
from . import media, plain_screen, plot, screen, word_errors
from .clips import Spoken
from .connection import Client, ClientError, TranscriptObserver, Unreachable
from .options import BenchmarkOptions

_STEP = 0.02  # seconds of sound at a time, when it is sent in real time


@dataclass(frozen=True, slots=True)
class BenchmarkClip:
    """One recording, and what is said in it."""

    name: str
    data: bytes  # 16 kHz, 16-bit, mono
    truth: str | None

    @property
    def seconds(self) -> float:
        return len(self.data) / 2 / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class BenchmarkAnswer:
    """How one utterance went; times in seconds."""

    file: str
    text: str | None  # None: there was no answer
    error: str | None
    wait: float | None  # from audio-stop to the text; negative: the server did not wait for it
    partial: float | None  # from the first sound to the first partial text


@dataclass(frozen=True, slots=True)
class Result:
    """What one server did."""

    uri: str
    server: str
    answers: tuple[BenchmarkAnswer, ...]
    words: word_errors.Words | None

    @property
    def waits(self) -> list[float]:
        return [answer.wait for answer in self.answers if answer.wait is not None]

    @property
    def failed(self) -> int:
        return sum(answer.text is None for answer in self.answers)


async def bench(options: BenchmarkOptions, new_client: Callable[[str], Client]) -> list[Result]:
    """Measure the servers one after the other, print the table, write the report and the plot.

    Raises:
        ClientError: there is no server.
        AudioError: a recording cannot be read.
        SettingError: something needed is not installed.
    """
    if options.plot:
        plot.check_plotting()
    uris = options.uris or [DEFAULT_URI]
    names = [await _program(options, new_client(uri)) for uri in uris]
    recordings = await asyncio.to_thread(load, options.files)
    counted = any(recording.truth for recording in recordings)
    if counted and not word_errors.can_count():
        screen.note(
            "note: words are not counted; that needs pip install 'wyoming-faster-whisper[bench]'"
        )
    total = len(recordings) * options.rounds * len(uris)
    with screen.bar(total, "measuring") as bar:
        results = [
            await _measure(options, uri, name, recordings, new_client, bar)
            for uri, name in zip(uris, names, strict=True)
        ]
    columns, rows = table(results, recordings)
    screen.table(columns, rows)
    await asyncio.to_thread(write, options, results)
    return results


def load(names: Sequence[str]) -> list[BenchmarkClip]:
    """Read recordings and the truth beside them. Blocking."""
    found = []
    for name, _ in media.find_files(names):
        data = b"".join(media.decode(name))
        beside = Path(name).with_suffix(".txt")
        truth = None
        if name != media.STDIN and beside.is_file():
            try:
                truth = beside.read_text(encoding="utf-8")
            except (OSError, UnicodeError) as error:
                raise AudioError(f"cannot read {beside}: {error}") from None
        found.append(BenchmarkClip(name, data, truth))
    return found


async def _program(options: BenchmarkOptions, client: Client) -> str:
    """What the server says it is, and the model that will answer."""
    async with client:
        info = await client.describe()
    if not info.asr:
        raise ClientError("the server has no speech-to-text program; see info")
    program = info.asr[0]
    model = options.model or (program.models[0].name if program.models else "")
    return printable(f"{program.name} {model}".rstrip())


async def _measure(
    options: BenchmarkOptions,
    uri: str,
    name: str,
    recordings: Sequence[BenchmarkClip],
    new_client: Callable[[str], Client],
    bar: plain_screen.Bar,
) -> Result:
    turn = asyncio.Semaphore(options.jobs)

    async def one(recording: BenchmarkClip) -> BenchmarkAnswer:
        async with turn:
            answer = await say(options, recording, new_client(uri))
            bar.advance(1.0)
            return answer

    answers = await asyncio.gather(
        *(one(recording) for _ in range(options.rounds) for recording in recordings)
    )
    truths = {recording.name: recording.truth for recording in recordings}
    pairs = [
        (truth, answer.text)
        for answer in answers
        if answer.text is not None and (truth := truths[answer.file])
    ]
    counted = (
        word_errors.count(pairs, options.language) if pairs and word_errors.can_count() else None
    )
    return Result(uri, name, tuple(answers), counted)


class _Clock(TranscriptObserver):
    """When things happened; seconds, monotonic."""

    def __init__(self) -> None:
        self.started = time.perf_counter()
        self.sent: float | None = None
        self.first: float | None = None

    def all_sent(self) -> None:
        self.sent = time.perf_counter()

    def partial(self, text: str) -> None:
        if self.first is None and text.strip():
            self.first = time.perf_counter()


async def say(
    options: BenchmarkOptions, recording: BenchmarkClip, client: Client
) -> BenchmarkAnswer:
    """Send one recording on a connection of its own and take the times."""
    spoken = Spoken(PcmFormat())
    data = recording.data + bytes(2 * round(options.trailing * SAMPLE_RATE))
    speaking = asyncio.create_task(_speak(spoken, data, _STEP if not options.burst else None))
    try:
        async with client:
            clock = _Clock()
            said = await client.transcribe(
                spoken, language=options.language, model=options.model, observer=clock
            )
            done = time.perf_counter()
    except Unreachable:
        raise
    except ClientError as error:
        return BenchmarkAnswer(recording.name, None, str(error), None, None)
    finally:
        speaking.cancel()
    # Where the server found the end by itself, audio-stop was yet to come.
    due = clock.started + len(data) / 2 / SAMPLE_RATE if not options.burst else done
    wait = done - (clock.sent if clock.sent is not None else due)
    first = None if clock.first is None else clock.first - clock.started
    return BenchmarkAnswer(recording.name, visible(said.text), None, wait, first)


async def _speak(spoken: Spoken, data: bytes, step: float | None) -> None:
    """Say it as a microphone would, which has a block once its time is over."""
    size = len(data) if step is None else 2 * round(step * SAMPLE_RATE)
    due = time.perf_counter()
    for at in range(0, len(data), size):
        if step is not None:
            due += step
            await asyncio.sleep(due - time.perf_counter())
        spoken.add(data[at : at + size])
    spoken.end()


def table(
    results: Sequence[Result], recordings: Sequence[BenchmarkClip]
) -> tuple[list[str], list[list[str]]]:
    """A column for each server."""

    def seconds(value: Callable[[list[float]], float], result: Result) -> str:
        return f"{value(result.waits):.3f} s" if result.waits else "-"

    def first(result: Result) -> str:
        times = [answer.partial for answer in result.answers if answer.partial is not None]
        return f"{statistics.median(times):.3f} s" if times else "-"

    sound = sum(recording.seconds for recording in recordings)
    lines: list[tuple[str, Callable[[Result], str]]] = [
        ("server", lambda result: result.server),
        ("recordings", lambda result: f"{len(recordings)} ({sound:.0f} s)"),
        ("answers", lambda result: str(len(result.answers) - result.failed)),
        ("no answer", lambda result: str(result.failed)),
        ("audio-stop to text, median", lambda result: seconds(statistics.median, result)),
        ("90th percentile", lambda result: seconds(_ninetieth, result)),
        ("slowest", lambda result: seconds(max, result)),
        ("first partial text, median", first),
        ("words wrong", _wrong),
    ]
    rows = [[name, *(cell(result) for result in results)] for name, cell in lines]
    return ["", *(result.uri for result in results)], rows


def _wrong(result: Result) -> str:
    if result.words is None or not result.words.all:
        return "-"
    return f"{100 * result.words.share:.1f}% of {result.words.all}"


def _ninetieth(values: list[float]) -> float:
    """The smallest that nine of ten do not exceed."""
    return sorted(values)[-(-len(values) * 9 // 10) - 1]


def write(options: BenchmarkOptions, results: Sequence[Result]) -> None:
    """Write the report and the plot, where they are wanted. Blocking."""
    try:
        if options.json:
            options.json.parent.mkdir(parents=True, exist_ok=True)
            report = {"burst": options.burst, "servers": [asdict(result) for result in results]}
            options.json.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
        if options.plot:
            waits = {f"{one.server}\n{one.uri}": one.waits for one in results if one.waits}
            wrong = {
                f"{one.server}\n{one.uri}": one.words.share if one.words else None
                for one in results
            }
            plot.draw(waits, wrong, options.plot)
    except OSError as error:
        raise SettingError(f"cannot write the report: {error}") from None
