"""The subcommand `bench`: response times and word error rate of any Wyoming servers.

Each recording is sent on a connection of its own, in real time as a microphone would send it,
and is followed by a short silence; --burst sends it all at once. If a .txt file of the same
name exists, the transcript is compared with it.
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
from ..errors import AudioError, SettingError, install_command, printable, reason, visible
from . import media, plain_screen, plot, screen, word_errors
from .clips import Spoken
from .connection import Client, ClientError, TranscriptObserver, Unreachable
from .options import BenchmarkOptions

_STEP = 0.02  # seconds of audio per step when sending in real time


@dataclass(frozen=True, slots=True)
class BenchmarkClip:
    """A recording and its reference text."""

    name: str
    data: bytes  # 16 kHz, 16-bit, mono
    truth: str | None  # the reference text; None: there is no .txt file

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return len(self.data) / 2 / SAMPLE_RATE


@dataclass(frozen=True, slots=True)
class BenchmarkAnswer:
    """The outcome of one utterance; times in seconds."""

    file: str
    text: str | None  # None: there was no answer
    error: str | None
    wait: float | None  # from audio-stop to the text; negative: the text came before audio-stop
    partial: float | None  # from the first audio to the first partial text


@dataclass(frozen=True, slots=True)
class Result:
    """The measurements of one server."""

    uri: str
    server: str
    answers: tuple[BenchmarkAnswer, ...]
    words: word_errors.Words | None

    @property
    def waits(self) -> list[float]:
        """Seconds from audio-stop to the text, for each answer."""
        return [answer.wait for answer in self.answers if answer.wait is not None]

    @property
    def failed(self) -> int:
        """Number of utterances without an answer."""
        return sum(answer.text is None for answer in self.answers)


async def bench(options: BenchmarkOptions, new_client: Callable[[str], Client]) -> list[Result]:
    """Measure the servers one after the other, print the table, write the report and the plot.

    Raises:
        ClientError: a server cannot be reached or has no speech-to-text program.
        AudioError: a recording or its reference text cannot be read.
        SettingError: the plot's package is not installed, a folder holds no recordings, or the
            report cannot be written.
    """
    if options.plot:
        plot.check_plotting()
    names = [await _program(options, new_client(uri)) for uri in options.uri]
    recordings = await asyncio.to_thread(load, options.files)
    counted = any(recording.truth for recording in recordings)
    if counted and not word_errors.can_count():
        screen.note(
            f"note: no word error rate; it needs the extra bench: {install_command('bench')}"
        )
    total = len(recordings) * options.rounds * len(options.uri)
    with screen.bar(total, "measuring") as bar:
        results = [
            await _measure(options, uri, name, recordings, new_client, bar)
            for uri, name in zip(options.uri, names, strict=True)
        ]
    columns, rows = table(results, recordings)
    screen.table(columns, rows)
    await asyncio.to_thread(write, options, results)
    return results


def load(names: Sequence[str]) -> list[BenchmarkClip]:
    """Read the recordings and their reference texts. Blocking.

    Raises:
        AudioError: a recording or its reference text cannot be read.
        SettingError: a folder holds no recordings.
    """
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
    """Return the name of the server's program and of the model that will answer."""
    async with client:
        info = await client.describe()
    if not info.asr:
        raise ClientError("the server has no speech-to-text program; info shows what it has")
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
    """Times of one utterance's events, in seconds of time.perf_counter()."""

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
    """Send one recording on a connection of its own and time the answer.

    Raises:
        Unreachable: there is no server; every other failure is part of the answer.
    """
    spoken = Spoken(PcmFormat())
    data = recording.data + bytes(2 * round(options.trailing * SAMPLE_RATE))
    speaking = asyncio.create_task(_speak(spoken, data, _STEP if not options.burst else None))
    try:
        async with client:
            clock = _Clock()
            transcript = await client.transcribe(
                spoken, language=options.language, model=options.model, observer=clock
            )
            done = time.perf_counter()
    except Unreachable:
        raise
    except ClientError as error:
        return BenchmarkAnswer(recording.name, None, str(error), None, None)
    finally:
        speaking.cancel()
    # If the server answered before audio-stop, count from the time at which that was due.
    due = clock.started + len(data) / 2 / SAMPLE_RATE if not options.burst else done
    wait = done - (clock.sent if clock.sent is not None else due)
    first = None if clock.first is None else clock.first - clock.started
    return BenchmarkAnswer(recording.name, visible(transcript.text), None, wait, first)


async def _speak(spoken: Spoken, data: bytes, step: float | None) -> None:
    """Add the audio as a microphone delivers it: each block when its time has passed.

    Args:
        step: seconds per block; None = everything at once.
    """
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
    """Return the header and the rows of the results, with one column per server."""

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
        ("word error rate", _wrong),
    ]
    rows = [[name, *(cell(result) for result in results)] for name, cell in lines]
    return ["", *(result.uri for result in results)], rows


def _wrong(result: Result) -> str:
    if result.words is None or not result.words.all:
        return "-"
    return f"{100 * result.words.rate:.1f}% of {result.words.all} words"


def _ninetieth(values: list[float]) -> float:
    """Return the 90th percentile: the smallest value that 90% of the values do not exceed."""
    return sorted(values)[-(-len(values) * 9 // 10) - 1]


def write(options: BenchmarkOptions, results: Sequence[Result]) -> None:
    """Write the report and the plot if they were asked for. Blocking.

    Raises:
        SettingError: a file cannot be written.
    """
    try:
        if options.json:
            options.json.parent.mkdir(parents=True, exist_ok=True)
            report = {"burst": options.burst, "servers": [asdict(result) for result in results]}
            options.json.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n")
        if options.plot:
            waits = {f"{one.server}\n{one.uri}": one.waits for one in results if one.waits}
            wrong = {
                f"{one.server}\n{one.uri}": one.words.rate if one.words else None
                for one in results
            }
            plot.draw(waits, wrong, options.plot)
    except OSError as error:
        raise SettingError(
            f"cannot write {error.filename or 'the report'}: {reason(error)}"
        ) from None
