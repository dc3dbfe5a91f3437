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
from .text import GrowingText, local_agreement, text_after

_LOGGER = logging.getLogger(__name__)

_MIN_NEW_SAMPLES = SAMPLE_RATE  # samples of new sound before another look


class Partials:
    """The text of one utterance as it becomes certain.

    Args:
        eager: look also while others use the model.
        enabled: whether to decode what is being spoken at all.
        on_partial: is handed every piece of text that is certain.
    """

    def __init__(
        self,
        worker: Worker,
        tasks: asyncio.TaskGroup,
        recording: Recording,
        *,
        options: Callable[[], DecodeOptions],
        text: GrowingText,
        enabled: bool,
        eager: bool,
        on_partial: Callable[[str], None],
    ) -> None:
        self.begun = 0  # decodes
        self._worker = worker
        self._tasks = tasks
        self._recording = recording
        self._options = options
        self._text = text
        self._enabled = enabled
        self._eager = eager
        self._on_partial = on_partial
        self._decoded_samples = 0  # samples that were there at the last look
        self._task: asyncio.Task[None] | None = None
        self._segment_start = -1  # window with which the open segment begins
        self._last_hypothesis = ""  # what the look before this one saw
        self._committed = ""  # of the open segment: as decoded, and sent
        self._language: str | None = None

    def committed(self, segment: Segment) -> tuple[str, str | None]:
        """The beginning of a segment's text that has been sent, and its language."""
        if segment.speech[0] != self._segment_start:
            return "", None
        return self._committed, self._language

    def commit(self, transcript: Transcript) -> None:
        """Take the text of the next segment; no more comes to it."""
        self._take(transcript.text, transcript.language)
        self._segment_start, self._last_hypothesis, self._committed = -1, "", ""
        if self._enabled:
            self._send()

    def end(self) -> str:
        """Send what is left; return the whole text."""
        if piece := self._text.end():
            self._on_partial(piece)
        return self._text.sent

    def decode_if_due(self, open_segment: Callable[[], Segment | None]) -> None:
        """More was said: look at it, if it is time to.

        Args:
            open_segment: what is being said now; None also while what was said before it is
                decoded.
        """
        decoding = self._task is not None and not self._task.done()
        if (
            not self._enabled
            or decoding
            or len(self._recording) - self._decoded_samples < _MIN_NEW_SAMPLES
        ):
            return
        if not self._eager and not self._worker.idle:
            return
        self._decoded_samples = len(self._recording)
        segment = open_segment()
        # A longer one may still be cut in two.
        if segment is not None and segment.end - segment.start < ENOUGH * SAMPLE_RATE:
            self._task = self._tasks.create_task(self._decode(segment))

    def cancel(self) -> None:
        """What is said so far is decoded by others: their text counts."""
        if self._task is not None:
            self._task.cancel()

    async def _decode(self, segment: Segment) -> None:
        if segment.speech[0] != self._segment_start:
            self._segment_start, self._last_hypothesis, self._committed = (
                segment.speech[0],
                "",
                "",
            )
        options = self._options()
        if self._committed:
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
                    prefix=self._committed,
                    leading_silence=segment.leading_silence,
                )
            )
        except Hung:
            raise  # another try could cost the next model as well
        except ServerError as error:
            _LOGGER.debug("a look at what is being said failed: %s", error)
            return
        if seen.verdict not in ("", "believe") or segment.speech[0] != self._segment_start:
            return  # the gate would not have it, or the segment is closed by now
        words = local_agreement(self._last_hypothesis, seen.text)
        self._last_hypothesis = seen.text
        if len(words) > len(self._committed):
            self._take(words, seen.language)
            self._committed, self._language = words, seen.language
            self._send()

    def _take(self, text: str, language: str | None) -> None:
        if self._committed:
            self._text.extend(text_after(text, self._committed))
        else:
            self._text.append(text, language)

    def _send(self) -> None:
        if piece := self._text.take_committed():
            self._on_partial(piece)
