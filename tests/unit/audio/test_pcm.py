"""Conversion of every PCM format to float32, 16 kHz mono, independent of chunk sizes."""

from __future__ import annotations

import collections
import io
import struct
import tracemalloc
import wave

import numpy as np
import numpy.typing as npt
import pytest

from wyoming_faster_whisper.audio.pcm import (
    SAMPLE_RATE,
    PcmFormat,
    PcmStream,
    Samples,
    decode_pcm,
    read_wav,
    slow_down,
    write_wav,
)
from wyoming_faster_whisper.audio.recording import Recording
from wyoming_faster_whisper.errors import AudioError
from wyoming_faster_whisper.testing import pcm16, tone

HERTZ = 440.0


def encode(samples: Samples, width: int, channels: int = 1) -> bytes:
    """Encode samples as PCM of the given width in bytes, the same in every channel."""
    scaled = np.rint(samples.astype(np.float64) * (2 ** (8 * width - 1) - 1)).astype(np.int64)
    if width == 1:
        scaled += 128
    raw = scaled.astype("<i8").view(np.uint8).reshape(-1, 8)[:, :width]
    return np.repeat(raw[:, None, :], channels, axis=1).tobytes()


def heard(pcm: PcmFormat, *chunks: bytes) -> Samples:
    stream = PcmStream(pcm)
    return np.concatenate([*(stream.feed(chunk) for chunk in chunks), stream.finish()])


def frequency(samples: Samples) -> float:
    """Return the strongest frequency in Hz."""
    windowed = samples * np.hanning(len(samples))
    spectrum: npt.NDArray[np.float64] = np.abs(np.fft.rfft(windowed, 1 << 16))
    return float(spectrum.argmax()) * SAMPLE_RATE / (1 << 16)


def level(samples: Samples) -> float:
    """Return the amplitude of a sine, measured in its middle half."""
    quarter = len(samples) // 4
    return float(np.sqrt(2 * np.mean(np.square(samples[quarter : 3 * quarter]))))


def assert_is_the_tone(samples: Samples, seconds: float) -> None:
    assert samples.dtype == np.float32
    assert len(samples) / SAMPLE_RATE == pytest.approx(seconds, abs=0.003)
    assert frequency(samples) == pytest.approx(HERTZ, abs=1)
    assert level(samples) == pytest.approx(0.5, rel=0.02)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5, 6, 7, 8])
def test_a_tone_survives_every_width_and_number_of_channels(width: int, channels: int) -> None:
    data = encode(tone(0.25, hertz=HERTZ), width, channels)
    assert_is_the_tone(heard(PcmFormat(SAMPLE_RATE, width, channels), data), 0.25)


@pytest.mark.parametrize(
    "rate", [8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000, 96000, 192000]
)
@pytest.mark.parametrize("chunk", [160, 100_000])
def test_a_tone_survives_every_rate_in_small_and_large_chunks(rate: int, chunk: int) -> None:
    data = encode(tone(0.5, hertz=HERTZ, rate=rate), 2)
    chunks = [data[at : at + chunk] for at in range(0, len(data), chunk)]
    assert_is_the_tone(heard(PcmFormat(rate), *chunks), 0.5)


def test_frequencies_above_8_khz_are_removed() -> None:
    """Without a low-pass filter an 11 kHz tone would alias to 5 kHz."""
    data = encode(tone(0.5, hertz=11_000, rate=48_000), 2)
    assert level(heard(PcmFormat(48_000), data)) < 0.001


# Downmix of several channels.


def interleaved(*channels: Samples) -> bytes:
    return pcm16(np.stack(channels, axis=1).reshape(-1))


def mixed(*channels: Samples, chunk: int = 320) -> Samples:
    """Downmix 16-bit channels at 16 kHz, fed in chunks of that many frames."""
    data, step = interleaved(*channels), 2 * len(channels) * chunk
    chunks = [data[at : at + step] for at in range(0, len(data), step)]
    return heard(PcmFormat(channels=len(channels)), *chunks)


def noise(seconds: float, level: float, seed: int) -> Samples:
    made = np.random.default_rng(seed).standard_normal(int(seconds * SAMPLE_RATE))
    return (level * made).astype(np.float32)


