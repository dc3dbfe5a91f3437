"""No telemetry."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path


def test_the_vad_writes_no_telemetry_files(tmp_path: Path) -> None:
    """By default, ONNX Runtime stores a device id and queued telemetry reports under $HOME."""
    code = (
        "import numpy as np; from wyoming_faster_whisper.speech.vad import Vad;"
        "Vad().probabilities(np.zeros(16000, np.float32))"
    )
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("XDG", "ORT"))
    }
    environ = kept | {"HOME": str(tmp_path)}
    subprocess.run([sys.executable, "-c", code], env=environ, check=True, timeout=50)
    assert [str(path) for path in tmp_path.rglob("*")] == []
