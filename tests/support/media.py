"""Generated audio and video files."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from wyoming_faster_whisper.audio.pcm import Samples
from wyoming_faster_whisper.testing import pcm16

CODECS = {
    ".wav": "pcm_s16le",
    ".flac": "flac",
    ".mp3": "libmp3lame",
    ".ogg": "libopus",
    ".opus": "libopus",
    ".m4a": "aac",
    ".mp4": "aac",
    ".mkv": "libopus",
    ".webm": "libopus",
}


def write_media(path: Path, samples: Samples | None, codec: str | None = None) -> Path:
    """Write a media file in the format of its suffix; samples are 16 kHz mono, None = no audio.

    .mp4 and .mkv files also get a video track of one second.

    Args:
        codec: FFmpeg's name of it; None = the usual one of the format.
    """
    with av.open(str(path), "w") as file:
        if path.suffix in (".mp4", ".mkv"):
            picture = file.add_stream("mpeg4", rate=10)
            picture.width = picture.height = 64
            picture.pix_fmt = "yuv420p"
        sound: av.AudioStream | None = None
        if samples is not None:
            stream = file.add_stream(codec or CODECS[path.suffix], rate=48_000, layout="mono")
            assert isinstance(stream, av.AudioStream)
            sound = stream
        if path.suffix in (".mp4", ".mkv"):
            black = av.VideoFrame.from_ndarray(np.zeros((64, 64, 3), np.uint8), format="rgb24")
            for _ in range(10):
                file.mux(picture.encode(black))
            file.mux(picture.encode(None))
        if sound is not None and samples is not None:
            data = np.frombuffer(pcm16(samples), np.int16).reshape(1, -1)
            frame = av.AudioFrame.from_ndarray(data, format="s16", layout="mono")
            frame.sample_rate = 16_000
            resampler = av.AudioResampler(
                format=sound.format.name,
                layout="mono",
                rate=48_000,
                frame_size=sound.frame_size or None,
            )
            for part in (*resampler.resample(frame), *resampler.resample(None)):
                file.mux(sound.encode(part))
            file.mux(sound.encode(None))
    return path