def silence(seconds: float, value: float = 0.0) -> Samples:
    return np.full(int(seconds * SAMPLE_RATE), value, np.float32)


CHUNKS = pytest.mark.parametrize("chunk", [1, 160, 1024, 1_000_000])


@CHUNKS
@pytest.mark.parametrize("alike", [0.0, 0.3, 1.0], ids="alike by {}".format)
@pytest.mark.parametrize("seed", range(5))
def test_ordinary_stereo_is_averaged_exactly(chunk: int, alike: float, seed: int) -> None:
    left = noise(0.5, 0.05, seed)
    right = alike * left + noise(0.5, 0.02, 100 + seed)
    expected = decode_pcm(interleaved(left, right), PcmFormat(channels=2))
    assert np.array_equal(mixed(left, right, chunk=chunk), expected)


@CHUNKS
def test_opposite_phases_do_not_cancel(chunk: int) -> None:
    sound = tone(0.5, hertz=HERTZ)
    assert_is_the_tone(mixed(sound, -sound, chunk=chunk), 0.5)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("rate", [8_000, 44_100, 192_000])
def test_opposite_phases_do_not_cancel_in_any_format(rate: int, width: int) -> None:
    sound = tone(0.5, hertz=HERTZ, rate=rate)
    both = np.stack((sound, -sound), axis=1).reshape(-1)
    assert_is_the_tone(heard(PcmFormat(rate, width, 2), encode(both, width)), 0.5)


@pytest.mark.parametrize("signs", [(1, -1, 1, 1), (-1, 1, 1, 1), (1, 1, -1, -1), (1, -1, -1, -1)])
def test_opposite_phases_among_four_channels_do_not_cancel(signs: tuple[int, ...]) -> None:
    sound = tone(0.5, hertz=HERTZ)
    assert_is_the_tone(mixed(*(sign * sound for sign in signs)), 0.5)


def test_two_pairs_of_opposite_phases_are_both_kept() -> None:
    one, other = tone(0.5, hertz=HERTZ), 0.8 * tone(0.5, hertz=1000.0)
    expected = level(decode_pcm(interleaved(one, other), PcmFormat(channels=2)))
    assert level(mixed(one, -one, other, -other)) == pytest.approx(expected, rel=0.02)


@pytest.mark.parametrize("first", [silence(1.0), silence(1.0, 0.2)], ids=["silence", "DC"])
def test_phases_are_aligned_when_a_signal_begins(first: Samples) -> None:
    sound = np.concatenate([silence(1.0), tone(0.5, hertz=HERTZ)])
    offset = np.concatenate([first, silence(0.5, float(first[0]))])
    samples = mixed(sound + offset, offset - sound, chunk=160)
    assert level(samples[-6400:]) == pytest.approx(0.5, rel=0.02)


def test_phases_are_aligned_when_speech_begins_over_independent_noise() -> None:
    sound = np.concatenate([silence(1.0), tone(0.5, hertz=HERTZ)])
    channels = sound + noise(1.5, 0.003, 1), -sound + noise(1.5, 0.003, 2)
    samples = mixed(*channels, chunk=160)
    assert level(samples[-6400:]) == pytest.approx(0.5, rel=0.02)


def test_alignment_does_not_click() -> None:
    """The loudest channel changes half-way, and the channels have opposite phases."""
    sound = tone(2.0, hertz=HERTZ)
    louder = np.linspace(0.2, 1.0, len(sound), dtype=np.float32)
    samples = mixed(louder[::-1] * sound, -louder * sound, chunk=160)
    assert np.abs(np.diff(samples)).max() < 1.1 * np.abs(np.diff(sound)).max()
    assert level(samples) == pytest.approx(0.3, rel=0.02)


@CHUNKS
@pytest.mark.parametrize("value", [0.0, 0.3])
def test_a_channel_without_a_signal_does_not_lower_the_level(chunk: int, value: float) -> None:
    sound = tone(0.5, hertz=HERTZ)
    for channels in [(sound, silence(0.5, value)), (silence(0.5, value), sound)]:
        assert_is_the_tone(mixed(*channels, chunk=chunk), 0.5)


