"""Sentences on which the token budgets are fitted."""

from __future__ import annotations

import json
import unicodedata

from bench.calibration.tokens_per_second import CALIBRATION, SOURCES, sentences_of
from wyoming_faster_whisper.models.languages import MULTILINGUAL_V3

DECLARATION = """
<header><p>Whereas it is a preamble.</p></header>
<article data-number="1"><h2>Article 1</h2><p>One. Two; three.</p><p>四。五。</p></article>
<article data-number="2"><h2>Article 2</h2><p>छह। सात।</p></article>
"""


def test_the_articles_are_read_without_preamble_and_headings() -> None:
    assert sentences_of(DECLARATION) == ["One.", "Two;", "three.", "四。", "五。", "छह।", "सात।"]


def test_letters_are_composed_as_in_whispers_output() -> None:
    decomposed = unicodedata.normalize("NFD", "<article><p>Tiếng Việt.</p></article>")
    assert sentences_of(decomposed) == ["Tiếng Việt."]


def test_every_language_of_whisper_has_a_source_and_a_calibration() -> None:
    assert set(SOURCES) == set(MULTILINGUAL_V3)
    assert set(json.loads(CALIBRATION.read_text())["tokens_per_second"]) == set(MULTILINGUAL_V3)
