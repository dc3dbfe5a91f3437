"""Uploads to the HTTP API. Blocking; only the standard library, as a plain client."""

import http.client
import io
import json
import wave

from .clips import SAMPLE_RATE, WIDTH

_BOUNDARY = "bench"
_TIMEOUT = 3600.0  # seconds


def wav(audio: bytes) -> bytes:
    """Return PCM, 16-bit, 16 kHz, mono, as a WAV file."""
    data = io.BytesIO()
    with wave.open(data, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(WIDTH)
        file.setframerate(SAMPLE_RATE)
        file.writeframes(audio)
    return data.getvalue()


def transcribe(
    port: int,
    file: bytes,
    *,
    address: str = "127.0.0.1",
    language: str | None = None,
    detailed: bool = False,
) -> str:
    """Upload a file to a local server; return its text.

    Args:
        port: HTTP port on 127.0.0.1.
        address: address to connect from.
        language: code; None = not sent.
        detailed: ask for the segments, words and log-probabilities as well.

    Raises:
        OSError: the server closed the connection, or answered with an error.
    """
    fields = [("model", "whisper-1"), *([("language", language)] if language else [])]
    if detailed:
        fields += [
            ("response_format", "verbose_json"),
            ("timestamp_granularities[]", "segment"),
            ("timestamp_granularities[]", "word"),
            ("include[]", "logprobs"),
        ]
    answer = _upload(port, "/v1/audio/transcriptions", fields, "file", file, address)
    return str(json.loads(answer)["text"])


def subtitles(port: int, pcm: bytes, *, language: str) -> str:
    """Upload PCM, 16-bit, 16 kHz, mono, as Bazarr does; return SRT.

    Raises:
        OSError: the server closed the connection, or answered with an error.
    """
    query = f"task=transcribe&language={language}&output=srt&encode=false"
    return _upload(port, f"/asr?{query}", [], "audio_file", pcm, "127.0.0.1").decode()


def _upload(
    port: int,
    path: str,
    fields: list[tuple[str, str]],
    name: str,
    file: bytes,
    address: str,
) -> bytes:
    parts = [
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"\r\n\r\n{value}\r\n'
        for field, value in fields
    ]
    parts.append(
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"; filename="a"\r\n\r\n'
    )
    body = "".join(parts).encode() + file + f"\r\n--{_BOUNDARY}--\r\n".encode()
    connection = http.client.HTTPConnection(
        "127.0.0.1", port, timeout=_TIMEOUT, source_address=(address, 0)
    )
    try:
        connection.request(
            "POST",
            path,
            body,
            {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"},
        )
        response = connection.getresponse()
        answer = response.read()
    except http.client.HTTPException as error:
        raise OSError(f"broken response: {error!r}") from None
    finally:
        connection.close()
    if response.status != 200:
        raise OSError(f"status {response.status}: {answer.decode(errors='replace')}")
    return answer
