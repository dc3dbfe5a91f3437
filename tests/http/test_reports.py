"""Reports about other servers that only a real model can answer; the others are in tests/e2e."""

from __future__ import annotations

import asyncio
import re
import urllib.request
from typing import Any

import numpy as np
import openai
import pytest

from tests.support.api import BOUNDARY, form, wav
from tests.support.clips import CLIPS
from wyoming_faster_whisper.testing import pcm16, silence

from .conftest import Api

pytestmark = [
    pytest.mark.model,
    pytest.mark.asyncio(loop_scope="session"),
    pytest.mark.timeout(300),
]

PAUSE = silence(3.0)
LONG = np.concatenate([part for said in CLIPS.values() for part in (said.samples, PAUSE)])


async def transcribed(api: Api, sound: bytes, **more: Any) -> Any:
    async with openai.AsyncOpenAI(base_url=f"{api.url}/v1", api_key="none") as client:
        create = client.audio.transcriptions.create
        return await create(model="whisper-1", file=("a.wav", sound), **more)


def posted(url: str, body: bytes) -> str:
    """Post a form; return the response's body. Blocking."""
    kind = f"multipart/form-data; boundary={BOUNDARY}"
    request = urllib.request.Request(url, body, {"Content-Type": kind})
    with urllib.request.urlopen(request) as response:
        return str(response.read().decode())


@pytest.mark.parametrize("granularities", [["word"], ["word", "segment"]])
@pytest.mark.parametrize("issues", ["mudler/LocalAI#9306 speaches-ai/speaches#639"])
async def test_words_have_times(api: Api, granularities: Any, issues: str) -> None:
    sound = wav(CLIPS["kitchen"].samples)
    answer = await transcribed(
        api, sound, response_format="verbose_json", timestamp_granularities=granularities
    )
    assert " ".join(word.word for word in answer.words) == answer.text
    starts = [word.start for word in answer.words]
    assert starts == sorted(starts)
    assert starts[0] < 0.5
    assert answer.words[-1].end <= answer.duration


@pytest.mark.parametrize("issues", ["collabora/WhisperLive#535"])
async def test_files_in_a_batch_have_the_texts_of_single_files(api: Api, issues: str) -> None:
    sounds = [wav(CLIPS[name].samples) for name in ("kitchen", "weather", "blinds")]
    alone = [(await transcribed(api, sound)).text for sound in sounds]
    together = await asyncio.gather(*(transcribed(api, sound) for sound in sounds))
    assert [answer.text for answer in together] == alone


@pytest.mark.parametrize("issues", ["collabora/WhisperLive#535 nextcloud/integration_openai#406"])
async def test_a_file_longer_than_a_window_is_transcribed_to_its_end(
    api: Api, issues: str
) -> None:
    answer = await transcribed(api, wav(LONG), response_format="verbose_json")
    assert answer.duration > 30.0
    heard = [name for name, said in CLIPS.items() if said.heard_in(answer.text)]
    assert {"lights", "kitchen"} <= set(heard)  # the first and the last
    ends = [segment.end for segment in answer.segments]
    assert ends == sorted(ends)
    assert answer.duration - 4.0 < ends[-1] <= answer.duration


@pytest.mark.parametrize("issues", ["morpheus65535/bazarr#2335"])
async def test_bazarr_gets_subtitles_at_the_right_times(api: Api, issues: str) -> None:
    film = pcm16(np.concatenate([silence(5.0), CLIPS["kitchen"].samples]))
    url = f"{api.url}/asr?task=transcribe&language=en&output=srt&encode=false"
    response = await asyncio.to_thread(posted, url, form((), film, name="audio_file"))
    number, times, *lines = response.strip().split("\n")
    assert number == "1"
    assert re.fullmatch(r"00:00:05,\d{3} --> 00:00:0[78],\d{3}", times)
    assert CLIPS["kitchen"].heard_in(" ".join(lines))
