"""Partial text: commits the text of an utterance piece by piece, before its end.

Committed text is sent at once and never changes. The text of a closed segment is committed as a
whole. In the segment that is being spoken, the words on which two decodes in a row agree are
committed (LocalAgreement-2, Macháček et al., "Turning Whisper into Real-Time Transcription
System", 2023). Every later decode of that segment continues from the committed words.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace

from ..audio.pcm import SAMPLE_RATE
from ..audio.recording import Recording
from ..engine.protocol import DecodeKind, DecodeOptions, Job, Transcript
from ..engine.queue import Worker
from ..errors import Hung, ServerError
from ..principal import Principal
from ..speech.segmenter import ENOUGH, Segment
from .text import GrowingText, local_agreement, text_after

_LOGGER = logging.getLogger(__name__)

_MIN_NEW_SAMPLES = SAMPLE_RATE  # new samples needed before the next decode: 1 s


class Partials:
    """Committed text of one utterance. Lives on the event loop.

    Args:
        worker: queue in front of the model.
        tasks: task group in which the decodes run.
        recording: audio of the utterance.
        options: returns the decode options, which may change during the utterance.
        text: collects the committed text.
        enabled: whether to decode the segment that is being spoken at all.
        eager: whether to decode it even while the model is busy.
        on_partial: called with every piece of committed text.
        principal: the client.
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
        principal: Principal,
    ) -> None:
        self.begun = 0  # number of decodes that were begun
        self._worker = worker
        self._tasks = tasks
        self._recording = recording
        self._options = options
        self._text = text
        self._enabled = enabled
        self._eager = eager
        self._on_partial = on_partial
        self._principal = principal
        self._decoded_samples = 0  # length of the recording at the last decode
        self._task: asyncio.Task[None] | None = None
        self._segment_start = -1  # first window of the open segment; -1 = there is none
        self._last_hypothesis = ""  # text of the last decode of the open segment
        self._committed = ""  # committed text of the open segment, as decoded
        self._language: str | None = None  # language of the committed text
        self._began = asyncio.get_running_loop().time()

    def committed(self, segment: Segment) -> tuple[str, str | None]:
        """Return the committed beginning of a segment's text, and its language."""
        if segment.speech[0] != self._segment_start:
            return "", None
        return self._committed, self._language

    def commit(self, transcript: Transcript) -> None:
        """Commit the final text of the next segment."""
        self._take(transcript.text, transcript.language)
        self._segment_start, self._last_hypothesis, self._committed = -1, "", ""
        if self._enabled:
            self._send()

    def end(self) -> str:
        """Send the text that is left, and return the whole text."""
        if piece := self._text.end():
            self._on_partial(piece)
        return self._text.sent

    def decode_if_due(self, open_segment: Callable[[], Segment | None]) -> None:
        """Decode the segment that is being spoken, if enough new audio has arrived.

        Args:
            open_segment: returns that segment; None if there is none, or while a segment before
                it has not been committed.
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
        # A longer segment may still be split.
        if segment is not None and segment.end - segment.start < ENOUGH * SAMPLE_RATE:
            self._task = self._tasks.create_task(self._decode(segment))

    def cancel(self) -> None:
        """Cancel the running decode. Decodes is about to decode the same audio."""
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
                    kind=DecodeKind.PARTIAL,
                    quick=True,
                    tenant=self._principal.tenant,
                    owner=self._principal.key,
                    earlier_seconds=segment.earlier_seconds,
                    prefix=self._committed,
                    leading_silence=segment.leading_silence,
                    utterance_began=self._began,
                )
            )
        except Hung:
            raise  # a retry could hang the reloaded model as well
        except ServerError as error:
            _LOGGER.debug("a decode for partial text failed: %s", error)
            return
        if seen.verdict not in ("", "believe") or segment.speech[0] != self._segment_start:
            return  # the hallucination check doubts the text, or the segment has been closed
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
