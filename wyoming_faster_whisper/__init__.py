"""Speech-to-text for the home: Whisper behind the Wyoming protocol."""

import os

__version__ = "4.0.0"

# ONNX Runtime, which runs the VAD, reports to its makers unless told not to before it is first
# imported. What happens in this house stays in this house.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
