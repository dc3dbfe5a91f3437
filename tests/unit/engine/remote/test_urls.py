"""URLs of decode servers."""

from __future__ import annotations

import pytest

from wyoming_faster_whisper.engine.remote.inference_client import check_url
from wyoming_faster_whisper.errors import SettingError


def test_a_password_in_a_url_is_refused_without_repeating_it() -> None:
    with pytest.raises(SettingError, match="--remote-token") as caught:
        check_url("https://user:secret@gpu-box:8000")
    assert "secret" not in str(caught.value)
