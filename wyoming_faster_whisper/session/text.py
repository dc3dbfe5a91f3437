"""The last word on a text: how it is written, and how it grows. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable

# Written without blanks between the words.
_UNSPACED = frozenset("zh yue ja th lo my km bo".split())
_END = re.compile(r"[\s.,;:!?…。、，！？-]*$")
_BEGINNING = re.compile(r"[\s.,;:!?…。、，！？-]*")


# A period before more words; one after a single letter belongs to an abbreviation.
_STOP_INSIDE = re.compile(r"(?<=\S)(?<!\b\w)[.。…]+\s+(\w)")
_STOP_AT_END = re.compile(r"(?<!\b\w)[.。…,，、]+$")


def _inside(stop: re.Match[str]) -> str:
    """Remove a period inside a sentence: "for. 10 minutes" was one order with a pause in it."""
    return f" {stop[1]}" if continues_sentence(stop[1]) else stop[0]


def continues_sentence(text: str) -> bool:
    """True for a text that begins inside a sentence: with a digit or a small letter."""
    return text[:1].isdigit() or text[:1].islower()


def command_style(text: str) -> str:
    """Write a text the way commands are matched: no final period, no stray commas.

    "Turn off, kitchen sink." becomes "Turn off kitchen sink". Numbers keep
    their points and commas, questions their mark, abbreviations their dots.
    """
    text = re.sub(r",(?!\d)|(?<!\d),", "", text)
    text = _STOP_INSIDE.sub(_inside, text)
    # Several sentences stay sentences; only the very last period goes.
    if not re.search(r"\.\w\.$|\.\.$", text):
        text = text.removesuffix(".").removesuffix("。")
    return " ".join(text.split())


def style(name: str, text: str) -> str:
    """Write a text in one of the styles of --text-style."""
    return command_style(text) if name == "command" else text


class GrowingText:
    """A text that goes out piece by piece, and of which nothing is ever taken back.

    The end of a piece waits until it is known what follows: a final period may go, or become
    a comma.

    Args:
        write: the last word on each piece: corrects and styles it.
        one_sentence: what is said with pauses is one order, and no period parts it.
    """

    def __init__(self, write: Callable[[str], str] = str, *, one_sentence: bool = False) -> None:
        self.sent = ""
        self._one_sentence = one_sentence
        self._write = write
        self._held = ""  # as decoded, not sent yet

    def append(self, text: str, language: str | None) -> None:
        """Take the next words, without blanks around them."""
        if text and (self._held or self.sent):
            # A pause is no end of a sentence.
            if continues_sentence(text) or self._one_sentence:
                said = _STOP_AT_END.sub("", self.sent + self._held)
                self._held = said[len(self.sent) :]
            if language not in _UNSPACED:
                text = f" {text}"
        self._held += text

    def extend(self, text: str) -> None:
        """Take what follows the last words to the letter: "s", ", please" or " please"."""
        self._held += text

    def take_committed(self) -> str:
        """Return the piece that can go out now: all but punctuation at the end."""
        body = self._held[: _end(self._held)]
        self._held = self._held[len(body) :]
        return self._send(body)

    def end(self) -> str:
        """Return the last piece. All pieces together are sent."""
        body, self._held = self._held, ""
        return self._send(body)

    def _send(self, body: str) -> str:
        piece = self._write(body)
        lead = _BEGINNING.match(body)
        if self.sent and piece and lead and lead[0] != lead[0].rstrip():
            # Writing it may have taken the blank that parts it from the piece before.
            piece = piece if piece[0] in ".,;:!?…-" else f" {piece.lstrip()}"
        self.sent += piece
        return piece


def _end(text: str) -> int:
    found = _END.search(text)
    assert found is not None  # it matches the empty end
    return found.start()


def text_after(text: str, prefix: str) -> str:
    """What follows in a text whose beginning has been said, to the letter."""
    if text.startswith(prefix):
        return text[len(prefix) :]
    # Whoever decoded it did not go on from there; word by word it may fit.
    return "".join(f" {word}" for word in text.split()[len(prefix.split()) :])


def local_agreement(before: str, after: str) -> str:
    """The words at the beginning on which two decodes of growing sound agree.

    The last word of the longer sound may be cut in the middle, and does not count.

    Returns:
        As the second one writes them, without punctuation at the end.
    """
    words = after.split()
    same = 0
    for one, other in zip(before.split(), words[:-1], strict=False):
        if _plain(one) != _plain(other):
            break
        same += 1
    text = " ".join(words[:same])
    return text[: _end(text)]


def _plain(word: str) -> str:
    return word[: _end(word)].lower()
