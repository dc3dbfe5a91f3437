"""--grammar without its packages."""

from __future__ import annotations

from pathlib import Path

from tests.support.processes import serve_without


async def test_a_missing_extra_is_named_in_the_error(tmp_path: Path) -> None:
    ended = await serve_without("hassil", "--grammar", "on", folder=tmp_path)
    assert ended.status == 2
    assert "--grammar on needs the extra hass" in ended.err
    assert "wyoming-faster-whisper[hass]" in ended.err
