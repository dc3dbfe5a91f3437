"""Transcribe with Groq's client: groq_client.py URL CLIP"""

import json
import sys
from pathlib import Path

import groq

url, clip = sys.argv[1:]
client = groq.Groq(base_url=url, api_key="none", max_retries=0)  # it appends /openai/v1
words = client.audio.transcriptions.create(
    file=Path(clip),
    model="whisper-large-v3-turbo",
    response_format="verbose_json",
    timestamp_granularities=["word", "segment"],
)
try:
    client.audio.transcriptions.create(url="https://example.org/a.wav", model="whisper-1")
except groq.APIStatusError as error:
    refused = str(error)
print(json.dumps({"text": words.text, "words": words.words, "refused": refused}))
