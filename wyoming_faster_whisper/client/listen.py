"""The subcommand `listen`: transcribe the microphone.

All events go through one queue with one reader: audio, key presses, the answer, the loss of the
microphone. Three modes decide what is sent and what ends an utterance:

    vad     the client's VAD detects speech, and the silence that ends the utterance
    server  the client sends all audio; the server's answer ends the utterance
    key     the client sends all audio until a key is pressed

A key press ends the utterance in all three.
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

_LEAD = 0.5  # seconds of audio kept from before the detection: speech has begun by then
_QUIETEST = 60.0  # dB below full scale at which the level meter starts
_QUIT = "q\x04"  # \x04 is control-D
_BACKLOG = 60.0  # seconds of audio queued while the previous answer is pending


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
    """Transcribe utterances from the microphone and print them.

    Returns:
        The number of utterances that had text.

    Raises:
        ClientError: the server or the microphone cannot be used.
    """
    try:
        info = await retry.run(client, client.describe, tell=screen.note)
        if not info.asr:
            raise ClientError("the server has no speech-to-text program; info shows what it has")
        end = options.end
        if end is End.AUTO:
            end = End.VAD if info.asr[0].requires_external_vad else End.SERVER
        vad = await asyncio.to_thread(new_vad) if end is End.VAD else None
        facts: asyncio.Queue[_Fact] = asyncio.Queue()
        with keys(lambda char: facts.put_nowait(_Key(char))) as keyboard:
            if end is End.KEY and not keyboard:
                raise ClientError("--end key needs a keyboard; standard input is not a terminal")
            hearing = asyncio.create_task(_hear(microphone, facts))
            try:
                with screen.meter(_hint(keyboard, options.loop)) as meter:
                    ear = partial(_Listener, options, client, retry, vad, facts, meter)
                    utterances = await _take_turns(ear, loop=options.loop)
                if hearing.done():
                    hearing.result()  # raises the microphone's error
                if not utterances and not options.loop:
                    screen.note(
                        "error: no speech was recognised; check the microphone with --devices"
                    )
            finally:
                hearing.cancel()
                await asyncio.wait([hearing])
    finally:
        await client.close()
    return utterances


def _hint(keyboard: bool, loop: bool) -> str:
    if not keyboard:
        return ""
    return "any key ends the utterance, q quits" if loop else "any key ends the utterance"


async def _take_turns(new_listener: Callable[[], _Listener], *, loop: bool) -> int:
    utterances = 0
    while True:
        ear = new_listener()
        if text := await ear.utterance():
            utterances += 1
            screen.say(text)
        if ear.last or not loop:
            return utterances


async def _hear(microphone: Microphone, facts: asyncio.Queue[_Fact]) -> None:
    try:
        async for block in microphone.blocks():
            # The queue grows only while an answer is late; beyond the limit new audio is dropped.
            if facts.qsize() * max(1, len(block)) < _BACKLOG * SAMPLE_RATE:
                facts.put_nowait(block)
    finally:
        facts.put_nowait(_Unplugged())


class _Listener(TranscriptObserver):
    """One utterance, from the first audio to its text.

    Args:
        vad: detects where the utterance starts and ends; None = the server or a key ends it.
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
        self.last = False  # no utterance follows: the microphone is gone, or q was pressed
        self._options = options
        self._client = client
        self._retry = retry
        self._facts = facts
        self._meter = meter
        self._vad = vad.stream() if vad is not None else None
        self._endpointer = SilenceEndpointer(options.silence)
        self._leading_silence: deque[Samples] = deque()
        self._over = False  # audio from now on does not belong to the utterance
        self._waited = 0.0  # seconds of audio before speech began
        self._spoken: Spoken | None = None  # None until speech begins
        self._answer: asyncio.Task[Transcript] | None = None
        self._text = ""

    def partial(self, text: str) -> None:
        self._text = visible(text)
        self._show(0.0)

    def speech_ended(self) -> None:
        self._end()

    async def utterance(self) -> str:
        """Listen until the utterance ends and return its text, "" if there was no speech."""
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
                # Some servers that end utterances themselves would also answer the audio that
                # was sent after the end.
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
    """Return the level on a dB scale: 0 at 60 dB below full scale or less, 1 at full scale."""
    power = float(np.mean(np.square(block))) if len(block) else 0.0
    return min(1.0, max(0.0, 1.0 + 10 * math.log10(power + 1e-12) / _QUIETEST))
