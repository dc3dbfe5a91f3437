"""Transcribe with litellm: litellm_client.py URL CLIP"""

import asyncio
import json
import sys
from pathlib import Path

import litellm

url, clip = sys.argv[1:]
options = {"api_base": f"{url}/v1", "api_key": "none", "max_retries": 0}
file = ("timer.wav", Path(clip).read_bytes())
answer = litellm.transcription("openai/whisper-1", file, **options)  # asks for verbose_json
formats = {
    each: litellm.transcription("openai/whisper-1", file, response_format=each, **options).text
    for each in ("json", "text", "srt")
}
router = litellm.Router(
    [{"model_name": "speech", "litellm_params": {"model": "openai/whisper-1", **options}}]
)
routed = asyncio.run(router.atranscription(file=file, model="speech")).text
plain = {"text": answer.text, "duration": getattr(answer, "duration", None)}
print(json.dumps({"answer": plain, "formats": formats, "routed": routed}))
