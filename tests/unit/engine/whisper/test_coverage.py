"""Coverage: does a text account for all speech in the audio?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import pytest

from tests.support.calibration import ENGLISH
from wyoming_faster_whisper.engine.whisper import coverage
from wyoming_faster_whisper.engine.whisper.coverage import (
    Alignment,
    Gap,
    Span,
    adds,
    insert,
    remove_loops,
    rounds_spoken,
    said_beside,
)
from wyoming_faster_whisper.engine.whisper.hallucination import Decoded
from wyoming_faster_whisper.engine.whisper.repetition import repeated_tail

gaps = partial(coverage.gaps, limits=ENGLISH.coverage)
sparse = partial(coverage.sparse, limits=ENGLISH.coverage)

SENTENCE = 1.2  # seconds of voice in "Turn off the light."
TOKENS = (" Turn", " off", " the", " light", ".")


def aligned(*tokens: tuple[str, float], end: float) -> Alignment:
    """Build an alignment from tokens with their start in seconds."""
    texts, starts = tuple(text for text, _ in tokens), tuple(start for _, start in tokens)
    return Alignment(texts, starts, end, (-0.1,) * len(tokens))


def spoken(*starts: float) -> Alignment:
    """Build the alignment of "Turn off the light.", repeated from each of these seconds."""
    tokens = [
        (text, start + SENTENCE * at / len(TOKENS))
        for start in starts
        for at, text in enumerate(TOKENS)
    ]
    return aligned(*tokens, end=starts[-1] + SENTENCE)


def voice(*starts: float, seconds: float = SENTENCE) -> list[Span]:
    return [(start, start + seconds) for start in starts]


# Gaps.


def test_a_complete_text_has_no_gap() -> None:
    assert gaps(spoken(0.4), voice(0.4)) == []
    assert gaps(spoken(0.4, 2.0), voice(0.4, 2.0)) == []


def test_a_pause_is_not_a_gap() -> None:
    late = replace(spoken(0.4, 4.0), end=9.0)
    assert gaps(late, voice(0.4, 4.0)) == []


def test_speech_after_the_text_is_a_gap() -> None:
    assert gaps(spoken(0.4), voice(0.4, 2.5)) == [Gap(5, 2.5, 3.7)]
    assert gaps(spoken(0.4), [*voice(0.4), (2.5, 2.8)]) == []  # 0.3 s: a breath


@pytest.mark.parametrize(
    "beside",
    [
        # The alignment stretches the punctuation mark before the missing sentence over it, ...
        [(".", 1.4), (" Stop", 4.5)],
        # ... or the word after it.
        [(".", 1.6), (" Stop", 1.8)],
    ],
    ids=["mark", "word"],
)
def test_a_missing_sentence_between_two_others_is_a_gap(
    beside: Sequence[tuple[str, float]],
) -> None:
    text = aligned((" Lights", 0.4), (" off", 1.0), *beside, (".", 5.0), end=5.1)
    heard = [(0.4, 1.5), (2.0, 3.5), (4.5, 5.0)]
    assert gaps(text, heard) == [Gap(3, 2.0, 3.5)]


@pytest.mark.parametrize(
    ("name", "gap"),
    [
        ([(" Gust", 1.0), ("av", 3.2)], Gap(1, 1.0, 2.4)),
        ([(" Gustav", 1.0)], Gap(2, 1.6, 3.4)),
    ],
    ids=["a beginning", "a whole word"],
)
def test_speech_within_the_beginning_of_a_word_is_missing_before_it(
    name: Sequence[tuple[str, float]], gap: Gap
) -> None:
    """What comes next in the text is the rest of the word, so nothing is missing in between."""
    text = aligned((" Eric", 0.2), *name, (" left", 3.4), end=3.8)
    assert gaps(text, [(0.2, 0.8), (1.0, 1.4), (1.6, 2.4), (2.9, 3.8)]) == [gap]


def test_a_missing_first_sentence_is_a_gap() -> None:
    text = aligned((" Stop", 0.0), (" it", 3.0), (".", 3.3), end=3.5)
    assert gaps(text, [(0.4, 1.9), (2.5, 3.4)]) == [Gap(0, 0.4, 1.9)]


def test_several_gaps_are_found_in_order() -> None:
    text = aligned((" Stop", 0.0), (" it", 3.0), (".", 3.3), end=3.5)
    heard = [(0.4, 1.9), (2.5, 3.4), (5.0, 6.0)]
    assert gaps(text, heard) == [Gap(0, 0.4, 1.9), Gap(3, 5.0, 6.0)]


def test_digits_may_take_long_and_words_may_not() -> None:
    def one(token: str) -> list[Gap]:
        return gaps(aligned((" In", 0.4), (token, 0.6), (".", 1.9), end=2.0), [(0.4, 1.9)])

    assert one(" 1969") == []
    assert one(" may") == [Gap(2, 0.6, 1.9)]
    assert one(" 7") == [Gap(2, 0.6, 1.9)]


@pytest.mark.parametrize(
    ("tokens", "seconds", "yes"), [(7, 2.0, True), (8, 2.0, False), (1, 0.9, False)]
)
def test_a_text_with_few_tokens_for_its_speech_is_sparse(
    tokens: int, seconds: float, yes: bool
) -> None:
    assert sparse(decoded("Stop.", tokens), seconds) is yes


# Loops.


def decoded(text: str, tokens: int) -> Decoded:
    return Decoded(text, tokens, -0.2, 0.0, 60, scores=(-1.0,))


def rounds(text: str, sound: Alignment, heard: Sequence[Span]) -> int:
    repeat = repeated_tail(text)
    assert repeat is not None
    words = [at for at, token in enumerate(sound.texts) if token.startswith(" ")]
    return rounds_spoken(sound, words, repeat, heard)


def test_three_spoken_repetitions_are_counted() -> None:
    starts = (0.4, 2.0, 3.6)
    assert rounds("Turn off the light. " * 3, spoken(*starts), voice(*starts)) == 3


def test_repetitions_without_speech_are_not_counted() -> None:
    text = "Turn off the light. " * 3
    assert rounds(text, spoken(0.4, 2.0, 3.6), voice(0.4, 2.0)) == 2
    assert rounds(text, spoken(0.4, 2.0, 3.6), voice(0.4)) == 1
    assert rounds(text, spoken(0.4, 2.0, 3.6), []) == 1


def test_a_repetition_with_very_little_speech_is_not_counted() -> None:
    heard = [*voice(0.4), (2.0, 2.3)]
    assert rounds("Turn off the light. " * 2, spoken(0.4, 2.0), heard) == 1


def test_a_loop_is_removed_from_the_text_and_the_alignment() -> None:
    starts = (0.4, 1.7, 1.9, 2.1)
    loop = decoded("Turn off the light. " * 4, tokens=20)
    cut, sound = remove_loops(loop, spoken(*starts), voice(0.4))
    assert (cut.text, cut.tokens, cut.scores) == ("Turn off the light.", 5, ())
    assert sound == replace(spoken(0.4), end=1.7)
    assert not cut.repetitive


def test_a_loop_that_starts_late_and_ends_incomplete_is_removed() -> None:
    sound = aligned(
        *((" Hello", 0.0), (".", 0.4)),
        *((" Stop", 1.0), (" it", 1.2), (" now", 1.4), (".", 1.6)),
        *((" Stop", 2.0), (" it", 2.0), (" now", 2.0), (".", 2.0)),
        *((" Stop", 2.0), (" it", 2.0)),
        end=2.0,
    )
    loop = decoded("Hello. Stop it now. Stop it now. Stop it", tokens=12)
    cut, _ = remove_loops(loop, sound, [(0.1, 0.5), (1.0, 1.7)])
    assert (cut.text, cut.tokens) == ("Hello. Stop it now.", 6)


def test_a_sentence_spoken_three_times_is_kept() -> None:
    starts = (0.4, 2.0, 3.6)
    thrice = decoded(("Turn off the light. " * 3).strip(), tokens=15)
    kept, sound = remove_loops(thrice, spoken(*starts), voice(*starts))
    assert kept.text == thrice.text
    assert sound == spoken(*starts)


def test_a_text_without_repetition_is_unchanged() -> None:
    once = decoded("Turn off the light.", tokens=60)
    assert remove_loops(once, spoken(0.4), voice(0.4)) == (once, spoken(0.4))


# Insertion of missing text.


@pytest.mark.parametrize(
    ("before", "after", "whole"),
    [
        ("", "Stop it.", "Close the door. Stop it."),
        ("Lights off.", "", "Lights off. Close the door."),
        ("Lights off.", " Stop it.", "Lights off. Close the door. Stop it."),
        # Punctuation stays with the word before it.
        ("Lights off", ". Stop it.", "Lights off. Close the door. Stop it."),
        ("Lights off", ".", "Lights off. Close the door."),
        ("Lights off", " please.", "Lights off Close the door. please."),
    ],
)
def test_a_recovered_part_is_inserted_where_it_was_missing(
    before: str, after: str, whole: str
) -> None:
    assert insert(before + after, len(before), "Close the door.") == whole


@pytest.mark.parametrize(
    ("text", "at", "part", "new"),
    [
        ("Lights off.", 11, "Close the door.", True),
        ("Lights off.", 11, "...", False),
        ("Close the door. Stop it.", 15, "Close the door.", False),
        ("Lights off. close the door, please.", 11, "Close the door.", False),
    ],
)
def test_a_part_adds_words_that_the_text_does_not_have_beside_it(
    text: str, at: int, part: str, new: bool
) -> None:
    assert adds(text, at, part, (False, False)) == new


def test_a_lower_case_part_continues_the_sentence_before_it() -> None:
    text = "Unless to be rather selfish."
    for part, whole in (
        ("is to be rude.", "Unless to be rather selfish is to be rude."),
        ("Stop.", "Unless to be rather selfish. Stop."),
    ):
        assert insert(text, len(text), part) == whole


def sentence(text: str, *starts: float) -> Alignment:
    """Build the alignment of a text whose words are tokens; the last start is its end."""
    words = [word if at == 0 else f" {word}" for at, word in enumerate(text.split())]
    return aligned(*zip(words, starts, strict=False), end=starts[-1])


@pytest.mark.parametrize(
    ("text", "starts", "gap", "beside"),
    [
        ("Close the door.", (0.0, 0.6, 0.8, 1.5), Gap(3, 2.0, 3.5), (True, False)),
        ("Close the door.", (0.0, 0.6, 0.8, 1.5), Gap(3, 2.0, 4.0), (True, False)),
        ("Close the door.", (2.0, 2.6, 2.8, 3.5), Gap(0, 0.0, 1.5), (False, True)),
        # The alignment puts all the words into the first third of their sentence.
        ("Close the door.", (0.0, 0.2, 0.3, 0.5), Gap(3, 0.5, 1.5), (False, False)),
        # Only the last words are compared: those before them had enough.
        (
            "Lights off. Close the door.",
            (0.0, 0.9, 1.6, 1.7, 1.8, 1.9),
            Gap(5, 2.0, 3.5),
            (False, False),
        ),
    ],
    ids=["after it", "more slowly", "before it", "said in the gap", "after another sentence"],
)
def test_words_have_speech_beside_a_gap_if_they_are_said_twice(
    text: str, starts: tuple[float, ...], gap: Gap, beside: tuple[bool, bool]
) -> None:
    everywhere = [(0.0, 10.0)]
    assert said_beside(sentence(text, *starts), gap, "Close the door.", everywhere) == beside


@pytest.mark.parametrize(
    ("at", "beside", "added"),
    [(15, (True, False), True), (15, (False, True), False), (0, (False, True), True)],
)
def test_the_same_words_are_added_only_if_they_are_said_twice(
    at: int, beside: tuple[bool, bool], added: bool
) -> None:
    assert adds("Close the door.", at, "Close the door.", beside) == added
