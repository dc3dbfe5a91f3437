"""One turn: an utterance from its first sample to its answer.

Sound goes to Hearing, what it hears to the Utterance, and what that decides is
performed here: decodes by Decoding, text that is certain by Partials.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from ..audio.pcm import SAMPLE_RATE, PcmFormat
from ..engine.protocol import DecodeOptions, Transcript
from ..engine.queue import Worker
from ..engine.remote.protocol import Relay, Upstreams
from ..speech import utterance
from ..speech.endpointing import EndOfTurn, EndReason, TurnRules
from ..speech.hysteresis import WINDOW, Probabilities, windows
from ..speech.live_stream import Pace
from ..speech.prosody import measure_prosody
from ..speech.segmenter import Segment, SpeechRules
from ..speech.turn_classifier import classify_end_of_turn
from ..speech.utterance import Action, AnnounceSpeech, Close, Decode, Drop, EndTurn, Utterance
from .audio_input import Hearing, Memory, SpeechDetector
from .decodes import Decoding
from .event_loop_lag import Lateness
from .events import (
    Answer,
    Notice,
    TextPiece,
    TextStarted,
    TextStopped,
    VoiceStarted,
    VoiceStopped,
)
from .partials import Partials
from .record import Observer, UtteranceRecord
from .request import Offer, Request
from .text import GrowingText

_LOGGER = logging.getLogger(__name__)

_USUAL_SILENCE = 0.7  # seconds that Home Assistant waits; a slower decode is no use as a guess
_AFTER_STOP = 0.25  # seconds that an upstream has at least, however long the silence was
# Seconds for which sound may gather:
_REST = 0.02  # where audio-stop would have to wait for it
_LONG_REST = 0.05  # where it has to wait for a decode
_LONGEST_REST = 0.1  # where somebody speaks; longer ones save little more


class Names(Protocol):
    """Where the names of a home come from."""

    def refresh(self) -> None:
        """Somebody begins to speak."""
        ...

    async def wait(self) -> object:
        """Give the first fetch a bounded chance."""
        ...


@dataclass(frozen=True, slots=True)
class Shared:
    """What all sessions have in common."""

    worker: Worker
    vad: Callable[[], Awaitable[SpeechDetector]]  # may have to wait for the model
    offer: Offer  # models and options to choose from
    names: Names | None = None  # asked for while people speak
    rules: SpeechRules = field(default_factory=SpeechRules)
    turns: TurnRules = field(default_factory=TurnRules)
    pause: float = 0.0  # seconds of silence after which to guess; 0 = never
    partials: str = "off"  # text before the answer: off; auto, while the model is idle; on
    style: Callable[[str], str] = str  # the last word on each piece of text before it goes out
    one_sentence: bool = False  # an utterance is one order: no period parts what pauses do
    upstreams: Upstreams | None = None  # servers that are asked first
    max_seconds: float = 600.0  # of one utterance
    memory: Memory = field(default_factory=Memory)
    observe: Observer = lambda _: None  # is told of every answer, in the event loop
    lost: Callable[[str], None] = lambda _: None  # of one that "failed", or whose client "left"
    failed: Callable[[str], None] = lambda _: (
        None
    )  # of every error that a client is sent: its code


class Turn:
    """One utterance as it is heard, decoded and answered.

    Args:
        tasks: decodes run in it.
        request: may be replaced while the turn goes on.
        warned: what the client was warned of already.
        tell: hands a notice to the client; at once, without waiting.
        over: the turn is over by itself, and to be answered.
        name: of the client, for the log.
    """

    def __init__(
        self,
        shared: Shared,
        tasks: asyncio.TaskGroup,
        pcm: PcmFormat,
        request: Request,
        *,
        warned: set[str],
        tell: Callable[[Notice], None],
        over: Callable[[Turn, EndReason], None],
        name: str,
    ) -> None:
        self._shared = shared
        self._warned = warned
        self._tell = tell
        self._over = over
        self._name = name
        self._clock = asyncio.get_running_loop().time
        self._spoke: float | None = None  # when the last speech came, by the clock
        self._looked = self._clock()  # when windows came last
        self._stopped = self._looked  # when the turn was over
        self._started = False  # VoiceStarted went out
        self._texts = False  # TextStarted went out
        self._pace = Pace()
        self._lateness = Lateness()
        self._utterance = Utterance(shared.rules, guess_after=0)
        self._hearing = Hearing(
            pcm, memory=shared.memory, vad=shared.vad, tasks=tasks, judged=self._listen
        )
        self._partials = Partials(
            shared.worker,
            tasks,
            self._hearing.recording,
            wanted=self._options,
            text=GrowingText(shared.style, one_sentence=shared.one_sentence),
            look=shared.partials != "off",
            eager=shared.partials == "on",
            tell=self._tell_piece,
        )
        self._decoding = Decoding(
            shared.worker,
            tasks,
            self._hearing.recording,
            wanted=self._options,
            read=self._read,
            certain=self._certain,
            said=self._partials.said,
            score_end=shared.turns.auto,
            name=name,
        )
        self.request = request
        self._certain_text = False  # there is text of ours that cannot be taken back
        self._held: dict[Segment, None] = {}  # not decoded, as an upstream does that
        self._relay: Relay | None = None
        if shared.upstreams is not None and not request.relayed:
            self._relay = shared.upstreams.relay(
                self._hearing.recording, request.names, self._options().language, tasks
            )

    @property
    def seconds(self) -> float:
        """Of sound, so far."""
        return self._hearing.recording.seconds

    @property
    def rest(self) -> float:
        """Seconds for which sound may gather before it is heard: to wake up is the dear part."""
        said = self._utterance
        if not self._pace.live:
            return _REST
        if not said.in_pause:  # a pause is noticed before it is long enough for a guess
            pause = said.guess_after * WINDOW / SAMPLE_RATE
            return min(_LONGEST_REST, pause - _REST) if pause else _LONGEST_REST
        # Whatever comes while a guess is decoded waits for that anyway, unless it ends the turn.
        return _LONG_REST if self._decoding.busy and not self._endpointing else _REST

    @property
    def waiting(self) -> bool:
        """What it needs for an answer has not reached the model, and cannot at once."""
        return self._decoding.waiting

    @property
    def request(self) -> Request:
        return self._request

    @request.setter
    def request(self, request: Request) -> None:
        self._request = request
        turns, sensitivity = self._shared.turns, request.vad_sensitivity
        self._endpointing = turns.server_endpointing(sensitivity)
        self._utterance.guess_after = windows(self._shared.pause)
        self._utterance.endpointing = turns.endpointing(sensitivity)

    def hear(self, pcm: PcmFormat, data: bytes) -> None:
        """Take more sound.

        Raises:
            AudioError: the format changes again and again.
            Busy: the memory for sound is used up.
        """
        self._pace.chunk(pcm, len(data), self._clock(), self._lateness.seconds)
        self._hearing.take(pcm, data)
        if self._relay is not None:
            self._relay.more()

    def leave(self) -> None:
        """The client has gone; it may still read."""
        self._decoding.alone = True

    def forget(self) -> None:
        """Give back all that the turn holds."""
        self._lateness.stop()
        self._partials.pause()
        self._decoding.forget()
        if self._relay is not None:
            self._relay.drop()
        self._hearing.forget()

    def stop(self) -> None:
        """Take no more sound."""
        self._lateness.stop()
        self._stopped = self._clock()
        self._hearing.stop()
        if self._relay is not None:
            self._relay.stop()

    async def answer(self, why: EndReason) -> Answer:
        """Decode what is missing, and say what was said.

        Raises:
            ServerError: the model failed.
        """
        await self._hearing.all_judged()
        parts: tuple[Segment, ...] = ()
        for action in self._utterance.stop(len(self._hearing.recording)):
            if isinstance(action, utterance.Finalize):
                parts = action.segments
            elif isinstance(action, Decode):
                self._held[action.segment] = None
            else:
                self._perform(action)
        if self._started:
            self._tell(VoiceStopped(self._utterance.speech_end))
        self._partials.pause()
        relayed = await self._ask_upstream() if parts else None
        if relayed is not None:
            texts = [relayed]
            self._partials.certain(relayed)
        else:
            for segment in parts:
                if segment in self._held:
                    self._decoding.begin(segment, guess=False)
            if parts and self._shared.names is not None:
                # Behind the decode, which is not lost where no names come.
                await self._shared.names.wait()
            texts = await self._decoding.answer(parts)
        language = texts[-1].language if texts else self._options().language
        self._start_text(language)
        answer = Answer(Transcript(self._partials.end(), language), self.request.context)
        self._record(why, parts, texts, answer.transcript, self._upstream(relayed))
        return answer

    def answered(self) -> None:
        """The answer has gone out."""
        if self._texts:
            self._tell(TextStopped())

    @property
    def _relayed(self) -> bool:
        """An upstream is decoding it; we need not, yet."""
        return self._relay is not None and self._relay.alive

    async def _ask_upstream(self) -> Transcript | None:
        """The upstream's text, if it comes in time and ours has not gone out."""
        upstreams = self._shared.upstreams
        if self._relay is None or upstreams is None or self._certain_text:
            return None
        spoke = self._stopped if self._spoke is None else self._spoke
        due = max(spoke + upstreams.timeout, self._stopped + _AFTER_STOP)
        return await self._relay.answer(max(0.0, due - self._clock()))

    def _upstream(self, relayed: Transcript | None) -> str:
        if relayed is not None:
            return "used"
        if self._relay is not None:
            return "late" if self._relay.late else "away"
        asks = self._shared.upstreams is not None and not self.request.relayed
        return "away" if asks else ""

    def _certain(self, text: Transcript) -> None:
        self._certain_text = True
        self._partials.certain(text)

    def _options(self) -> DecodeOptions:
        return self._shared.offer.accept(self.request, self._name, self._warned)

    def _listen(self, probabilities: Probabilities) -> None:
        worker, said = self._shared.worker, self._utterance
        actions = said.feed(
            probabilities.tolist(),
            # A guess must not make anybody wait, and must be ready when the silence is over.
            # While an upstream decodes, ours begins only when that is late.
            may_guess=worker.idle
            and worker.decode_seconds <= _USUAL_SILENCE
            and not self._relayed,
            may_end=self._endpointing or self._pace.live,
        )
        now = self._clock()
        silent = said.samples / SAMPLE_RATE - said.speech_end
        if silent * SAMPLE_RATE < len(probabilities) * WINDOW:
            # The last speech came with the sound that came since the last look.
            self._spoke = max(self._looked, now - silent)
        self._looked = now
        self._perform(*actions)
        if said.speaking and not self._relayed:
            self._partials.listen(self._open)

    def _open(self) -> Segment | None:
        """What is being said, once all before it is certain: text goes out in order."""
        segment = self._utterance.open_segment()
        if segment is None or not self._decoding.settled(segment):
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
                    self._partials.pause()
                    self._begin_held(before=segment)
                    self._decoding.begin(segment, guess=guess, quick=quick)
                case Drop(segment=segment) if segment in self._held:
                    del self._held[segment]
                case Drop(segment=segment):
                    self._decoding.drop(segment)
                case Close(segment=segment):
                    self._decoding.close(segment)
                case AnnounceSpeech(seconds=seconds) if self._endpointing:
                    self._started = True
                    self._tell(VoiceStarted(seconds))
                case EndTurn(reason=why):
                    self._over(self, why)

    def _begin_held(self, before: Segment) -> None:
        for segment in [one for one in self._held if one.start < before.start]:
            del self._held[segment]
            self._decoding.begin(segment, guess=True)

    def _read(self, segment: Segment, text: Transcript | None) -> None:
        if text is None:
            said = EndOfTurn.FAILED
        else:
            samples = self._hearing.recording.samples(segment.start, segment.end)
            said = classify_end_of_turn(
                text.text, text.end_scores, measure_prosody(samples, segment.speech_end)
            )
        provisional = text is not None and text.provisional
        self._perform(*self._utterance.decoded(segment, said, provisional=provisional))

    def _tell_piece(self, piece: str) -> None:
        if self._shared.partials != "off":
            self._start_text(self._options().language)
            self._tell(TextPiece(piece))

    def _start_text(self, language: str | None) -> None:
        if not self._texts and self._shared.partials != "off":
            self._texts = True
            self._tell(TextStarted(language, self.request.context))

    def _record(
        self,
        why: EndReason,
        parts: tuple[Segment, ...],
        texts: list[Transcript],
        transcript: Transcript,
        upstream: str,
    ) -> None:
        guess = "dropped" if self._utterance.dropped_guesses else "none"
        if parts and self._decoding.guessed(parts[-1]):
            guess = "used"
        now = self._clock()
        waited = None if self._spoke is None or not parts else now - self._spoke
        self._shared.observe(
            UtteranceRecord(
                client=self._name,
                ended=why.value,
                heard=self.seconds,
                wait=waited,
                after_stop=now - self._stopped if why is EndReason.STOPPED else None,
                queued=max((text.queued for text in texts), default=0.0),
                decodes=self._decoding.begun + self._partials.begun,
                guess=guess,
                upstream=upstream,
                verdict=texts[-1].verdict if texts else "silence",
                model=self._options().model,
                language=transcript.language,
                text=transcript.text,
            )
        )