def test_the_last_frames_of_a_stream_are_not_lost() -> None:
    sound = tone(0.01)
    assert len(mixed(sound, sound)) == 160
    assert len(mixed(silence(1.0), silence(1.0))) == SAMPLE_RATE


@pytest.mark.parametrize(
    ("width", "lowest", "zero", "highest"),
    [
        (1, b"\x00", b"\x80", b"\xff"),
        (2, b"\x00\x80", b"\x00\x00", b"\xff\x7f"),
        (3, b"\x00\x00\x80", b"\x00\x00\x00", b"\xff\xff\x7f"),
        (4, b"\x00\x00\x00\x80", b"\x00\x00\x00\x00", b"\xff\xff\xff\x7f"),
    ],
)
def test_full_scale_is_one(width: int, lowest: bytes, zero: bytes, highest: bytes) -> None:
    samples = decode_pcm(lowest + zero + highest, PcmFormat(width=width))
    assert samples[0] == -1
    assert samples[1] == 0
    assert samples[2] == pytest.approx(1 - 2 ** (1 - 8 * width))


@pytest.mark.parametrize(("width", "channels"), [(1, 1), (2, 1), (2, 2), (3, 2), (4, 3)])
def test_a_frame_split_between_two_chunks_is_joined(width: int, channels: int) -> None:
    pcm = PcmFormat(SAMPLE_RATE, width, channels)
    data = encode(tone(0.002), width, channels)
    whole = heard(pcm, data)
    assert len(whole) == 32
    for cut in range(len(data) + 1):
        assert np.array_equal(heard(pcm, data[:cut], data[cut:]), whole)


def test_a_chunk_may_be_a_single_byte() -> None:
    data = pcm16(tone(0.05, rate=48_000))
    pcm = PcmFormat(48_000)
    bytewise = heard(pcm, *(data[at : at + 1] for at in range(len(data))))
    assert bytewise == pytest.approx(heard(pcm, data), abs=1e-6)


def test_an_incomplete_last_frame_is_ignored() -> None:
    assert len(heard(PcmFormat(), b"\x01\x02\x03")) == 1
    assert len(heard(PcmFormat(), b"\x01")) == 0


def test_empty_input_gives_empty_output() -> None:
    assert len(heard(PcmFormat())) == 0
    assert len(heard(PcmFormat(44_100), b"", b"")) == 0


# RIFF headers.

SOUND = pcm16(tone(0.004))


def wav(*, extra: bytes = b"") -> bytes:
    """Build a WAV file with SOUND; extra chunks precede its data chunk."""
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setparams((1, 2, SAMPLE_RATE, 0, "NONE", ""))
        file.writeframes(SOUND)
    data = stream.getvalue()
    return data[:36] + extra + data[36:]


@pytest.mark.parametrize(
    "extra",
    [b"", b"LIST\x04\x00\x00\x00INFO", b"junk\x03\x00\x00\x00odd\x00LIST\x00\x00\x00\x00"],
    ids=["plain", "with LIST", "with a chunk of odd length"],
)
def test_a_wav_header_is_skipped_wherever_it_is_split(extra: bytes) -> None:
    data = wav(extra=extra)
    expected = decode_pcm(SOUND, PcmFormat())
    assert np.array_equal(heard(PcmFormat(), data), expected)
    for cut in range(len(data)):
        assert np.array_equal(heard(PcmFormat(), data[:cut], data[cut:]), expected)


def test_a_header_alone_in_its_chunk_gives_no_sample() -> None:
    stream = PcmStream(PcmFormat())
    assert len(stream.feed(wav()[:44])) == 0
    assert len(stream.feed(SOUND)) == len(SOUND) // 2


def test_a_header_in_the_middle_of_a_stream_is_treated_as_pcm() -> None:
    data = SOUND + wav()
    assert len(heard(PcmFormat(), SOUND, wav())) == len(data) // 2


@pytest.mark.parametrize("data", [b"RIFF" + bytes(60), b"RIFF\x24\x00\x00\x00AVI " + bytes(50)])
def test_a_riff_file_that_is_not_wave_is_treated_as_pcm(data: bytes) -> None:
    for cut in range(len(data)):
        assert len(heard(PcmFormat(), data[:cut], data[cut:])) == len(data) // 2


