"""The grammar of each language of Home Assistant, with the names of a home and without.

Parsing the templates of 69 languages takes half a minute, so this is not among the unit tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import pytest
from hassil.sample import sample_sentence

from wyoming_faster_whisper.biasing.grammar import Fit, Grammar
from wyoming_faster_whisper.biasing.templates import name_lists, template_languages, templates

NAMES = ("Oda", "Sonos")  # short: an unknown name may be half of a sentence
SENTENCES = 40


def sentences(language: str, *, any_device: bool) -> Iterator[str]:
    """Yield sentences with a name of the home, made of the templates of a language.

    Args:
        any_device: leave out templates for devices of one kind, whose names must be known.
    """
    intents = templates(language).intents
    names = name_lists(NAMES[:1])
    for name in ("HassTurnOn", "HassGetState", *intents.intents):
        if name not in intents.intents:
            continue
        for data in intents.intents[name].data:
            if any_device and data.requires_context:
                continue
            rules = {**intents.expansion_rules, **data.expansion_rules}
            lists = {**intents.slot_lists, **data.slot_lists, **names}
            for sentence in data.sentences:
                some = islice(sample_sentence(sentence, lists, rules, skip_optionals=True), 3)
                yield from (text for text in some if NAMES[0] in text)


@pytest.mark.parametrize("language", sorted(template_languages()))
def test_a_sentence_fits(language: str) -> None:
    home, others, unknown = (Grammar(language, names) for names in (NAMES, NAMES[1:], ()))
    texts = islice(sentences(language, any_device=False), SENTENCES)
    assert any(home.fit(text) > others.fit(text) for text in texts)
    texts = islice(sentences(language, any_device=True), SENTENCES)
    assert any(unknown.fit(text) is Fit.ORDER for text in texts)


def test_there_are_many() -> None:
    assert len(template_languages()) >= 60
