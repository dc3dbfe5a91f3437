"""The decodes of one utterance: guesses, closed segments, and what is missing at the end.

One at a time, in the order of speech: a long dictation may not fill the queue. A language that
was detected with certainty in enough speech holds for the segments after it, and at the end for
short ones before it: "Hm" and "Okay" are said in every language.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ..audio.recording import Recording
from ..engine.protocol import DecodeOptions, Job, Transcript
from ..engine.queue import Worker
from ..errors import Hung, ServerError
from ..speech.segmenter import Segment

_LOGGER = logging.getLogger(__name__)

# A detected language holds for other segments if it was detected in so much speech, in seconds,
# and with that probability.
_ENOUGH_SPEECH = 1.5
_ENOUGH_PROBABILITY = 0.5


@dataclass(slots=True, eq=False)
class _Part:
    """One segment and its decode."""

    segment: Segment
    options: DecodeOptions  # as they were asked for when it was begun
    guess: bool  # nobody waits for it yet
    previous: _Part | None  # is decoded first
    task: asyncio.Future[Transcript | None] | None = None  # None: it failed
    job: Job | None = None  # once it was its turn
    quick: bool = False  # a first pass will do as long as nobody waits and more may come
    was_guess: bool = False  # begun before anybody waited for it
    closed: bool = False  # no more can come to it
    committed: bool = False
    corrected_language: str | None = (
        None  # language, where the one that was detected was doubtful
    )

    @property
    def transcript(self) -> Transcript | None:
        """What it says, if that is known."""
        task = self.task
        if task is None or not task.done() or task.cancelled() or task.exception():
            return None
        return task.result()

    @property
    def is_provisional(self) -> bool:
        """True where a first pass doubts its text, and no second one was made."""
        return self.quick and self.transcript is not None and self.transcript.provisional

    @property
    def language(self) -> str | None:
        """The language that was detected, if it was detected with certainty."""
        text = self.transcript
        if text is None or not text.text or self.segment.speech_seconds < _ENOUGH_SPEECH:
            return None
        return text.language if text.language_probability >= _ENOUGH_PROBABILITY else None


class Decodes:
    """Begins, drops and awaits the decodes of one recording.

    Args:
        options: how to decode; may change while the utterance runs.
        on_decoded: is told what every decode of the last segment so far says; None: it failed.
        on_committed: is told the text of every segment, in order, once no more can come to it.
        score_end: ask also how the end of what was said looked to the decoder.
        committed: the text with which the decode of a segment has to begin, and its language.
    """

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
        score_end: bool,
        name: str,
    ) -> None:
        self.begun = 0  # decodes
        self.client_left = False  # the client has left: go on only while nobody waits
        self._worker = worker
        self._tasks = tasks
        self._recording = recording
        self._options = options
        self._on_decoded = on_decoded
        self._on_committed = on_committed
        self._committed = committed
        self._score_end = score_end
        self._name = name
        self._parts: dict[Segment, _Part] = {}  # in the order of speech
        self._language: str | None = None  # that was detected with certainty
        self._language_seconds = 0.0  # of speech in which it was

    def __repr__(self) -> str:
        return f"<Decoding {len(self._parts)} segments, {self.begun} decodes begun>"

    @property
    def busy(self) -> bool:
        """Some text is still on its way."""
        return any(part.task and not part.task.done() for part in self._parts.values())

    @property
    def is_queued(self) -> bool:
        """What would be decoded next has not reached the model, and cannot at once."""
        for part in self._parts.values():
            if part.task is not None and not part.task.done():
                if part.job is not None:
                    return self._worker.is_waiting(part.job)
                return not self._worker.idle
        return not self._parts and not self._worker.idle

    def committed_before(self, segment: Segment) -> bool:
        """The text of all that was said before a segment is certain."""
        return all(
            part.committed for part in self._parts.values() if part.segment.start < segment.start
        )

    def begin(self, segment: Segment, *, guess: bool, quick: bool = False) -> None:
        """Decode a segment, which follows those that were begun before.

        Args:
            guess: nobody waits for it yet. Begin it again without, once somebody does.
            quick: a first pass will do until the segment is closed or somebody waits.
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
        """Withdraw a decode: there is more to the segment."""
        part = self._parts.pop(segment, None)
        if part is not None and part.task is not None:
            part.task.cancel()

    def close(self, segment: Segment) -> None:
        """Nothing more can come to a segment."""
        part = self._parts.get(segment)
        if part is not None:
            self._close(part)
            self._commit()

    def drop_all(self) -> None:
        """Withdraw everything."""
        for segment in list(self._parts):
            self.drop(segment)

    async def answer(self, segments: Sequence[Segment]) -> list[Transcript]:
        """Return the text of each segment; all of them have been begun.

        Raises:
            ServerError: the model failed.
        """
        wanted = self._options()
        for segment in segments:
            part = self._parts[segment]
            # What is sent already cannot be decoded in another way any more.
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
        """Decode segments again whose language was a guess, in the one that is certain."""
        for part in self._parts.values():
            if self._language is not None and self._doubtful(part):
                part.corrected_language = self._language
                self._restart(part)

    def _doubtful(self, part: _Part) -> bool:
        """True where a part was decoded in a language that may not be the one that is spoken."""
        if part.committed or part.options.language or part.corrected_language:
            return False
        text = part.transcript
        if text is None or not text.text:
            return False
        return part.language is None and text.language != self._language

    def _learn_language(self, part: _Part) -> None:
        """Keep the language of the longest part in which it was detected with certainty."""
        seconds = part.segment.speech_seconds
        if part.language is not None and seconds > self._language_seconds:
            self._language, self._language_seconds = part.language, seconds

    def was_guessed(self, segment: Segment) -> bool:
        """The text of this segment was begun before anybody waited for it."""
        part = self._parts.get(segment)
        return part is not None and part.was_guess

    async def _text(self, part: _Part) -> Transcript:
        assert part.task is not None
        text = await part.task
        if text is None:  # a guess that fails is forgotten, what somebody waits for is not
            text = await self._submit(part)
            # Not a task of its own: one that fails would cancel the answer before it is recorded.
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
        """Decode in full what a first pass doubts: its text is needed now."""
        if part.is_provisional:
            part.quick = False
            self._restart(part)
            part.was_guess = part.guess

    def _restart(self, part: _Part) -> None:
        if part.task is not None:
            part.task.cancel()
        part.was_guess = False
        self._start(part)

    def _promote(self, part: _Part) -> None:
        """Somebody waits for a part, and so for all before it."""
        while True:
            part.guess = False
            if part.job is not None and part.job.guess and self._worker.is_waiting(part.job):
                part.quick = False
                self._restart(part)  # in front of the guesses
            self._finish_quick(part)
            if part.previous is None:
                return
            part = part.previous

    async def _decode(self, part: _Part) -> Transcript | None:
        text: Transcript | None = None
        try:
            if part.previous is not None and part.previous.task is not None:
                await asyncio.wait([part.previous.task])
            text = await self._submit(part)
            if part.quick and text.provisional and (part.closed or not part.guess):
                part.quick = False
                text = await self._submit(part)
        except Hung:
            raise  # another try could cost the next model as well
        except ServerError as error:
            _LOGGER.debug("%s: a decode failed: %s", self._name, error)
        # Also of one that a long silence has closed by now: that silence may end the turn.
        if self._parts.get(part.segment) is part:
            self._on_decoded(part.segment, text)
        # After this task is done, for its text is asked for.
        asyncio.get_running_loop().call_soon(self._commit)
        return text

    async def _submit(self, part: _Part) -> Transcript:
        if self.client_left and not self._worker.idle:
            raise asyncio.CancelledError  # others wait, and this may be for nobody
        segment, options = part.segment, part.options
        prefix, language = self._committed(segment)
        if options.language is None:
            if not prefix:
                language = part.corrected_language or self._language
            options = replace(options, language=language)
        part.job = Job(
            self._recording.samples(segment.start, segment.end),
            options,
            certain_speech=segment.certain_speech,
            speech=segment.speech_samples,
            guess=part.guess,
            quick=part.quick and part.guess and not part.closed,
            prefix=prefix,
            score_end=part.guess and self._score_end,
            leading_silence=segment.leading_silence,
            owner=self._recording,
        )
        self.begun += 1
        return await self._worker.submit(part.job)

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
