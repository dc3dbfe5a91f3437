"""Two hundred names: a sentence that contains none of them is not changed."""

from __future__ import annotations

import pytest

from bench.speech.homes import FRESH, HELD_OUT, TUNING, Home
from tests.support.calibration import ENGLISH
from wyoming_faster_whisper.biasing.correct import Corrector


@pytest.mark.parametrize("home", [HELD_OUT, TUNING], ids=["held-out", "tuning"])
def test_sentences_without_a_name_are_not_changed(home: Home) -> None:
    names = [*home.areas, *home.floors]
    for _, name, aliases, _ in home.entities():
        names += [name, *aliases]
    assert len(names) == home.size
    corrector = Corrector(names, "en", ENGLISH.names)
    sentences = [*home.plain, *FRESH]
    assert [corrector.correct(text) for text in sentences] == sentences
