"""Captions: segments cut at words into pieces that can be read."""

from __future__ import annotations

import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from wyoming_faster_whisper.engine.protocol import TokenLogprob, Word
from wyoming_faster_whisper.session.captions import COLUMNS, LONGEST, cues, pieces
from wyoming_faster_whisper.session.events import TimedSegment
from wyoming_faster_whisper.subtitles import Cue


def segment(
    text: str, *, pauses: dict[int, float] | None = None, pace: float = 0.25
) -> TimedSegment:
    """Make a segment from words in a text, each of which has one token.

    Args:
        text: words with spaces between them; "|" stands for the edge of a word without a space.
        pauses: seconds of silence after the word with this index.
        pace: seconds per word.
    """
    spoken = [part for word in text.split() for part in word.split("|")]
    words, at = [], 1.0
    for index, word in enumerate(spoken):
        words.append(Word(word, at, at + pace, 0.9, (index,)))
        at += pace + (pauses or {}).get(index, 0.0)
    return TimedSegment(
        start=0.9,
        end=at,
        text=text.replace("|", ""),
        tokens=tuple(range(len(words))),
        avg_logprob=-0.2,
        no_speech_prob=0.01,
        words=tuple(words),
        token_logprobs=tuple(TokenLogprob(word, word.encode(), -0.1) for word in spoken),
    )


def texts(text: str, **more: object) -> list[str]:
    return [piece.text for piece in pieces(segment(text, **more))]  # type: ignore[arg-type]


def test_a_short_sentence_is_one_piece() -> None:
    said = segment("Turn on the kitchen light.")
    [piece] = pieces(said)
    assert (piece.text, piece.start, piece.end) == (said.text, 1.0, 2.25)


def test_a_piece_ends_with_its_sentence() -> None:
    assert texts('Turn on the "kitchen light." Is the door locked? I hope so.') == [
        'Turn on the "kitchen light."',
        "Is the door locked? I hope so.",
    ]


def test_a_piece_ends_at_a_pause() -> None:
    assert texts("I think we should leave it", pauses={2: 0.7}) == [
        "I think we",
        "should leave it",
    ]


def test_a_very_short_piece_is_joined_unless_there_is_a_pause() -> None:
    assert texts("Yes. I think so too.") == ["Yes. I think so too."]
    assert texts("Yes. I think so too.", pauses={0: 0.7}) == ["Yes.", "I think so too."]


def test_a_long_sentence_is_cut_at_a_comma_near_its_middle() -> None:
    assert texts(
        "When the evening comes and all the lights are out, the house is quiet again and "
        "nobody is there to hear it"
    ) == [
        "When the evening comes and all the lights are out,",
        "the house is quiet again and nobody is there to hear it",
    ]


def test_a_slow_sentence_is_cut_by_its_duration() -> None:
    assert texts("one two three four five six seven eight", pace=1.0) == [
        "one two three four",
        "five six seven eight",
    ]


def test_a_piece_has_its_own_words_and_tokens_and_the_segment_s_probabilities() -> None:
    said = segment("Turn on the kitchen light. Is the front door locked?")
    first, second = pieces(said)
    assert (first.tokens, second.tokens) == ((0, 1, 2, 3, 4), (5, 6, 7, 8, 9))
    assert second.words == said.words[5:]
    assert [each.token for each in second.token_logprobs][:2] == ["Is", "the"]
    assert (second.start, second.end) == (said.words[5].start, said.words[9].end)
    assert (second.avg_logprob, second.no_speech_prob) == (-0.2, 0.01)


def test_a_segment_without_word_times_is_not_cut() -> None:
    said = TimedSegment(0.0, 28.0, "word " * 80 + "end", (), -0.2, 0.0)
    assert pieces(said) == [said]
    [cue] = cues([said])
    assert max(map(len, cue.text.split("\n"))) <= COLUMNS
    assert cue.text.split() == said.text.split()


def test_a_segment_whose_words_are_not_in_its_text_is_not_cut() -> None:
    said = TimedSegment(0.0, 2.0, "Turn on.", (), -0.2, 0.0, (Word("Off", 0.0, 1.0, 0.5),))
    assert pieces(said) == [said]


def test_a_cue_has_two_lines_of_about_the_same_length() -> None:
    [cue] = cues([segment("The quick brown fox jumps over the lazy dog and runs away.")])
    assert cue == Cue(1.0, 4.0, "The quick brown fox jumps over\nthe lazy dog and runs away.")


def test_chinese_is_cut_between_characters_and_not_before_punctuation() -> None:
    clause = "|".join(["今", "天", "的", "天", "气", "非", "常", "好"])
    [first, second] = cues([segment("|".join([clause] * 3 + ["，"] + [clause] * 3), pace=0.1)])
    assert first.text.replace("\n", "") + second.text.replace("\n", "") == (
        "今天的天气非常好" * 3 + "，" + "今天的天气非常好" * 3
    )
    assert first.text.endswith("，")
    for line in f"{first.text}\n{second.text}".split("\n"):
        assert 2 * len(line) <= COLUMNS
        assert not line.startswith("，")


def test_a_short_cue_stays_for_a_second_unless_another_follows() -> None:
    assert [(cue.start, cue.end) for cue in cues([segment("Stop.")])] == [(1.0, 2.0)]
    two = cues([segment("Stop. Go.", pauses={0: 0.625})])
    assert [(cue.start, cue.end) for cue in two] == [
        (1.0, 1.875),
        (1.875, 2.875),
    ]


def test_no_segments_give_no_cues() -> None:
    assert cues([]) == []


WORD = st.text(st.characters(categories=["L", "P", "M"]), min_size=1, max_size=60).filter(
    lambda word: word.split() == [word] and "|" not in word
)
SPOKEN = st.tuples(WORD, st.floats(0.0, 9.0), st.floats(0.0, 2.0), st.sampled_from(["", " "]))


@given(st.lists(SPOKEN, min_size=1, max_size=80))
def test_the_pieces_of_any_segment_are_the_segment(
    spoken: list[tuple[str, float, float, str]],
) -> None:
    words, at, text = [], 0.0, ""
    for index, (word, seconds, pause, space) in enumerate(spoken):
        words.append(Word(word, at, at + seconds, 0.9, (index,)))
        at += seconds + pause
        text += space + word
    said = TimedSegment(0.0, at, text.strip(), tuple(range(len(words))), 0.0, 0.0, tuple(words))
    cut = pieces(said)
    assert "".join("".join(piece.text for piece in cut).split()) == "".join(text.split())
    assert tuple(token for piece in cut for token in piece.tokens) == said.tokens
    assert all(one.end <= other.start + 1e-9 for one, other in pairwise(cut))
    assert all(piece.end - piece.start <= LONGEST or len(piece.words) == 1 for piece in cut)
    shown = cues([said])
    assert all(one.end <= other.start + 1e-9 for one, other in pairwise(shown))
    assert all(cue.start <= cue.end < math.inf for cue in shown)
