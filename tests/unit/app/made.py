"""Models made for tests."""

from __future__ import annotations

from pathlib import Path


def put_model(directory: Path) -> None:
    """Make a directory that passes for a model."""
    directory.mkdir()
    (directory / "model.bin").touch()
    (directory / "config.json").write_text("{}")
