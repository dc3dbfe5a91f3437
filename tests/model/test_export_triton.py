"""An exported version, loaded and used as Triton's Python model does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.support.clips import CLIPS
from wyoming_faster_whisper.engine.remote.contract import transcripts
from wyoming_faster_whisper.serving.batches import Request, answer_all
from wyoming_faster_whisper.serving.loading import recognizer_of
from wyoming_faster_whisper.serving.triton import spec_in

pytestmark = pytest.mark.model

EXPORT = (sys.executable, "-m", "wyoming_faster_whisper", "export-triton")


def export(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*EXPORT, *arguments], capture_output=True, text=True, check=False)


def test_an_exported_version_decodes_a_batch(tmp_path: Path) -> None:
    flags = ("--model=tiny.en", "--as-version=3", "--cpu-threads=1", f"--data-dir={tmp_path}")
    run = export(str(tmp_path / "repository"), *flags)
    assert run.returncode == 0, run.stderr
    folder = Path(run.stdout.strip())
    assert folder == tmp_path / "repository" / "tiny.en" / "3"
    recognizer = recognizer_of(spec_in(folder, "tiny.en"))
    assert recognizer.load is not None
    engine = recognizer.load()
    clips = sorted(CLIPS.values(), key=lambda clip: len(clip.samples))[:2]
    requests = [
        Request(clip.samples.astype(np.float32).reshape(1, -1), b"{}", lambda: False)
        for clip in clips
    ]
    for clip, answer in zip(
        clips, answer_all(engine, recognizer.models[0], requests), strict=True
    ):
        assert isinstance(answer, list)
        text = transcripts.transcript({each.name: each for each in answer}).text
        assert clip.heard_in(text)


@pytest.mark.parametrize(
    ("flags", "status", "why"),
    [
        (["--model=tiny.en", "--as-version=0"], 2, "--as-version is 0"),
        (["--model=tiny.en", "--as-version=1", "--policy=newest"], 2, "--policy is 'newest'"),
        (["--model=tiny.en", "--as-version=1", "--colour=red"], 2, "--colour"),
        (["--model=nothing-such", "--as-version=1"], 1, "nothing-such"),
    ],
)
def test_a_mistake_is_one_sentence(
    tmp_path: Path, flags: list[str], status: int, why: str
) -> None:
    run = export(str(tmp_path / "repository"), f"--data-dir={tmp_path}", *flags)
    assert run.returncode == status
    assert why in run.stderr.splitlines()[-1]
    assert not (tmp_path / "repository").exists()
