"""States of a turn: the transitions of the diagram, and no others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from tests.support.virtual_time import CLIENT, House, run
from wyoming_faster_whisper.audio.pcm import PcmFormat
from wyoming_faster_whisper.errors import Busy, IllegalTransition
from wyoming_faster_whisper.session.audio_memory import AudioMemory
from wyoming_faster_whisper.session.events import Event, TranscriptStarted, TranscriptStopped
from wyoming_faster_whisper.session.request import Request
from wyoming_faster_whisper.session.turn import Turn
from wyoming_faster_whisper.session.turn_state import TurnState
from wyoming_faster_whisper.speech.endpointing import EndReason
from wyoming_faster_whisper.testing import pcm16, tone

PCM = PcmFormat(48_000)  # the resampler holds back the last samples until stop()
SOUND = pcm16(tone(0.5, rate=48_000))
LISTENING, STOPPED, ANSWERING, ANSWERED, CLOSED = TurnState

LEGAL = {
    *((LISTENING, STOPPED), (STOPPED, ANSWERING), (ANSWERING, ANSWERED)),
    *((state, CLOSED) for state in TurnState if state is not CLOSED),
}


@pytest.mark.parametrize("before", TurnState)
@pytest.mark.parametrize("after", TurnState)
def test_the_diagram_has_these_transitions_only(before: TurnState, after: TurnState) -> None:
    if (before, after) in LEGAL:
        assert before.to(after) is after
        return
    with pytest.raises(IllegalTransition, match=f"^from {before.name} to {after.name}$"):
        before.to(after)


@asynccontextmanager
async def listening(memory: AudioMemory, notify: Callable[[Event], None]) -> AsyncIterator[Turn]:
    """Begin a turn that sends partial text and has received audio."""
    async with House() as house, asyncio.TaskGroup() as tasks:
        turn = Turn(
            house.context(memory=memory),
            tasks,
            PCM,
            Request(),
            partials="on",
            warned=set(),
            notify=notify,
            on_end=lambda *_: None,
            principal=CLIENT,
            memory=memory,
        )
        turn.audio(PCM, SOUND)
        yield turn


def test_a_call_in_the_wrong_state_raises_and_changes_nothing() -> None:
    async def go() -> None:
        events: list[Event] = []
        memory = AudioMemory()
        async with listening(memory, events.append) as turn:
            with pytest.raises(IllegalTransition, match=r"^from LISTENING to ANSWERING$"):
                await turn.answer(EndReason.STOPPED)
            with pytest.raises(IllegalTransition, match=r"^from LISTENING to ANSWERED$"):
                turn.answered()
            turn.stop()
            heard = turn.seconds
            with pytest.raises(IllegalTransition, match=r"^audio in STOPPED$"):
                turn.audio(PCM, SOUND)
            with pytest.raises(IllegalTransition, match=r"^from STOPPED to STOPPED$"):
                turn.stop()
            assert turn.seconds == heard
            assert (await turn.answer(EndReason.STOPPED)).transcript.text
            with pytest.raises(IllegalTransition, match=r"^from ANSWERING to ANSWERING$"):
                await turn.answer(EndReason.STOPPED)
            turn.answered()
            with pytest.raises(IllegalTransition, match=r"^from ANSWERED to ANSWERED$"):
                turn.answered()
            turn.close()
            with pytest.raises(IllegalTransition, match=r"^from CLOSED to CLOSED$"):
                turn.close()
        assert memory.used == 0
        # The transcript begins and ends once.
        assert [type(event) for event in events].count(TranscriptStarted) == 1
        assert [type(event) for event in events].count(TranscriptStopped) == 1

    run(go())


def test_a_turn_that_has_no_memory_for_its_last_samples_stays_listening() -> None:
    async def go() -> None:
        memory = AudioMemory()
        async with listening(memory, lambda _: None) as turn:
            memory.limit = memory.used
            with pytest.raises(Busy):
                turn.stop()
            with pytest.raises(IllegalTransition, match=r"^from LISTENING to ANSWERING$"):
                await turn.answer(EndReason.STOPPED)
            turn.close()
        assert memory.used == 0

    run(go())
