"""Tokenizer of a Whisper model: prompts and texts as tokens."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from ...errors import EngineError, ModelError
from ..protocol import DecodeOptions
from .prompting import build_prompt

POSITIONS = 448
"""Positions of the decoder in tokens, the prompt included."""

_LONGEST_PROMPT = POSITIONS // 2 - 1  # tokens; Whisper cuts a prompt to the same length
_MARKS = tuple(",.?!%'-")
_NUMBERS = tuple(map(str, range(101)))  # as in "to 30%"
_FIRST_MERGE = ("Ġ", "t")  # first BPE merge of every Whisper: a space and a t


class WhisperTokenizer:
    """Tokenizer of one model. See Tokenizer.

    Args:
        path: the model's tokenizer.json.
        multilingual: False for a model that only knows English.
        takes_prompt: False for distilled models, which are less accurate with a prompt.

    Raises:
        ModelError: the file is missing or damaged.
        EngineError: the tokenizer lacks a control token of Whisper.
    """

    def __init__(self, path: Path, *, multilingual: bool, takes_prompt: bool = True) -> None:
        self.multilingual = multilingual
        self._takes_prompt = takes_prompt
        self._tokenizer = load_tokenizer(path)
        self.end = self.token("<|endoftext|>")
        self._spelling = lru_cache(maxsize=8192)(self._spell)

    def prompt(
        self, options: DecodeOptions, language: str, names: Sequence[str] = (), prefix: str = ""
    ) -> list[int]:
        """See Tokenizer.prompt."""

        def fits(text: str) -> bool:
            return len(self.encode(text)) <= options.max_prompt_tokens

        prompt: list[int] = []
        if self._takes_prompt and (text := build_prompt(options.prompt, names, fits)):
            prompt = [self.token("<|startofprev|>"), *self.encode(text)[-_LONGEST_PROMPT:]]
        prompt.append(self.token("<|startoftranscript|>"))
        if self.multilingual:
            prompt += [self.token(f"<|{language}|>"), self.token(f"<|{options.task}|>")]
        prompt.append(self.token("<|notimestamps|>"))
        return [*prompt, *self.encode(prefix)] if prefix else prompt

    def pieces(self, text: str) -> list[bytes]:
        """See Tokenizer.pieces."""
        byte_of = _byte_of()
        spelled = map(self._tokenizer.id_to_token, self.encode(text))
        return [bytes(byte_of[character] for character in token) for token in spelled]

    def first_tokens(self, text: str, count: int) -> str:
        """See Tokenizer.first_tokens."""
        return self.decode(self.encode(text)[:count]).strip()

    def spellings(self, words: Iterable[str]) -> frozenset[int]:
        """See Tokenizer.spellings."""
        return frozenset().union(*map(self._spelling, (*words, *_MARKS, *_NUMBERS)))

    def words(self, text: str, *, spaced: bool) -> list[tuple[str, int]]:
        """See Tokenizer.words."""
        found: list[tuple[str, int]] = []
        pending: list[int] = []
        for token in self.encode(text):
            pending.append(token)
            piece = self.decode(pending)
            if piece.endswith("\ufffd"):
                continue  # the next token completes the character
            is_word = any(character.isalnum() for character in piece)
            if found and not (is_word and (piece.startswith(" ") or not spaced)):
                last, count = found[-1]
                found[-1] = last + piece, count + len(pending)
            else:
                found.append((piece, len(pending)))
            pending = []
        return found

    def encode(self, text: str) -> list[int]:
        """See Tokenizer.encode."""
        ids = self._tokenizer.encode(" " + text.strip(), add_special_tokens=False).ids
        # "<|startoftranscript|>" in a name must not act as a control token.
        return [i for i in ids if i < self.end]

    def decode(self, tokens: Iterable[int]) -> str:
        """Return the text of some tokens; control tokens are left out."""
        return str(self._tokenizer.decode([i for i in tokens if i < self.end]))

    def vocabulary(self) -> list[bytes]:
        """Return the bytes of each text token."""
        byte_of = _byte_of()
        names = map(self._tokenizer.id_to_token, range(self.end))
        return [bytes(byte_of.get(letter, 0x3F) for letter in name or "") for name in names]

    def mark(self, mark: str) -> int:
        """Return the token of a punctuation mark directly after a word."""
        return int(self._tokenizer.encode(mark, add_special_tokens=False).ids[0])

    def token(self, name: str) -> int:
        """Return a control token by its name.

        Raises:
            EngineError: there is no such token.
        """
        number = self._tokenizer.token_to_id(name)
        if number is None:
            raise EngineError(f"the model's tokenizer has no token {name}")
        return int(number)

    def name(self, token: int) -> str:
        """Return the name of a control token."""
        return str(self._tokenizer.id_to_token(token))

    def _spell(self, word: str) -> frozenset[int]:
        """Return the tokens of a word at the beginning of a text and after another word."""
        ids: set[int] = set()
        for form in (word, word.lower(), word[:1].upper() + word[1:]):
            for text in (form, " " + form):
                ids.update(self._tokenizer.encode(text, add_special_tokens=False).ids)
        return frozenset(i for i in ids if i < self.end)


@lru_cache(maxsize=1)
def _byte_of() -> dict[str, int]:
    """Return the byte that each character of a token stands for (GPT-2's byte-level BPE)."""
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = (byte for byte in range(256) if byte not in visible)
    return {chr(byte): byte for byte in visible} | {
        chr(256 + at): byte for at, byte in enumerate(others)
    }


def load_tokenizer(path: Path) -> Any:
    """Load a tokenizer.json.

    Raises:
        ModelError: the file is missing or damaged.
    """
    import tokenizers

    try:
        return tokenizers.Tokenizer.from_str(_mended(path.read_text(encoding="utf-8")))
    except Exception as error:  # tokenizers raises nothing more specific
        raise ModelError(f"no tokenizer: {path} is missing or damaged ({error})") from None


def _mended(tokenizer: str) -> str:
    """Restore the first merge, which the files of some models lack, one of base included.

    Without this merge " the" becomes the tokens " " and "the", which no Whisper was trained on.
    The decoder then gives such words in its prompt, or in a text that it continues, a
    probability near zero.
    """
    content = json.loads(tokenizer)
    model = content["model"]
    merges = model.get("merges", [])
    known = {tuple(merge.split(" ") if isinstance(merge, str) else merge) for merge in merges}
    if not merges or _FIRST_MERGE in known or "".join(_FIRST_MERGE) not in model["vocab"]:
        return tokenizer
    merges.insert(0, " ".join(_FIRST_MERGE) if isinstance(merges[0], str) else [*_FIRST_MERGE])
    return json.dumps(content)