@pytest.mark.parametrize("data", [b"R", b"RIFF", b"RIFF\x00\x00\x00\x00WA"])
def test_an_incomplete_riff_tag_is_treated_as_pcm_at_the_end(data: bytes) -> None:
    assert len(PcmStream(PcmFormat()).feed(data)) == 0
    assert len(heard(PcmFormat(), data)) == len(data) // 2


@pytest.mark.parametrize("end", [12, 20, 35, 43])
def test_an_incomplete_wave_header_is_not_treated_as_pcm(end: int) -> None:
    assert len(heard(PcmFormat(), wav()[:end])) == 0


@pytest.mark.parametrize(
    "chunk", [b"junk\x00\x00\x00\x00", b"junk\xff\xff\xff\xff"], ids=["endless", "huge"]
)
def test_a_header_without_data_is_refused_and_takes_no_memory(chunk: bytes) -> None:
    stream = PcmStream(PcmFormat())
    stream.feed(b"RIFF\x00\x00\x00\x00WAVE")
    tracemalloc.start()
    try:
        with pytest.raises(AudioError, match="no audio in its first 1048576 bytes"):
            collections.deque((stream.feed(chunk * 512) for _ in range(1000)), maxlen=0)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 200_000


def wav_file(
    data: bytes,
    pcm: PcmFormat,
    *,
    tag: int = 1,
    bits: int | None = None,
    size: int | None = None,
    extensible: bool = False,
    magic: bytes = b"RIFF",
) -> bytes:
    """Build a WAV file; header fields not given are correct."""
    described = struct.pack(
        "<HHIIHH",
        *(0xFFFE if extensible else tag, pcm.channels, pcm.rate),
        *(pcm.rate * pcm.frame_bytes, pcm.frame_bytes, bits or 8 * pcm.width),
    )
    if extensible:
        guid = bytes.fromhex("000000001000800000aa00389b71")
        described += struct.pack("<HHIH", 22, 8 * pcm.width, 0, tag) + guid
    size = len(data) if size is None else size
    fmt = b"fmt " + struct.pack("<I", len(described)) + described
    return magic + b"\xff\xff\xff\xffWAVE" + fmt + b"data" + struct.pack("<I", size) + data


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 192_000])
@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("extensible", [False, True], ids=["plain", "extensible"])
def test_the_audio_format_is_taken_from_a_wav_header(
    rate: int, width: int, channels: int, extensible: bool
) -> None:
    data = encode(tone(0.25, hertz=HERTZ, rate=rate), width, channels)
    file = wav_file(data, PcmFormat(rate, width, channels), extensible=extensible)
    chunks = [file[at : at + 320] for at in range(0, len(file), 320)]
    assert_is_the_tone(heard(PcmFormat(), *chunks), 0.25)


def test_the_audio_format_is_taken_from_a_wav_header_wherever_it_is_split() -> None:
    pcm = PcmFormat(32_000, 2, 2)
    file = wav_file(encode(tone(0.002, rate=32_000), 2, 2), pcm, extensible=True)
    whole = heard(PcmFormat(), file)
    assert len(whole) == 32
    for cut in range(len(file)):
        assert heard(PcmFormat(), file[:cut], file[cut:]) == pytest.approx(whole, abs=1e-6)
    single = (file[at : at + 1] for at in range(len(file)))
    assert heard(PcmFormat(), *single) == pytest.approx(whole, abs=1e-6)


@pytest.mark.parametrize("size", [0, 0xFFFFFFFF, 0x7FFFFFFF, 7])
@pytest.mark.parametrize("magic", [b"RIFF", b"RF64"])
def test_the_data_size_in_a_wav_header_is_ignored(size: int, magic: bytes) -> None:
    pcm = PcmFormat(44_100, 2, 2)
    data = encode(tone(0.25, hertz=HERTZ, rate=44_100), 2, 2)
    file = wav_file(data, pcm, size=size, magic=magic)
    assert_is_the_tone(heard(PcmFormat(), file), 0.25)


