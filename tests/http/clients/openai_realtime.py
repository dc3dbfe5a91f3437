"""Transcribe a stream with OpenAI's Python client: openai_realtime.py URL PCM [beta]

PCM is raw, 16-bit, 24 kHz, mono. `beta` uses the names of the events before August 2025.
"""

import asyncio
import base64
import json
import sys
from pathlib import Path

import openai

url, pcm = sys.argv[1:3]
beta = bool(sys.argv[3:])
sound = Path(pcm).read_bytes()
vad = {"type": "server_vad", "silence_duration_ms": 500}


def connect(client):
    if beta:
        return client.beta.realtime.connect(model="whisper-1")
    return client.realtime.connect(extra_query={"intent": "transcription"})


async def configure(connection):
    if beta:
        session = {
            "input_audio_format": "pcm16",
            "input_audio_transcription": {"model": "whisper-1", "language": "en"},
            "turn_detection": vad,
        }
        await connection.transcription_session.update(session=session)
        return
    audio = {
        "format": {"type": "audio/pcm", "rate": 24000},
        "transcription": {"model": "whisper-1", "language": "en"},
        "turn_detection": vad,
    }
    session = {"type": "transcription", "audio": {"input": audio}}
    await connection.session.update(session=session)


async def main():
    options = {
        "base_url": f"{url}/v1",
        "websocket_base_url": f"{url}/v1".replace("http", "ws", 1),
    }
    types = []
    client = openai.AsyncOpenAI(api_key="none", **options)
    async with client, connect(client) as connection:
        await configure(connection)
        for at in range(0, len(sound), 4800):
            audio = base64.b64encode(sound[at : at + 4800]).decode()
            await connection.input_audio_buffer.append(audio=audio)
        async for event in connection:
            types.append(event.type)
            if event.type == "error":
                return {"types": types, "error": event.error.message}
            if event.type == "conversation.item.input_audio_transcription.completed":
                return {"types": types, "transcript": event.transcript}


print(json.dumps(asyncio.run(main())))
