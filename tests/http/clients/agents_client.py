"""Transcribe with the OpenAI Agents SDK: agents_client.py URL WAV PCM [realtime]

PCM is raw, 16-bit, 24 kHz, mono.
"""

import asyncio
import json
import sys
import wave

import numpy as np
from agents import set_tracing_disabled
from agents.voice import (
    AudioInput,
    OpenAIVoiceModelProvider,
    StreamedAudioInput,
    STTModelSettings,
)

url, clip, pcm = sys.argv[1:4]
set_tracing_disabled(True)
provider = OpenAIVoiceModelProvider(base_url=f"{url}/v1", api_key="none")


async def file():
    with wave.open(clip) as opened:
        samples = np.frombuffer(opened.readframes(opened.getnframes()), np.int16)
        sound = AudioInput(samples, frame_rate=opened.getframerate())
    model = provider.get_stt_model("whisper-1")
    return await model.transcribe(sound, STTModelSettings(language="en"), False, False)


async def realtime():
    sound = StreamedAudioInput()
    model = provider.get_stt_model(None)  # its own default
    session = await model.create_session(sound, STTModelSettings(), False, False)
    samples = np.fromfile(pcm, np.int16)
    for at in range(0, len(samples), 2400):
        await sound.add_audio(samples[at : at + 2400])
    await sound.add_audio(None)
    return [turn async for turn in session.transcribe_turns()]


print(json.dumps(asyncio.run(realtime() if sys.argv[4:] else file())))
