"""One turn: an utterance from its first sample to its answer, in the states of turn_state.py.

Audio goes to AudioInput, the VAD's speech probabilities to Utterance. Utterance returns actions,
which Turn performs: Decodes runs the decodes, Partials commits and sends the text.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable

from ..audio.pcm import SAMPLE_RATE, PcmFormat
from ..engine.protocol import DecodeKind, DecodeOptions, Transcript
from ..engine.recognizer import is_padded
from ..errors import IllegalTransition
from ..principal import Principal
from ..speech import utterance
from ..speech.endpointing import EndOfTurn, EndReason
from ..speech.foreground import Foreground
from ..speech.hysteresis import WINDOW, Probabilities
from ..speech.live_stream import LiveStream
from ..speech.resumption import Resumption
from ..speech.segmenter import Segment, fill_window
from ..speech.utterance import (
    Action,
    AnnounceSpeech,
    Close,
    Decode,
    Drop,
    EndTurn,
    Utterance,
    UtteranceRules,
)
from .audio_input import AudioInput, StreamRest
from .audio_memory import Budget
from .context import SessionContext
from .decodes import Decodes
from .end_of_turn import EndOfTurnClassification
from .events import (
    Answer,
    Event,
    PartialText,
    SpeechStarted,
    SpeechStopped,
    TranscriptStarted,
    TranscriptStopped,
)
from .partials import Partials
from .record import UtteranceRecord
from .request import Request
from .tenant_offer import offer_for
from .text import GrowingText
from .timing import timed_segments
from .turn_state import TurnState
from .upstream_first import upstream_first

_LOGGER = logging.getLogger(__name__)

# Read-coalescing delays in seconds:
_READ_DELAY = 0.02  # if audio-stop may come at any time: the delay adds to the answer time
_READ_DELAY_DECODING = 0.05  # while a decode runs that the answer has to wait for anyway
_READ_DELAY_SPEAKING = 0.1  # while the speaker speaks; longer delays save little more CPU


# Seconds of audio after which it is checked how much of the recording can be freed: longer than
# a command, and a small part of what a long recording has to hold.
_FREE_EVERY = 16.0
_NOT_FREED = 1.0  # seconds of silence that stay, more than cut() keeps for the next turn


class Turn:
    """One utterance: its audio, its decodes and its answer. Call all methods on the event loop.

    Args:
        shared: what all sessions share.
        tasks: task group in which the decodes run.
        pcm: format in which the audio begins.
        request: the client's request. It may be replaced during the turn.
        partials: whether to send partial text: "off", "auto" or "on".
        warned: kinds of warnings already logged for this client.
        notify: sends an event to the client, without waiting.
        on_end: called when the server ends the turn. The callee must answer it, or close it.
        principal: the client, with its tenant.
        memory: budget for the recording.
        number: of the turn in its session, from 0.
        begin: seconds of the stream before this turn.
        paced: the turn is one of several in a stream, and where the server ends it depends on its
            audio only. Then ready() must be awaited before audio(), and before stop().
    """

    def __init__(
        self,
        shared: SessionContext,
        tasks: asyncio.TaskGroup,
        pcm: PcmFormat,
        request: Request,
        *,
        partials: str,
        warned: set[str],
        notify: Callable[[Event], None],
        on_end: Callable[[Turn, EndReason], None],
        principal: Principal,
        memory: Budget,
        number: int = 0,
        begin: float = 0.0,
        paced: bool = False,
    ) -> None:
        self.number = number
        self.begin = begin
        self._shared = shared
        self._offer = offer_for(shared.offer, principal.tenant)
        # The client does not need the text at once, so it is not decoded speculatively.
        self._waits = shared.kind is DecodeKind.FILE or principal.tenant.batch
        self._is_file = shared.kind is DecodeKind.FILE
        self._paced = paced
        self._sends_partials = partials != "off"
        self._warned = warned
        self._notify = notify
        self._on_end = on_end
        self._principal = principal
        self._state = TurnState.LISTENING
        self._clock = asyncio.get_running_loop().time
        self._last_speech: float | None = None  # time when the last speech arrived
        self._last_windows = self._clock()  # time when the last VAD windows arrived
        self._ended_at = self._last_windows  # time when the turn ended
        self._spoken = False  # there was speech
        self.speech_announced = False  # SpeechStarted has been sent, and SpeechStopped has not
        self._transcript_started = False  # TranscriptStarted has been sent
        self._next_free = _FREE_EVERY  # second of the recording at which audio is freed
        self._live_stream = LiveStream()
        self._event_loop_lag = shared.event_loop_lag
        self._utterance = Utterance(self._rules(request), paced=paced)
        self._resumption = Resumption(threshold=shared.rules.threshold)
        self._foreground = Foreground(threshold=shared.rules.threshold)
        self._held: list[float] = []  # probabilities of windows that the utterance has not taken
        self._none_held = asyncio.Event()
        self._none_held.set()
        self._audio_input = AudioInput(
            pcm,
            memory=memory,
            vad=shared.vad,
            tasks=tasks,
            on_probabilities=self._on_probabilities,
            keep_pace=lambda: decodes.few_pending(),
            preprocess=lambda: self._offer.preprocessor(self._request, principal.name, warned),
            # Not in the later turns of a continuous session, whose audio has no new beginning.
            muted=0 if paced and begin else round(shared.ignore_first * SAMPLE_RATE),
        )
        self._partials = Partials(
            shared.worker,
            tasks,
            self._audio_input.recording,
            options=self._options,
            text=GrowingText(shared.style),
            enabled=partials != "off",
            eager=partials == "on",
            on_partial=self._send_partial,
            principal=principal,
        )
        decodes = Decodes(
            shared.worker,
            tasks,
            self._audio_input.recording,
            options=self._options,
            on_decoded=self._on_decoded,
            on_committed=self._partials.commit,
            committed=self._partials.committed,
            names_known=shared.names.wait
            if shared.names is not None and principal.tenant.home_names
            else None,
            score_end=self._text_may_end_turn,
            principal=principal,
            kind=shared.kind,
            time_left=self._time_left,
            as_of_now=self._utterance.as_of_now,
        )
        self._end_of_turn = EndOfTurnClassification(
            tasks, self._audio_input.recording, self._classified
        )
        self.request = request
        self._decodes = upstream_first(
            shared.upstreams if principal.tenant.relayable else None,
            decodes,
            self._audio_input.recording,
            request,
            self._options().language,
            tasks,
            on_committed=self._partials.commit,
        )
        self._event_loop_lag.start(self)
        if not self._waits:
            shared.worker.command_expected(self)
            if not paced:  # a stream may be silent for hours
                shared.worker.command_spoken(self)

    @property
    def seconds(self) -> float:
        """Length of the audio so far, in seconds."""
        return self._audio_input.recording.seconds

    @property
    def has_begun(self) -> bool:
        """True once there is speech; if only the client ends the turn, once there is audio."""
        return self._utterance.has_speech or not (self._server_endpointing or not self.seconds)

    @property
    def speaking(self) -> bool:
        """True if the last audio was speech."""
        return self._utterance.speaking

    @property
    def settled(self) -> float:
        """Length of the audio that no later decode needs, in seconds."""
        needed = self._utterance.needed_from(self._decodes.committed_until)
        return min(needed / SAMPLE_RATE, self.seconds)

    @property
    def read_delay(self) -> float:
        """Read-coalescing delay in seconds.

        Waking up costs more than processing a 10 ms chunk.
        """
        utterance = self._utterance
        if not self._live_stream.may_be_live:
            return _READ_DELAY
        if not utterance.in_pause:  # short enough to notice a pause before a guess is due
            pause = utterance.guess_after * WINDOW / SAMPLE_RATE
            return (
                min(_READ_DELAY_SPEAKING, pause - _READ_DELAY) if pause else _READ_DELAY_SPEAKING
            )
        # While a guess is decoded, a stop has to wait for it anyway. But where the server ends
        # the turn, the audio itself may end it.
        return (
            _READ_DELAY_DECODING
            if self._decodes.busy and not self._server_endpointing
            else _READ_DELAY
        )

    @property
    def is_queued(self) -> bool:
        """True while the decode this turn needs is still queued."""
        return self._decodes.is_queued

    @property
    def request(self) -> Request:
        return self._request

    @request.setter
    def request(self, request: Request) -> None:
        self._request = request
        model = self._offer.model(request, self._principal.name, self._warned)
        self._continues_text = model.capabilities.continues_prefix
        self._turns = request.endpointing or self._shared.turns
        if not model.capabilities.scores_end:
            self._turns = self._turns.without_scores()
        sensitivity = request.vad_sensitivity
        self._server_endpointing = self._turns.server_endpointing(sensitivity)
        self._utterance.endpointing = self._turns.endpointing(sensitivity)
        options = self._options()
        if spoken := options.language or options.expected_language:
            self._shared.prepare_language(spoken)

    def audio(self, pcm: PcmFormat, data: bytes, chunks: int = 1) -> None:
        """Take more audio.

        Args:
            pcm: format of the data.
            data: PCM bytes.
            chunks: number of chunks of equal size in which they came.

        Raises:
            AudioError: the format is not supported, or changed too often.
            Busy: the memory for audio is used up.
            IllegalTransition: the turn is not LISTENING.
        """
        if self._state is not TurnState.LISTENING:
            raise IllegalTransition(f"audio in {self._state.name}")
        self._live_stream.chunk(
            pcm, len(data), self._clock(), self._event_loop_lag.seconds, chunks
        )
        self._audio_input.feed(pcm, data)
        self._decodes.audio_arrived()

    async def ready(self) -> None:
        """Wait until more audio can be taken: the VAD has processed the audio so far, and no
        decode is pending that decides whether the turn has ended in it.
        """
        await self._audio_input.windows_processed()
        await self._none_held.wait()

    async def caught_up(self) -> None:
        """Wait while much of the audio so far has not been processed."""
        await self._audio_input.caught_up()

    def client_left(self) -> None:
        """Decode from now on only while the model is idle: the client may not read the answer."""
        self._decodes.client_left = True

    def close(self) -> None:
        """Cancel all work and free the audio. The turn must not be used afterwards.

        Raises:
            IllegalTransition: the turn is CLOSED already.
        """
        self._state = self._state.to(TurnState.CLOSED)
        self._event_loop_lag.stop(self)
        if not self._waits:
            self._shared.worker.command_over(self)
        self._partials.cancel()
        self._decodes.drop_all()
        self._end_of_turn.cancel()
        self._audio_input.close()
        self._held.clear()
        self._none_held.set()

    def stop(self) -> None:
        """End the audio of the turn.

        Raises:
            Busy: the memory for audio is used up. The turn stays LISTENING.
            IllegalTransition: the turn is not LISTENING.
        """
        stopped = self._state.to(TurnState.STOPPED)
        self._audio_input.stop()
        self._stopped(stopped)

    def cut(self, keep: float = 0.0) -> StreamRest:
        """End the audio of the turn where the VAD is, and return what follows.

        Args:
            keep: seconds before that point that follow as well.

        Raises:
            IllegalTransition: the turn is not LISTENING.
        """
        stopped = self._state.to(TurnState.STOPPED)
        end = self._utterance.samples - round(keep * SAMPLE_RATE)
        rest = self._audio_input.cut(max(0, end))
        self._stopped(stopped)
        return rest

    def resume(self, rest: StreamRest) -> None:
        """Begin with what follows another turn. Call it before audio()."""
        self._audio_input.resume(rest)

    def _stopped(self, stopped: TurnState) -> None:
        self._shared.count_steps(self._audio_input.steps_used())
        self._event_loop_lag.stop(self)
        self._ended_at = self._clock()
        self._decodes.stop()
        self._state = stopped
        if self._paced:  # the next turn may begin before this one is answered
            self._announce_silence()

    async def answer(self, why: EndReason) -> Answer:
        """Decode the missing segments and return the answer.

        Args:
            why: what ended the turn, for the record.

        Raises:
            ServerError: the model failed.
            IllegalTransition: the turn is not STOPPED.
        """
        self._state = self._state.to(TurnState.ANSWERING)
        await self._audio_input.drain()
        parts: tuple[Segment, ...] = ()
        for action in self._utterance.stop(len(self._audio_input.recording)):
            if isinstance(action, utterance.Finalize):
                parts = action.segments
            else:
                self._perform(action)
        self._announce_silence()
        self._partials.cancel()
        spoke = self._ended_at if self._last_speech is None else self._last_speech
        texts = await self._decodes.answer(parts, speech_ended=spoke)
        language = texts[-1].language if texts else self._options().language
        self._start_transcript(language)
        transcript = Transcript(
            self._partials.end(),
            language,
            language_probability=texts[-1].language_probability if texts else 1.0,
        )
        record = self._record(why, parts, texts, transcript)
        self._shared.observe(record)
        segments = timed_segments(parts, texts, self.begin)
        return Answer(transcript, segments, record, self.request.context, self.number)

    def answered(self) -> None:
        """Notify the client that no more text follows. Call it after sending the answer.

        Raises:
            IllegalTransition: the turn is not ANSWERING.
        """
        self._state = self._state.to(TurnState.ANSWERED)
        if self._transcript_started:
            self._notify(TranscriptStopped(self.number))

    def _rules(self, request: Request) -> UtteranceRules:
        rules, name = self._shared.rules, self._principal.name
        if self._is_file:
            model = self._offer.model(request, name, self._warned)
            options = self._offer.accept(request, name, self._warned)
            if is_padded(model, options):
                rules = fill_window(rules)
        return request.rules(rules)

    def _options(self) -> DecodeOptions:
        return self._offer.accept(self.request, self._principal.name, self._warned)

    def _on_probabilities(self, probabilities: Probabilities) -> None:
        late = 0
        if self._server_endpointing and not self._paced and not self._utterance.has_ended:
            start = self._utterance.samples
            samples = self._audio_input.recording.samples(
                start, start + len(probabilities) * WINDOW
            )
            probabilities = self._resumption.feed(probabilities)
            probabilities, late = self._foreground.feed(samples, probabilities)
        self._held += probabilities.tolist()
        self._take_windows()
        if late:
            self._perform(*self._utterance.take_back(late))
            silent = self._utterance.samples / SAMPLE_RATE - self._utterance.speech_end
            self._last_speech = self._clock() - silent

    def _take_windows(self) -> None:
        """Pass to the utterance the windows that it takes now."""
        utterance, before = self._utterance, self._utterance.samples
        actions: list[Action] = []
        if not utterance.has_ended:
            actions = utterance.feed(
                self._held,
                may_guess=not self._waits and self._decodes.may_guess,
                may_end=self._server_endpointing or self._live_stream.is_live,
            )
        taken = utterance.samples - before
        # Once the turn has ended, the VAD may still be processing audio.
        self._held = [] if utterance.has_ended else self._held[taken // WINDOW :]
        (self._none_held.clear if self._held else self._none_held.set)()
        if not taken:
            return
        now = self._clock()
        silent = utterance.samples / SAMPLE_RATE - utterance.speech_end
        if silent * SAMPLE_RATE < taken:
            # The last speech is in the audio that arrived since the previous call.
            self._last_speech = max(self._last_windows, now - silent)
        self._last_windows = now
        if not self._spoken and utterance.has_speech and not self._waits:
            self._spoken = True
            self._shared.worker.command_spoken(self)
        self._perform(*actions)
        continues = self._continues_text and not self._is_file
        if utterance.speaking and continues and self._decodes.decodes_here:
            self._partials.decode_if_due(self._open_segment)
        if utterance.samples / SAMPLE_RATE >= self._next_free:
            self._free_audio()

    def _free_audio(self) -> None:
        """Free the audio that no decode can need."""
        self._next_free = self._utterance.samples / SAMPLE_RATE + _FREE_EVERY
        if not self._decodes.keeps_recording:
            needed = self._utterance.needed_from(self._decodes.committed_until)
            self._audio_input.free(needed - round(_NOT_FREED * SAMPLE_RATE))

    def _open_segment(self) -> Segment | None:
        """Return the segment being spoken; None until all segments before it are committed.

        Text is sent in order.
        """
        segment = self._utterance.open_segment()
        committed = segment is not None and self._decodes.committed_before(segment)
        return segment if committed else None

    def _perform(self, *actions: Action) -> None:
        for action in actions:
            match action:
                case Decode(segment=segment, guess=guess, quick=quick):
                    self._partials.cancel()
                    speculative = not self._is_file
                    self._decodes.begin(
                        segment, guess=guess and speculative, quick=quick and speculative
                    )
                case Drop(segment=segment):
                    self._decodes.drop(segment)
                case Close(segment=segment):
                    self._decodes.close(segment)
                case AnnounceSpeech(seconds=seconds) if self._server_endpointing:
                    self.speech_announced = True
                    self._notify(SpeechStarted(self.begin + seconds, self.number))
                case EndTurn(reason=why):
                    self._on_end(self, why)

    def _announce_silence(self) -> None:
        if self.speech_announced:
            self.speech_announced = False
            self._notify(SpeechStopped(self.begin + self._utterance.speech_end, self.number))

    def _on_decoded(self, segment: Segment, text: Transcript | None) -> None:
        if self._utterance.awaits(segment):
            self._end_of_turn.classify(segment, text)

    def _text_may_end_turn(self) -> bool:
        """Return whether the end-of-turn class of a text sets the silence that ends the turn."""
        return self._turns.auto and not self._utterance.has_ended

    def _time_left(self) -> float:
        """Return the seconds within which a doubtful text may be decoded again.

        Where the client ends the turn there is no limit: it waits for the best text. In a paced
        turn, text must not depend on the speed of the machine.
        """
        answer_by = self._utterance.endpointing.answer_by
        if not answer_by or self._paced or self._utterance.speaking or self._last_speech is None:
            return math.inf
        return self._last_speech + answer_by - self._clock()

    def _classified(self, segment: Segment, end_of_turn: EndOfTurn, *, provisional: bool) -> None:
        self._perform(*self._utterance.decoded(segment, end_of_turn, provisional=provisional))
        if self._held:
            self._take_windows()

    def _send_partial(self, piece: str) -> None:
        if self._sends_partials:
            self._start_transcript(self._options().language)
            self._notify(PartialText(piece, self.number))

    def _start_transcript(self, language: str | None) -> None:
        if not self._transcript_started and self._sends_partials:
            self._transcript_started = True
            self._notify(TranscriptStarted(language, self.request.context, self.number))

    def _record(
        self,
        why: EndReason,
        parts: tuple[Segment, ...],
        texts: list[Transcript],
        transcript: Transcript,
    ) -> UtteranceRecord:
        guess = "dropped" if self._utterance.dropped_guesses else "none"
        if parts and self._decodes.was_guessed(parts[-1]):
            guess = "used"
        now = self._clock()
        waited = None if self._last_speech is None or not parts else now - self._last_speech
        ended = "end of file" if self._is_file and why is EndReason.STOPPED else why.value
        return UtteranceRecord(
            client=self._principal.name,
            tenant=self._principal.tenant,
            ended=ended,
            heard=self.seconds,
            wait=waited,
            after_stop=now - self._ended_at if why is EndReason.STOPPED else None,
            queued=max((text.queued for text in texts), default=0.0),
            decodes=self._decodes.begun + self._partials.begun,
            guess=guess,
            upstream=self._decodes.upstream,
            verdict=texts[-1].verdict if texts else "silence",
            model=self._options().model,
            language=transcript.language,
            text=transcript.text,
            file=self._is_file,
        )
