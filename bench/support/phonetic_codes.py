"""Phonetic codes of libraries, for a comparison with biasing/phonetics.py.

The libraries are no dependency of the server: pip install doublemetaphone jellyfish panphon.
panphon needs the pronunciation; espeak-ng, from the system, gives it.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from unittest.mock import patch

from rapidfuzz.distance import JaroWinkler, Levenshtein

from wyoming_faster_whisper.biasing import correct, hypotheses, phonetics

# A code takes a word, normalised by letters(), and the reading: 0 = English, 1 = continental
# European where the library knows a second one.
Code = Callable[[str, int], str]

_VOICES = ("en-us", "de")  # of espeak-ng, by reading
_IPA_MARKS = str.maketrans("", "", "ˈˌ‿ \n")  # stress and spaces


def _letters() -> Code:
    return lambda word, reading: word


def _double_metaphone() -> Code:
    from doublemetaphone import doublemetaphone

    return lambda word, reading: doublemetaphone(word)[reading] or doublemetaphone(word)[0]


def _metaphone() -> Code:
    import jellyfish

    return lambda word, reading: jellyfish.metaphone(word)


def _nysiis() -> Code:
    import jellyfish

    return lambda word, reading: jellyfish.nysiis(word)


def _espeak() -> Code:
    return _pronunciation


def _panphon() -> Code:
    """Return a code with one character per feature that a sound has."""
    from panphon import FeatureTable

    table = FeatureTable()

    def code(word: str, reading: int) -> str:
        return "".join(
            chr(ord("a") + number)
            for sound in table.word_to_vector_list(_pronunciation(word, reading), numeric=False)
            for number, value in enumerate(sound)
            if value == "+"
        )

    return code


@cache
def _pronunciation(word: str, reading: int) -> str:
    """Return the pronunciation of a word in IPA."""
    command = ["espeak-ng", "-q", "--ipa", "-v", _VOICES[reading], "--", word]
    spoken = subprocess.run(command, check=True, capture_output=True, text=True)
    return spoken.stdout.translate(_IPA_MARKS)


_LIBRARIES: dict[str, Callable[[], Code]] = {
    "letters": _letters,  # rapidfuzz alone
    "double-metaphone": _double_metaphone,
    "metaphone": _metaphone,
    "nysiis": _nysiis,
    "espeak-ng": _espeak,
    "espeak-ng+panphon": _panphon,
}
OWN = "own"
JARO_WINKLER = "jaro-winkler"  # of the letters, for sound and spelling
CODES = (OWN, JARO_WINKLER, *_LIBRARIES)


class _JaroWinkler:
    """Stands for rapidfuzz.distance.Levenshtein."""

    normalized_similarity = JaroWinkler.normalized_similarity
    distance = Levenshtein.distance


@cache
def _load(name: str) -> Code:
    return cache(_LIBRARIES[name]())


@contextmanager
def use(name: str, names: Sequence[str]) -> Iterator[None]:
    """Replace the server's phonetic code.

    The server's weights count sounds, so the length of a sound is set such that the names have
    as many sounds in total as with the server's own code.

    Args:
        name: one of CODES.
        names: names of the home.
    """
    if name == OWN:
        yield
        return
    code = _load("letters" if name == JARO_WINKLER else name)
    words = [word for each in names for word in correct.name_words(each)]
    own = sum(len(phonetics.phonetic_features(word)) for word in words)
    length = phonetics.FEATURES_PER_SOUND * sum(len(code(word, 0)) for word in words) / own
    with ExitStack() as stack:
        stack.enter_context(patch.object(correct, "phonetic_features", code))
        for user in (correct, hypotheses):
            if name == JARO_WINKLER:
                stack.enter_context(patch.object(user, "Levenshtein", _JaroWinkler))
            stack.enter_context(patch.object(user, "FEATURES_PER_SOUND", length))
        yield
