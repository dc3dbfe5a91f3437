"""The examples in docs/tenants.md are files of tenants."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from wyoming_faster_whisper.tenants.parsing import parse_tenants

PAGE = Path(__file__).parents[3] / "docs" / "tenants.md"
EXAMPLES = re.findall(r"```toml\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_accepted(example: str) -> None:
    models = {"base": ("en", "de"), "large-v3": ("en", "de")}
    assert len(parse_tenants(example, models).names) > 1


def test_the_page_has_the_examples() -> None:
    assert len(EXAMPLES) >= 4
