"""Decodes of one utterance, with an upstream server asked first.

The upstream gets the audio while it arrives. While it may still answer, this server holds its own
decodes back; only a final decode that may end the turn begins at once. If the upstream is
unavailable, busy or late, the decodes that were held back begin here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from ..audio.recording import Recording
from ..engine.protocol import Transcript
from ..engine.remote.protocol import Relay, Tasks, Upstreams
from ..speech.segmenter import Segment
from .request import Request

_AFTER_STOP = 0.25  # minimum seconds that an upstream has for its answer after the turn ended


class SegmentDecodes(Protocol):
    """The decodes of one utterance; see decodes.Decodes."""

    client_left: bool

    @property
    def begun(self) -> int: ...
    @property
    def may_guess(self) -> bool: ...
    @property
    def decodes_here(self) -> bool: ...
    @property
    def busy(self) -> bool: ...
    @property
    def is_queued(self) -> bool: ...
    @property
    def has_committed(self) -> bool: ...
    @property
    def committed_until(self) -> int: ...
    @property
    def keeps_recording(self) -> bool: ...
    @property
    def upstream(self) -> str: ...

    def audio_arrived(self) -> None: ...
    def stop(self) -> None: ...
    def committed_before(self, segment: Segment) -> bool: ...
    def begin(self, segment: Segment, *, guess: bool, quick: bool = False) -> None: ...
    def drop(self, segment: Segment) -> None: ...
    def close(self, segment: Segment) -> None: ...
    def drop_all(self) -> None: ...
    def was_guessed(self, segment: Segment) -> bool: ...
    async def answer(
        self, segments: Sequence[Segment], *, speech_ended: float
    ) -> list[Transcript]: ...


def upstream_first(
    upstreams: Upstreams | None,
    local: SegmentDecodes,
    recording: Recording,
    request: Request,
    language: str | None,
    tasks: Tasks,
    on_committed: Callable[[Transcript], None],
) -> SegmentDecodes:
    """Return the decodes of an utterance: `local`, or a wrapper that asks an upstream first.

    Args:
        upstreams: None = there are none.
        local: the decodes of this server.
        recording: audio of the utterance, which still grows.
        request: decoded here if it is not relayable.
        language: Whisper's code; None = unknown.
        tasks: task group for the relay.
        on_committed: called with the text of an upstream.
    """
    if upstreams is None or not request.relayable:
        return local
    relay = upstreams.relay(recording, request.hotwords, language, tasks)
    return _UpstreamFirst(local, relay, upstreams.timeout, on_committed)


class _UpstreamFirst:
    """See upstream_first(). Lives on the event loop.

    Args:
        local: the decodes of this server.
        relay: sends the utterance to the upstream; None if no upstream is available.
        timeout: seconds that the upstream has for its answer, from the end of speech.
        on_committed: called with the upstream's text.
    """

    def __init__(
        self,
        local: SegmentDecodes,
        relay: Relay | None,
        timeout: float,
        on_committed: Callable[[Transcript], None],
    ) -> None:
        self._local = local
        self._relay = relay
        self._timeout = timeout
        self._on_committed = on_committed
        self._held: dict[Segment, None] = {}  # segments whose decode is held back, in order
        self._ended: float | None = None  # time when the turn ended
        self._used = False

    @property
    def begun(self) -> int:
        return self._local.begun

    @property
    def may_guess(self) -> bool:
        return self.decodes_here and self._local.may_guess

    @property
    def decodes_here(self) -> bool:
        return self._relay is None or not self._relay.alive

    @property
    def busy(self) -> bool:
        return self._local.busy

    @property
    def is_queued(self) -> bool:
        return self._local.is_queued

    @property
    def has_committed(self) -> bool:
        return self._local.has_committed

    @property
    def committed_until(self) -> int:
        return self._local.committed_until

    @property
    def keeps_recording(self) -> bool:
        return self._relay is not None  # it sends the audio at its own pace

    @property
    def upstream(self) -> str:
        if self._used:
            return "used"
        return "late" if self._relay is not None and self._relay.late else "away"

    @property
    def client_left(self) -> bool:
        return self._local.client_left

    @client_left.setter
    def client_left(self, left: bool) -> None:
        self._local.client_left = left

    def audio_arrived(self) -> None:
        if self._relay is not None:
            self._relay.more()

    def stop(self) -> None:
        self._ended = asyncio.get_running_loop().time()
        if self._relay is not None:
            self._relay.stop()

    def committed_before(self, segment: Segment) -> bool:
        held = any(one.start < segment.start for one in self._held)
        return not held and self._local.committed_before(segment)

    def begin(self, segment: Segment, *, guess: bool, quick: bool = False) -> None:
        # Where this server ends the turn, a final decode before the end cannot wait for the
        # upstream: its text decides whether the turn ends.
        if not self.decodes_here and (guess or self._ended is not None):
            self._held[segment] = None
            return
        for one in [held for held in self._held if held.start < segment.start]:
            del self._held[one]
            self._local.begin(one, guess=True)
        self._local.begin(segment, guess=guess, quick=quick)

    def drop(self, segment: Segment) -> None:
        if segment in self._held:
            del self._held[segment]
        else:
            self._local.drop(segment)

    def close(self, segment: Segment) -> None:
        self._local.close(segment)

    def drop_all(self) -> None:
        if self._relay is not None:
            self._relay.drop()
        self._local.drop_all()

    def was_guessed(self, segment: Segment) -> bool:
        return self._local.was_guessed(segment)

    async def answer(
        self, segments: Sequence[Segment], *, speech_ended: float
    ) -> list[Transcript]:
        if segments and (text := await self._ask(speech_ended)) is not None:
            self._used = True
            self._on_committed(text)
            return [text]
        for segment in segments:
            if segment in self._held:
                self._local.begin(segment, guess=False)
        return await self._local.answer(segments, speech_ended=speech_ended)

    async def _ask(self, speech_ended: float) -> Transcript | None:
        """Return the upstream's text; None if it is late, or if text from here was committed."""
        if self._relay is None or self._local.has_committed:
            return None
        now = asyncio.get_running_loop().time()
        ended = now if self._ended is None else self._ended
        due = max(speech_ended + self._timeout, ended + _AFTER_STOP)
        return await self._relay.answer(max(0.0, due - now))
