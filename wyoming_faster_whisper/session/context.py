"""Services, rules and options that all sessions share."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from ..audio.preprocess import StepUse
from ..engine.protocol import DecodeKind
from ..engine.queue import Worker
from ..engine.remote.protocol import Upstreams
from ..speech.endpointing import TurnRules
from ..speech.utterance import UtteranceRules
from ..speech.vad import SpeechDetector
from ..tenants.tenants import Tenants
from .audio_memory import AudioMemory
from .event_loop_lag import EventLoopLag
from .memory_guard import MemoryGuard
from .record import Observer
from .request import Offer
from .text import Style


class NameSource(Protocol):
    """Source of the names in a home, such as Home Assistant."""

    def refresh(self) -> None:
        """Fetch the names again if they may be outdated. Called when an utterance begins."""
        ...

    async def wait(self) -> object:
        """Wait for the first fetch, for a limited time."""
        ...


@dataclass(frozen=True, slots=True)
class SessionContext:
    """Services, rules and options that all sessions share."""

    worker: Worker
    vad: Callable[[], Awaitable[SpeechDetector]]  # may have to wait until the model is loaded
    offer: Offer  # models and options that a request can choose from
    names: NameSource | None = None  # fetched while the speaker speaks
    # Called on the event loop with the language of each utterance, as soon as that is known; its
    # data is loaded while the speaker speaks.
    prepare_language: Callable[[str], None] = lambda _: None
    rules: UtteranceRules = field(default_factory=UtteranceRules)
    turns: TurnRules = field(default_factory=TurnRules)
    partials: str = "off"  # partial text: "off", "auto" (while the model is idle) or "on"
    ignore_first: float = 0.0  # seconds at the beginning of an utterance that are not heard
    style: Style = field(default_factory=Style)  # how texts are written
    kind: DecodeKind = DecodeKind.FINAL  # or FILE: a file, which waits while speakers do
    upstreams: Upstreams | None = None  # servers that are asked first
    max_seconds: float = 600.0  # seconds of audio in one utterance
    memory: AudioMemory = field(default_factory=AudioMemory)
    guard: MemoryGuard = field(default_factory=MemoryGuard)
    tenants: Tenants = field(default_factory=Tenants)
    event_loop_lag: EventLoopLag = field(default_factory=EventLoopLag)
    observe: Observer = lambda _: None  # called on the event loop with each answer's record
    count_lost: Callable[[str], None] = lambda _: (
        None
    )  # called for each answer not sent: "failed", or "left" if the client has gone
    count_error: Callable[[str], None] = lambda _: (
        None
    )  # called with the code of each error sent to a client
    count_steps: Callable[[Sequence[StepUse]], None] = lambda _: (
        None
    )  # called when the audio of an utterance ends, with its preprocessing steps