@pytest.mark.parametrize("size", [26, 9_999, 500_000])
def test_chunks_before_the_format_and_the_data_are_skipped(size: int) -> None:
    file = wav_file(encode(tone(0.25, hertz=HERTZ, rate=44_100), 2), PcmFormat(44_100))
    extra = b"LIST" + struct.pack("<I", size) + bytes(size + size % 2)
    file = file[:12] + extra + file[12:36] + extra + file[36:]
    assert_is_the_tone(heard(PcmFormat(), file), 0.25)
    chunks = [file[at : at + 1000] for at in range(0, len(file), 1000)]
    assert_is_the_tone(heard(PcmFormat(), *chunks), 0.25)


@pytest.mark.parametrize("extensible", [False, True])
def test_32_bit_floating_point_is_decoded(extensible: bool) -> None:
    pcm = PcmFormat(44_100, 4, 1, floating=True)
    data = tone(0.25, hertz=HERTZ, rate=44_100).astype("<f4").tobytes()
    assert_is_the_tone(
        heard(PcmFormat(), wav_file(data, pcm, tag=3, extensible=extensible)), 0.25
    )


def test_floating_point_values_out_of_range_are_clipped() -> None:
    values = np.array([np.nan, np.inf, -np.inf, 1e30, 0.5], "<f4")
    file = wav_file(values.tobytes(), PcmFormat(SAMPLE_RATE, 4, floating=True), tag=3)
    assert heard(PcmFormat(), file).tolist() == [0, 1, -1, 1, 0.5]


def test_24_bits_in_32_are_decoded() -> None:
    file = wav_file(encode(tone(0.25, hertz=HERTZ), 4), PcmFormat(width=4), bits=24)
    assert_is_the_tone(heard(PcmFormat(), file), 0.25)


@pytest.mark.parametrize(
    ("file", "sentence"),
    [
        (
            wav_file(b"", PcmFormat(), tag=2),
            "WAV header has format 0x0002; supported: 0x0001 (PCM)",
        ),
        (wav_file(b"", PcmFormat(), tag=7, extensible=True), "WAV header has format 0x0007"),
        (wav_file(b"", PcmFormat(), bits=64), "audio has 8 bytes per sample; supported: 1 to 4"),
        (wav_file(b"", PcmFormat(), tag=3), "audio is 16-bit floating point; supported: 32-bit"),
        (wav_file(b"", PcmFormat()).replace(b"\x80\x3e", b"\x00\x00", 1), "audio has 0 Hz"),
        (b"RIFF\0\0\0\0WAVEfmt \x04\0\0\0\1\0\1\0data\0\0\0\0", "fmt chunk has 4 bytes"),
        (b"RIFF\0\0\0\0WAVEfmt \x10\0\0\0\1" + bytes(15), "audio has 0 Hz; supported: 8000 to"),
    ],
)
def test_an_unsupported_wav_header_is_refused(file: bytes, sentence: str) -> None:
    for cut in range(len(file)):
        with pytest.raises(AudioError) as caught:
            heard(PcmFormat(), file[:cut], file[cut:])
        assert sentence in str(caught.value)


# Refused formats.


@pytest.mark.parametrize(
    ("pcm", "sentence"),
    [
        ((0, 2, 1), "audio has 0 Hz; supported: 8000 to 192000"),
        ((-16_000, 2, 1), "audio has -16000 Hz; supported: 8000 to 192000"),
        ((1, 2, 1), "audio has 1 Hz; supported: 8000 to 192000"),
        ((192_001, 2, 1), "audio has 192001 Hz; supported: 8000 to 192000"),
        ((16_000, 0, 1), "audio has 0 bytes per sample; supported: 1 to 4"),
        ((16_000, 7, 1), "audio has 7 bytes per sample; supported: 1 to 4"),
        ((16_000, 2, 0), "audio has 0 channels; supported: 1 to 8"),
        ((16_000, 2, 9), "audio has 9 channels; supported: 1 to 8"),
    ],
)
def test_an_unsupported_audio_format_is_refused(pcm: tuple[int, int, int], sentence: str) -> None:
    with pytest.raises(AudioError) as caught:
        PcmFormat(*pcm)
    assert str(caught.value) == sentence


def test_a_number_of_thousands_of_digits_gives_a_short_error() -> None:
    with pytest.raises(AudioError) as caught:
        PcmFormat(rate=10**4000)
    assert len(str(caught.value)) < 100


# A real recording.


