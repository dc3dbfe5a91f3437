"""One turn: an utterance from its first sample to its answer.

Sound goes to Hearing, what it hears to the Utterance, and what that decides is
performed here: decodes by Decoding, text that is certain by Partials.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from ..audio.pcm import SAMPLE_RATE, PcmFormat
from ..engine.protocol import DecodeOptions, Transcript
from ..engine.queue import Worker
from ..engine.remote.protocol import Relay, Upstreams
from ..speech import utterance
from ..speech.endpointing import EndOfTurn, EndReason, TurnRules
from ..speech.hysteresis import WINDOW, Probabilities, windows
from ..speech.live_stream import LiveStream
from ..speech.prosody import Prosody, measure_prosody
from ..speech.segmenter import Segment, SpeechRules
from ..speech.turn_classifier import classify_end_of_turn
from ..speech.utterance import Action, AnnounceSpeech, Close, Decode, Drop, EndTurn, Utterance
from ..speech.vad import SpeechDetector
from .audio_input import AudioInput, AudioMemory
from .decodes import Decodes
from .event_loop_lag import EventLoopLag
from .events import (
    Answer,
    Notice,
    PartialText,
    SpeechStarted,
    SpeechStopped,
    TranscriptStarted,
    TranscriptStopped,
)
from .partials import Partials
from .record import Observer, UtteranceRecord
from .request import Offer, Request
from .text import GrowingText

_LOGGER = logging.getLogger(__name__)

_USUAL_SILENCE = 0.7  # seconds that Home Assistant waits; a slower decode is no use as a guess
_AFTER_STOP = 0.25  # seconds that an upstream has at least, however long the silence was
# Seconds for which sound may gather:
_READ_DELAY = 0.02  # where audio-stop would have to wait for it
_READ_DELAY_DECODING = 0.05  # where it has to wait for a decode
_READ_DELAY_SPEAKING = 0.1  # where somebody speaks; longer ones save little more


class NameSource(Protocol):
    """Where the names of a home come from."""

    def refresh(self) -> None:
        """Somebody begins to speak."""
        ...

    async def wait(self) -> object:
        """Give the first fetch a bounded chance."""
        ...


@dataclass(frozen=True, slots=True)
class SessionContext:
    """What all sessions have in common."""

    worker: Worker
    vad: Callable[[], Awaitable[SpeechDetector]]  # may have to wait for the model
    offer: Offer  # models and options to choose from
    names: NameSource | None = None  # asked for while people speak
    rules: SpeechRules = field(default_factory=SpeechRules)
    turns: TurnRules = field(default_factory=TurnRules)
    guess_after: float = 0.0  # seconds of silence after which to guess; 0 = never
    partials: str = "off"  # text before the answer: off; auto, while the model is idle; on
    style: Callable[[str], str] = str  # the last word on each piece of text before it goes out
    one_sentence: bool = False  # an utterance is one order: no period parts what pauses do
    upstreams: Upstreams | None = None  # servers that are asked first
    max_seconds: float = 600.0  # of one utterance
    memory: AudioMemory = field(default_factory=AudioMemory)
    observe: Observer = lambda _: None  # is told of every answer, in the event loop
    count_lost: Callable[[str], None] = lambda _: (
        None
    )  # of one that "failed", or whose client "left"
    count_error: Callable[[str], None] = lambda _: (
        None
    )  # of every error that a client is sent: its code


class Turn:
    """One utterance as it is heard, decoded and answered.

    Args:
        tasks: decodes run in it.
        request: may be replaced while the turn goes on.
        warned: what the client was warned of already.
        notify: hands a notice to the client; at once, without waiting.
        on_end: the turn is over by itself, and to be answered.
        name: of the client, for the log.
    """

    def __init__(
        self,
        shared: SessionContext,
        tasks: asyncio.TaskGroup,
        pcm: PcmFormat,
        request: Request,
        *,
        warned: set[str],
        notify: Callable[[Notice], None],
        on_end: Callable[[Turn, EndReason], None],
        name: str,
    ) -> None:
        self._shared = shared
        self._warned = warned
        self._notify = notify
        self._on_end = on_end
        self._name = name
        self._clock = asyncio.get_running_loop().time
        self._last_speech: float | None = None  # when the last speech came, by the clock
        self._last_windows = self._clock()  # when windows came last
        self._ended_at = self._last_windows  # when the turn was over
        self._speech_announced = False  # SpeechStarted went out
        self._transcript_started = False  # TranscriptStarted went out
        self._live_stream = LiveStream()
        self._event_loop_lag = EventLoopLag()
        self._utterance = Utterance(shared.rules, guess_after=0)
        self._audio_input = AudioInput(
            pcm,
            memory=shared.memory,
            vad=shared.vad,
            tasks=tasks,
            on_probabilities=self._on_probabilities,
        )
        self._partials = Partials(
            shared.worker,
            tasks,
            self._audio_input.recording,
            options=self._options,
            text=GrowingText(shared.style, one_sentence=shared.one_sentence),
            enabled=shared.partials != "off",
            eager=shared.partials == "on",
            on_partial=self._send_partial,
        )
        self._decodes = Decodes(
            shared.worker,
            tasks,
            self._audio_input.recording,
            options=self._options,
            on_decoded=self._on_decoded,
            on_committed=self._commit,
            committed=self._partials.committed,
            score_end=shared.turns.auto,
            name=name,
        )
        self.request = request
        self._text_committed = False  # there is text of ours that cannot be taken back
        self._held: dict[Segment, None] = {}  # not decoded, as an upstream does that
        self._relay: Relay | None = None
        if shared.upstreams is not None and not request.relayed:
            self._relay = shared.upstreams.relay(
                self._audio_input.recording, request.hotwords, self._options().language, tasks
            )

    @property
    def seconds(self) -> float:
        """Of sound, so far."""
        return self._audio_input.recording.seconds

    @property
    def read_delay(self) -> float:
        """Seconds for which sound may gather before it is heard: to wake up is the dear part."""
        utterance = self._utterance
        if not self._live_stream.is_live:
            return _READ_DELAY
        if not utterance.in_pause:  # a pause is noticed before it is long enough for a guess
            pause = utterance.guess_after * WINDOW / SAMPLE_RATE
            return (
                min(_READ_DELAY_SPEAKING, pause - _READ_DELAY) if pause else _READ_DELAY_SPEAKING
            )
        # Whatever comes while a guess is decoded waits for that anyway, unless it ends the turn.
        return (
            _READ_DELAY_DECODING
            if self._decodes.busy and not self._server_endpointing
            else _READ_DELAY
        )

    @property
    def is_queued(self) -> bool:
        """What it needs for an answer has not reached the model, and cannot at once."""
        return self._decodes.is_queued

    @property
    def request(self) -> Request:
        return self._request

    @request.setter
    def request(self, request: Request) -> None:
        self._request = request
        turns, sensitivity = self._shared.turns, request.vad_sensitivity
        self._server_endpointing = turns.server_endpointing(sensitivity)
        self._utterance.guess_after = windows(self._shared.guess_after)
        self._utterance.endpointing = turns.endpointing(sensitivity)

    def audio(self, pcm: PcmFormat, data: bytes) -> None:
        """Take more sound.

        Raises:
            AudioError: the format changes again and again.
            Busy: the memory for sound is used up.
        """
        self._live_stream.chunk(pcm, len(data), self._clock(), self._event_loop_lag.seconds)
        self._audio_input.feed(pcm, data)
        if self._relay is not None:
            self._relay.more()

    def client_left(self) -> None:
        """The client has gone; it may still read."""
        self._decodes.client_left = True

    def close(self) -> None:
        """Give back all that the turn holds."""
        self._event_loop_lag.stop()
        self._partials.cancel()
        self._decodes.drop_all()
        if self._relay is not None:
            self._relay.drop()
        self._audio_input.close()

    def stop(self) -> None:
        """Take no more sound."""
        self._event_loop_lag.stop()
        self._ended_at = self._clock()
        self._audio_input.stop()
        if self._relay is not None:
            self._relay.stop()

    async def answer(self, why: EndReason) -> Answer:
        """Decode what is missing, and say what was said.

        Raises:
            ServerError: the model failed.
        """
        await self._audio_input.drain()
        parts: tuple[Segment, ...] = ()
        for action in self._utterance.stop(len(self._audio_input.recording)):
            if isinstance(action, utterance.Finalize):
                parts = action.segments
            elif isinstance(action, Decode):
                self._held[action.segment] = None
            else:
                self._perform(action)
        if self._speech_announced:
            self._notify(SpeechStopped(self._utterance.speech_end))
        self._partials.cancel()
        relayed = await self._ask_upstream() if parts else None
        if relayed is not None:
            texts = [relayed]
            self._partials.commit(relayed)
        else:
            for segment in parts:
                if segment in self._held:
                    self._decodes.begin(segment, guess=False)
            if parts and self._shared.names is not None:
                # Behind the decode, which is not lost where no names come.
                await self._shared.names.wait()
            texts = await self._decodes.answer(parts)
        language = texts[-1].language if texts else self._options().language
        self._start_transcript(language)
        answer = Answer(Transcript(self._partials.end(), language), self.request.context)
        self._record(why, parts, texts, answer.transcript, self._upstream(relayed))
        return answer

    def answered(self) -> None:
        """The answer has gone out."""
        if self._transcript_started:
            self._notify(TranscriptStopped())

    @property
    def _relayed(self) -> bool:
        """An upstream is decoding it; we need not, yet."""
        return self._relay is not None and self._relay.alive

    async def _ask_upstream(self) -> Transcript | None:
        """The upstream's text, if it comes in time and ours has not gone out."""
        upstreams = self._shared.upstreams
        if self._relay is None or upstreams is None or self._text_committed:
            return None
        spoke = self._ended_at if self._last_speech is None else self._last_speech
        due = max(spoke + upstreams.timeout, self._ended_at + _AFTER_STOP)
        return await self._relay.answer(max(0.0, due - self._clock()))

    def _upstream(self, relayed: Transcript | None) -> str:
        if relayed is not None:
            return "used"
        if self._relay is not None:
            return "late" if self._relay.late else "away"
        asks = self._shared.upstreams is not None and not self.request.relayed
        return "away" if asks else ""

    def _commit(self, text: Transcript) -> None:
        self._text_committed = True
        self._partials.commit(text)

    def _options(self) -> DecodeOptions:
        return self._shared.offer.accept(self.request, self._name, self._warned)

    def _on_probabilities(self, probabilities: Probabilities) -> None:
        worker, utterance = self._shared.worker, self._utterance
        actions = utterance.feed(
            probabilities.tolist(),
            # A guess must not make anybody wait, and must be ready when the silence is over.
            # While an upstream decodes, ours begins only when that is late.
            may_guess=worker.idle
            and worker.decode_seconds <= _USUAL_SILENCE
            and not self._relayed,
            may_end=self._server_endpointing or self._live_stream.is_live,
        )
        now = self._clock()
        silent = utterance.samples / SAMPLE_RATE - utterance.speech_end
        if silent * SAMPLE_RATE < len(probabilities) * WINDOW:
            # The last speech came with the sound that came since the last look.
            self._last_speech = max(self._last_windows, now - silent)
        self._last_windows = now
        self._perform(*actions)
        if utterance.speaking and not self._relayed:
            self._partials.decode_if_due(self._open_segment)

    def _open_segment(self) -> Segment | None:
        """What is being said, once all before it is certain: text goes out in order."""
        segment = self._utterance.open_segment()
        if segment is None or not self._decodes.committed_before(segment):
            return None
        held = any(one.start < segment.start for one in self._held)
        return None if held else segment

    def _perform(self, *actions: Action) -> None:
        wanted = any(isinstance(action, Decode) and not action.guess for action in actions)
        hold = self._relayed and not wanted
        for action in actions:
            match action:
                case Decode(segment=segment) if hold:
                    self._held[segment] = None
                case Decode(segment=segment, guess=guess, quick=quick):
                    self._partials.cancel()
                    self._begin_held(before=segment)
                    self._decodes.begin(segment, guess=guess, quick=quick)
                case Drop(segment=segment) if segment in self._held:
                    del self._held[segment]
                case Drop(segment=segment):
                    self._decodes.drop(segment)
                case Close(segment=segment):
                    self._decodes.close(segment)
                case AnnounceSpeech(seconds=seconds) if self._server_endpointing:
                    self._speech_announced = True
                    self._notify(SpeechStarted(seconds))
                case EndTurn(reason=why):
                    self._on_end(self, why)

    def _begin_held(self, before: Segment) -> None:
        for segment in [one for one in self._held if one.start < before.start]:
            del self._held[segment]
            self._decodes.begin(segment, guess=True)

    def _on_decoded(self, segment: Segment, text: Transcript | None) -> None:
        if text is None:
            end_of_turn = EndOfTurn.FAILED
        else:
            end_of_turn = classify_end_of_turn(
                text.text, text.end_scores, partial(self._prosody, segment)
            )
        provisional = text is not None and text.provisional
        self._perform(*self._utterance.decoded(segment, end_of_turn, provisional=provisional))

    def _prosody(self, segment: Segment) -> Prosody:
        samples = self._audio_input.recording.samples(segment.start, segment.end)
        return measure_prosody(samples, segment.speech_end)

    def _send_partial(self, piece: str) -> None:
        if self._shared.partials != "off":
            self._start_transcript(self._options().language)
            self._notify(PartialText(piece))

    def _start_transcript(self, language: str | None) -> None:
        if not self._transcript_started and self._shared.partials != "off":
            self._transcript_started = True
            self._notify(TranscriptStarted(language, self.request.context))

    def _record(
        self,
        why: EndReason,
        parts: tuple[Segment, ...],
        texts: list[Transcript],
        transcript: Transcript,
        upstream: str,
    ) -> None:
        guess = "dropped" if self._utterance.dropped_guesses else "none"
        if parts and self._decodes.was_guessed(parts[-1]):
            guess = "used"
        now = self._clock()
        waited = None if self._last_speech is None or not parts else now - self._last_speech
        self._shared.observe(
            UtteranceRecord(
                client=self._name,
                ended=why.value,
                heard=self.seconds,
                wait=waited,
                after_stop=now - self._ended_at if why is EndReason.STOPPED else None,
                queued=max((text.queued for text in texts), default=0.0),
                decodes=self._decodes.begun + self._partials.begun,
                guess=guess,
                upstream=upstream,
                verdict=texts[-1].verdict if texts else "silence",
                model=self._options().model,
                language=transcript.language,
                text=transcript.text,
            )
        )
