"""Data of a language besides the model: its word list and its grammar."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from ..tenant import HOUSE

_LOGGER = logging.getLogger(__name__)


class LanguageData:
    """Loads the data of each language once, in a thread, one language after the other.

    Threads may share it.

    Args:
        load: loads the data of a language (Whisper's code). If it raises, that is logged: the
            first decode then loads the data, or fails with the error.
    """

    def __init__(self, load: Callable[[str], None]) -> None:
        self._load = load
        self._loading = threading.Lock()  # held while a language is loaded
        self._starting = threading.Lock()  # guards the threads
        self._threads: dict[str, threading.Thread] = {}

    def prepare(self, language: str) -> None:
        """Begin to load the data of a language, unless that has been done. Returns at once."""
        with self._starting:
            if language not in self._threads:
                # A daemon: the server may exit without it.
                thread = threading.Thread(target=self._run, args=(language,), daemon=True)
                thread.start()
                self._threads[language] = thread

    def wait(self) -> None:
        """Wait until all that has begun is loaded. Blocking."""
        with self._starting:
            threads = list(self._threads.values())
        for thread in threads:
            thread.join()

    def _run(self, language: str) -> None:
        with self._loading:
            try:
                self._load(language)
            except Exception:  # of a recognizer that is not part of this package, for example
                _LOGGER.exception("The data of language %s was not loaded", language)


def load_language_data(language: str, *, grammar: bool) -> None:
    """Load what the first decode in a language would otherwise load. Takes up to a second.

    Args:
        language: Whisper's code.
        grammar: Home Assistant's grammar chooses among hypotheses.
    """
    # Imported here because the server listens before it needs them.
    from ..biasing.lexicon import VOCABULARIES, vocabulary

    if language in VOCABULARIES:
        vocabulary(language)
    if grammar:
        from ..biasing import grammar as grammars

        if known := grammars.grammar(HOUSE.name, language, ()):
            known.warm_up()
