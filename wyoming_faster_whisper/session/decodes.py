"""Decodes of one utterance: guesses, closed segments, and the missing segments at the end.

A guess is a speculative decode: it begins in a pause, before the turn is known to be over.

Segments are decoded one at a time, in the order of speech, so that a long dictation does not fill
the queue; those of a file as many as the model decodes at the same time, once the language is
known. A language that was detected confidently in enough speech is used for the segments
after it. In the end it is also used for short segments before it, because words such as "Hm" and
"Okay" occur in every language.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from ..audio.recording import Recording
from ..engine.protocol import DecodeKind, DecodeOptions, Job, Transcript
from ..engine.queue import Worker
from ..errors import Hung, ServerError
from ..principal import Principal
from ..speech.segmenter import Segment

_LOGGER = logging.getLogger(__name__)

# A detected language is used for other segments if it was detected in at least this much speech
# and with at least this probability (python -m bench.calibration.language_detection tries
# others).
_ENOUGH_SPEECH = 1.5  # seconds
_ENOUGH_PROBABILITY = 0.5
# The same where it was detected among a few candidates, to which the probability is relative.
_ENOUGH_SPEECH_AMONG = 1.0  # seconds
_ENOUGH_PROBABILITY_AMONG = 0.9
_FEW = 1  # segments that may wait, so that one can be decoded right after the one before

# Seconds. With slower decodes a guess is in the way so long, of other speakers and of what the
# speaker says after a pause, that the slowest tenth of the answers comes later than without (the
# table in docs/performance-notes.md, "When to guess").
_SLOWEST_GUESS = 1.5


@dataclass(slots=True, eq=False)
class _Part:
    """A segment and its decode."""

    segment: Segment
    options: DecodeOptions  # as requested when the decode began
    guess: bool  # no answer needs the text yet
    previous: _Part | None  # decoded before this one
    task: asyncio.Future[Transcript | None] | None = None  # its result is None if it failed
    job: Job | None = None  # None unless it waits for the model or is decoded
    quick: bool = False  # a first pass is enough while this is a guess and not closed
    seconds: float = 0.0  # that its last decode took, without the time in the queue
    was_guess: bool = False  # the decode began before an answer needed it
    closed: bool = False  # the segment can no longer grow
    committed: bool = False  # the text has been passed to on_committed
    corrected_language: str | None = (
        None  # confidently detected language, used instead of this segment's own doubtful one
    )

    @property
    def transcript(self) -> Transcript | None:
        """Text of the segment; None while it is unknown or if the decode failed."""
        task = self.task
        if task is None or not task.done() or task.cancelled() or task.exception():
            return None
        return task.result()

    @property
    def is_provisional(self) -> bool:
        """True if the first pass found its text doubtful and no second pass was made."""
        return self.quick and self.transcript is not None and self.transcript.provisional

    @property
    def language(self) -> str | None:
        """Detected language, if it was detected confidently in enough speech."""
        text, speech, probability = self.transcript, _ENOUGH_SPEECH, _ENOUGH_PROBABILITY
        if self.options.candidate_languages:
            speech, probability = _ENOUGH_SPEECH_AMONG, _ENOUGH_PROBABILITY_AMONG
        if text is None or not text.text or self.segment.speech_seconds < speech:
            return None
        return text.language if text.language_probability >= probability else None


class Decodes:
    """Begins, drops and awaits the decodes of one recording. Lives on the event loop.

    Args:
        worker: queue in front of the model.
        tasks: task group in which the decodes run.
        recording: audio of the utterance.
        options: returns the decode options, which may change during the utterance.
        on_decoded: called with a segment and its transcript, or None if the decode failed.
            Not called if the decode was dropped.
        on_committed: called once per segment with its final text, in order.
        committed: returns the text with which the decode of a segment must begin, because it has
            been sent already, and its language.
        names_known: waits for the names of the home, which are part of the options, for a limited
            time.
        score_end: returns whether decodes that begin now also return the decoder's scores for the
            end of the text, because they may end the turn.
        principal: the client.
        kind: FINAL, or FILE for a file: the kind of the decodes that are not guesses.
        time_left: returns the seconds within which a doubtful text may be decoded again.
        as_of_now: returns a segment with more of the silence after it, if there is more by now.
    """

    decodes_here = True
    """False while another server decodes the utterance, so that this one need not."""

    keeps_recording = False
    """True if audio may be needed again whose text is committed."""

    upstream = ""
    """Outcome of the request to an upstream server: "used", "late" or "away"; "" = none asked."""

    def __init__(
        self,
        worker: Worker,
        tasks: asyncio.TaskGroup,
        recording: Recording,
        *,
        options: Callable[[], DecodeOptions],
        on_decoded: Callable[[Segment, Transcript | None], None],
        on_committed: Callable[[Transcript], None],
        committed: Callable[[Segment], tuple[str, str | None]],
        names_known: Callable[[], Awaitable[object]] | None = None,
        score_end: Callable[[], bool],
        principal: Principal,
        kind: DecodeKind,
        time_left: Callable[[], float] = lambda: math.inf,
        as_of_now: Callable[[Segment], Segment],
    ) -> None:
        self.begun = 0  # number of decodes that were begun
        self.client_left = False  # if True, decode only while the model is idle
        self._worker = worker
        self._tasks = tasks
        self._recording = recording
        self._options = options
        self._on_decoded = on_decoded
        self._on_committed = on_committed
        self._committed = committed
        self._names_known = names_known
        self._score_end = score_end
        self._principal = principal
        self._kind = kind
        self._time_left = time_left
        self._as_of_now = as_of_now
        self._parts: dict[Segment, _Part] = {}  # in the order of speech
        self._language: str | None = None  # confidently detected
        self._began = asyncio.get_running_loop().time()
        self._language_seconds = 0.0  # seconds of speech in which it was detected

    def __repr__(self) -> str:
        return f"<Decodes {len(self._parts)} segments, {self.begun} decodes begun>"

    @property
    def may_guess(self) -> bool:
        """True if the model is idle, and so fast that a guess pays."""
        return self._worker.idle and self._worker.decode_seconds <= _SLOWEST_GUESS

    @property
    def has_committed(self) -> bool:
        """True once the text of a segment has been committed."""
        return any(part.committed for part in self._parts.values())

    @property
    def committed_until(self) -> int:
        """VAD window after the last speech whose text is committed; 0 = none."""
        committed = (part.segment.speech[1] for part in self._parts.values() if part.committed)
        return max(committed, default=0)

    @property
    def busy(self) -> bool:
        """True while any decode is waiting or running."""
        return bool(self._pending)

    async def few_pending(self) -> None:
        """Wait while more segments than a few have begun and are not decoded."""
        while len(pending := self._pending) > self._abreast + _FEW:
            await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)

    @property
    def _abreast(self) -> int:
        """Number of segments that may be decoded at the same time."""
        if self._kind is not DecodeKind.FILE:
            return 1
        known = self._language is not None or self._options().language is not None
        return self._worker.parallel if known else 1

    @property
    def _pending(self) -> list[asyncio.Future[Transcript | None]]:
        return [part.task for part in self._parts.values() if part.task and not part.task.done()]

    @property
    def is_queued(self) -> bool:
        """True while the next decode is still queued, or would be if it began now."""
        for part in self._parts.values():
            if part.task is not None and not part.task.done():
                if part.job is not None:
                    return self._worker.is_waiting(part.job)
                return not self._worker.idle
        return not self._parts and not self._worker.idle

    def audio_arrived(self) -> None:
        """Take note that the recording has grown."""

    def stop(self) -> None:
        """Take note that the recording is complete."""

    def committed_before(self, segment: Segment) -> bool:
        """Return whether all segments before this one have been committed."""
        return all(
            part.committed for part in self._parts.values() if part.segment.start < segment.start
        )

    def begin(self, segment: Segment, *, guess: bool, quick: bool = False) -> None:
        """Begin to decode a segment. This closes the segments before it.

        Args:
            guess: no answer needs the text yet. Call again with False once one does.
            quick: a first pass is enough until the segment is closed or an answer needs its text.
        """
        part = self._parts.get(segment)
        if part is None:
            before = [one for one in self._parts.values() if one.segment.start < segment.start]
            for one in before:
                self._close(one)
            part = _Part(segment, self._options(), guess, before[-1] if before else None)
            part.quick, part.was_guess = quick, guess
            self._parts[segment] = part
            self._parts = dict(sorted(self._parts.items(), key=lambda item: item[0].start))
            self._start(part)
            self._commit()
        elif not guess:
            self._promote(part)

    def drop(self, segment: Segment) -> None:
        """Withdraw the decode of a segment that has grown."""
        part = self._parts.pop(segment, None)
        if part is not None and part.task is not None:
            part.task.cancel()

    def close(self, segment: Segment) -> None:
        """Mark a segment as complete: it can no longer grow, so its text can be committed."""
        part = self._parts.get(segment)
        if part is not None:
            self._close(part)
            self._commit()

    def drop_all(self) -> None:
        """Withdraw all decodes."""
        for segment in list(self._parts):
            self.drop(segment)

    async def answer(
        self, segments: Sequence[Segment], *, speech_ended: float
    ) -> list[Transcript]:
        """Wait for the final texts.

        Args:
            segments: all segments of the utterance, in order. Each has been begun.
            speech_ended: time when the last speech arrived.

        Returns:
            One transcript per segment, in order.

        Raises:
            ServerError: the model failed.
        """
        if segments and self._names_known is not None:
            # After the decodes were begun, so that waiting for names delays none of them.
            await self._names_known()
        wanted = self._options()
        for segment in segments:
            part = self._parts[segment]
            # A committed text may have been sent, so its options can no longer change.
            if part.options != wanted and not part.committed:
                part.options = wanted
                self._restart(part)
            self._promote(part)
        for segment in segments:
            await self._text(self._parts[segment])
            self._learn_language(self._parts[segment])
        self._correct_languages()
        texts = []
        for segment in segments:
            part = self._parts[segment]
            texts.append(text := await self._text(part))
            if not part.committed:
                part.committed = True
                self._on_committed(text)
        return texts

    def _correct_languages(self) -> None:
        """Decode segments of doubtful language again, in the confidently detected language."""
        for part in self._parts.values():
            if self._language is not None and self._doubtful(part):
                part.corrected_language = self._language
                self._restart(part)

    def _doubtful(self, part: _Part) -> bool:
        """Return whether a part may have been decoded in the wrong language."""
        if part.committed or part.options.language or part.corrected_language:
            return False
        text = part.transcript
        if text is None or not text.text:
            return False
        return part.language is None and text.language != self._language

    def _learn_language(self, part: _Part) -> None:
        """Keep the language of the longest part with a confidently detected language."""
        seconds = part.segment.speech_seconds
        if part.language is not None and seconds > self._language_seconds:
            self._language, self._language_seconds = part.language, seconds

    def was_guessed(self, segment: Segment) -> bool:
        """Return whether the decode of this segment began as a guess and was kept."""
        part = self._parts.get(segment)
        return part is not None and part.was_guess

    async def _text(self, part: _Part) -> Transcript:
        assert part.task is not None
        text = await part.task
        if text is None:  # it failed as a guess; if it fails again, the answer fails
            text = await self._submit(part)
            # Not a new task: if that failed, the task group would cancel the answer before its
            # failure is recorded.
            part.task = asyncio.get_running_loop().create_future()
            part.task.set_result(text)
        return text

    def _start(self, part: _Part) -> None:
        part.job = None
        part.task = self._tasks.create_task(self._decode(part))

    def _close(self, part: _Part) -> None:
        part.closed = True
        self._finish_quick(part)

    def _finish_quick(self, part: _Part) -> None:
        """Decode a part in full if the first pass found its text doubtful, and there is time."""
        if part.is_provisional:
            late = part.transcript is not None and self._is_late(part, part.transcript)
            part.quick = False
            if late:
                return
            self._restart(part)
            part.was_guess = part.guess

    def _is_late(self, part: _Part, text: Transcript) -> bool:
        """Return whether another decode of a doubtful text would delay the answer too much.

        It has two passes, and the one so far had one.
        """
        return not part.closed and not text.unusable and 2 * part.seconds > self._time_left()

    def _restart(self, part: _Part) -> None:
        if part.task is not None:
            part.task.cancel()
        part.was_guess = False
        self._start(part)

    def _promote(self, part: _Part) -> None:
        """Turn a guess into a final decode, with all parts before it, which are decoded first."""
        while True:
            part.guess = False
            if part.job is not None and part.job.guess and self._worker.is_waiting(part.job):
                part.quick = False
                self._restart(part)  # a final decode goes before all guesses in the queue
            self._finish_quick(part)
            if part.previous is None or part.previous.committed:
                return
            part = part.previous

    async def _decode(self, part: _Part) -> Transcript | None:
        text: Transcript | None = None
        try:
            while len(before := self._undone_before(part)) >= self._abreast:
                await asyncio.wait(before, return_when=asyncio.FIRST_COMPLETED)
            text = await self._submit(part)
            if part.quick and text.provisional and self._is_late(part, text):
                part.quick, text = False, replace(text, provisional=False)
            if part.quick and text.provisional and (part.closed or not part.guess):
                part.quick = False
                text = await self._submit(part)
        except Hung:
            raise  # a retry could hang the reloaded model as well
        except ServerError as error:
            _LOGGER.debug("%s: a decode failed: %s", self._principal.name, error)
        # Reported even if a long silence has closed the segment: that silence may end the turn.
        if self._parts.get(part.segment) is part:
            self._on_decoded(part.segment, text)
        # Deferred until this task is done, because _commit() reads the task's result.
        asyncio.get_running_loop().call_soon(self._commit)
        return text

    def _undone_before(self, part: _Part) -> list[asyncio.Future[Transcript | None]]:
        """Return the decodes of the segments before one that are not done."""
        undone = []
        while part.previous is not None and not part.previous.committed:
            part = part.previous
            if part.task is not None and not part.task.done():
                undone.append(part.task)
        return undone

    async def _submit(self, part: _Part) -> Transcript:
        segment, options = part.segment, part.options
        if self._kind is not DecodeKind.FILE:  # a file's text must not depend on its speed
            segment = self._as_of_now(segment)
        prefix, language = self._committed(part.segment)
        if options.language is None:
            if not prefix:
                language = part.corrected_language or self._language
            options = replace(options, language=language)
        job = part.job = Job(
            self._recording.samples(segment.start, segment.end),
            options,
            certain_speech=segment.certain_speech,
            speech_peak=segment.peak,
            speech=segment.speech_samples,
            kind=DecodeKind.GUESS if part.guess else self._kind,
            quick=part.quick and part.guess and not part.closed,
            answer_within=math.inf if part.closed else max(0.0, self._time_left()),
            prefix=prefix,
            score_end=self._score_end(),
            leading_silence=segment.leading_silence,
            tenant=self._principal.tenant,
            owner=self._principal.key,
            earlier_seconds=segment.earlier_seconds,
            utterance_began=self._began,
        )
        if self.client_left and not self._worker.can_begin(job):
            raise asyncio.CancelledError  # other clients wait, and this one may not read the text
        self.begun += 1
        clock = asyncio.get_running_loop().time
        began = clock()
        try:
            text = await self._worker.submit(job)
            part.seconds = clock() - began - text.queued
            return text
        finally:
            if part.job is job:
                part.job = None  # it holds the audio

    def _commit(self) -> None:
        for part in self._parts.values():
            self._learn_language(part)
        if any(map(self._doubtful, self._parts.values())):
            self._correct_languages()
        for part in self._parts.values():
            text = part.transcript
            if not part.closed or text is None or part.is_provisional or self._doubtful(part):
                return
            if not part.committed:
                part.committed = True
                self._on_committed(text)
