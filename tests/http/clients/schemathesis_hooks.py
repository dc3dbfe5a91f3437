"""Hooks of schemathesis: half of the files are WAV files, so that their requests are accepted."""

import io
import wave

import schemathesis
from hypothesis import strategies

data = io.BytesIO()
with wave.open(data, "wb") as silence:
    silence.setnchannels(1)
    silence.setsampwidth(2)
    silence.setframerate(16_000)
    silence.writeframes(bytes(3200))
files = strategies.sampled_from([data.getvalue(), data.getvalue(), b"not a sound", b""])
schemathesis.openapi.format("binary", files)
