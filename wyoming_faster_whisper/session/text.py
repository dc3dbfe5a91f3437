"""Text post-processing: writing style, and text that is committed piece by piece. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..models.languages import UNSPACED
from .opening import BETWEEN_WORDS, COMMAS, PERIODS, Opening
from .spoken_numbers import number_at_end, write_digits

_END = re.compile(rf"{BETWEEN_WORDS.pattern}$")


# A period before more words. A period after a single letter belongs to an abbreviation and does
# not match.
_STOP_INSIDE = re.compile(r"(?<=\S)(?<!\b\w)[.。…]+\s+(\w)")
_STOP_AT_END = re.compile(rf"(?<!\b\w)[{PERIODS}{COMMAS}…]+$")
_ABBREVIATION = re.compile(r"[^\W\d]\.[^\W\d]\.")
_COMMA = re.compile(rf"[{COMMAS}](?!\d)|(?<!\d)[{COMMAS}]")  # not one inside a number


def _inside(stop: re.Match[str]) -> str:
    """Remove a period inside a sentence: "for. 10 minutes" is one command with a pause in it."""
    return f" {stop[1]}" if continues_sentence(stop[1]) else stop[0]


def continues_sentence(text: str) -> bool:
    """Return whether a text begins inside a sentence: with a digit or a lower-case letter."""
    return text[:1].isdigit() or text[:1].islower()


def command_style(text: str) -> str:
    """Remove the final period and stray commas, because voice assistants match exact words.

    "Turn off, kitchen sink." becomes "Turn off kitchen sink". Numbers keep their points and
    commas, questions their question mark, and abbreviations their periods.
    """
    text = _COMMA.sub("", text)
    text = _STOP_INSIDE.sub(_inside, text)
    # Several sentences stay separate; only the very last period is removed.
    if not re.search(r"\.[^\W\d]\.$|\.\.$", text) and text[-1:] in tuple(PERIODS):
        text = text[:-1]
    return " ".join(text.split())


@dataclass(frozen=True, slots=True)
class Style:
    """Style in which texts are written.

    Args:
        command: the text is one command: numbers in digits, no final period, no commas.
        opening: removes what is said before the order; None = nothing is removed.
    """

    command: bool = False
    opening: Opening | None = None

    def write(self, text: str, language: str | None, *, first: bool = True) -> str:
        """Write a text, or a piece of one.

        Args:
            text: as decoded.
            language: Whisper's code; None = unknown.
            first: False for the pieces of a text after the first.
        """
        if first and self.opening is not None:
            text = self.opening.strip(text, language)
        return command_style(write_digits(text, language)) if self.command else text

    def settled(self, text: str, language: str | None, *, first: bool) -> int:
        """Return how much of the beginning of a text is written the same whatever follows."""
        if first and self.opening is not None and self.opening.may_grow(text, language):
            return 0
        return number_at_end(text, language) if self.command else len(text)


class GrowingText:
    """A text that is sent piece by piece and never changed after it was sent.

    Punctuation at the end of a piece is held until the next words are known, because they may
    remove a final period or turn it into a comma; so are words that the style may write
    differently then.

    Args:
        style: how each piece is written. In a command, pauses end no sentence.
    """

    def __init__(self, style: Style | None = None) -> None:
        self.sent = ""
        self._style = style or Style()
        self._held = ""  # as decoded, not sent yet
        self._language: str | None = None

    def append(self, text: str, language: str | None) -> None:
        """Append the text of the next segment, with the space that the language needs.

        Args:
            text: words without spaces around them.
            language: language code; None = unknown.
        """
        self._language = language or self._language
        if text and (self._held or self.sent):
            # Whisper ends a segment with a period even if the speaker only paused.
            if continues_sentence(text) or self._style.command:
                stripped = _STOP_AT_END.sub("", self.sent + self._held)
                self._held = stripped[len(self.sent) :]
            if language not in UNSPACED:
                text = f" {text}"
        self._held += text

    def extend(self, text: str) -> None:
        """Append a continuation as it is, such as "s", ", please" or " please"."""
        self._held += text

    def take_committed(self) -> str:
        """Return the piece that can be sent now: all that the next words cannot change."""
        body = self._held[: _end(self._held)]
        settled = self._style.settled(body, self._language, first=not self.sent)
        body = body[:settled].rstrip()
        self._held = self._held[len(body) :]
        return self._send(body)

    def end(self) -> str:
        """Return the last piece. All pieces joined are then in `sent`."""
        body, self._held = self._held, ""
        return self._send(body)

    def _send(self, body: str) -> str:
        if not body:
            return ""
        piece = self._style.write(body, self._language, first=not self.sent)
        lead = BETWEEN_WORDS.match(body)
        if self.sent and piece and lead and lead[0] != lead[0].strip():
            # write() may have removed the space that separates it from the piece before.
            after_mark = not body[0].isspace() and BETWEEN_WORDS.fullmatch(piece[0])
            piece = piece if after_mark else f" {piece.lstrip()}"
        self.sent += piece
        return piece


def _end(text: str) -> int:
    found = _END.search(text)
    assert found is not None  # the pattern also matches the empty string at the end
    # The last period of "a.m." belongs to the word.
    return found.start() + bool(_ABBREVIATION.match(text, max(0, found.start() - 3)))


def text_after(text: str, prefix: str) -> str:
    """Return the continuation of a text after a prefix that has been sent."""
    if text.startswith(prefix):
        return text[len(prefix) :]
    # This text was decoded without the prefix. Skip as many words as the prefix has.
    return "".join(f" {word}" for word in text.split()[len(prefix.split()) :])


def local_agreement(before: str, after: str) -> str:
    """Return the longest common beginning of two hypotheses (LocalAgreement-2).

    Words are compared without case and punctuation. The last word of the second hypothesis does
    not count, because the audio may end in the middle of it.

    Args:
        before: text of the shorter audio.
        after: text of the same audio after it has grown.

    Returns:
        Words as written in `after`, without punctuation at the end.
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
