"""Transcribes files: decodes their audio, and passes it through a session without waiting."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ....audio.pcm import PcmFormat
from ....errors import Busy, ServerError, first_of
from ....principal import Principal
from ....session.events import Answer, PartialText
from ....session.request import Request
from ....session.session import Session, SessionContext
from .spool import Spool
from .upload_audio import audio_blocks

_PCM = PcmFormat()  # format of decoded audio


@dataclass(frozen=True, slots=True)
class Source:
    """A file to transcribe, which may still be arriving."""

    spool: Spool
    name: str  # for error texts
    raw: PcmFormat | None = None  # format of PCM without a container; None = a container
    first: float | None = None  # seconds of audio to transcribe; None = all

    @property
    def read_share(self) -> float:
        """Share of the bytes so far that have been read, 0 to 1."""
        return self.spool.position / self.spool.size


async def _ignore(_: str) -> None:
    pass


class FileTranscriber:
    """Transcribes files. Lives on the event loop; the files are decoded in threads.

    Args:
        context: services and rules of the sessions that transcribe files. Its max_seconds is the
            length of the longest file.
    """

    def __init__(self, context: SessionContext) -> None:
        self._context = context

    @property
    def max_seconds(self) -> float:
        """Length of the longest file."""
        return self._context.max_seconds

    async def transcribe(
        self,
        source: Source,
        request: Request,
        principal: Principal,
        on_text: Callable[[str], Awaitable[None]] = _ignore,
        on_progress: Callable[[float], None] = lambda _: None,
    ) -> Answer:
        """Transcribe a file. Cancel the call to withdraw it.

        Args:
            on_text: called with each piece of committed text, in order. All pieces joined are the
                answer's text. Decoding waits while it runs.
            on_progress: called with the share of the file that has been transcribed, 0 to 1. It
                is an estimate: the duration of the rest is assumed to follow its size.

        Raises:
            ServerError: the file has no audio that can be decoded, or the model failed.
        """
        answers: list[Answer] = []

        async def listen(session: Session) -> None:
            async for event in session.events():
                match event:
                    case PartialText(text=text):
                        await on_text(text)
                        on_progress(session.settled_share * source.read_share)
                    case Answer():
                        answers.append(event)

        try:
            async with (
                asyncio.TaskGroup() as tasks,
                Session(self._context, principal, partials="on") as session,
            ):
                tasks.create_task(listen(session))
                session.request(request)
                try:
                    await self._feed(session, source)
                except Busy:
                    raise  # the file may be sent again
                except ServerError:
                    self._context.count_lost("failed")  # a session counts what was stopped only
                    raise
                await session.stop()
                await session.answered()
        except BaseExceptionGroup as group:
            raise first_of(group) from None
        [answer] = answers
        return answer

    async def _feed(self, session: Session, source: Source) -> None:
        left = math.inf if source.first is None else round(source.first * _PCM.rate) * 2  # bytes
        async with audio_blocks(
            source.spool.reader(), source.name, raw=source.raw, longest=self.max_seconds
        ) as blocks:
            async for block in blocks:
                await session.audio(_PCM, block if len(block) <= left else block[: int(left)])
                left -= len(block)
                if left <= 0:
                    return
