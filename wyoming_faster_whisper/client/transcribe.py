"""The subcommand `transcribe`: files to text, several at a time, written in the order given."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Coroutine, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import compress
from pathlib import Path

from wyoming.asr import Transcript

from ..audio.pcm import SAMPLE_RATE, PcmFormat
from ..errors import AudioError, SettingError, visible
from ..speech.vad import SpeechDetector
from ..subtitles import Cue
from . import media, screen
from .clips import Clip
from .connection import Client, ClientError, Refused
from .formats import CAPTION_PAUSE, FORMATS, SUFFIXES, TIMED, Transcription
from .options import TranscribeOptions
from .retry import Retry
from .segmenting import CAPTION_LONGEST, Cut, Part, detect_speech, parts

# Seconds of silence that a server with endpointing might take for the end of speech.
_ENDPOINT_PAUSE = 0.3


def how_to_cut(options: TranscribeOptions, *, server_ends: bool) -> Cut:
    """Choose how to cut the audio.

    Args:
        server_ends: the server detects the end of speech itself. It would answer at the first
            one and ignore later speech, so no part may contain an end of speech.
    """
    timed = options.format in TIMED
    pause = options.pause
    if pause is None:
        pause = CAPTION_PAUSE if timed else None
    if server_ends:
        pause = min(_ENDPOINT_PAUSE, pause or _ENDPOINT_PAUSE)
    return Cut(pause, CAPTION_LONGEST) if timed else Cut(pause)


@dataclass
class Pool:
    """A fixed number of connections to one server. Each request takes one that is free."""

    new_client: Callable[[], Client]
    size: int
    retry: Retry
    _free: asyncio.Queue[Client] = field(default_factory=asyncio.Queue, init=False)
    _all: list[Client] = field(default_factory=list, init=False)

    async def __aenter__(self) -> Pool:
        for _ in range(self.size):
            client = self.new_client()
            self._all.append(client)
            self._free.put_nowait(client)
        return self

    async def __aexit__(self, *_: object) -> None:
        for client in self._all:
            await client.close()

    async def server_ends(self) -> bool:
        """Return whether the server detects the end of speech itself.

        Raises:
            ClientError: the server cannot be reached or has no speech-to-text program.
        """
        client = await self._free.get()
        try:
            info = await self.retry.run(client, client.describe, tell=screen.note)
        finally:
            self._free.put_nowait(client)
        if not info.asr:
            raise ClientError("the server has no speech-to-text program; info shows what it has")
        return not info.asr[0].requires_external_vad

    async def transcribe(self, data: bytes, options: TranscribeOptions) -> Transcript:
        """Transcribe 16 kHz, 16-bit, mono PCM on a free connection, with retries.

        Raises:
            ClientError: the server answers with an error, or the last retry failed.
        """
        client = await self._free.get()
        clip = Clip(PcmFormat(), data)
        try:
            return await self.retry.run(
                client,
                lambda: client.transcribe(clip, language=options.language, model=options.model),
                tell=screen.note,
            )
        finally:
            self._free.put_nowait(client)


async def transcribe(
    options: TranscribeOptions, pool: Pool, new_vad: Callable[[], SpeechDetector]
) -> int:
    """Transcribe all files and write their text.

    Returns:
        The number of files that could not be read or that the server refused. They are reported
        and do not stop the others.

    Raises:
        ClientError: the server cannot be reached, the connection was lost for good, or an output
            file cannot be written.
        SettingError: the options do not fit together.
    """
    files = await asyncio.to_thread(media.find_files, options.files)
    targets = plan_output(files, options)
    async with pool:
        decodable = [await _is_decodable(name) for name, _ in files]
        undecodable = decodable.count(False)
        if undecodable == len(files):
            return undecodable
        server_ends = await pool.server_ends()
        reader = _Reader(options, pool, how_to_cut(options, server_ends=server_ends), new_vad)
        files, targets = list(compress(files, decodable)), list(compress(targets, decodable))
        with screen.bar(len(files), "transcribing") as bar:
            return undecodable + await _in_order(reader, files, targets, bar.advance, options)


async def _is_decodable(name: str) -> bool:
    """Return whether a file can be decoded; report it if not, before contacting the server."""
    try:
        await asyncio.to_thread(media.check, name)
    except AudioError as error:
        screen.note(f"error: {error}")
        return False
    return True


def plan_output(
    files: Sequence[tuple[str, Path]], options: TranscribeOptions
) -> list[Path | None]:
    """Return the output path of each file; None is standard output.

    Media players look for film.srt beside film.mkv, so the output has the file's name with
    another suffix. Files that would share a name keep their own suffix (film.mkv.srt).

    Raises:
        SettingError: several files would be written to the same output.
    """
    if options.output is None:
        if options.format in TIMED and len(files) > 1:
            raise SettingError(
                f"{len(files)} files as {options.format} need a folder; give --output DIR"
            )
        return [None] * len(files)
    suffix = SUFFIXES[options.format]
    short = [below.with_suffix(suffix) for _, below in files]
    taken = Counter(short)
    long = [below.with_name(below.name + suffix) for _, below in files]
    chosen = [a if taken[a] == 1 else b for a, b in zip(short, long, strict=True)]
    if twice := [path for path, times in Counter(chosen).items() if times > 1]:
        raise SettingError(
            f"two files would be written to {options.output / twice[0]}; leave one out"
        )
    return [options.output / path for path in chosen]


async def _in_order(
    reader: _Reader,
    files: Sequence[tuple[str, Path]],
    targets: Sequence[Path | None],
    advance: Callable[[float], None],
    options: TranscribeOptions,
) -> int:
    """Transcribe wish.jobs files at a time and write them in order; return the number failed."""
    failed = 0
    running: deque[tuple[str, Path | None, asyncio.Task[Transcription]]] = deque()
    waiting = deque(zip(files, targets, strict=True))
    try:
        while waiting or running:
            while waiting and len(running) < options.jobs:
                (name, _), target = waiting.popleft()
                task = asyncio.create_task(reader.read(name, advance))
                running.append((name, target, task))
            name, target, task = running[0]
            try:
                transcription = await task
            except AudioError as error:
                screen.note(f"error: {error}")
                failed += 1
            except Refused as error:
                screen.note(f"error: {name}: {error}")
                failed += 1
            else:
                await _write(FORMATS[options.format](transcription), target)
            running.popleft()
    finally:
        tasks = [task for *_, task in running]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return failed


async def _write(text: str, target: Path | None) -> None:
    if target is None:
        screen.say(text.removesuffix("\n"))
        return

    def write() -> None:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        except OSError as error:
            raise ClientError(f"cannot write {target}: {error.strerror or error}") from None

    await asyncio.to_thread(write)


class _Reader:
    """Transcribes whole files. The VAD is loaded when it is first needed."""

    def __init__(
        self,
        options: TranscribeOptions,
        pool: Pool,
        cut: Cut,
        new_vad: Callable[[], SpeechDetector],
    ) -> None:
        self._options = options
        self._pool = pool
        self._cut = cut
        self._new_vad = new_vad
        self._vad: SpeechDetector | None = None
        self._loading = asyncio.Lock()

    async def read(self, name: str, advance: Callable[[float], None]) -> Transcription:
        """Transcribe one file.

        Args:
            advance: called with each further share of the file that is done, 0 to 1.

        Raises:
            AudioError: the file cannot be read.
            ClientError: as in Pool.transcribe().
        """
        blocks = media.decode(name)
        data = bytearray()
        # Block by block, so that an interrupt does not have to wait for the end of a film.
        while block := await asyncio.to_thread(next, blocks, None):
            data += block
        pcm = bytes(data)
        seconds = len(pcm) / 2 / SAMPLE_RATE
        pieces = await self._pieces(pcm, seconds)
        total = sum(len(part.data) for part in pieces)

        async def send(part: Part) -> Transcript:
            transcript = await self._pool.transcribe(part.data, self._options)
            advance(len(part.data) / total)
            return transcript

        answers = await _all(send(part) for part in pieces)
        if not pieces:
            advance(1.0)
        languages = Counter(a.language for a in answers if a.language)
        return Transcription(
            name,
            seconds,
            visible(languages.most_common(1)[0][0]) if languages else None,
            tuple(
                Cue(part.start, part.end, visible(answer.text))
                for part, answer in zip(pieces, answers, strict=True)
            ),
        )

    async def _pieces(self, pcm: bytes, seconds: float) -> list[Part]:
        if self._cut.leaves_whole(seconds):
            return [Part(pcm, 0.0, seconds)]
        async with self._loading:
            if self._vad is None:
                self._vad = await asyncio.to_thread(self._new_vad)
        judged = detect_speech(pcm, self._vad.stream())
        probabilities: list[float] = []
        while (more := await asyncio.to_thread(next, judged, None)) is not None:
            probabilities += more.tolist()
        return await asyncio.to_thread(parts, pcm, probabilities, self._cut)


async def _all(wanted: Iterable[Coroutine[None, None, Transcript]]) -> list[Transcript]:
    """Return all answers in order; the first error cancels the others."""
    tasks = [asyncio.create_task(one) for one in wanted]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
