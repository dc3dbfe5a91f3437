"""The add-on and its Supervisor."""

from __future__ import annotations

import asyncio

import pytest

from wyoming_faster_whisper.commands import addon
from wyoming_faster_whisper.testing.tcp_server import TcpServer


@pytest.mark.parametrize(
    "answer", ["HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", "later\r\n"]
)
async def test_a_supervisor_whose_answer_breaks_off_has_no_broker(
    answer: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer.encode())
        writer.close()

    monkeypatch.setenv("no_proxy", "127.0.0.1")
    async with TcpServer(break_off) as supervisor:
        monkeypatch.setattr(addon, "SUPERVISOR", f"http://127.0.0.1:{supervisor.port}")
        assert await asyncio.to_thread(addon.home_assistants_broker, "token") == {}
    assert capsys.readouterr().err.startswith("no MQTT: the Supervisor does not name a broker (")
