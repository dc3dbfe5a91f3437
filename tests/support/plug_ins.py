"""Packages that offer recognizers or preprocessing steps, installed in a folder."""

from __future__ import annotations

from pathlib import Path

RECOGNIZERS = "wyoming_faster_whisper.recognizers"
STEPS = "wyoming_faster_whisper.audio"


def install(folder: Path, group: str = RECOGNIZERS, /, **offered: str) -> Path:
    """Install a package with these entry points. The folder must get onto sys.path.

    Args:
        folder: is made. Its name is that of the package.
        group: of the entry points.
        offered: by name, what the entry point refers to, like module:function.
    """
    metadata = folder / f"{folder.name}-0.dist-info"
    metadata.mkdir(parents=True)
    lines = [f"{name} = {reference}\n" for name, reference in offered.items()]
    (metadata / "entry_points.txt").write_text(f"[{group}]\n" + "".join(lines))
    return folder
