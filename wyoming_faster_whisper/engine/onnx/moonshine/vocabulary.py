"""Moonshine's tokens: the text of tokens, and the tokens of a text. Pure.

The vocabulary is that of a SentencePiece BPE model with byte fallback (Llama's). The merges
follow from it: of all neighbours, those whose union has the lowest number are merged first.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from ....errors import ModelError

BEGIN, END = 1, 2  # tokens at the beginning and the end of a text
_BYTES = 3  # token of the byte 0; those of the other bytes follow
_FIRST_PIECE = _BYTES + 256
_SPACE = "\u2581".encode()  # SentencePiece's mark of a space
_MARKS = ",.?!%'-"  # directly after a word
_NUMBERS = tuple(map(str, range(101)))  # as in "to 30%"
_LEAST = 1000  # tokens; a file with fewer is not the vocabulary of a model


class Vocabulary:
    """Tokens of a model, by number.

    Args:
        pieces: the bytes of each token, with U+2581 for a space.
    """

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self._pieces = [piece.replace(_SPACE, b" ") for piece in pieces]
        self._numbers: dict[bytes, int] = {}
        for number in range(_FIRST_PIECE, len(pieces)):
            self._numbers.setdefault(self._pieces[number], number)
        marks = (self._numbers.get(mark.encode()) for mark in _MARKS)
        self._marks = frozenset(mark for mark in marks if mark is not None)
        # A cache of one vocabulary; a method's would keep the vocabulary alive.
        self._encode_word = lru_cache(maxsize=2048)(self._merged)

    def __len__(self) -> int:
        return len(self._pieces)

    def piece(self, token: int) -> bytes:
        """Return the bytes of a token, b"" for a control token or an unknown one."""
        return self._pieces[token] if _BYTES <= token < len(self._pieces) else b""

    def decode(self, tokens: Iterable[int]) -> str:
        """Return the text of some tokens, stripped; control tokens are left out."""
        return b"".join(map(self.piece, tokens)).decode(errors="replace").strip()

    def encode(self, text: str) -> list[int]:
        """Return the tokens of a text, as the decoder generates them: with a space before it."""
        tokens: list[int] = []
        for word in _words(" " + " ".join(text.split())):
            tokens += self._encode_word(word)
        return tokens if text.strip() else []

    def spellings(self, words: Iterable[str]) -> frozenset[int]:
        """Return the tokens that spell some words, and those of numbers and punctuation."""
        return frozenset().union(*map(self._spell, (*words, *_NUMBERS)), self._marks)

    def _spell(self, word: str) -> frozenset[int]:
        """Return the tokens of a word after another one, in the usual cases."""
        forms = (word, word.lower(), word[:1].upper() + word[1:])
        return frozenset(token for form in forms for token in self.encode(form))

    def _merged(self, word: str) -> tuple[int, ...]:
        """Return the tokens of a word with the space before it, by merging neighbours."""
        parts: list[bytes | None] = [character.encode() for character in word]
        following = [*range(1, len(parts)), -1]
        before = [-1, *range(len(parts) - 1)]
        queue: list[tuple[int, int, bytes]] = []

        def offer(left: int) -> None:
            right = following[left]
            if right < 0:
                return
            one, other = parts[left], parts[right]
            if one is not None and other is not None:
                number = self._numbers.get(one + other)
                if number is not None:
                    heapq.heappush(queue, (number, left, one + other))

        for at in range(len(parts) - 1):
            offer(at)
        while queue:
            _, left, union = heapq.heappop(queue)
            right = following[left]
            one, other = parts[left], parts[right] if right >= 0 else None
            if one is None or other is None or one + other != union:
                continue  # one of the two has been merged meanwhile
            parts[left], parts[right] = union, None
            following[left] = following[right]
            if following[right] >= 0:
                before[following[right]] = left
            offer(left)
            if before[left] >= 0:
                offer(before[left])
        return tuple(token for part in parts if part is not None for token in self._tokens(part))

    def _tokens(self, part: bytes) -> Iterator[int]:
        if (number := self._numbers.get(part)) is not None:
            yield number
        else:
            yield from (_BYTES + byte for byte in part)


def _words(text: str) -> Iterator[str]:
    """Yield the words of a text, each with the space before it.

    No English token has a space within it, except runs of spaces, which the text does not have.
    """
    for word in text.split(" ")[1:]:
        yield " " + word


def read_binary(data: bytes, name: str) -> Vocabulary:
    """Read a tokenizer.bin: for each token its length in one or two bytes, then its bytes.

    Args:
        name: name of the file, for error messages.

    Raises:
        ModelError: the file is damaged.
    """
    pieces: list[bytes] = []
    at = 0
    while at < len(data):
        size = data[at]
        at += 1
        if size >= 128:
            if at == len(data):
                raise ModelError(f"{name} is cut off")
            size += 128 * data[at] - 128
            at += 1
        if at + size > len(data):
            raise ModelError(f"{name} is cut off, or is not a tokenizer.bin of Moonshine")
        pieces.append(data[at : at + size])
        at += size
    return _checked(pieces, name)


def read_json(text: str, name: str) -> Vocabulary:
    """Read a tokenizer.json of Hugging Face's tokenizers.

    Args:
        name: name of the file, for error messages.

    Raises:
        ModelError: the file is damaged, or is the tokenizer of another model.
    """
    try:
        numbers: dict[str, int] = json.loads(text)["model"]["vocab"]
        pieces = [b""] * (1 + max(numbers.values()))
        for piece, number in numbers.items():
            is_byte = _BYTES <= number < _FIRST_PIECE
            pieces[number] = bytes([number - _BYTES]) if is_byte else piece.encode()
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"{name} is not a tokenizer.json ({type(error).__name__})") from None
    return _checked(pieces, name)


def _checked(pieces: Sequence[bytes], name: str) -> Vocabulary:
    control = [b"<s>", b"</s>"]
    if len(pieces) < _LEAST or list(pieces[BEGIN : END + 1]) != control:
        raise ModelError(
            f"{name} is the tokenizer of another model: Moonshine's has <s> and </s> as tokens "
            f"{BEGIN} and {END}, and at least {_LEAST} tokens"
        )
    return Vocabulary(pieces)
