"""bench.short_words: what lost a word."""

from __future__ import annotations

from bench.short_words import Heard, table


def test_the_table_tells_what_lost_a_word() -> None:
    def heard(word: str, text: str, *, found: bool = True, right: bool = False) -> Heard:
        clip = f"{word} by a voice"
        return Heard("whispered", "flite", word, clip, found, text, "Stop.", right, True)

    lines = table(
        [
            heard("stop", "Stop.", right=True),
            heard("yes", "", found=False),
            heard("yes", ""),
            heard("yes", "This."),
        ]
    ).splitlines()
    assert lines[1].split() == "whispered 4 1 4 1 1 1".split()
    assert lines[2].split() == "flite 4 1 4 1 1 1".split()
    assert lines[3].split() == '"yes" 3 0 3 1 1 1'.split()
    assert len(lines) == 4
