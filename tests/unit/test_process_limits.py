"""Lists of cores."""

from __future__ import annotations

import pytest

from wyoming_faster_whisper.config.load import read_settings
from wyoming_faster_whisper.errors import SettingError
from wyoming_faster_whisper.process_limits import parse_cores, use_cores


@pytest.mark.parametrize(
    ("text", "cores"), [("0", {0}), ("0-2", {0, 1, 2}), ("1, 3-4,1", {1, 3, 4}), ("7-7", {7})]
)
def test_a_list_of_cores(text: str, cores: set[int]) -> None:
    assert parse_cores(text) == cores


@pytest.mark.parametrize("text", ["", "a", "1-", "-1", "2-1", "1,,2", "1-2-3", "0-99999", "٣-x"])
def test_a_text_that_is_not_a_list_of_cores_is_an_error(text: str) -> None:
    with pytest.raises(SettingError, match="must be a list of cores"):
        read_settings([f"--cpu-affinity={text or ','}"], {})


def test_a_core_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(SettingError, match="--cpu-affinity has core 9999; this process may use"):
        use_cores(frozenset({9999}))
