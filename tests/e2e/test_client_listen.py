"""The client's `listen`, with a microphone that hears what the test gives it."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.plain_server import Plain, plain_server
from tests.support.processes import run
from tests.support.serving import Server, until
from wyoming_faster_whisper.audio.pcm import Samples
from wyoming_faster_whisper.client import Client, ClientError, Retry
from wyoming_faster_whisper.client.listen import level, listen
from wyoming_faster_whisper.client.microphone import Microphone, MicrophoneError
from wyoming_faster_whisper.client.options import End, ListenOptions
from wyoming_faster_whisper.testing import FakeMicrophone, LoudnessVad, silence, tone


def say(*parts: Samples) -> Samples:
    return np.concatenate(parts)


async def heard(
    uri: str, microphone: Microphone, *, retry: Retry | None = None, **manner: object
) -> int:
    wish = ListenOptions(**manner)  # type: ignore[arg-type]
    return await listen(wish, Client(uri), microphone, LoudnessVad, retry or Retry())


async def test_silence_after_speech_ends_an_utterance(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    microphone = FakeMicrophone(say(silence(3.0), tone(1.0), silence(2.0)), stays=True)
    assert await heard(server.uri, microphone) == 1
    # What the server's own ear leaves of it: the tone, and a little before and after.
    heard_there = server.engine.decoded[0].seconds
    assert capsys.readouterr().out == f"{heard_there:.1f} seconds\n"
    assert 1.4 < heard_there < 2.0


async def test_nothing_is_sent_before_somebody_speaks(server: Server) -> None:
    microphone = FakeMicrophone(silence(5.0))
    assert await heard(server.uri, microphone) == 0
    assert server.engine.decoded == []


async def test_nobody_speaks_for_too_long(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    microphone = FakeMicrophone(silence(5.0), stays=True)
    assert await heard(server.uri, microphone, longest=3.0) == 0
    out, told = capsys.readouterr()
    assert (out, told.count("\n")) == ("", 1)
    assert told.startswith("error: no speech was heard; ")


async def test_a_microphone_that_is_unplugged_ends_the_utterance(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await heard(server.uri, FakeMicrophone(tone(1.024)), loop=True) == 1
    assert capsys.readouterr().out == "1.0 seconds\n"


async def test_loop_listens_again_and_again(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    order = say(tone(1.024), silence(1.6))
    assert await heard(server.uri, FakeMicrophone(say(order, order, order)), loop=True) == 3
    assert capsys.readouterr().out.count("seconds\n") == 3


async def test_an_utterance_that_does_not_end_is_ended(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await heard(server.uri, FakeMicrophone(tone(20.0), stays=True), longest=4.0) == 1
    assert capsys.readouterr().out == "4.0 seconds\n"


async def test_a_server_that_ends_utterances_is_left_to_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with plain_server(Plain(ends_after=64_000), tmp_path) as server:
        # Silence alone: its own ear would hear nothing in it. There is no end to it either.
        microphone = FakeMicrophone(silence(3.0), stays=True)
        assert await heard(server.uri, microphone) == 1
    assert server.heard[0] >= 64_000
    assert capsys.readouterr().out == f"{server.heard[0]} bytes\n"


async def test_a_connection_that_breaks_costs_no_word(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with plain_server(Plain(breaks=1), tmp_path) as server:
        assert (
            await heard(server.uri, FakeMicrophone(tone(1.024)), retry=Retry(1, first=0.0)) == 1
        )
    out, told = capsys.readouterr()
    assert out == "32768 bytes\n"
    assert "trying again in 0 s (1 of 1)" in told


@pytest.mark.parametrize("end", [End.AUTO, End.KEY])
async def test_a_key_ends_an_utterance(
    end: End, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = os.openpty()  # a real terminal, but for the keys
    with os.fdopen(theirs) as keyboard:
        monkeypatch.setattr(sys, "stdin", keyboard)
        async with plain_server(Plain(), tmp_path) as server:
            microphone = FakeMicrophone(tone(1.024), stays=True)
            listened = asyncio.create_task(heard(server.uri, microphone, end=end, loop=True))
            await until(lambda: bool(server.requests))
            os.write(ours, b"q")
            assert await listened == 1
    os.close(ours)
    assert re.fullmatch(r"\d+ bytes\n", capsys.readouterr().out)


async def test_key_without_a_keyboard_is_refused(server: Server) -> None:
    with pytest.raises(ClientError, match="needs a keyboard"):
        await heard(server.uri, FakeMicrophone(tone(1.0)), end=End.KEY)


async def test_a_microphone_that_is_not_there_is_told(server: Server) -> None:
    class Missing:
        async def blocks(self):  # type: ignore[no-untyped-def]
            raise MicrophoneError("cannot use the microphone: none is there")
            yield

    with pytest.raises(MicrophoneError, match="none is there"):
        await heard(server.uri, Missing())


async def test_this_machine_without_a_microphone_says_what_to_do(
    server: Server, tmp_path: Path
) -> None:
    call = (
        "import sys; from wyoming_faster_whisper.commands.cli import client; sys.exit(client())"
    )
    command = (sys.executable, "-c", call, "listen", "--device", "no such thing")
    ran = await run(*command, "--uri", server.uri, folder=tmp_path)
    assert (ran.out, ran.status) == ("", 1)
    assert ran.err.startswith("error: ")
    hints = ("libportaudio2", "[mic]", "no microphone was found", "listen --devices")
    assert any(hint in ran.err for hint in hints)


def test_the_level_goes_from_nothing_to_full() -> None:
    assert level(silence(0.1)) == 0.0
    assert level(tone(0.1)) == pytest.approx(1 - 9 / 60, abs=0.01)  # -9 dB: half scale, a sine
    assert level(np.ones(512, np.float32)) == pytest.approx(1.0)
