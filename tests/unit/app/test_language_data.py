from wyoming_faster_whisper.app.language_data import load_language_data
from wyoming_faster_whisper.biasing.grammar import grammar
from wyoming_faster_whisper.biasing.lexicon import vocabulary
from wyoming_faster_whisper.biasing.templates import templates


def loaded(language: str | None, *, use_grammar: bool = True) -> tuple[int, int]:
    """Return how many word lists and how many grammars a language loads."""
    for cache in (vocabulary, templates):
        cache.cache_clear()
    grammar.clear()
    load_language_data(language, grammar=use_grammar)
    return vocabulary.cache_info().currsize, templates.cache_info().currsize


def test_a_language_loads_its_word_list_and_its_grammar() -> None:
    assert loaded("fr") == (1, 1)


def test_a_language_whose_words_are_not_used_loads_no_word_list() -> None:
    assert loaded("de") == (0, 1)


def test_a_language_without_templates_loads_no_grammar() -> None:
    assert loaded("yo") == (0, 0)


def test_the_grammar_is_not_loaded_if_it_is_off() -> None:
    assert loaded("en", use_grammar=False) == (1, 0)


def test_an_unknown_language_loads_english_words_only() -> None:
    assert loaded(None) == (1, 0)
