"""Clients of the realtime API: a stream of a spoken command, ended by the server's VAD."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import numpy as np
import pytest
import pytest_asyncio
import soxr
import trustme
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.support.clips import CLIPS
from tests.support.processes import BASE, Process
from wyoming_faster_whisper.testing import pcm16, silence

from .conftest import TIMER, Api
from .programs import DEADLINE

pytestmark = [
    pytest.mark.model,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),
]

SAID = CLIPS["timer"]
# A client that sends faster than in real time is not ahead of the end of its turn.
SPOKEN = np.concatenate([SAID.samples, silence(3.0)])


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def stream(api: Api) -> Path:
    """Return a file with the command as raw PCM at 24 kHz; skip if there is no realtime API."""
    try:
        async with connect(f"{api.url.replace('http', 'ws', 1)}/v1/realtime", proxy=None):
            pass
    except InvalidStatus as refused:
        pytest.skip(f"the server has no /v1/realtime: status {refused.response.status_code}")
    path = api.folder / "stream.pcm"
    resampled = soxr.resample(SPOKEN, 16_000, 24_000)
    await asyncio.to_thread(path.write_bytes, pcm16(resampled.astype(np.float32)))
    return path


@pytest.mark.parametrize("client", ["ours", pytest.param("openai-2", marks=pytest.mark.clients)])
async def test_openais_client_gets_all_events_of_a_turn(
    api: Api, stream: Path, client: str
) -> None:
    answer = await api.answer(client, "openai_realtime.py", stream)
    assert SAID.heard_in(answer["transcript"])
    types = answer["types"]
    assert types[:2] == ["session.created", "session.updated"]
    expected = ["speech_started", "speech_stopped", "committed"]
    assert [one.rpartition(".")[2] for one in types if "audio_buffer" in one] == expected


@pytest.mark.parametrize(
    "client",
    [
        "ours",
        *(pytest.param(name, marks=pytest.mark.clients) for name in ("openai-2", "openai-1")),
    ],
)
async def test_the_names_before_general_availability_are_spoken(
    api: Api, stream: Path, client: str
) -> None:
    answer = await api.answer(client, "openai_realtime.py", stream, "beta")
    assert SAID.heard_in(answer["transcript"])
    assert "transcription_session.updated" in answer["types"]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def secure(api: Api) -> AsyncIterator[tuple[Api, Path]]:
    """A second server, which uses TLS, and the certificate of its authority."""
    folder, authority = api.folder / "secure", trustme.CA()
    await asyncio.to_thread(folder.mkdir)
    trusted = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(trusted))
    made = authority.issue_cert("127.0.0.1")
    made.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    options = ("--uri", "tcp://127.0.0.1:0", *BASE, "--http-port", "0")
    tls = ("--tls-cert", str(folder / "server.pem"), "--tls-key", str(folder / "server.pem"))
    async with Process.started(*options, *tls, folder=folder) as process:
        url = (await process.logged(r"API at (https://[^/]+)/v1"))[1]
        await process.ready(DEADLINE)
        yield Api(url, "", process, api.folder), trusted


@pytest.mark.clients
@pytest.mark.parametrize("beta", [(), ("beta",)], ids=["GA", "beta"])
async def test_openais_node_client_gets_all_events_of_a_turn_over_tls(
    secure: tuple[Api, Path], stream: Path, beta: tuple[str, ...]
) -> None:
    api, trusted = secure
    answer = await api.answer(
        "node", "openai_realtime.cjs", stream, *beta, NODE_EXTRA_CA_CERTS=str(trusted)
    )
    assert "error" not in answer, answer
    assert SAID.heard_in(answer["transcript"])
    first = "transcription_session" if beta else "session"
    assert f"{first}.updated" in answer["types"]
    expected = ["speech_started", "speech_stopped", "committed"]
    heard = [one.rpartition(".")[2] for one in answer["types"] if "audio_buffer" in one]
    assert heard == expected


@pytest.mark.clients
async def test_the_agents_sdk_gets_a_turn(api: Api, stream: Path) -> None:
    turns = await api.answer("agents", "agents_client.py", TIMER, stream, "realtime")
    assert SAID.heard_in(" ".join(turns))


@pytest.mark.clients
async def test_livekit_gets_speech_events_and_text(api: Api, stream: Path) -> None:
    answer = await api.answer("livekit", "livekit_client.py", TIMER, stream, "realtime")
    assert SAID.heard_in(answer["text"])
    assert answer["kinds"][0] == "start_of_speech"
    assert "end_of_speech" in answer["kinds"]


@pytest.mark.clients
async def test_pipecat_gets_a_turn(api: Api, stream: Path) -> None:
    texts = await api.answer("pipecat", "pipecat_client.py", TIMER, stream, "realtime")
    assert SAID.heard_in(" ".join(texts))
