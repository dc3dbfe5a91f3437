"""Speech-to-text server for the home: Whisper over the Wyoming protocol."""

import os

__version__ = "4.0.0"

# ONNX Runtime, which runs the VAD, sends telemetry unless this is set before its first import.
# This server sends none.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
