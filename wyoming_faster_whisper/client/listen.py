"""The command `listen`: what is said into a microphone, as text.

Everything that happens comes through one queue: sound, a key, the answer, the
microphone's end. One place reads it and decides.

    vad     waits for speech, and ends it when the client hears silence
    server  sends all it hears; the server ends it by answering
    key     sends all it hears until a key is pressed

A key ends an utterance in all three.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np
from wyoming.asr import Transcript

from ..audio.pcm import SAMPLE_RATE, PcmFormat, Samples, to_pcm16
from ..errors import visible
from ..speech.vad import SpeechDetector
from . import plain_screen, screen
from .clips import Spoken
from .connection import Client, ClientError, TranscriptObserver
from .end_of_turn import SilenceEndpointer, SpeakerState
from .keyboard import keys
from .microphone import Microphone
from .options import End, ListenOptions
from .retry import Retry

_LEAD = 0.5  # seconds kept from before the first word: it is noticed when it has begun
_QUIETEST = 60.0  # dB below full scale where the level meter begins
_QUIT = "q\x04"  # and control-D
_BACKLOG = 60.0  # seconds that are kept while the last answer is awaited


class _Answered:
    pass


class _Unplugged:
    pass


@dataclass(frozen=True, slots=True)
class _Key:
    char: str


_Fact = Samples | _Key | _Answered | _Unplugged


async def listen(
    options: ListenOptions,
    client: Client,
    microphone: Microphone,
    new_vad: Callable[[], SpeechDetector],
    retry: Retry,
) -> int:
    """Print what is said.

    Returns:
        How many utterances had text.

    Raises:
        ClientError: there is no server, or no microphone.
    """
    try:
        info = await retry.run(client, client.describe, tell=screen.note)
        if not info.asr:
            raise ClientError("the server has no speech-to-text program; see info")
        end = options.end
        if end is End.AUTO:
            end = End.VAD if info.asr[0].requires_external_vad else End.SERVER
        vad = await asyncio.to_thread(new_vad) if end is End.VAD else None
        facts: asyncio.Queue[_Fact] = asyncio.Queue()
        with keys(lambda char: facts.put_nowait(_Key(char))) as keyboard:
            if end is End.KEY and not keyboard:
                raise ClientError("--end key needs a keyboard; standard input is no terminal")
            hearing = asyncio.create_task(_hear(microphone, facts))
            try:
                with screen.meter(_hint(keyboard, options.loop)) as meter:
                    ear = partial(_Listener, options, client, retry, vad, facts, meter)
                    heard = await _take_turns(ear, loop=options.loop)
                if hearing.done():
                    hearing.result()  # why there is no microphone
                if not heard and not options.loop:
                    screen.note("error: nobody was heard; is this the microphone? see --devices")
            finally:
                hearing.cancel()
                await asyncio.wait([hearing])
    finally:
        await client.close()
    return heard


def _hint(keyboard: bool, loop: bool) -> str:
    if not keyboard:
        return ""
    return "any key ends the utterance, q all of it" if loop else "any key ends it"


async def _take_turns(new_listener: Callable[[], _Listener], *, loop: bool) -> int:
    heard = 0
    while True:
        ear = new_listener()
        if text := await ear.utterance():
            heard += 1
            screen.say(text)
        if ear.last or not loop:
            return heard


async def _hear(microphone: Microphone, facts: asyncio.Queue[_Fact]) -> None:
    try:
        async for block in microphone.blocks():
            # Nobody reads for long only while an answer is late; what is old is dropped.
            if facts.qsize() * max(1, len(block)) < _BACKLOG * SAMPLE_RATE:
                facts.put_nowait(block)
    finally:
        facts.put_nowait(_Unplugged())


class _Listener(TranscriptObserver):
    """One utterance, from the first sound to its text.

    Args:
        vad: what hears its end; None: others say when it is over.
    """

    def __init__(
        self,
        options: ListenOptions,
        client: Client,
        retry: Retry,
        vad: SpeechDetector | None,
        facts: asyncio.Queue[_Fact],
        meter: plain_screen.Meter,
    ) -> None:
        self.last = False  # the microphone is gone, or q was pressed
        self._options = options
        self._client = client
        self._retry = retry
        self._facts = facts
        self._meter = meter
        self._vad = vad.stream() if vad is not None else None
        self._endpointer = SilenceEndpointer(options.silence)
        self._leading_silence: deque[Samples] = deque()
        self._over = False  # nothing of what comes now belongs to it
        self._waited = 0.0  # seconds of sound before the first word
        self._spoken: Spoken | None = None  # from its first word on
        self._answer: asyncio.Task[Transcript] | None = None
        self._text = ""

    def partial(self, text: str) -> None:
        self._text = visible(text)
        self._show(0.0)

    def speech_ended(self) -> None:
        self._end()

    async def utterance(self) -> str:
        """Listen until it is over; return its text, "" where nobody spoke."""
        try:
            while not self._over:
                match await self._facts.get():
                    case _Answered():
                        self._over = self._answer is not None and self._answer.done()
                    case _Unplugged():
                        self.last = True
                        self._end()
                    case _Key(char=char):
                        self.last = self.last or char in _QUIT
                        self._end()
                    case block:
                        self._on_block(block)
            return visible((await self._answer).text) if self._answer else ""
        finally:
            if self._answer is not None:
                self._answer.cancel()
                await asyncio.wait([self._answer])
            if self._vad is None:
                # Some servers that end it themselves would answer the rest of it once more.
                await self._client.close()

    def _on_block(self, block: Samples) -> None:
        if self._spoken is None and self._vad is None:
            self._begin()
        if self._spoken is None:
            self._leading_silence.append(block)
            self._waited += len(block) / SAMPLE_RATE
            while (
                sum(map(len, self._leading_silence)) - len(self._leading_silence[0])
                >= _LEAD * SAMPLE_RATE
            ):
                self._leading_silence.popleft()
        else:
            self._spoken.add(to_pcm16(block))
        if self._vad is not None:
            phase = self._endpointer.feed(self._vad.feed(block).tolist())
            if phase is not SpeakerState.WAITING and self._spoken is None:
                self._begin()
            if phase is SpeakerState.DONE:
                self._end()
        seconds = self._waited if self._spoken is None else self._spoken.seconds
        if seconds >= self._options.longest:
            self._end()
        self._show(level(block))

    def _begin(self) -> None:
        spoken = self._spoken = Spoken(PcmFormat())
        for block in self._leading_silence:
            spoken.add(to_pcm16(block))
        manner = self._options
        answer = self._answer = asyncio.create_task(
            self._retry.run(
                self._client,
                lambda: self._client.transcribe(
                    spoken, language=manner.language, model=manner.model, observer=self
                ),
                tell=screen.note,
            )
        )
        answer.add_done_callback(lambda _: self._facts.put_nowait(_Answered()))

    def _end(self) -> None:
        self._over = True
        if self._spoken is not None:
            self._spoken.end()
        self._show(0.0)

    def _show(self, loud: float) -> None:
        state = "thinking" if self._over else "waiting" if self._spoken is None else "listening"
        self._meter.show(state, loud, self._text)


def level(block: Samples) -> float:
    """How loud it is: 0 at 60 dB below full scale or less, 1 at full scale."""
    power = float(np.mean(np.square(block))) if len(block) else 0.0
    return min(1.0, max(0.0, 1.0 + 10 * math.log10(power + 1e-12) / _QUIETEST))
