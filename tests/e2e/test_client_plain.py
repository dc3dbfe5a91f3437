"""The client with a minimal server of another kind, and lost connections."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.support.plain_server import Plain, plain_server
from tests.support.serving import Server, until
from wyoming_faster_whisper.audio.pcm import PcmFormat
from wyoming_faster_whisper.client import (
    Client,
    ClientError,
    Clip,
    Lost,
    Refused,
    Retry,
    Spoken,
    TranscriptObserver,
    Unreachable,
)
from wyoming_faster_whisper.testing import FakeEngine, pcm16, tone
from wyoming_faster_whisper.testing.tcp_server import TcpServer

from .conftest import Serve

AT_ONCE = Retry(3, first=0.0)

Start = Callable[[Plain], Awaitable[Plain]]


@pytest.fixture
async def plain(tmp_path: Path) -> AsyncIterator[Start]:
    async with AsyncExitStack() as servers:

        async def start(behaviour: Plain) -> Plain:
            return await servers.enter_async_context(plain_server(behaviour, tmp_path))

        yield start


def clip(seconds: float) -> Clip:
    return Clip(PcmFormat(), pcm16(tone(seconds)))


class RecordingObserver(TranscriptObserver):
    """Records the notifications it receives."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def partial(self, text: str) -> None:
        self.told.append(text)

    def speech_ended(self) -> None:
        self.told.append("(end of speech)")

    def all_sent(self) -> None:
        self.told.append("(all sent)")


async def test_the_client_reconnects_to_a_server_that_closes_after_each_answer(
    plain: Start,
) -> None:
    server = await plain(Plain())
    async with Client(server.uri) as client:
        assert (await client.describe()).asr[0].name == "plain"
        assert (await client.transcribe(clip(0.5), language="nl")).text == "16000 bytes"
        again = await AT_ONCE.run(client, lambda: client.transcribe(clip(1.0), model="plain-1"))
    assert (again.text, again.language) == ("32000 bytes", "nl")
    assert server.requests[0].language == "nl"
    assert server.requests[-1].name == "plain-1"


async def test_the_observer_gets_partial_text_as_it_grows(plain: Start) -> None:
    server = await plain(Plain(partials=("turn on", " the light")))
    seen = RecordingObserver()
    async with Client(server.uri) as client:
        assert (await client.transcribe(clip(0.5), observer=seen)).text == "16000 bytes"
    assert [text for text in seen.told if text[0] != "("] == ["turn on", "turn on the light"]


async def test_partial_text_without_a_transcript_is_the_answer(plain: Start) -> None:
    server = await plain(Plain(partials=("turn on", " the light"), only_parts=True))
    async with Client(server.uri) as client:
        assert (await client.transcribe(clip(0.5))).text == "turn on the light"


async def test_an_answer_before_the_end_of_the_audio_ends_the_utterance(plain: Start) -> None:
    server = await plain(Plain(ends_after=16_000))
    spoken, seen = Spoken(PcmFormat()), RecordingObserver()
    spoken.add(clip(0.5).data)  # the utterance stays open: end() is never called
    async with Client(server.uri) as client:
        answer = await client.transcribe(spoken, observer=seen)
    assert (answer.text, seen.told) == ("16000 bytes", ["(end of speech)"])


async def test_audio_is_sent_while_it_is_spoken(server: Server) -> None:
    spoken = Spoken(PcmFormat())
    async with Client(server.uri) as client:
        answer = asyncio.create_task(client.transcribe(spoken))
        for _ in range(3):
            spoken.add(clip(0.2).data)
            await until(lambda: server.memory.used > 0)
        assert not answer.done()
        spoken.end()
        assert (await answer).text == "0.6 seconds"


async def test_after_a_lost_connection_the_whole_utterance_is_sent_again(plain: Start) -> None:
    server = await plain(Plain(breaks=2))
    told: list[str] = []
    async with Client(server.uri) as client:
        answer = await AT_ONCE.run(client, lambda: client.transcribe(clip(1.0)), tell=told.append)
    assert (answer.text, server.heard) == ("32000 bytes", [32_000])
    assert [line.partition("; ")[2] for line in told] == [
        "trying again in 0 s (1 of 3)",
        "trying again in 0 s (2 of 3)",
    ]


