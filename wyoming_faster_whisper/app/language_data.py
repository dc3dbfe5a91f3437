"""Data of a language besides the model: its word list and its grammar."""

from __future__ import annotations

from ..tenant import HOUSE


def load_language_data(language: str | None, *, grammar: bool) -> None:
    """Load what the first decode in a language would otherwise load. Takes up to a second.

    Args:
        language: default language; None = unknown, and only the English word list is loaded.
        grammar: Home Assistant's grammar chooses among hypotheses.
    """
    # Imported here because the server listens before it needs them.
    from ..biasing.lexicon import VOCABULARIES, vocabulary

    written = language or "en"
    if written in VOCABULARIES:
        vocabulary(written)
    if language and grammar:
        from ..biasing import grammar as grammars

        if known := grammars.grammar(HOUSE.name, language, ()):
            known.warm_up()
