"""Transcribe with SpeechRecognition, which reads OPENAI_BASE_URL: ... URL CLIP"""

import json
import os
import sys

import speech_recognition

url, clip = sys.argv[1:]
os.environ |= {"OPENAI_BASE_URL": f"{url}/v1", "OPENAI_API_KEY": "none"}
recognizer = speech_recognition.Recognizer()
with speech_recognition.AudioFile(clip) as source:
    audio = recognizer.record(source)
text = recognizer.recognize_openai(audio, model="whisper-1", language="en")
print(json.dumps({"text": text}))
