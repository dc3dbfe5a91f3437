"""End-of-turn class of the last decoded text: it sets the silence that ends the turn."""

from __future__ import annotations

import asyncio
from typing import Protocol

from ..audio.recording import Recording
from ..engine.protocol import Transcript
from ..speech.endpointing import EndOfTurn
from ..speech.prosody import measure_prosody
from ..speech.segmenter import Segment
from ..speech.turn_classifier import EndOfTextScores, TurnClassifier, classify_text


class OnClassified(Protocol):
    """Called with the class of the text of a segment."""

    def __call__(
        self, segment: Segment, end_of_turn: EndOfTurn, *, provisional: bool
    ) -> None: ...


class EndOfTurnClassification:
    """Classifies the texts of one turn, the last one only. Lives on the event loop.

    Args:
        tasks: task group in which a text with scores is classified.
        recording: audio of the turn.
        on_classified: called with each class, at once or later.
    """

    def __init__(
        self, tasks: asyncio.TaskGroup, recording: Recording, on_classified: OnClassified
    ) -> None:
        self._tasks = tasks
        self._recording = recording
        self._on_classified = on_classified
        self._running: asyncio.Task[None] | None = None  # waits for a thread

    def classify(self, segment: Segment, text: Transcript | None) -> None:
        """Classify the text of a segment, instead of an earlier one.

        Args:
            text: None if the decode failed.
        """
        self.cancel()
        if text is None:
            self._on_classified(segment, EndOfTurn.FAILED, provisional=False)
        elif not text.text or text.end_scores is None or text.turn_classifier is None:
            found = classify_text(text.text)
            self._on_classified(segment, found, provisional=text.provisional)
        else:
            self._running = self._tasks.create_task(
                self._with_prosody(
                    segment, text.turn_classifier, text.end_scores, provisional=text.provisional
                )
            )

    def cancel(self) -> None:
        """Classify no more: the text has been decoded again, or the turn is over."""
        if self._running is not None:
            self._running.cancel()

    async def _with_prosody(
        self,
        segment: Segment,
        classifier: TurnClassifier,
        scores: EndOfTextScores,
        *,
        provisional: bool,
    ) -> None:
        samples = self._recording.samples(segment.start, segment.end)
        # In a thread: it takes milliseconds.
        prosody = await asyncio.to_thread(measure_prosody, samples, segment.speech_end)
        found = classifier.classify(scores, prosody)
        self._on_classified(segment, found, provisional=provisional)