async def test_after_a_lost_connection_unfinished_speech_is_sent_from_its_start(
    plain: Start,
) -> None:
    server = await plain(Plain(breaks=1))
    spoken = Spoken(PcmFormat())
    spoken.add(clip(0.5).data)
    async with Client(server.uri) as client:
        answer = asyncio.create_task(AT_ONCE.run(client, lambda: client.transcribe(spoken)))
        await until(lambda: len(server.requests) == 2)
        spoken.add(clip(0.5).data)
        spoken.end()
        assert (await answer).text == "32000 bytes"


async def test_the_client_gives_up_after_the_last_retry(plain: Start) -> None:
    server = await plain(Plain(breaks=100))
    async with Client(server.uri) as client:
        with pytest.raises(Lost):
            await AT_ONCE.run(client, lambda: client.transcribe(clip(0.5)))
    assert len(server.requests) == 4


async def test_the_client_waits_for_a_server_that_restarts(tmp_path: Path) -> None:
    told: list[str] = []
    gone = asyncio.Event()

    def tell(text: str) -> None:
        told.append(text)
        gone.set()

    client = Client(f"unix://{tmp_path}/plain.socket")
    try:
        async with plain_server(Plain(), tmp_path):
            await client.describe()
        retry = Retry(1000, first=0.001, longest=0.001)
        answer = asyncio.create_task(
            retry.run(client, lambda: client.transcribe(clip(0.5)), tell=tell)
        )
        await gone.wait()
        async with plain_server(Plain(), tmp_path):
            assert (await answer).text == "16000 bytes"
    finally:
        await client.close()
    assert told[0].startswith("cannot connect to unix://")


async def test_the_client_does_not_wait_for_a_server_it_never_reached(tmp_path: Path) -> None:
    client = Client(f"unix://{tmp_path}/no-server")
    with pytest.raises(Unreachable, match="No such file or directory"):
        await Retry(3, first=60.0).run(client, client.describe)


async def test_the_client_retries_a_busy_server_but_not_another_error(serve: Serve) -> None:
    server = await serve(max_connections=1)
    tried: list[str] = []
    async with Client(server.uri) as one:
        await one.describe()  # a client that never sent an event would be evicted
        two = Client(server.uri)
        with pytest.raises(Refused, match="busy"):
            await AT_ONCE.run(two, two.describe, tell=tried.append)
        await two.close()
    assert len(tried) == 3

    def fail(job: object) -> str:
        raise RuntimeError("out of memory")

    failing = await serve(FakeEngine(fail))
    tried.clear()
    async with Client(failing.uri) as client:
        with pytest.raises(Refused):
            await AT_ONCE.run(client, lambda: client.transcribe(clip(0.5)), tell=tried.append)
    assert tried == []


@pytest.mark.parametrize("times", [0, 1, 5])
def test_pauses_double_up_to_ten_seconds(times: int) -> None:
    pauses = [Retry(times).pause(failed) for failed in range(1, 10)]
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0, 10.0, 10.0]


@pytest.mark.parametrize("greeting", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-x\r\n"])
async def test_a_server_of_another_protocol_is_reported(greeting: bytes) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        await reader.read()

    async with TcpServer(greet) as other, Client(f"tcp://127.0.0.1:{other.port}") as client:
        for ask in (client.describe, lambda: client.transcribe(clip(0.1))):
            with pytest.raises(ClientError, match="does not speak the Wyoming protocol: header"):
                await ask()
            await client.close()


@pytest.mark.parametrize("answer", [b"", b'{"type": "pong"}\n'])
async def test_a_server_that_never_answers_may_require_tls(answer: bytes) -> None:
    async def close(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(answer)

    async with TcpServer(close) as other, Client(f"tcp://127.0.0.1:{other.port}") as client:
        with pytest.raises(Lost) as raised:
            await client.describe()
    said = f"the server at tcp://127.0.0.1:{other.port} closed the connection without an answer"
    assert str(raised.value) == said + ("" if answer else ", as one that requires TLS does")


async def test_a_refused_connection_is_reported_in_plain_words() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    for host in ("127.0.0.1", "localhost"):
        with pytest.raises(Unreachable, match=r"Connection refused$"):
            await Client(f"tcp://{host}:{port}").describe()
