"""Uploads as clients send them, byte for byte but for the boundary and the sound.

Recorded with openai 3.57 (Python) and 6.49 (Node), ai 6 with @ai-sdk/openai 3, requests 2.34,
httpx 0.28, aiohttp 3.14, curl 7.88, and axios 1.21 with form-data 4. Applications have the
fields that they send and the HTTP library that they use. Those of .NET and of a browser are
written after their documentation.
"""

from __future__ import annotations

from dataclasses import dataclass

from wyoming_faster_whisper.transports.http.files.form import (
    Granularity,
    ResponseFormat,
    TranscriptionForm,
)
from wyoming_faster_whisper.transports.http.files.multipart import FileStart
from wyoming_faster_whisper.transports.http.server_vad import ServerVad

BOTH = frozenset(Granularity)
WORDS = frozenset({Granularity.WORD})


@dataclass(frozen=True, slots=True)
class Upload:
    """A request's body, and what it means."""

    parts: tuple[str, ...]  # headers, an empty line, content; "@" stands for the sound
    form: TranscriptionForm
    file: FileStart
    boundary: str = "c3da636aa7f9fe36eae4eb5156b8decf"
    quote: str = ""  # around the boundary in the Content-Type

    @property
    def content_type(self) -> str:
        return f"multipart/form-data; boundary={self.quote}{self.boundary}{self.quote}"

    def body(self, sound: bytes) -> bytes:
        lines = [f"--{self.boundary}\n{part}\n" for part in self.parts]
        text = "".join([*lines, f"--{self.boundary}--\n"]).replace("\n", "\r\n")
        return text.encode().replace(b"@", sound)


def field(name: str, value: str) -> str:
    return f'Content-Disposition: form-data; name="{name}"\n\n{value}'


def file(name: str, type: str = "", field: str = "file") -> str:
    content_type = f"\nContent-Type: {type}" if type else ""
    return f'Content-Disposition: form-data; name="{field}"; filename="{name}"{content_type}\n\n@'


def aiohttp(name: str, value: str) -> str:
    return f"Content-Type: text/plain; charset=utf-8\n{field(name, value)}"


def dotnet(name: str, value: str) -> str:
    return (
        "Content-Type: text/plain; charset=utf-8\n"
        f"Content-Disposition: form-data; name={name}\n\n{value}"
    )


def guzzle(name: str, value: str) -> str:
    return (
        f'Content-Disposition: form-data; name="{name}"\nContent-Length: {len(value)}\n\n{value}'
    )


