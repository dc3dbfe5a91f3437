"""Fake models, and fake packages that contain one."""

from __future__ import annotations

import hashlib
import importlib
import json
from pathlib import Path

import pytest

from wyoming_faster_whisper.models.packages import PACKAGED, PackagedFile

BASE = "Systran/faster-whisper-base"
TINY_EN = "Systran/faster-whisper-tiny.en"
CONTENT = {
    "model.bin": b"first half, second half",
    "config.json": b"{}",
    "tokenizer.json": b"{}",
    "vocabulary.txt": b"words",
}


def put_model(directory: Path, languages: int | None = None) -> Path:
    """Create a directory that looks like a model; languages = number in its config."""
    directory.mkdir(parents=True)
    for name, data in CONTENT.items():
        (directory / name).write_bytes(data)
    if languages is not None:
        (directory / "config.json").write_text(json.dumps({"lang_ids": [0] * languages}))
    return directory


def put_in_cache(folder: Path, repository: str, revision: str = "abc", main: str = "abc") -> Path:
    """Create a model in the layout of the Hugging Face cache, as the reference server does."""
    cache = folder / ("models--" + repository.replace("/", "--"))
    (cache / "refs").mkdir(parents=True, exist_ok=True)
    (cache / "refs" / "main").write_text(main)
    return put_model(cache / "snapshots" / revision)


def install(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    damaged: bool = False,
    whole: bool = False,
) -> Path:
    """Install packages that contain `base`; its model.bin is in two parts unless whole."""
    site = tmp_path / "site"
    first, second = CONTENT["model.bin"][:11], CONTENT["model.bin"][11:]
    if damaged:
        second = second.upper()
    data = {"one": {**CONTENT, "model.bin": first + second} if whole else CONTENT, "two": {}}
    for package, files in data.items():
        (site / package).mkdir(parents=True)
        (site / package / "__init__.py").write_text("raise RuntimeError('never imported')")
        information = site / f"fake_{package}-1.0.dist-info"
        information.mkdir()
        (information / "METADATA").write_text(
            f"Metadata-Version: 2.1\nName: fake-{package}\nVersion: 1.0\n"
        )
        for name, content in files.items():
            (site / package / name).write_bytes(content)
    places = {name: (("fake-one", f"one/{name}"),) for name in CONTENT}
    if not whole:
        (site / "one" / "model.bin").unlink()
        (site / "one" / "model.bin.part1").write_bytes(first)
        (site / "two" / "model.bin.part2").write_bytes(second)
        parts = (("fake-one", "one/model.bin.part1"), ("fake-two", "two/model.bin.part2"))
        packaged = {**places, "model.bin": parts}
    else:
        packaged = dict(places)
    monkeypatch.setitem(
        PACKAGED,
        BASE,
        {
            name: PackagedFile(packaged[name], hashlib.sha256(CONTENT[name]).hexdigest())
            for name in CONTENT
        },
    )
    monkeypatch.syspath_prepend(site)
    importlib.invalidate_caches()
    return site
