"""Decoding of files: every content under any name, also while it arrives."""

from __future__ import annotations

import io
import os
import struct
import wave
import zipfile
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from tests.support.media import CODECS, write_media
from wyoming_faster_whisper.audio.files import _limit_allocations, decode
from wyoming_faster_whisper.audio.pcm import SAMPLE_RATE, PcmFormat, Samples
from wyoming_faster_whisper.errors import AudioError, AudioTooLong, TooSlow
from wyoming_faster_whisper.testing import pcm16, tone

NOISE = np.random.default_rng(7).uniform(-0.5, 0.5, 20 * SAMPLE_RATE).astype(np.float32)


def media(folder: Path, suffix: str, samples: Samples | None) -> bytes:
    return write_media(folder / f"media{suffix}", samples).read_bytes()


def wav(data: bytes, *, data_size: int | None = None, rate: int = SAMPLE_RATE) -> bytes:
    """Return a WAV file of 16-bit mono PCM, with a true or another size in its header."""
    file = io.BytesIO()
    with wave.open(file, "wb") as writer:
        writer.setnchannels(1)
        writer.setsampwidth(2)
        writer.setframerate(rate)
        writer.writeframes(data)
    header = bytearray(file.getvalue()[:44])
    if data_size is not None:
        header[40:44] = data_size.to_bytes(4, "little")
    return bytes(header) + data


def decoded(data: bytes, **how: object) -> bytes:
    return b"".join(decode(io.BytesIO(data), "a file", **how))  # type: ignore[arg-type]


def faststart(folder: Path, samples: Samples) -> bytes:
    """Return an MP4 file with its index at the start, made from slow.mp4."""
    slow = write_media(folder / "slow.mp4", samples)
    fast = folder / "fast.mp4"
    with (
        av.open(str(slow)) as source,
        av.open(str(fast), "w", options={"movflags": "faststart"}) as target,
    ):
        copied = {s.index: target.add_stream_from_template(s) for s in source.streams}
        for packet in source.demux():
            if packet.dts is not None:
                packet.stream = copied[packet.stream.index]
                target.mux(packet)
    return fast.read_bytes()


def seconds(data: bytes) -> float:
    return len(data) / 2 / SAMPLE_RATE


def pitch(data: bytes) -> int:
    """Return the strongest frequency in the second second of a sound, in Hz."""
    samples = np.frombuffer(data, np.int16)[SAMPLE_RATE : 2 * SAMPLE_RATE]
    return int(np.argmax(np.abs(np.fft.rfft(samples.astype(np.float32)))))


@pytest.mark.parametrize("suffix", CODECS)
def test_the_content_decides_and_not_the_name(suffix: str, tmp_path: Path) -> None:
    path = write_media(tmp_path / f"a{suffix}", tone(3.0)).rename(tmp_path / "a.txt")
    with path.open("rb") as file:
        data = b"".join(decode(file, "a.txt"))
    assert 3.0 <= seconds(data) < 3.15  # AAC and Opus add padding
    assert pitch(data) == 440


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF, 1_000_000])
def test_a_wav_header_may_announce_more_than_there_is(size: int) -> None:
    data = pcm16(tone(3.0))
    assert decoded(wav(data, data_size=size)) == data


def test_a_wav_file_may_announce_its_exact_size() -> None:
    data = pcm16(tone(3.0))
    assert decoded(wav(data) + b"LIST\x04\x00\x00\x00INFO") == data


