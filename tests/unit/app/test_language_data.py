import sys
import threading
from contextlib import suppress

import pytest

from wyoming_faster_whisper.app.language_data import LanguageData, load_language_data
from wyoming_faster_whisper.biasing.grammar import grammar
from wyoming_faster_whisper.biasing.lexicon import vocabulary
from wyoming_faster_whisper.biasing.templates import templates


def loaded(language: str, *, use_grammar: bool = True) -> tuple[int, int]:
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


def test_the_data_of_a_language_is_loaded_once() -> None:
    asked: list[str] = []
    data = LanguageData(asked.append)
    for language in ("en", "de", "en"):
        data.prepare(language)
    data.wait()
    assert sorted(asked) == ["de", "en"]


def test_one_language_is_loaded_after_the_other() -> None:
    two_at_once = threading.Barrier(2)
    met: list[int] = []

    def load(_: str) -> None:
        with suppress(threading.BrokenBarrierError):
            met.append(two_at_once.wait(timeout=0.05))

    data = LanguageData(load)
    for language in ("en", "de", "fr"):
        data.prepare(language)
    data.wait()
    assert met == []


def test_a_thread_may_wait_while_another_one_prepares_a_language() -> None:
    data = LanguageData(lambda _: None)
    prepared = threading.Event()
    failures: list[Exception] = []

    def wait() -> None:
        while not prepared.is_set():
            try:
                data.wait()
            except RuntimeError as error:
                failures.append(error)
                return

    waiting = threading.Thread(target=wait)
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        waiting.start()
        for number in range(200):
            data.prepare(str(number))
    finally:
        prepared.set()
        waiting.join()
        sys.setswitchinterval(interval)
    assert failures == []


def test_data_that_cannot_be_loaded_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    def load(language: str) -> None:
        raise ValueError(f"no data for {language}")

    data = LanguageData(load)
    data.prepare("en")
    data.wait()
    assert "The data of language en was not loaded" in caplog.text
    assert "no data for en" in caplog.text
