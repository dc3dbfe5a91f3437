"""Beam search and sampling, over small languages whose best texts are known."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from wyoming_faster_whisper.engine.onnx.whisper.search import (
    Beam,
    Floats,
    Hypothesis,
    Samples,
)

END, A, B = 0, 1, 2
_OTHERS = 20

# Probability of each next token (end, a, b) after the last one. "b" is the less likely beginning,
# but "bb" the most likely text.
NEXT = {
    None: (0.05, 0.55, 0.40),
    A: (0.34, 0.33, 0.33),
    B: (0.45, 0.05, 0.50),
}


def logprobs(texts: list[tuple[int, ...]]) -> Floats:
    rows = [NEXT.get(text[-1] if text else None, (1.0, 0.0, 0.0)) for text in texts]
    likely = np.log(np.maximum(np.array(rows), 1e-9))
    impossible = np.full((len(texts), _OTHERS), -50.0)  # the rest of the vocabulary
    return np.concatenate([likely, impossible], axis=1).astype(np.float32)


def search(beam: Beam | Samples, longest: int) -> list[Hypothesis]:
    """Search as the model does: one row before the first token."""
    rows: list[tuple[int, ...]] = [()]
    for count in range(1, longest + 1):
        beam.advance(logprobs(rows), final=count == longest)
        if beam.done:
            break
        rows = [
            (*rows[parent], token) for parent, token in zip(beam.parents, beam.last, strict=True)
        ]
        assert rows == beam.texts
    return beam.ranked()


def score(text: tuple[int, ...]) -> float:
    rows = [text[:at] for at in range(len(text))]
    return float(sum(row[token] for row, token in zip(logprobs(rows), text, strict=True)))


def all_texts(longest: int) -> list[Hypothesis]:
    """Return all texts up to a length, best first; the longest need no end."""
    found = [
        Hypothesis(text, score((*text, END)))
        for length in range(longest)
        for text in product((A, B), repeat=length)
    ]
    found += [Hypothesis(text, score(text)) for text in product((A, B), repeat=longest)]
    return sorted(found, key=lambda one: -one.rank)


def test_a_wide_beam_finds_the_best_texts_of_all() -> None:
    best = search(Beam(10, END), 3)[:4]
    assert [one.tokens for one in best] == [one.tokens for one in all_texts(3)[:4]]
    assert [one.score for one in best] == pytest.approx([one.score for one in all_texts(3)[:4]])


def test_a_beam_of_one_takes_the_most_probable_token_each_time() -> None:
    assert [one.tokens for one in search(Beam(1, END), 5)] == [(A,)]


def test_a_beam_finds_a_text_whose_beginning_is_less_probable() -> None:
    assert search(Beam(2, END), 6)[0].tokens[0] == B


def test_a_text_without_an_end_stops_at_the_budget() -> None:
    beam = Beam(2, END)
    without_end = np.array([[-np.inf, -1.0, -2.0, -8.0]], np.float32)
    beam.advance(without_end, final=False)
    beam.advance(np.repeat(without_end, 2, axis=0), final=True)
    assert beam.done
    assert [one.tokens for one in beam.ranked()] == [(A, A), (A, B)]
    assert beam.ranked()[0].score == -2.0


def test_samples_have_the_probabilities_of_the_model() -> None:
    count = 4000
    found = search(Samples(count, END, 1.0, np.random.default_rng(1)), 6)
    assert len(found) == count
    share = sum(one.tokens[:1] == (B,) for one in found) / count
    assert share == pytest.approx(0.40, abs=0.03)
    for one in found[:50]:
        ended = (*one.tokens, END) if len(one.tokens) < 6 else one.tokens
        assert one.score == pytest.approx(score(ended), abs=1e-4)


def test_samples_at_a_low_temperature_are_the_greedy_text() -> None:
    found = search(Samples(5, END, 0.001, np.random.default_rng(1)), 6)
    assert {one.tokens for one in found} == {(A,)}
