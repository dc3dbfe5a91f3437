"""Two hundred names change no sentence that has none of them."""

from __future__ import annotations

import pytest

from bench.speech.homes import FRESH, HELD_OUT, TUNING, Home
from wyoming_faster_whisper.biasing.correct import Corrector


@pytest.mark.parametrize("home", [HELD_OUT, TUNING], ids=["held-out", "tuning"])
def test_no_plain_sentence_changes(home: Home) -> None:
    names = [*home.areas, *home.floors]
    for _, name, aliases, _ in home.entities():
        names += [name, *aliases]
    assert len(names) == home.size
    corrector = Corrector(names)
    sentences = [*home.plain, *FRESH]
    assert [corrector.correct(text) for text in sentences] == sentences
