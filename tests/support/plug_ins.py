"""Packages that offer a recognizer, installed in a folder."""

from __future__ import annotations

from pathlib import Path


def install(folder: Path, **libraries: str) -> Path:
    """Install a package whose entry points are these libraries; put the folder on sys.path.

    Args:
        folder: is made.
        libraries: by name, what the entry point refers to, like module:function.
    """
    metadata = folder / "toy-0.dist-info"
    metadata.mkdir(parents=True)
    lines = [f"{name} = {reference}\n" for name, reference in libraries.items()]
    group = "[wyoming_faster_whisper.recognizers]\n"
    (metadata / "entry_points.txt").write_text(group + "".join(lines))
    return folder
