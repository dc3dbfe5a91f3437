"""curl: slow uploads, uploads that stop, refusals in the middle of an upload."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from tests.support.clips import CLIPS
from tests.support.sse import events

from .conftest import KITCHEN, TIMER, Api
from .programs import output

pytestmark = [
    pytest.mark.model,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),  # the first test starts the server, on a machine that may be busy
    pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed"),
]

WHISPER = ("-F", "model=whisper-1")
TIMED_OUT = 28  # exit status of curl


async def curl(api: Api, *options: str | Path, path: str = "", status: int = 0) -> str:
    """Run curl, which prints the response's body and then its status."""
    url = f"{api.url}{path or '/v1/audio/transcriptions'}"
    shown = ("--silent", "--show-error", "--write-out", "\n%{http_code}")
    return await output("curl", *shown, *map(str, options), url, status=status)


async def test_a_file_is_transcribed(api: Api) -> None:
    body, status = (await curl(api, *WHISPER, "-F", f"file=@{TIMER}")).rsplit("\n", 1)
    assert status == "200"
    assert CLIPS["timer"].heard_in(json.loads(body)["text"])


async def test_a_slow_upload_from_a_pipe_is_transcribed(api: Api) -> None:
    chunked = ("-H", "Transfer-Encoding: chunked", "--limit-rate", "50k")
    body, status = (await curl(api, *chunked, *WHISPER, "-F", f"file=@{KITCHEN}")).rsplit("\n", 1)
    assert status == "200"
    assert CLIPS["kitchen"].heard_in(json.loads(body)["text"])


async def test_events_are_shown_as_they_come(api: Api) -> None:
    options = ("--no-buffer", "-F", "stream=true")
    body, _ = (await curl(api, *options, *WHISPER, "-F", f"file=@{TIMER}")).rsplit("\n", 1)
    *_deltas, done, end = events(body.encode())
    assert CLIPS["timer"].heard_in(done.json["text"])
    assert end.data == "[DONE]"


async def test_a_client_that_stops_in_the_middle_is_forgotten(api: Api) -> None:
    slow = ("--limit-rate", "2k", "--max-time", "1")
    await curl(api, *slow, *WHISPER, "-F", f"file=@{KITCHEN}", status=TIMED_OUT)
    await api.process.logged("left before its file was transcribed")
    assert (await curl(api, *WHISPER, "-F", f"file=@{TIMER}")).endswith("\n200")


@pytest.mark.parametrize("expect", ["Expect: 100-continue", "Expect:"])
async def test_a_refusal_reaches_a_client_that_is_still_sending(
    api: Api, expect: str, tmp_path: Path
) -> None:
    large = tmp_path / "large"
    await asyncio.to_thread(large.write_bytes, bytes(26 << 20))
    options = ("-H", expect, *WHISPER, "-F", f"file=@{large}")
    body, status = (await curl(api, *options)).rsplit("\n", 1)
    assert status == "413"
    assert json.loads(body)["error"]["code"] == "request_too_large"


@pytest.mark.parametrize("path", ["/v1/audio/transcriptions/", "//v1//audio/transcriptions"])
async def test_extra_slashes_cause_no_redirect(api: Api, path: str) -> None:
    assert (await curl(api, *WHISPER, "-F", f"file=@{TIMER}", path=path)).endswith("\n200")
