"""Audio of every supported format reaches the engine as 16 kHz mono."""

from __future__ import annotations

import io
import wave

import numpy as np
import pytest
from wyoming.audio import AudioStart, AudioStop

from tests.support.serving import PCM, Server, chunks, frames, recording
from wyoming_faster_whisper.audio.highpass import HighPass
from wyoming_faster_whisper.audio.pcm import SAMPLE_RATE, PcmFormat, Samples, decode_pcm
from wyoming_faster_whisper.testing import pcm16, tone

WIDEST = 2**31
ROUNDING = 2 / 32768  # tolerance for samples stored with 16 bits


def pcm(samples: Samples, form: PcmFormat) -> bytes:
    """Encode samples in an audio format, the same signal in every channel."""
    wide = np.rint(samples.astype(np.float64) * (WIDEST - 1)).astype("<i4")
    kept = wide.view(np.uint8).reshape(-1, 4)[:, 4 - form.width :]
    if form.width == 1:
        kept = kept ^ np.uint8(0x80)  # 8-bit PCM is unsigned
    return np.repeat(kept[:, np.newaxis], form.channels, axis=1).tobytes()


def assert_tone(samples: Samples, *, seconds: float) -> None:
    """Assert that the samples are a tone of 440 Hz of this length, at half scale."""
    assert len(samples) == pytest.approx(seconds * SAMPLE_RATE, abs=SAMPLE_RATE / 50)
    spectrum = np.abs(np.fft.rfft(samples))
    assert np.argmax(spectrum) * SAMPLE_RATE / len(samples) == pytest.approx(440, abs=2)
    middle = samples[len(samples) // 4 : -len(samples) // 4]
    assert np.abs(middle).max() == pytest.approx(0.5, abs=0.02)


def filtered(data: bytes) -> Samples:
    """Return what the engine gets for 16 kHz mono: the decoded and filtered samples."""
    return HighPass().feed(decode_pcm(data, PcmFormat()))


@pytest.mark.parametrize(
    "form",
    [
        PcmFormat(16_000, 2, 1),
        PcmFormat(48_000, 3, 2),
        PcmFormat(8_000, 2, 1),
        PcmFormat(8_000, 1, 1),
        PcmFormat(44_100, 4, 1),
        PcmFormat(192_000, 4, 8),
    ],
    ids=lambda form: f"{form.rate}Hz-{8 * form.width}bit-{form.channels}ch",
)
async def test_every_supported_format_is_converted(server: Server, form: PcmFormat) -> None:
    async with server.client() as client:
        data = pcm(tone(1.0, rate=form.rate), form)
        await client.send(*recording(data, form, chunk=10_000))
        assert await client.transcript() == "1.0 seconds"
    [job] = server.engine.decoded
    assert_tone(job.samples, seconds=1.0)


@pytest.mark.parametrize("chunk", [1, 320, 333, 4096, 100_000])
async def test_chunks_may_have_any_length(server: Server, chunk: int) -> None:
    said = tone(0.1)
    async with server.client() as client:
        await client.send(*recording(pcm16(said), PCM, chunk=chunk))
        assert await client.transcript() == "0.1 seconds"
    [job] = server.engine.decoded
    assert np.allclose(job.samples, filtered(pcm16(said)), atol=ROUNDING)


async def test_a_wav_header_in_the_stream_is_skipped(server: Server) -> None:
    file = io.BytesIO()
    with wave.open(file, "wb") as wav:
        wav.setframerate(16_000)
        wav.setsampwidth(2)
        wav.setnchannels(1)
        wav.writeframes(pcm16(tone(0.5)))
    async with server.client() as client:
        await client.send(*recording(file.getvalue(), PCM, chunk=7))
        assert await client.transcript() == "0.5 seconds"
    [job] = server.engine.decoded
    assert np.allclose(job.samples, filtered(pcm16(tone(0.5))), atol=ROUNDING)


def wav_file(form: PcmFormat, seconds: float) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as wav:
        wav.setparams((form.channels, form.width, form.rate, 0, "NONE", ""))
        wav.writeframes(pcm(tone(seconds, rate=form.rate), form))
    return file.getvalue()


async def test_a_wav_header_overrides_the_format_of_audio_start(server: Server) -> None:
    async with server.client() as client:
        file = wav_file(PcmFormat(44_100, 2, 2), 1.0)
        await client.send(*recording(file, PCM, chunk=320))
        assert await client.transcript() == "1.0 seconds"
    [job] = server.engine.decoded
    assert_tone(job.samples, seconds=1.0)


async def test_a_wav_file_in_an_unsupported_format_is_refused(server: Server) -> None:
    file = bytearray(wav_file(PcmFormat(), 0.5))
    file[20] = 6  # A-law
    async with server.peer() as peer:
        error = await peer.send(frames(recording(bytes(file), PCM, chunk=320))).error()
    assert error.code == "audio"
    assert "format 0x0006" in error.text
    await server.serves()


async def test_riff_data_without_a_wave_header_is_treated_as_pcm(server: Server) -> None:
    data = b"RIFF" + pcm16(tone(0.5))
    async with server.client() as client:
        await client.send(*recording(data, PCM, chunk=320))
        assert await client.transcript() == "0.5 seconds"
    [job] = server.engine.decoded
    assert np.allclose(job.samples, filtered(data), atol=ROUNDING)


async def test_one_chunk_may_contain_a_whole_recording(server: Server) -> None:
    data = pcm16(tone(60.0))
    assert len(data) > 1024 * 1024
    async with server.client() as client:
        await client.send(*recording(data, PCM, chunk=len(data)))
        assert (await client.transcript()).endswith(" seconds")
    assert sum(job.seconds for job in server.engine.decoded) == pytest.approx(60.0, abs=0.1)


async def test_the_format_may_change_within_an_utterance(server: Server) -> None:
    wide = PcmFormat(48_000, 3, 2)
    async with server.client() as client:
        await client.send(
            AudioStart(rate=PCM.rate, width=PCM.width, channels=PCM.channels).event(),
            *chunks(pcm16(tone(0.5)), PCM),
            *chunks(pcm(tone(0.5, rate=48_000), wide), wide, chunk=1000),
            AudioStop().event(),
        )
        assert await client.transcript() == "1.0 seconds"
    [job] = server.engine.decoded
    assert_tone(job.samples[: SAMPLE_RATE // 2], seconds=0.5)
    assert_tone(job.samples[SAMPLE_RATE // 2 :], seconds=0.5)