@pytest.mark.parametrize("suffix", [".mp3", ".ogg", ".webm", ".flac", ".wav"])
def test_a_truncated_file_is_decoded_as_far_as_possible(suffix: str, tmp_path: Path) -> None:
    data = media(tmp_path, suffix, tone(4.0))
    assert seconds(decoded(data[: len(data) // 2])) == pytest.approx(2.0, abs=0.4)


@pytest.mark.parametrize("length", [0.3, 4.0])
def test_a_truncated_mp4_file_is_decoded_as_far_as_possible(
    length: float, tmp_path: Path
) -> None:
    data = faststart(tmp_path, tone(length))
    assert 0.1 < seconds(decoded(data[: int(0.7 * len(data))])) < length


def test_the_format_may_change_in_joined_files(tmp_path: Path) -> None:
    stereo = tmp_path / "stereo.mp3"
    with av.open(str(stereo), "w") as file:
        stream = file.add_stream("libmp3lame", rate=16_000, layout="stereo")
        samples = np.frombuffer(pcm16(tone(2.0)), np.int16)
        frame = av.AudioFrame.from_ndarray(
            np.repeat(samples, 2).reshape(1, -1), format="s16", layout="stereo"
        )
        frame.sample_rate = 16_000
        for part in av.AudioResampler("s16p", "stereo", 16_000, frame_size=576).resample(frame):
            file.mux(stream.encode(part))
        file.mux(stream.encode(None))
    data = decoded(media(tmp_path, ".mp3", tone(2.0)) + stereo.read_bytes())
    assert seconds(data) == pytest.approx(4.0, abs=0.2)
    assert pitch(data) == pitch(data[-int(2.9 * 2 * SAMPLE_RATE) :]) == 440


def flac(folder: Path, layout: str, channels: list[Samples]) -> bytes:
    path = folder / "channels.flac"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("flac", rate=SAMPLE_RATE, layout=layout)
        data = np.frombuffer(pcm16(np.stack(channels, axis=1).ravel()), np.int16)
        frame = av.AudioFrame.from_ndarray(data.reshape(1, -1), format="s16", layout=layout)
        frame.sample_rate = SAMPLE_RATE
        parts = av.AudioResampler("s16", layout, SAMPLE_RATE, frame_size=4096).resample(frame)
        file.mux([packet for part in parts for packet in stream.encode(part)])
        file.mux(stream.encode(None))
    return path.read_bytes()


def test_two_channels_of_opposite_phase_do_not_cancel_out(tmp_path: Path) -> None:
    data = decoded(flac(tmp_path, "stereo", [tone(3.0), -tone(3.0)]))
    assert np.abs(np.frombuffer(data, np.int16)).max() == pytest.approx(16_384, rel=0.01)


def test_in_surround_sound_the_centre_is_loudest(tmp_path: Path) -> None:
    centre, other, bass = tone(3.0), tone(3.0, hertz=1000), tone(3.0, hertz=50)
    data = decoded(flac(tmp_path, "5.1", [other, other * 0, centre, bass, other * 0, other * 0]))
    spectrum = np.abs(np.fft.rfft(np.frombuffer(data, np.int16)[SAMPLE_RATE : 2 * SAMPLE_RATE]))
    assert spectrum[440] == pytest.approx(2 * spectrum[1000], rel=0.05)
    assert spectrum[50] < spectrum[1000] / 100


@pytest.mark.parametrize("codec", ["pcm_u8", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le"])
def test_every_width_of_samples_is_decoded(codec: str, tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.wav"), "w") as file:
        stream = file.add_stream(codec, rate=SAMPLE_RATE, layout="mono")
        assert isinstance(stream, av.AudioStream)
        samples = np.frombuffer(pcm16(tone(2.0)), np.int16).reshape(1, -1)
        frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
        frame.sample_rate = SAMPLE_RATE
        for part in av.AudioResampler(stream.format.name, "mono", SAMPLE_RATE).resample(frame):
            file.mux(stream.encode(part))
        file.mux(stream.encode(None))
    data = np.frombuffer(decoded((tmp_path / "a.wav").read_bytes()), np.int16).astype(int)
    assert np.abs(data - samples[0]).max() <= (256 if codec == "pcm_u8" else 0)


@pytest.mark.parametrize("suffix", CODECS)
def test_damage_raises_only_audio_errors(suffix: str, tmp_path: Path) -> None:
    data = np.frombuffer(media(tmp_path, suffix, tone(1.0)), np.uint8)
    random = np.random.default_rng(len(suffix))
    for _ in range(20):
        damaged = data.copy()
        at = random.integers(0, min(len(data), random.choice([64, 1024, len(data)])), 4)
        damaged[at] = random.integers(0, 256, 4)
        with suppress(AudioError):
            assert len(decoded(damaged.tobytes(), longest=60.0)) > 0


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("speech.wav", wav(pcm16(tone(1.0))))
    return file.getvalue()


UNREADABLE: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "invalid data found"),
    "one byte": (lambda: b"R", "invalid data found"),
    "zeros": (lambda: bytes(25 * 1024 * 1024), "invalid data found"),
    "text": (lambda: b"turn on the light\n" * 9999, "invalid data found"),
    "zip": (zipped, "invalid data found"),
    "playlist": (lambda: b"#EXTM3U\n#EXTINF:9,\nfile:///etc/passwd\n", "invalid data found"),
    "concat": (lambda: b"ffconcat version 1.0\nfile /etc/passwd\n", "operation not permitted"),
    "WAV without data": (lambda: wav(b""), "it contains no audio"),
    "WAV header only": (lambda: wav(b"")[:36], "invalid data found"),
    "1 Hz": (lambda: wav(bytes(99), rate=1), "audio has 1 Hz; supported: 8000 to 192000"),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_what_is_not_audio_raises_an_error_with_the_reason(kind: str) -> None:
    content, reason = UNREADABLE[kind]
    with pytest.raises(AudioError, match=rf"^cannot read a file: .*{reason}"):
        decoded(content())


def test_a_video_without_sound_has_no_audio_track(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="it has no audio track"):
        decoded(media(tmp_path, ".mp4", None))


def test_a_block_has_at_most_30_seconds() -> None:
    data = wav(bytes(2 * SAMPLE_RATE * 65))
    blocks = decode(io.BytesIO(data), "a file", block=99.0)
    assert [seconds(block) for block in blocks] == [30.0, 30.0, 5.0]
    blocks = decode(io.BytesIO(data), "a file", block=20.0)
    assert [seconds(block) for block in blocks] == [20.0, 20.0, 20.0, 5.0]


def opus_bomb(folder: Path, hours: int) -> bytes:
    """Return hours of silence as a small Ogg file: the same Opus packet again and again."""
    path = folder / "bomb.ogg"
    silence = av.AudioFrame.from_ndarray(np.zeros((1, 2880), np.int16), layout="mono")
    silence.sample_rate = 48_000
    with av.open(str(path), "w") as file:
        stream = file.add_stream(
            "libopus", rate=48_000, layout="mono", options={"frame_duration": "60"}
        )
        packet = bytes((stream.encode(silence) + stream.encode(None))[-1])
        for number in range(hours * 3600 * 48_000 // 2880):
            copy = av.Packet(packet)
            copy.pts = copy.dts = number * 2880
            copy.duration, copy.time_base, copy.stream = 2880, Fraction(1, 48_000), stream
            file.mux(copy)
    return path.read_bytes()


def test_a_small_file_of_many_hours_ends_at_the_limit(tmp_path: Path) -> None:
    data = opus_bomb(tmp_path, 2)
    assert len(data) < 1_300_000
    blocks = decode(io.BytesIO(data), "a file", longest=100.0, block=1.0)
    assert sum(seconds(next(blocks)) for _ in range(99)) == 99.0
    with pytest.raises(AudioTooLong, match=r"^a file is longer than 100 s"):
        next(blocks)


def box(kind: bytes, *parts: bytes) -> bytes:
    """Return a box of an MP4 file; a kind with a capital letter has a version and flags."""
    body = (bytes(4) if kind != kind.lower() else b"") + b"".join(parts)
    return struct.pack(">I4s", 8 + len(body), kind.lower()) + body


def mp4(samples: int, tracks: int = 1) -> bytes:
    """Return an MP4 file with 1 s of mu-law whose index announces a number of samples."""
    ulaw = box(b"ulaw", bytes(6), struct.pack(">H8xHHHHI", 1, 1, 16, 0, 0, 8000 << 16))
    index = box(
        b"stbl",
        box(b"STSD", struct.pack(">I", 1), ulaw),
        box(b"STTS", struct.pack(">III", 1, samples, 2)),
        box(b"STSC", struct.pack(">IIII", 1, 1, samples, 1)),
        box(b"STSZ", struct.pack(">II", 1, samples)),
        box(b"STCO", struct.pack(">II", 1, 20 + 8)),
    )
    track = box(
        b"trak",
        box(b"TKHD", struct.pack(">IIIII", 0, 0, 1, 0, samples), bytes(60)),
        box(
            b"mdia",
            box(b"MDHD", struct.pack(">IIIIHH", 0, 0, 16_000, samples, 0x55C4, 0)),
            box(b"HDLR", struct.pack(">I4s", 0, b"soun"), bytes(13)),
            box(b"minf", box(b"SMHD", bytes(4)), index),
        ),
    )
    return (
        box(b"ftyp", b"isom", bytes(4), b"isom")
        + box(b"mdat", bytes(8000))
        + box(
            b"moov",
            box(b"MVHD", struct.pack(">IIII", 0, 0, 1000, 1000), bytes(80)),
            track * tracks,
        )
    )


def test_an_index_cannot_take_much_memory() -> None:
    assert seconds(decoded(mp4(8000))) == 1.0
    with pytest.raises(AudioError):
        decoded(mp4(2_000_000))
    with pytest.raises(AudioError):
        decoded(mp4(8000, tracks=17))


def test_a_library_without_the_limit_is_reported(caplog: pytest.LogCaptureFixture) -> None:
    _limit_allocations("/nonexistent/library.so")
    assert "hostile" in caplog.text


def test_audio_of_exactly_the_limit_is_accepted() -> None:
    assert seconds(decoded(wav(bytes(2 * SAMPLE_RATE)), longest=1.0)) == 1.0
    with pytest.raises(AudioTooLong):
        decoded(wav(bytes(2 * SAMPLE_RATE + 2)), longest=1.0)


@pytest.mark.parametrize(
    ("dtype", "width", "scale"), [("<i2", 2, 2**15), ("<i4", 4, 2**31), ("<f4", 4, 1)]
)
def test_raw_pcm_is_converted(dtype: str, width: int, scale: int) -> None:
    stereo = np.repeat(tone(3.0, rate=8_000), 2)
    pcm = PcmFormat(8_000, width, 2, floating=scale == 1)
    data = decoded((stereo * scale).astype(dtype).tobytes(), raw=pcm)
    assert seconds(data) == pytest.approx(3.0, abs=0.01)
    assert pitch(data) == 440


def test_a_wav_header_overrides_the_raw_format() -> None:
    data = pcm16(tone(1.0))
    assert decoded(wav(data), raw=PcmFormat(48_000, 4, 2)) == data


def test_raw_pcm_has_the_same_limits() -> None:
    with pytest.raises(AudioTooLong):
        decoded(bytes(2 * SAMPLE_RATE + 2), raw=PcmFormat(), longest=1.0)
    with pytest.raises(AudioError, match=r"^cannot read a file: it contains no audio"):
        decoded(b"", raw=PcmFormat())


class Arriving(io.RawIOBase):
    """An upload of which 4 KiB more arrive whenever a read finds nothing new."""

    def __init__(self, data: bytes) -> None:
        self.arrived = 0
        self._data = data
        self._at = 0

    def read(self, size: int = -1, /) -> bytes:
        if self._at == self.arrived:
            self.arrived = min(self.arrived + 4096, len(self._data))
        data = self._data[self._at : min(self._at + size, self.arrived)]
        self._at += len(data)
        return data

    def seekable(self) -> bool:
        return self.arrived == len(self._data)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        assert self.seekable(), "a file that has not arrived was sought"
        self._at = offset + (0, self._at, len(self._data))[whence]
        return self._at


@pytest.mark.parametrize("suffix", CODECS)
def test_a_file_is_decoded_while_it_arrives(suffix: str, tmp_path: Path) -> None:
    data = media(tmp_path, suffix, NOISE)
    file = Arriving(data)
    blocks = decode(file, "a file", block=0.5)
    first = next(blocks)
    # The test's MP4 files have their index at the end.
    assert (file.arrived < len(data) / 2) == (suffix not in (".mp4", ".m4a"))
    streamed, whole = first + b"".join(blocks), decoded(data)
    same = len(whole) - 2000  # in a stream, FFmpeg does not cut off the padding of an MP3 file
    assert streamed[:same] == whole[:same]
    assert seconds(streamed) == pytest.approx(seconds(whole), abs=0.03)


def test_an_mp4_file_with_its_index_at_the_start_is_decoded_while_it_arrives(
    tmp_path: Path,
) -> None:
    data = faststart(tmp_path, NOISE)
    slow = (tmp_path / "slow.mp4").read_bytes()
    file = Arriving(data)
    blocks = decode(file, "a file", block=0.5)
    first = next(blocks)
    assert file.arrived < len(data) / 2
    assert first + b"".join(blocks) == decoded(slow)


def test_raw_pcm_is_decoded_while_it_arrives() -> None:
    data = pcm16(NOISE)
    file = Arriving(data)
    blocks = decode(file, "a file", raw=PcmFormat(), block=0.5)
    first = next(blocks)
    assert file.arrived < len(data) / 2
    assert first + b"".join(blocks) == data


def test_an_unreadable_upload_is_read_to_its_end() -> None:
    """Then a client that sends all before it reads an answer gets one."""
    file = Arriving(bytes(100_000))
    with pytest.raises(AudioError, match="invalid data found"):
        list(decode(file, "a file"))
    assert file.arrived == 100_000


class Breaking(io.BytesIO):
    """A file whose reads raise an error after some bytes."""

    def __init__(self, data: bytes, error: Exception) -> None:
        super().__init__(data)
        self._error = error

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell() >= 100_000:
            raise self._error
        return super().read(size)


@pytest.mark.parametrize("seekable", [True, False])
@pytest.mark.parametrize("suffix", CODECS)
def test_an_error_of_the_file_is_raised(suffix: str, seekable: bool, tmp_path: Path) -> None:
    error = TooSlow("the client sent nothing for 30 s")
    file = Breaking(media(tmp_path, suffix, NOISE), error)
    file.seekable = lambda: seekable  # type: ignore[method-assign]
    with pytest.raises(TooSlow) as raised:
        list(decode(file, "a file"))
    assert raised.value is error


def test_a_disk_error_is_an_audio_error(tmp_path: Path) -> None:
    file = Breaking(media(tmp_path, ".wav", NOISE), OSError(5, "Input/output error"))
    with pytest.raises(AudioError, match=r"^cannot read a file: Input/output error"):
        list(decode(file, "a file"))
