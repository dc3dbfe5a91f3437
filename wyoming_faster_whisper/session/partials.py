"""What of an utterance's text is certain before its end, and goes out at once.

A segment that is closed is certain. Of the one that is being spoken, those words
are on which two decodes in a row agree; every later decode of it goes on from
them, so that nothing is taken back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace

from ..audio.pcm import SAMPLE_RATE
from ..audio.recording import Recording
from ..engine.protocol import DecodeOptions, Job, Transcript
from ..engine.queue import Worker
from ..errors import Hung, ServerError
from ..speech.segmenter import ENOUGH, Segment
from .text import GrowingText, agreed, rest

_LOGGER = logging.getLogger(__name__)

_EVERY = SAMPLE_RATE  # samples of new sound before another look


class Partials:
    """The text of one utterance as it becomes certain.

    Args:
        eager: look also while others use the model.
        look: whether to decode what is being spoken at all.
        tell: is handed every piece of text that is certain.
    """

    def __init__(
        self,
        worker: Worker,
        tasks: asyncio.TaskGroup,
        recording: Recording,
        *,
        wanted: Callable[[], DecodeOptions],
        text: GrowingText,
        look: bool,
        eager: bool,
        tell: Callable[[str], None],
    ) -> None:
        self.begun = 0  # decodes
        self._worker = worker
        self._tasks = tasks
        self._recording = recording
        self._wanted = wanted
        self._text = text
        self._look = look
        self._eager = eager
        self._tell = tell
        self._looked = 0  # samples that were there at the last look
        self._looking: asyncio.Task[None] | None = None
        self._start = -1  # window with which the open segment begins
        self._before = ""  # what the look before this one saw
        self._said = ""  # of the open segment: as decoded, and sent
        self._language: str | None = None

    def said(self, segment: Segment) -> tuple[str, str | None]:
        """The beginning of a segment's text that has been sent, and its language."""
        if segment.speech[0] != self._start:
            return "", None
        return self._said, self._language

    def certain(self, transcript: Transcript) -> None:
        """Take the text of the next segment; no more comes to it."""
        self._take(transcript.text, transcript.language)
        self._start, self._before, self._said = -1, "", ""
        if self._look:
            self._send()

    def end(self) -> str:
        """Send what is left; return the whole text."""
        if piece := self._text.end():
            self._tell(piece)
        return self._text.sent

    def listen(self, spoken: Callable[[], Segment | None]) -> None:
        """More was said: look at it, if it is time to.

        Args:
            spoken: what is being said now; None also while what was said before it is decoded.
        """
        looking = self._looking is not None and not self._looking.done()
        if not self._look or looking or len(self._recording) - self._looked < _EVERY:
            return
        if not self._eager and not self._worker.idle:
            return
        self._looked = len(self._recording)
        segment = spoken()
        # A longer one may still be cut in two.
        if segment is not None and segment.end - segment.start < ENOUGH * SAMPLE_RATE:
            self._looking = self._tasks.create_task(self._see(segment))

    def pause(self) -> None:
        """What is said so far is decoded by others: their text counts."""
        if self._looking is not None:
            self._looking.cancel()

    async def _see(self, segment: Segment) -> None:
        if segment.speech[0] != self._start:
            self._start, self._before, self._said = segment.speech[0], "", ""
        options = self._wanted()
        if self._said:
            options = replace(options, language=self._language)
        samples = self._recording.samples(segment.start, segment.end)
        self.begun += 1
        try:
            seen = await self._worker.submit(
                Job(
                    samples,
                    options,
                    guess=True,
                    quick=True,
                    owner=self._recording,
                    prefix=self._said,
                    leading_silence=segment.leading_silence,
                )
            )
        except Hung:
            raise  # another try could cost the next model as well
        except ServerError as error:
            _LOGGER.debug("a look at what is being said failed: %s", error)
            return
        if seen.verdict not in ("", "believe") or segment.speech[0] != self._start:
            return  # the gate would not have it, or the segment is closed by now
        words = agreed(self._before, seen.text)
        self._before = seen.text
        if len(words) > len(self._said):
            self._take(words, seen.language)
            self._said, self._language = words, seen.language
            self._send()

    def _take(self, text: str, language: str | None) -> None:
        if self._said:
            self._text.go_on(rest(text, self._said))
        else:
            self._text.append(text, language)

    def _send(self) -> None:
        if piece := self._text.certain():
            self._tell(piece)
