"""Transcribe with LiveKit's plug-in: livekit_client.py URL WAV PCM [realtime]

PCM is raw, 16-bit, 24 kHz, mono.
"""

import asyncio
import json
import sys
import wave
from pathlib import Path

from livekit import rtc
from livekit.agents import stt, utils
from livekit.plugins import openai

url, clip, pcm = sys.argv[1:4]
sound = Path(pcm).read_bytes() if sys.argv[4:] else b""
options = {"base_url": f"{url}/v1", "api_key": "none"}


def frame(data, rate):
    return rtc.AudioFrame(data, rate, 1, len(data) // 2)


async def file():
    with wave.open(clip) as opened:
        spoken = frame(opened.readframes(opened.getnframes()), opened.getframerate())
    found = {}
    for model in ("whisper-1", "gpt-4o-mini-transcribe"):
        event = await openai.STT(model=model, **options).recognize(spoken)
        [speech] = event.alternatives
        found[model] = {"text": speech.text, "language": speech.language}
    return found


async def realtime():
    async with utils.http_context.open():
        client = openai.STT(model="whisper-1", use_realtime=True, **options)
        stream = client.stream()
        for at in range(0, len(sound), 4800):
            stream.push_frame(frame(sound[at : at + 4800], 24_000))
        kinds = []
        async for event in stream:
            kinds.append(event.type.value)
            if event.type is stt.SpeechEventType.FINAL_TRANSCRIPT:
                break
        await stream.aclose()
        await client.aclose()
    return {"kinds": kinds, "text": event.alternatives[0].text}


print(json.dumps(asyncio.run(realtime() if sys.argv[4:] else file())))
