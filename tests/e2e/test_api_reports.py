"""What users of other servers reported, in the issues that the test ids name."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import urljoin

import numpy as np
import pytest

from tests.support.api import form, head, post, request, wav
from tests.support.media import write_media
from tests.support.serving import peer, until, warnings
from tests.support.sse import events
from tests.support.web import address
from wyoming_faster_whisper.testing import FakeEngine, silence, tone

from .conftest import Serve

PATH = "/v1/audio/transcriptions"
WHISPER = ("model", "whisper-1")
VERBOSE = ("response_format", "verbose_json")
SPEECH = wav(tone(1.0))
PREFLIGHT = {
    "access_control_request_method": "POST",
    "access_control_request_headers": "authorization,content-type",
}


def reported(*issues: str) -> pytest.MarkDecorator:
    """Name issues in the id of a test."""
    return pytest.mark.parametrize("issues", [" ".join(issues)])


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        pytest.param([WHISPER], 200, id="speaches-ai/speaches#17 open-webui/open-webui#2248"),
        pytest.param([("model", "whisper-1"), VERBOSE], 200, id="BerriAI/litellm#14773"),
        pytest.param([WHISPER, VERBOSE], 200, id="nextcloud/integration_openai#346"),
        # Programs that had no other form than OpenAI's, or wished for it.
        pytest.param(
            [WHISPER],
            200,
            id="ahmetoner/whisper-asr-webservice#182 SubtitleEdit/subtitleedit#10240 "
            "SillyTavern/SillyTavern#3027 and #5914 Mintplex-Labs/anything-llm#5951, #5952 and "
            "#3885 ggml-org/whisper.cpp#3458 and #2270 rishikanthc/Scriberr#443 "
            "GeiserX/whisper-subs#40 roryeckel/wyoming_openai#1",
        ),
        pytest.param([("model", "nova")], 404, id="songquanpeng/one-api#1655"),
        pytest.param([("response_format", "json_verbose")], 400, id="mudler/LocalAI#8627"),
    ],
)
async def test_a_form_has_a_plain_answer(
    serve: Serve, fields: list[tuple[str, str]], status: int
) -> None:
    reply = await post(await serve(http_port=0), PATH, form(fields, SPEECH))
    assert reply.status == status
    if status != 200:
        assert reply.error["param"] == fields[-1][0]
        assert "retry-after" not in reply.headers


@reported("mudler/LocalAI#5327", "speaches-ai/speaches#58", "vllm-project/vllm#49068")
async def test_verbose_json_is_complete_without_granularities(serve: Serve, issues: str) -> None:
    server = await serve(FakeEngine(language="en"), http_port=0)
    answer = (await post(server, PATH, form([WHISPER, VERBOSE], SPEECH))).json
    assert {"task", "language", "duration", "text", "segments"} <= set(answer)
    assert answer["duration"] == 1.0
    assert isinstance(answer["duration"], float)
    [segment] = answer["segments"]
    assert 0 <= segment["start"] < segment["end"] <= 1.0  # seconds


@reported("nextcloud/integration_openai#406")
async def test_the_last_segment_ends_where_the_speech_does(serve: Serve, issues: str) -> None:
    recording = np.concatenate([tone(5.0), silence(3.0), tone(2.0), silence(3.0)])
    body = form([WHISPER, VERBOSE], wav(recording))
    answer = (await post(await serve(http_port=0), PATH, body)).json
    assert answer["segments"][-1]["end"] == pytest.approx(10.0, abs=0.5)
    assert answer["usage"]["seconds"] == 13.0


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("timestamp_granularities[]", id="speaches-ai/speaches#29"),
        pytest.param("timestamp_granularities", id="without brackets"),
        pytest.param("timestamp_granularities[0]", id="with an index"),
    ],
)
async def test_words_are_asked_for_under_any_name(serve: Serve, name: str) -> None:
    engine = FakeEngine()
    server = await serve(engine, http_port=0)
    answer = (await post(server, PATH, form([WHISPER, VERBOSE, (name, "word")], SPEECH))).json
    assert engine.decoded[-1].options.word_times
    assert isinstance(answer["words"], list)  # with their times: tests/http/test_reports.py


@reported("mudler/LocalAI#10655")
async def test_the_language_of_the_form_is_used(serve: Serve, issues: str) -> None:
    engine = FakeEngine()
    server = await serve(engine, http_port=0)
    await post(server, PATH, form([WHISPER, ("language", "de")], SPEECH))
    assert engine.decoded[-1].options.language == "de"


@reported("open-webui/open-webui#5408")
async def test_only_the_languages_of_the_home_are_detected(serve: Serve, issues: str) -> None:
    engine = FakeEngine()
    server = await serve(engine, http_port=0, languages="en,de")
    await post(server, PATH, form([WHISPER], SPEECH))
    options = engine.decoded[-1].options
    assert (options.language, options.candidate_languages) == (None, ("en", "de"))


@reported("vllm-project/vllm#49116", "openai/openai-python#2363")
async def test_a_stream_has_openais_events(serve: Serve, issues: str) -> None:
    body = form([WHISPER, ("stream", "true")], SPEECH)
    reply = await post(await serve(http_port=0), PATH, body)
    names = [event.name for event in events(reply.body)]
    assert names == ["transcript.text.delta", "transcript.text.done", ""]
    assert all("choices" not in event.data for event in events(reply.body))


@reported("ggml-org/llama.cpp#21863")
async def test_the_last_event_has_the_whole_text(serve: Serve, issues: str) -> None:
    body = form([WHISPER, ("stream", "true")], SPEECH)
    done, end = events((await post(await serve(http_port=0), PATH, body)).body)[-2:]
    assert done.json["text"] == "1.0 seconds"
    assert end.data == "[DONE]"


@pytest.mark.parametrize(
    ("suffix", "filename", "content_type"),
    [
        pytest.param(
            ".webm", "a.mp3", "audio/mpeg", id="open-webui/open-webui#13636 and #14101: mp3"
        ),
        pytest.param(".webm", "a.wav", "audio/wav", id="open-webui/open-webui#14101: wav"),
        pytest.param(
            ".webm",
            "a.webm",
            "audio/webm;codecs=opus",
            id="vllm-project/vllm#18385 murtaza-nasir/speakr#156",
        ),
        pytest.param(
            ".webm", "blob", "", id="OpenWhispr/openwhispr#769 and #2028 zai-org/GLM-ASR#37"
        ),
        pytest.param(".ogg", "a.ogg", "video/ogg", id="open-webui/open-webui#4206"),
        pytest.param(
            ".ogg",
            "voice.oga",
            "audio/ogg",
            id="LiveHelperChat/livehelperchat#2382 telegram-mcp#219 opencode-telegram-bot#24",
        ),
    ],
)
async def test_the_content_of_a_file_decides(
    serve: Serve, suffix: str, filename: str, content_type: str, tmp_path: Path
) -> None:
    path = tmp_path / f"sound{suffix}"
    await asyncio.to_thread(write_media, path, tone(1.0))
    sound = await asyncio.to_thread(path.read_bytes)
    body = form([WHISPER], sound, filename=filename, content_type=content_type)
    reply = await post(await serve(FakeEngine(lambda _: "heard"), http_port=0), PATH, body)
    assert (reply.status, reply.json["text"]) == (200, "heard")


@reported("LostRuins/koboldcpp#1561")
@pytest.mark.parametrize("codec", ["pcm_u8", "pcm_s24le", "pcm_f32le", "pcm_mulaw"])
async def test_a_wav_file_may_have_any_samples(
    serve: Serve, codec: str, issues: str, tmp_path: Path
) -> None:
    path = tmp_path / "sound.wav"
    await asyncio.to_thread(write_media, path, tone(1.0), codec)
    sound = await asyncio.to_thread(path.read_bytes)
    reply = await post(await serve(http_port=0), PATH, form([WHISPER], sound))
    assert (reply.status, reply.json["text"]) == (200, "1.0 seconds")


@reported("speaches-ai/speaches#504", "heimoshuiyu/whisper-fastapi#2")
@pytest.mark.parametrize(
    ("chunking", "segments"),
    [
        ({}, 1),
        ({"chunking_strategy": "auto"}, 1),
        ({"chunking_strategy[silence_duration_ms]": "500"}, 2),
        ({"chunking_strategy[type]": "server_vad"}, 2),
        ({"chunking_strategy": '{"type": "server_vad", "silence_duration_ms": 1500}'}, 1),
    ],
)
async def test_the_chunking_strategy_decides_where_speech_is_cut(
    serve: Serve, chunking: dict[str, str], segments: int, issues: str
) -> None:
    server = await serve(http_port=0)
    pause_of_a_second = np.concatenate([tone(5.0), silence(1.0), tone(5.0)])
    body = form([WHISPER, *chunking.items()], wav(pause_of_a_second))
    text = (await post(server, PATH, body)).json["text"]
    assert text.count("seconds") == segments


@reported("speaches-ai/speaches#54")
async def test_https_on_the_http_port_is_explained_in_the_log(
    serve: Serve, issues: str, caplog: pytest.LogCaptureFixture
) -> None:
    server = await serve(http_port=0)
    async with peer(f"tcp://{address(server)}") as connection:
        connection.send(b"\x16\x03\x01\x02\x00")
        assert await connection.rest() == b""
    assert any("https" in line for line in warnings(caplog))


@reported("Thinline-Dynamic-Solutions/ThinLineRadio#29")
async def test_under_load_every_request_is_answered(serve: Serve, issues: str) -> None:
    engine = FakeEngine(held=True)
    server = await serve(engine, http_port=0, max_files=4)
    posts = [asyncio.create_task(post(server, PATH, form([WHISPER], SPEECH))) for _ in range(12)]
    done, _pending = await asyncio.wait(posts, return_when=asyncio.FIRST_COMPLETED)
    engine.release()
    replies = await asyncio.gather(*posts)
    assert {reply.status for reply in replies} == {200, 429}
    assert {task.result().status for task in done} == {429}
    assert all("retry-after" in reply.headers for reply in replies if reply.status == 429)


@reported(
    "vibe#1546",
    "speaches-ai/speaches#49",
    "SYSTRAN/faster-whisper#1419",
    "ahmetoner/whisper-asr-webservice#50",
)
async def test_a_second_request_waits_and_shares_the_batch(serve: Serve, issues: str) -> None:
    engine = FakeEngine(held=True, max_batch=4)
    server = await serve(engine, http_port=0)
    first = asyncio.create_task(post(server, PATH, form([WHISPER], SPEECH)))
    await asyncio.to_thread(engine.decoding.wait)
    others = [asyncio.create_task(post(server, PATH, form([WHISPER], SPEECH))) for _ in range(2)]
    await until(lambda: server.waiting == 2)
    engine.release()
    assert [reply.status for reply in await asyncio.gather(first, *others)] == [200] * 3


@reported("collabora/WhisperLive#535")
async def test_keywords_and_language_hold_for_every_part_of_a_file(
    serve: Serve, issues: str
) -> None:
    engine = FakeEngine()
    sound = np.concatenate([tone(12.0), silence(3.0), tone(12.0), silence(3.0), tone(12.0)])
    form_fields = [WHISPER, ("language", "de"), ("keywords[]", "Ecobee")]
    await post(await serve(engine, http_port=0), PATH, form(form_fields, wav(sound)))
    assert len(engine.decoded) == 3
    options = {(job.options.language, job.options.hotwords) for job in engine.decoded}
    assert options == {("de", ("Ecobee",))}


@reported(
    "ahmetoner/whisper-asr-webservice#63, #320 and #323",
    "OpenGateLLM#202",
    "Vexa#241",
    "nextcloud/assistant#151",
)
async def test_a_client_need_not_wait_longer_than_its_proxy(serve: Serve, issues: str) -> None:
    engine = FakeEngine(held=True)
    server = await serve(engine, http_port=0)
    accepted = await post(server, PATH, form([WHISPER, ("background", "true")], SPEECH))
    assert accepted.status == 202
    url = urljoin(PATH, accepted.headers["location"])
    await asyncio.to_thread(engine.decoding.wait)
    assert (await request(server, "GET", url)).json["status"] == "in_progress"
    engine.release()
    assert (await request(server, "GET", f"{url}?wait=30")).json["result"]["text"]


@reported("OpenArc#127")
async def test_the_server_answers_while_it_decodes(serve: Serve, issues: str) -> None:
    engine = FakeEngine(held=True)
    server = await serve(engine, http_port=0)
    posted = asyncio.create_task(post(server, PATH, form([WHISPER], SPEECH)))
    await asyncio.to_thread(engine.decoding.wait)
    assert (await request(server, "GET", "/health")).status == 200
    assert (await request(server, "GET", "/v1/models")).status == 200
    engine.release()
    await posted


@pytest.mark.parametrize(
    ("origin", "path"),
    [
        pytest.param("app://obsidian.md", PATH, id="nikdanilov/whisper-obsidian-plugin#49"),
        pytest.param("vscode-webview://abc", PATH, id="whisper-assistant-vscode#16"),
        pytest.param("capacitor://localhost", PATH, id="obsidian-hoarder#12 dphnAI/sonar#434"),
        pytest.param("http://localhost:3000", "/v1/models", id="swama#87"),
        pytest.param("http://localhost:3000", PATH, id="ggml-org/whisper.cpp#1850"),
    ],
)
async def test_a_preflight_passes_without_a_key(serve: Serve, origin: str, path: str) -> None:
    server = await serve(http_port=0, http_origins=origin)
    reply = await request(server, "OPTIONS", path, None, origin=origin, **PREFLIGHT)
    assert reply.status == 200
    assert reply.headers["access-control-allow-origin"] == origin


@reported("roryeckel/wyoming_openai#18")
@pytest.mark.parametrize("stream", ["false", "true"])
async def test_silence_has_an_empty_answer(serve: Serve, stream: str, issues: str) -> None:
    body = form([WHISPER, ("stream", stream)], wav(silence(2.0)))
    reply = await post(await serve(http_port=0), PATH, body)
    assert reply.status == 200
    if stream == "false":
        assert reply.json["text"] == ""
    else:
        done, end = events(reply.body)
        assert (done.name, done.json["text"]) == ("transcript.text.done", "")
        assert end.data == "[DONE]"


@reported("morpheus65535/bazarr#2140")
async def test_a_language_is_detected_even_in_silence(serve: Serve, issues: str) -> None:
    body = form((), wav(silence(2.0)), name="audio_file")
    reply = await post(await serve(http_port=0), "/detect-language", body)
    assert {"detected_language", "language_code"} <= set(reply.json)


@reported("murtaza-nasir/speakr#8", "VideoCaptioner#724")
async def test_the_path_pasted_twice_is_explained(serve: Serve, issues: str) -> None:
    body = form([WHISPER], SPEECH)
    reply = await post(await serve(http_port=0), f"{PATH}/audio/transcriptions", body)
    assert (reply.status, reply.error["type"]) == (404, "invalid_request_error")
    assert "twice" in reply.error["message"]


@reported("Shadowfita/parakeet-tdt-0.6b-v2-fastapi#4")
@pytest.mark.parametrize(
    "path", ["/audio/transcriptions", f"{PATH}/", "/v1//audio/transcriptions", f"/{PATH}"]
)
async def test_the_path_may_lack_v1_or_have_other_slashes(
    serve: Serve, path: str, issues: str
) -> None:
    reply = await post(await serve(http_port=0), path, form([WHISPER], SPEECH))
    assert reply.status == 200


@reported("OpenWhispr/openwhispr#750")
@pytest.mark.parametrize("given", ["", "/", "/v1", "/v1/", PATH])
async def test_a_url_may_be_given_in_any_form_and_without_a_key(
    serve: Serve, given: str, issues: str
) -> None:
    """OpenWhispr completes the URL of an own server; requests without a key got a 401."""
    path = given if given == PATH else f"{given.rstrip('/')}/audio/transcriptions"
    reply = await post(await serve(http_port=0), path, form([WHISPER], SPEECH))
    assert (reply.status, reply.json["text"]) == (200, "1.0 seconds")


@reported("speaches-ai/speaches#129")
async def test_work_stops_when_the_client_leaves(serve: Serve, issues: str) -> None:
    engine = FakeEngine(held=True)
    server = await serve(engine, http_port=0)
    other = asyncio.create_task(post(server, PATH, form([WHISPER], SPEECH)))
    await asyncio.to_thread(engine.decoding.wait)
    body = form([WHISPER], SPEECH)
    async with peer(f"tcp://{address(server)}") as connection:
        kind = "multipart/form-data; boundary=boundary"
        connection.send(head("POST", PATH, length=len(body), content_type=kind) + body)
        await until(lambda: server.waiting == 1)
    await until(lambda: server.waiting == 0)
    assert server.withdrawn == 1
    engine.release()
    assert (await other).status == 200
    assert len(engine.decoded) == 1


@reported("murtaza-nasir/speakr#42", "chidiwilliams/buzz#381")
async def test_too_large_a_file_is_refused_in_openais_words(serve: Serve, issues: str) -> None:
    body = form([WHISPER], bytes(2 << 20))
    reply = await post(await serve(http_port=0, max_upload=1), PATH, body)
    assert reply.status == 413
    assert "Maximum content size limit (1048576) exceeded" in reply.error["message"]


@reported("UpstreetAI/usdk#637")
async def test_a_file_without_samples_is_the_clients_fault(serve: Serve, issues: str) -> None:
    reply = await post(await serve(http_port=0), PATH, form([WHISPER], wav(silence(0.0))))
    assert reply.status < 500