def test_16_bit_samples_are_recorded_exactly() -> None:
    every = np.arange(-32768, 32768).astype("<i2").tobytes()
    recording = Recording()
    recording.append(decode_pcm(every, PcmFormat()))
    assert len(recording) == 65_536
    assert np.array_equal(recording.samples(), decode_pcm(every, PcmFormat()))


def test_a_part_of_a_recording_can_be_read() -> None:
    recording = Recording()
    sound = decode_pcm(pcm16(tone(0.1)), PcmFormat())
    recording.append(sound[:700])
    recording.append(sound[700:])
    assert recording.seconds == pytest.approx(0.1)
    assert np.array_equal(recording.samples(100, 900), sound[100:900])
    assert np.array_equal(recording.samples(100), sound[100:])
    assert len(recording.samples(5, 5)) == 0
    assert repr(recording) == "<Recording 0.10 s>"


def test_samples_beyond_full_scale_are_clipped() -> None:
    recording = Recording()
    recording.append(np.array([1.5, -1.5, 1.0], np.float32))
    assert recording.samples().tolist() == [32767 / 32768, -1, 32767 / 32768]


def test_samples_already_returned_do_not_change_when_audio_is_appended() -> None:
    recording = Recording()
    recording.append(tone(0.01))
    before = recording.samples()
    kept = before.copy()
    recording.append(tone(0.01, hertz=1000.0))
    assert np.array_equal(before, kept)


def test_an_empty_stream_creates_no_resampler() -> None:
    stream = PcmStream(PcmFormat(rate=8_000))
    assert len(stream.feed(b"")) == len(stream.finish()) == 0
    assert stream._resampler is None


def test_slowed_audio_is_longer_and_lower_in_pitch() -> None:
    played = slow_down(tone(1.0, hertz=HERTZ), 0.8)
    assert len(played) == pytest.approx(1.25 * SAMPLE_RATE, abs=1)
    loudest = int(np.abs(np.fft.rfft(played)).argmax())
    assert loudest / 1.25 == pytest.approx(0.8 * HERTZ, abs=1)


def test_a_wav_file_is_split_into_format_and_audio() -> None:
    for pcm in (PcmFormat(), PcmFormat(8000, 2, 2), PcmFormat(48_000, 4, 1, floating=True)):
        assert read_wav(write_wav(pcm, bytes(16))) == (pcm, bytes(16))


@pytest.mark.parametrize(
    ("declared", "taken"), [(16, 16), (8, 8), (9, 8), (0, 16), (2**32 - 1, 16), (100, 16)]
)
def test_the_size_in_a_wav_header_is_not_trusted(declared: int, taken: int) -> None:
    wav = bytearray(write_wav(PcmFormat(), bytes(range(16))))
    wav[40:44] = declared.to_bytes(4, "little")
    assert read_wav(bytes(wav)) == (PcmFormat(), bytes(range(taken)))


def test_an_incomplete_frame_at_the_end_of_a_wav_file_is_dropped() -> None:
    stereo = PcmFormat(16_000, 2, 2)
    assert read_wav(write_wav(stereo, bytes(7)))[1] == bytes(4)


@pytest.mark.parametrize(
    "data",
    [
        *(b"", b"R", b"RIFF", b"garbage", bytes(100)),
        *(write_wav(PcmFormat(), b"")[:size] for size in (12, 20, 36, 43)),
        b"RIFF\0\0\0\0WAVEdata\4\0\0\0abcd",  # no format
    ],
)
def test_an_incomplete_wav_file_is_refused(data: bytes) -> None:
    with pytest.raises(AudioError):
        read_wav(data)


@pytest.mark.parametrize(
    ("rate", "width", "channels"), [(1, 2, 1), (16_000, 9, 1), (16_000, 2, 200), (2**31, 2, 1)]
)
def test_a_wav_file_of_an_impossible_format_is_refused(
    rate: int, width: int, channels: int
) -> None:
    wav = bytearray(write_wav(PcmFormat(), bytes(16)))
    wav[22:24] = channels.to_bytes(2, "little")
    wav[24:28] = rate.to_bytes(4, "little")
    wav[32:34] = (width * channels).to_bytes(2, "little")
    wav[34:36] = (8 * width).to_bytes(2, "little")
    with pytest.raises(AudioError):
        read_wav(bytes(wav))
