"""The client's `transcribe`: input files of all kinds and all output formats."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from tests.support.client_commands import CALL
from tests.support.media import CODECS, write_media
from tests.support.plain_server import Plain, plain_server
from tests.support.serving import Server
from wyoming_faster_whisper.audio.pcm import Samples
from wyoming_faster_whisper.client import Client, ClientError, Retry, media
from wyoming_faster_whisper.client.options import TranscribeOptions
from wyoming_faster_whisper.client.transcribe import Pool, plan_output, transcribe
from wyoming_faster_whisper.commands.cli import client as main
from wyoming_faster_whisper.engine.protocol import Job
from wyoming_faster_whisper.errors import AudioError, SettingError
from wyoming_faster_whisper.testing import FakeEngine, LoudnessVad, silence, tone

from .conftest import Serve


def two_sentences() -> Samples:
    """Return 1 s of silence, 1 s of tone, 1 s of silence and 2 s of tone, roughly."""
    return np.concatenate((silence(1.024), tone(1.024), silence(1.024), tone(2.048)))


async def transcribe_files(uri: str, *files: Path, jobs: int = 1, **wanted: object) -> int:
    """Transcribe in this process with LoudnessVad; return the number of failed files."""
    options = TranscribeOptions(files=[str(file) for file in files], jobs=jobs, **wanted)  # type: ignore[arg-type]
    pool = Pool(partial(Client, uri), jobs, Retry(3, first=0.0))
    return await transcribe(options, pool, LoudnessVad)


@pytest.mark.parametrize("suffix", CODECS)
def test_every_media_format_is_decoded(suffix: str, tmp_path: Path) -> None:
    path = write_media(tmp_path / f"a{suffix}", tone(2.0))
    data = b"".join(media.decode(str(path)))
    samples = np.frombuffer(data, np.int16).astype(np.float32) / 32768
    assert 2.0 <= len(samples) / 16_000 < 2.15  # AAC and Opus add padding
    spectrum = np.abs(np.fft.rfft(samples[8000:24_000]))
    assert np.argmax(spectrum) == 440


def test_a_long_file_is_decoded_in_blocks(tmp_path: Path) -> None:
    path = write_media(tmp_path / "long.flac", tone(70.0))
    sizes = [len(block) / 32_000 for block in media.decode(str(path))]
    assert len(sizes) == 3
    assert sum(sizes) == pytest.approx(70.0, abs=0.01)


def broken(folder: Path) -> dict[str, tuple[Path, str]]:
    """Create files without usable audio; return each with the expected reason."""
    sound = write_media(folder / "sound.mp3", tone(1.0))
    (folder / "empty.wav").touch()
    (folder / "text.wav").write_text("turn on the light\n" * 99)
    (folder / "playlist.m3u8").write_text(
        f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nfile://{sound}\n#EXT-X-ENDLIST\n"
    )
    write_media(folder / "silent.mp4", None)
    return {
        "empty": (folder / "empty.wav", "invalid data found"),
        "text": (folder / "text.wav", "invalid data found"),
        "missing": (folder / "missing.wav", "No such file or directory"),
        "playlist": (folder / "playlist.m3u8", "invalid data found"),  # is not followed
        "video": (folder / "silent.mp4", "it has no audio track"),
    }


@pytest.mark.parametrize("kind", ["empty", "text", "missing", "playlist", "video"])
def test_an_unreadable_file_raises_an_error_with_the_reason(kind: str, tmp_path: Path) -> None:
    path, reason = broken(tmp_path)[kind]
    with pytest.raises(AudioError, match=f"^cannot read {path}: {reason}"):
        list(media.decode(str(path)))


def test_a_truncated_file_is_decoded_as_far_as_possible(tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.mp3", tone(4.0))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    assert sum(map(len, media.decode(str(path)))) / 32_000 == pytest.approx(2.0, abs=0.2)


def test_a_folder_means_the_media_files_in_it(tmp_path: Path) -> None:
    for name in ("b.MP3", "a.wav", "deep/c.ogg", ".hidden/d.wav", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = media.find_files([str(tmp_path), "-", "x.dat"])
    assert [str(below) for _, below in found] == [
        "a.wav",
        "b.MP3",
        "deep/c.ogg",
        "stdin",
        "x.dat",
    ]
    (tmp_path / "none").mkdir()
    with pytest.raises(SettingError, match="without audio or video files"):
        media.find_files([str(tmp_path / "none")])


def test_output_files_are_named_after_their_input() -> None:
    wanted = TranscribeOptions(files=[], format="srt", output=Path("out"))
    files = [("", Path(name)) for name in ("film.mkv", "a.wav", "a.mp3", "deep/a.wav")]
    assert [str(path) for path in plan_output(files, wanted)] == [
        *("out/film.srt", "out/a.wav.srt", "out/a.mp3.srt", "out/deep/a.srt")
    ]
    with pytest.raises(SettingError, match=r"two files would be written to out/a\.wav\.srt"):
        plan_output([("x/a.wav", Path("a.wav")), ("y/a.wav", Path("a.wav"))], wanted)
    with pytest.raises(SettingError, match="give --output DIR"):
        plan_output(files, TranscribeOptions(files=[], format="srt"))


async def test_captions_have_the_times_of_the_speech(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_media(tmp_path / "film.mkv", two_sentences())
    assert await transcribe_files(server.uri, path, format="srt") == 0
    first, second = (job.seconds for job in server.engine.decoded)
    assert capsys.readouterr().out.split("\n") == [
        *("1", "00:00:01,024 --> 00:00:02,080", f"{first:.1f} seconds", ""),
        *("2", "00:00:03,072 --> 00:00:05,120", f"{second:.1f} seconds", ""),
    ]


async def test_transcripts_of_a_folder_are_written_to_a_folder(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "in" / "deep").mkdir(parents=True)
    for name in ("one.wav", "deep/two.flac"):
        write_media(tmp_path / "in" / name, two_sentences())
    out = tmp_path / "out"
    assert (
        await transcribe_files(server.uri, tmp_path / "in", format="vtt", output=out, jobs=2) == 0
    )
    for name in ("one.vtt", "deep/two.vtt"):
        assert (out / name).read_text().startswith("WEBVTT\n\n00:00:01.024 --> ")
    assert capsys.readouterr().out == ""


async def test_transcripts_are_printed_in_the_order_of_the_files(
    serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = await serve(FakeEngine(parallel=3))
    lengths = [3.0, 1.0, 2.0, 0.5, 4.0]
    files = [write_media(tmp_path / f"{at}.wav", tone(s)) for at, s in enumerate(lengths)]
    assert await transcribe_files(server.uri, *files, jobs=3) == 0
    assert capsys.readouterr().out.split("\n")[:-1] == [f"{s:.1f} seconds" for s in lengths]


async def test_an_unreadable_file_does_not_stop_the_others(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = [path for path, _ in broken(tmp_path).values()]
    good = write_media(tmp_path / "good.wav", tone(1.0))
    assert await transcribe_files(server.uri, bad[0], good, *bad[1:]) == len(bad)
    out, told = capsys.readouterr()
    assert out == "1.0 seconds\n"
    assert told.count("error: cannot read ") == len(bad)


async def test_unreadable_files_are_reported_before_the_client_connects(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    no_server = f"unix://{tmp_path}/no-server"
    bad = [path for path, _ in broken(tmp_path).values()]
    assert await transcribe_files(no_server, *bad) == len(bad)
    assert capsys.readouterr().err.count("error: cannot read ") == len(bad)
    with pytest.raises(ClientError):
        await transcribe_files(no_server, tmp_path / "missing.wav", tmp_path / "sound.mp3")
    assert "missing.wav: No such file" in capsys.readouterr().err


async def test_a_named_pipe_is_read_once(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    os.mkfifo(pipe := tmp_path / "pipe")
    sound = write_media(tmp_path / "a.ogg", tone(1.0)).read_bytes()
    writing = asyncio.to_thread(pipe.write_bytes, sound)
    failed, _ = await asyncio.gather(transcribe_files(server.uri, pipe), writing)
    assert failed == 0
    assert capsys.readouterr().out == "1.0 seconds\n"


async def test_the_pause_option_also_splits_json_output(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_media(tmp_path / "a.wav", two_sentences())
    assert await transcribe_files(server.uri, path, format="json", pause=0.5) == 0
    about = json.loads(capsys.readouterr().out)
    assert [(one["start"], one["end"]) for one in about["segments"]] == [
        (1.024, 2.048),
        (3.072, 5.12),
    ]


async def test_a_recording_without_speech_gives_an_empty_transcript(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_media(tmp_path / "a.wav", silence(1.0))
    assert await transcribe_files(server.uri, path, format="vtt") == 0
    assert capsys.readouterr().out == "WEBVTT\n"
    assert server.engine.decoded == []


async def test_a_server_that_ends_turns_gets_segments_without_pauses(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write_media(tmp_path / "a.wav", two_sentences())
    async with plain_server(Plain(ends_after=10**9), tmp_path) as server:
        assert await transcribe_files(server.uri, path) == 0
    assert len(server.heard) == 2
    assert capsys.readouterr().out == "{} bytes {} bytes\n".format(*server.heard)


async def test_a_lost_connection_loses_no_transcript(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = [write_media(tmp_path / f"{at}.wav", tone(1.0)) for at in range(3)]
    async with plain_server(Plain(breaks=2), tmp_path) as server:
        assert await transcribe_files(server.uri, *files, jobs=2) == 0
    assert capsys.readouterr().out == "32000 bytes\n" * 3


async def test_a_file_that_the_server_refuses_does_not_stop_the_others(
    serve: Serve, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def say(job: Job) -> str:
        if job.seconds < 1.5:  # for guesses and finals
            raise RuntimeError("out of memory")
        return "fine"

    server = await serve(FakeEngine(say))
    files = [write_media(tmp_path / f"{at}.wav", tone(at)) for at in (1, 2)]
    assert await transcribe_files(server.uri, *files) == 1
    out, told = capsys.readouterr()
    assert (out, told.count("the server says")) == ("fine\n", 1)
    assert told.startswith(f"error: {files[0]}: the server says: ")


async def test_a_file_can_be_read_from_standard_input(server: Server, tmp_path: Path) -> None:
    path = write_media(tmp_path / "a.mp4", tone(1.0))
    command = (sys.executable, "-c", CALL, "transcribe", "--uri", server.uri, "-")
    process = await asyncio.create_subprocess_exec(
        *command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate(await asyncio.to_thread(path.read_bytes))
    assert (out, process.returncode) in [(b"1.0 seconds\n", 0), (b"1.1 seconds\n", 0)]


@pytest.mark.parametrize(
    ("arguments", "status", "sentence"),
    [
        (
            *(["--uri", "http://kitchen:80", "a.wav"], 2),
            "error: --uri is 'http://kitchen:80'; it must be tcp://HOST:PORT, unix://PATH or "
            "stdio://\n",
        ),
        (["--uri", "tcp://kitchen", "a.wav"], 2, "error: --uri is 'tcp://kitchen'; it must be"),
        (["--uri", "stdio://", "a.wav"], 2, "a client takes tcp://HOST:PORT or unix://PATH\n"),
        (["--uri", "tcp://127.0.0.1:9", "a.wav"], 1, "set --uri to its address"),
        (["--format", "srt", "a.wav", "b.wav"], 2, "give --output DIR"),
        (["--jobs", "0", "a.wav"], 2, "error: --jobs is 0; it must be at least 1\n"),
        (["--pause", "nan", "a.wav"], 2, "error: --pause is nan; it must be at least 0.1\n"),
        (
            ["--format", "doc", "a.wav"],
            2,
            "error: --format is 'doc'; it must be text, json, srt or vtt\n",
        ),
        ([], 2, "required"),
        ([""], 2, "error: a FILE is an empty name\n"),
    ],
)
def test_unusable_arguments_end_with_a_message_and_an_exit_status(
    arguments: list[str],
    status: int,
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_media(tmp_path / "a.wav", tone(1.0))
    monkeypatch.chdir(tmp_path)
    ended = main(["transcribe", *arguments])
    out, err = capsys.readouterr()
    assert (out, ended) == ("", status)
    assert sentence in err
