"""Use the API with any version of OpenAI's Python client: openai_sdk.py URL CLIP

Prints JSON: what each call returned, or the error that it raised.
"""

import asyncio
import io
import json
import sys
from pathlib import Path

import openai

URL, CLIP = sys.argv[1], Path(sys.argv[2])
OPTIONS = {"base_url": f"{URL}/v1", "api_key": "none", "max_retries": 0}

client = openai.OpenAI(**OPTIONS)
create = client.audio.transcriptions.create
sound = CLIP.read_bytes()


def formats():
    return {
        each: plain(create(model="whisper-1", file=CLIP, response_format=each))
        for each in ("json", "text", "srt", "vtt", "verbose_json")
    }


def words():
    both = ["word", "segment"]
    answer = create(
        model="whisper-1",
        file=CLIP,
        response_format="verbose_json",
        timestamp_granularities=both,
    )
    return {
        "segments": [plain(each) for each in answer.segments],
        "words": [plain(each) for each in answer.words],
    }


def ways_to_give_a_file():
    nameless = io.BytesIO(sound)
    with CLIP.open("rb") as opened:
        return {
            name: create(model="whisper-1", file=file).text
            for name, file in {
                "open file": opened,
                "path": CLIP,
                "bytes": sound,
                "nameless": nameless,
                "tuple": ("ü.ogg", sound, "audio/ogg"),
            }.items()
        }


def fields():
    return create(
        model="gpt-4o-transcribe",
        file=CLIP,
        language="",
        prompt="Küche",
        temperature=0.2,
        include=["logprobs"],
        chunking_strategy={"type": "server_vad", "threshold": 0.4},
        extra_body={"vad_filter": False, "hotwords": "timer, Nanit"},
    ).logprobs


def stream():
    events = create(model="whisper-1", file=CLIP, stream=True)
    return [plain(event) for event in events]


async def asynchronous():
    async with openai.AsyncOpenAI(**OPTIONS) as other:
        answer = await other.audio.transcriptions.create(model="whisper-1", file=CLIP)
        events = await other.audio.transcriptions.create(
            model="whisper-1", file=CLIP, stream=True
        )
        return {"text": answer.text, "types": [event.type async for event in events]}


def raw():
    answer = client.audio.transcriptions.with_raw_response.create(model="whisper-1", file=CLIP)
    return {"headers": dict(answer.headers), "text": answer.parse().text}


def models():
    return {
        "list": [model.id for model in client.models.list()],
        "retrieved": [
            client.models.retrieve(name).id
            for name in ("base", "whisper-1", "Systran/faster-whisper-base")
        ],
    }


def errors():
    calls = {
        "model": {"model": "gpt-5", "file": CLIP},
        "temperature": {"model": "whisper-1", "file": CLIP, "temperature": 2},
        "format": {"model": "whisper-1", "file": CLIP, "response_format": "diarized_json"},
        "text": {"model": "whisper-1", "file": b"this is not audio"},
        "empty": {"model": "whisper-1", "file": b""},
    }
    return {name: error(create, **call) for name, call in calls.items()}


def error(call, **arguments):
    try:
        call(**arguments)
    except openai.APIStatusError as raised:
        return {
            "class": type(raised).__name__,
            "message": raised.message,
            "param": raised.param,
            "code": raised.code,
            "type": raised.type,
            "request_id": raised.request_id,
        }


def doubled_path():
    wrong = openai.OpenAI(**{**OPTIONS, "base_url": f"{URL}/v1/audio/transcriptions"})
    return error(wrong.audio.transcriptions.create, model="whisper-1", file=CLIP)


def translation():
    return client.audio.translations.create(model="whisper-1", file=CLIP).text


def plain(value):
    return value.model_dump(mode="json") if hasattr(value, "model_dump") else value


print(
    json.dumps(
        {
            "version": openai.__version__,
            "formats": formats(),
            "words": words(),
            "files": ways_to_give_a_file(),
            "logprobs": [plain(each) for each in fields()],
            "stream": stream(),
            "async": asyncio.run(asynchronous()),
            "raw": raw(),
            "models": models(),
            "errors": errors(),
            "doubled_path": doubled_path(),
            "translation": translation(),
        }
    )
)
