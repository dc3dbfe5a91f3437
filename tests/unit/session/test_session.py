"""Session: what it keeps and frees when an utterance ends badly."""

from __future__ import annotations

import pytest

from tests.support.virtual_time import CLIENT, House, run
from wyoming_faster_whisper.audio.pcm import PcmFormat
from wyoming_faster_whisper.errors import Busy
from wyoming_faster_whisper.session.audio_memory import AudioMemory
from wyoming_faster_whisper.session.request import Request
from wyoming_faster_whisper.session.session import Session
from wyoming_faster_whisper.testing import pcm16, tone


def test_an_end_for_which_there_is_no_memory_left_frees_the_recording() -> None:
    """The resampler holds back the last samples until the client stops."""
    pcm = PcmFormat(48_000)

    async def go() -> None:
        async with House() as house:
            context = house.context(memory=AudioMemory())
            async with Session(context, CLIENT) as session:
                await session.start(pcm)
                await session.audio(pcm, pcm16(tone(0.5, rate=48_000)))
                context.memory.limit = context.memory.used
                assert context.memory.used > 0
                with pytest.raises(Busy):
                    await session.stop()
            assert context.memory.used == 0

    run(go())


def test_the_data_of_a_language_is_loaded_while_the_speaker_speaks() -> None:
    pcm = PcmFormat()
    asked: list[str] = []

    async def go() -> None:
        async with House() as house:
            context = house.context(prepare_language=asked.append)
            async with Session(context, CLIENT) as session:
                session.request(Request(language="de-AT"))
                await session.start(pcm)
                assert asked == ["de"]
                session.request(Request(language="en"))
                assert asked == ["de", "en"]

    run(go())
