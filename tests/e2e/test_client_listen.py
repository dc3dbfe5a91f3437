"""The client's `listen`, with a fake microphone."""

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


def joined(*parts: Samples) -> Samples:
    return np.concatenate(parts)


async def listen_to(
    uri: str, microphone: Microphone, *, retry: Retry | None = None, **options: object
) -> int:
    wanted = ListenOptions(**options)  # type: ignore[arg-type]
    return await listen(wanted, Client(uri), microphone, LoudnessVad, retry or Retry())


async def test_silence_after_speech_ends_an_utterance(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    microphone = FakeMicrophone(joined(silence(3.0), tone(1.0), silence(2.0)), stays=True)
    assert await listen_to(server.uri, microphone) == 1
    # The server's VAD trims the silence: the tone and its padding remain.
    heard_there = server.engine.decoded[0].seconds
    assert capsys.readouterr().out == f"{heard_there:.1f} seconds\n"
    assert 1.4 < heard_there < 2.0


async def test_nothing_is_sent_before_speech_begins(server: Server) -> None:
    microphone = FakeMicrophone(silence(5.0))
    assert await listen_to(server.uri, microphone) == 0
    assert server.engine.decoded == []


async def test_listening_ends_if_no_speech_is_heard(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    microphone = FakeMicrophone(silence(5.0), stays=True)
    assert await listen_to(server.uri, microphone, longest=3.0) == 0
    out, told = capsys.readouterr()
    assert (out, told.count("\n")) == ("", 1)
    assert told.startswith("error: no speech was recognised; ")


async def test_an_unplugged_microphone_ends_the_utterance(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await listen_to(server.uri, FakeMicrophone(tone(1.024)), loop=True) == 1
    assert capsys.readouterr().out == "1.0 seconds\n"


async def test_loop_listens_for_several_utterances(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    order = joined(tone(1.024), silence(1.6))
    assert (
        await listen_to(server.uri, FakeMicrophone(joined(order, order, order)), loop=True) == 3
    )
    assert capsys.readouterr().out.count("seconds\n") == 3


async def test_an_utterance_ends_at_the_maximum_length(
    server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await listen_to(server.uri, FakeMicrophone(tone(20.0), stays=True), longest=4.0) == 1
    assert capsys.readouterr().out == "4.0 seconds\n"


async def test_the_client_does_not_end_utterances_if_the_server_does(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with plain_server(Plain(ends_after=64_000), tmp_path) as server:
        # Endless silence: the VAD of the client would neither start nor end an utterance.
        microphone = FakeMicrophone(silence(3.0), stays=True)
        assert await listen_to(server.uri, microphone) == 1
    assert server.heard[0] >= 64_000
    assert capsys.readouterr().out == f"{server.heard[0]} bytes\n"


async def test_a_lost_connection_loses_no_audio(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    async with plain_server(Plain(breaks=1), tmp_path) as server:
        assert (
            await listen_to(server.uri, FakeMicrophone(tone(1.024)), retry=Retry(1, first=0.0))
            == 1
        )
    out, told = capsys.readouterr()
    assert out == "32768 bytes\n"
    assert "trying again in 0 s (1 of 1)" in told


@pytest.mark.parametrize("end", [End.AUTO, End.KEY])
async def test_a_key_ends_an_utterance(
    end: End, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    ours, theirs = os.openpty()  # a real terminal; the test writes the keys
    with os.fdopen(theirs) as keyboard:
        monkeypatch.setattr(sys, "stdin", keyboard)
        async with plain_server(Plain(), tmp_path) as server:
            microphone = FakeMicrophone(tone(1.024), stays=True)
            listened = asyncio.create_task(listen_to(server.uri, microphone, end=end, loop=True))
            await until(lambda: bool(server.requests))
            os.write(ours, b"q")
            assert await listened == 1
    os.close(ours)
    assert re.fullmatch(r"\d+ bytes\n", capsys.readouterr().out)


async def test_key_without_a_keyboard_is_refused(server: Server) -> None:
    with pytest.raises(ClientError, match="needs a keyboard"):
        await listen_to(server.uri, FakeMicrophone(tone(1.0)), end=End.KEY)


async def test_a_missing_microphone_raises_an_error(server: Server) -> None:
    class Missing:
        async def blocks(self):  # type: ignore[no-untyped-def]
            raise MicrophoneError("cannot use the microphone: there is none")
            yield

    with pytest.raises(MicrophoneError, match="there is none"):
        await listen_to(server.uri, Missing())


async def test_listen_without_a_microphone_prints_advice(server: Server, tmp_path: Path) -> None:
    call = (
        "import sys; from wyoming_faster_whisper.commands.cli import client; sys.exit(client())"
    )
    command = (sys.executable, "-c", call, "listen", "--device", "no such thing")
    ran = await run(*command, "--uri", server.uri, folder=tmp_path)
    assert (ran.out, ran.status) == ("", 1)
    assert ran.err.startswith("error: ")
    hints = ("libportaudio2", "[mic]", "no microphone was found", "listen --devices")
    assert any(hint in ran.err for hint in hints)


def test_the_level_ranges_from_0_to_1() -> None:
    assert level(silence(0.1)) == 0.0
    assert level(tone(0.1)) == pytest.approx(1 - 9 / 60, abs=0.01)  # -9 dB: half scale, a sine
    assert level(np.ones(512, np.float32)) == pytest.approx(1.0)
