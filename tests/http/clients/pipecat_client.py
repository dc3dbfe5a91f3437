"""Transcribe with Pipecat: pipecat_client.py URL WAV PCM [realtime]

PCM is raw, 16-bit, 24 kHz, mono.
"""

import asyncio
import json
import sys
from pathlib import Path

from pipecat.frames.frames import EndFrame, InputAudioRawFrame, TranscriptionFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.openai.stt import OpenAIRealtimeSTTService, OpenAISTTService
from pipecat.tests.utils import PipelineParams, PipelineWorker, WorkerRunner

url, clip, pcm = sys.argv[1:4]
RATE = 24_000


class Heard(FrameProcessor):
    """Ends the pipeline at the first transcript."""

    def __init__(self):
        super().__init__()
        self.texts = []
        self.worker = None

    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        if isinstance(frame, TranscriptionFrame):
            self.texts.append(frame.text)
            await self.worker.queue_frame(EndFrame())
        await self.push_frame(frame, direction)


async def file():
    settings = OpenAISTTService.Settings(model="whisper-1")
    service = OpenAISTTService(base_url=f"{url}/v1", api_key="none", settings=settings)
    return [frame.text async for frame in service.run_stt(sound)]


async def realtime():
    service = OpenAIRealtimeSTTService(
        api_key="none",
        base_url=f"{url}/v1/realtime".replace("http", "ws", 1),
        turn_detection={"type": "server_vad", "silence_duration_ms": 500},
        settings=OpenAIRealtimeSTTService.Settings(model="gpt-transcribe"),
    )
    heard = Heard()
    params = PipelineParams(audio_in_sample_rate=RATE)
    heard.worker = PipelineWorker(Pipeline([service, heard]), params=params)

    @heard.worker.event_handler("on_pipeline_started")
    async def speak(worker, frame):
        for at in range(0, len(sound), RATE // 5):
            piece = sound[at : at + RATE // 5]
            await worker.queue_frame(InputAudioRawFrame(piece, RATE, 1))

    runner = WorkerRunner()
    await runner.add_workers(heard.worker)
    await runner.run()
    return heard.texts


if sys.argv[4:]:
    sound = Path(pcm).read_bytes()
    print(json.dumps(asyncio.run(realtime())))
else:
    sound = Path(clip).read_bytes()
    print(json.dumps(asyncio.run(file())))