OCTETS = "application/octet-stream"
UPLOADS = {
    "openai-py, an open file": Upload(
        (
            field("model", "whisper-1"),
            field("chunking_strategy[type]", "server_vad"),
            field("chunking_strategy[threshold]", "0.3"),
            field("include[]", "logprobs"),
            field("language", "en"),
            field("prompt", "Küche"),
            field("response_format", "verbose_json"),
            field("temperature", "0.2"),
            field("timestamp_granularities[]", "word"),
            field("timestamp_granularities[]", "segment"),
            file("a.wav", "audio/x-wav"),
        ),
        TranscriptionForm(
            model="whisper-1",
            chunking=ServerVad(threshold=0.3),
            logprobs=True,
            language="en",
            prompt="Küche",
            response_format=ResponseFormat.VERBOSE_JSON,
            temperature=0.2,
            granularities=BOTH,
        ),
        FileStart("file", "a.wav", "audio/x-wav"),
    ),
    "openai-py, nameless bytes and extra_body": Upload(
        (
            field("model", "gpt-4o-transcribe"),
            field("chunking_strategy", "auto"),
            field("language", ""),
            field("stream", "true"),
            field("vad_filter", "false"),
            field("languages[]", "de"),
            field("languages[]", "en"),
            file("upload", OCTETS),
        ),
        TranscriptionForm(
            model="gpt-4o-transcribe", chunking="auto", stream=True, languages=("de", "en")
        ),
        FileStart("file", "upload", OCTETS),
    ),
    "openai-js, a read stream": Upload(
        (
            file("a.wav", OCTETS),
            field("model", "whisper-1"),
            field("temperature", "0"),
            field("response_format", "verbose_json"),
            field("timestamp_granularities[]", "word"),
        ),
        TranscriptionForm(
            model="whisper-1",
            response_format=ResponseFormat.VERBOSE_JSON,
            granularities=WORDS,
        ),
        FileStart("file", "a.wav", OCTETS),
        boundary="openai-bl4u1miz1y",
    ),
    "openai-js, a buffer": Upload(
        (
            file("unknown_file", OCTETS),
            field("model", "whisper-1"),
            field("stream", "true"),
            field("chunking_strategy[type]", "server_vad"),
            field("chunking_strategy[silence_duration_ms]", "500"),
        ),
        TranscriptionForm(
            model="whisper-1", stream=True, chunking=ServerVad(silence_duration_ms=500)
        ),
        FileStart("file", "unknown_file", OCTETS),
        boundary="----formdata-undici-011322456789",
    ),
    "ai-sdk, bare": Upload(
        (field("model", "whisper-1"), file("audio.wav", "audio/wav")),
        TranscriptionForm(model="whisper-1"),
        FileStart("file", "audio.wav", "audio/wav"),
        boundary="----formdata-undici-062393156907",
    ),
    "ai-sdk, gpt-4o-transcribe with granularities": Upload(
        (
            field("model", "gpt-4o-transcribe"),
            file("audio.wav", "audio/wav"),
            field("response_format", "json"),
            field("temperature", "0"),
            field("timestamp_granularities[]", "word"),
            field("timestamp_granularities[]", "segment"),
        ),
        TranscriptionForm(model="gpt-4o-transcribe", granularities=BOTH),
        FileStart("file", "audio.wav", "audio/wav"),
        boundary="----formdata-undici-065267198692",
    ),
    "litellm, through openai-py": Upload(
        (
            field("model", "whisper-1"),
            field("response_format", "verbose_json"),
            file("voice.mp3", "audio/mpeg"),
        ),
        TranscriptionForm(model="whisper-1", response_format=ResponseFormat.VERBOSE_JSON),
        FileStart("file", "voice.mp3", "audio/mpeg"),
    ),
    "Open WebUI, by requests": Upload(
        (field("model", "whisper-1"), field("language", "de"), file("0f3c.mp3")),
        TranscriptionForm(model="whisper-1", language="de"),
        FileStart("file", "0f3c.mp3", ""),
    ),
    "Home Assistant, by httpx": Upload(
        (
            field("model", "whisper-1"),
            field("language", "zh-tw"),
            field("temperature", "0"),
            field("prompt", ""),
            field("response_format", "json"),
            file("audio.wav", "audio/wav"),
        ),
        TranscriptionForm(model="whisper-1", language="zh-tw"),
        FileStart("file", "audio.wav", "audio/wav"),
    ),
    "Home Assistant, by aiohttp": Upload(
        (
            "Content-Type: audio/wav\n"
            'Content-Disposition: form-data; name="file"; filename="audio.wav"\n\n@',
            aiohttp("model", "whisper-1"),
            aiohttp("language", "fil"),
            aiohttp("temperature", "0"),
            aiohttp("prompt", ""),
        ),
        TranscriptionForm(model="whisper-1", language="fil"),
        FileStart("file", "audio.wav", "audio/wav"),
    ),
    "wyoming_openai": Upload(
        (
            field("model", "base"),
            field("language", "en"),
            field("response_format", "json"),
            field("stream", "true"),
            field("vad_filter", "false"),
            file("audio.wav", "audio/x-wav"),
        ),
        TranscriptionForm(model="base", language="en", stream=True),
        FileStart("file", "audio.wav", "audio/x-wav"),
    ),
    "n8n, by axios and form-data": Upload(
        (
            field("model", "whisper-1"),
            field("language", "de"),
            field("temperature", "0"),
            file("aüdio.mp3", "audio/mpeg"),
        ),
        TranscriptionForm(model="whisper-1", language="de"),
        FileStart("file", "aüdio.mp3", "audio/mpeg"),
        boundary="--------------------------3a4280f4ec57f90bc7d5619e",
    ),
    "a browser's FormData": Upload(
        (
            file("audio.webm", "audio/webm;codecs=opus"),
            field("model", "whisper-1"),
            field("prompt", "Küche\nzwei"),
        ),
        TranscriptionForm(model="whisper-1", prompt="Küche\r\nzwei"),
        FileStart("file", "audio.webm", "audio/webm"),
        boundary="----WebKitFormBoundaryQ3yVu0cXl9Zt8bKd",
    ),
    "curl -F": Upload(
        (
            file("a.wav", OCTETS),
            field("model", "whisper-1"),
            field("response_format", "srt"),
            field("prompt", "Küche"),
        ),
        TranscriptionForm(model="whisper-1", response_format=ResponseFormat.SRT, prompt="Küche"),
        FileStart("file", "a.wav", OCTETS),
        boundary="------------------------26457ed0acb6b159",
    ),
    "SubtitleEdit, by .NET": Upload(
        (
            "Content-Type: audio/wav\nContent-Disposition: form-data; name=file; "
            "filename=audio.wav; filename*=utf-8''audio.wav\n\n@",
            dotnet("model", "whisper-1"),
            dotnet("language", "en"),
            dotnet("response_format", "json"),
            dotnet('"timestamp_granularities[]"', "segment"),
            dotnet('"timestamp_granularities[]"', "word"),
            dotnet("temperature", "0.20"),
            dotnet("stream", "true"),
        ),
        TranscriptionForm(
            model="whisper-1", language="en", granularities=BOTH, temperature=0.2, stream=True
        ),
        FileStart("file", "audio.wav", "audio/wav"),
        boundary="5f5c52a4-9a5b-4ef1-8b49-c0ffee123456",
        quote='"',
    ),
    ".NET, a name that is not ASCII": Upload(
        (
            dotnet("model", "whisper-1"),
            'Content-Disposition: form-data; name=file; filename="=?utf-8?B?w7wub2dn?="; '
            "filename*=utf-8''%C3%BC.ogg\n\n@",
        ),
        TranscriptionForm(model="whisper-1"),
        FileStart("file", "ü.ogg", ""),
        quote='"',
    ),
    "LibreChat, by axios with a stream": Upload(
        (file("audio.webm", "audio/webm"), field("model", "whisper-1"), field("language", "en")),
        TranscriptionForm(model="whisper-1", language="en"),
        FileStart("file", "audio.webm", "audio/webm"),
        boundary="axios-1.21.0-boundary-7fOZ2cLGWvFq7nYt1Rk0bXs3d",
    ),
    "Home Assistant's openai_conversation, by openai-py": Upload(
        (
            field("model", "gpt-4o-mini-transcribe"),
            field("language", "en"),
            field("prompt", "A smart home user talks to Home Assistant."),
            field("response_format", "json"),
            file("a.wav", "audio/x-wav"),
        ),
        TranscriptionForm(
            model="gpt-4o-mini-transcribe",
            language="en",
            prompt="A smart home user talks to Home Assistant.",
        ),
        FileStart("file", "a.wav", "audio/x-wav"),
    ),
    "openai_whisper_cloud of Home Assistant, by requests": Upload(
        (
            field("model", "whisper-1"),
            field("language", "en-US"),
            field("temperature", "0"),
            field("prompt", ""),
            file("audio.wav", "audio/wav"),
        ),
        TranscriptionForm(model="whisper-1", language="en-US"),
        FileStart("file", "audio.wav", "audio/wav"),
    ),
    "OpenWhispr, by Electron's FormData": Upload(
        (
            file("audio.webm", "audio/webm;codecs=opus"),
            field("model", "whisper-1"),
            field("language", "en"),
            field("prompt", "OpenWhispr, timer"),
        ),
        TranscriptionForm(model="whisper-1", language="en", prompt="OpenWhispr, timer"),
        FileStart("file", "audio.webm", "audio/webm"),
        boundary="----WebKitFormBoundaryf3o7PzRkq1VwLm2T",
    ),
    "Obsidian's Whisper plug-in, by FormData": Upload(
        (
            file("2026-11-29T20-36-41.webm", "audio/webm"),
            field("model", "whisper-1"),
            field("language", "en"),
            field("prompt", "Obsidian"),
        ),
        TranscriptionForm(model="whisper-1", language="en", prompt="Obsidian"),
        FileStart("file", "2026-11-29T20-36-41.webm", "audio/webm"),
        boundary="----WebKitFormBoundary0sVbqLx7Zy1mNcAe",
    ),
    "SillyTavern, by form-data": Upload(
        (file("audio.wav", "audio/wav"), field("model", "whisper-1"), field("language", "en")),
        TranscriptionForm(model="whisper-1", language="en"),
        FileStart("file", "audio.wav", "audio/wav"),
        boundary="--------------------------728313904511872399251774",
    ),
    "AnythingLLM, by openai-js": Upload(
        (file("a.wav", OCTETS), field("model", "whisper-small"), field("temperature", "0")),
        TranscriptionForm(model="whisper-small"),
        FileStart("file", "a.wav", OCTETS),
        boundary="openai-k9x2p0q7zz",
    ),
    "aider, through litellm": Upload(
        (
            field("model", "whisper-1"),
            field("language", "en"),
            field("prompt", "Add a timer."),
            field("response_format", "verbose_json"),
            file("tmp1.wav", "audio/x-wav"),
        ),
        TranscriptionForm(
            model="whisper-1",
            language="en",
            prompt="Add a timer.",
            response_format=ResponseFormat.VERBOSE_JSON,
        ),
        FileStart("file", "tmp1.wav", "audio/x-wav"),
    ),
    "LiveKit, by openai-py": Upload(
        (
            field("model", "whisper-1"),
            field("language", "en"),
            field("response_format", "verbose_json"),
            file("file.wav", "audio/wav"),
        ),
        TranscriptionForm(
            model="whisper-1", language="en", response_format=ResponseFormat.VERBOSE_JSON
        ),
        FileStart("file", "file.wav", "audio/wav"),
    ),
    "Nextcloud, by Guzzle": Upload(
        (
            'Content-Disposition: form-data; name="file"; filename="file.mp3"\n'
            "Content-Length: 11\nContent-Type: audio/mpeg\n\n@",
            guzzle("model", "whisper-1"),
            guzzle("response_format", "verbose_json"),
        ),
        TranscriptionForm(model="whisper-1", response_format=ResponseFormat.VERBOSE_JSON),
        FileStart("file", "file.mp3", "audio/mpeg"),
        boundary="d7a5c9e1b3f04f6f9c2e8d7b6a5f4e3d2c1b0a99",
    ),
    "Bazarr's /asr, by requests": Upload(
        (file("audio_file", field="audio_file"),),
        TranscriptionForm(),
        FileStart("audio_file", "audio_file", ""),
    ),
}
