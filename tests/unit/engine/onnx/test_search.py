"""Beam search, over a decoder that is a table."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import pytest

from wyoming_faster_whisper.engine.onnx.moonshine.search import (
    Hypothesis,
    Logprobs,
    beam_search,
)

END, A, B, C = range(4)
Table = Mapping[tuple[int, ...], Mapping[int, float]]  # probabilities after each text


class TableDecoder:
    """A decoder that looks up what follows a text."""

    def __init__(self, table: Table) -> None:
        self._table = table
        self._texts: list[tuple[int, ...]] = [()]
        self.steps = 0

    def first(self) -> Logprobs:
        return self._row(())

    def step(self, parents: Sequence[int], tokens: Sequence[int]) -> Logprobs:
        self.steps += 1
        self._texts = [
            (*self._texts[parent], token) for parent, token in zip(parents, tokens, strict=True)
        ]
        return np.array([self._row(text) for text in self._texts], np.float32)

    def _row(self, text: tuple[int, ...]) -> Logprobs:
        likely = self._table.get(text, {END: 1.0})
        return np.array(
            [math.log(likely.get(token, 1e-9)) for token in (END, A, B, C)], np.float32
        )


def search(table: Table, beam: int, budget: int = 10) -> list[Hypothesis]:
    decoder = TableDecoder(table)
    return beam_search(decoder.first(), decoder.step, beam=beam, budget=budget, end=END)


# Greedy takes A, whose continuations are all unlikely.
GARDEN_PATH: Table = {
    (): {A: 0.55, B: 0.45},
    (A,): {B: 0.4, C: 0.35, END: 0.25},
    (B,): {C: 0.95, END: 0.05},
}


def test_greedy_takes_the_most_probable_token_each_time() -> None:
    [best] = search(GARDEN_PATH, 1)
    assert best.tokens == (A, B)


def test_a_beam_finds_a_more_probable_text() -> None:
    best, *others = search(GARDEN_PATH, 3)
    assert best.tokens == (B, C)
    assert best.score == pytest.approx(math.log(0.45 * 0.95))
    assert {one.tokens for one in others} <= {(A, B), (A, C), (A,), (B,)}
    assert all(one.mean <= best.mean for one in others)


def test_scores_include_the_end_of_the_text() -> None:
    [best] = search({(): {A: 1.0}, (A,): {END: 0.5, B: 0.3, C: 0.2}}, 1)
    assert best.tokens == (A,)
    assert best.logprobs == pytest.approx((0.0, math.log(0.5)))
    assert best.complete


def test_the_budget_ends_a_loop() -> None:
    table = {(A,) * count: {A: 0.9, END: 0.1} for count in range(20)}
    [best] = search(table, 1, budget=5)
    assert best.tokens == (A,) * 5
    assert not best.complete


def test_no_step_follows_the_budget() -> None:
    decoder = TableDecoder({(A,) * count: {A: 0.9, END: 0.1} for count in range(20)})
    beam_search(decoder.first(), decoder.step, beam=1, budget=3, end=END)
    assert decoder.steps == 2


def test_improbable_ends_do_not_end_the_search() -> None:
    # After every token the end is possible; only the last one makes it probable.
    table = {(A,) * count: {A: 0.8, END: 0.2} for count in range(6)} | {(A,) * 6: {END: 1.0}}
    best, *others = search(table, 3)
    assert best.tokens == (A,) * 6
    assert len(others) == 2


def test_an_empty_text_is_a_hypothesis_only_if_it_continues_one() -> None:
    table: Table = {(): {END: 0.9, A: 0.1}}
    assert search(table, 2)[0].tokens == (A,)
    decoder = TableDecoder(table)
    best, *_ = beam_search(
        decoder.first(), decoder.step, beam=2, budget=10, end=END, may_be_empty=True
    )
    assert best.tokens == ()


def test_suppressed_tokens_are_not_generated() -> None:
    decoder = TableDecoder(GARDEN_PATH)
    suppressed = np.array([False, False, True, False])  # B
    [best] = beam_search(
        decoder.first(), decoder.step, beam=1, budget=10, end=END, suppressed=suppressed
    )
    assert best.tokens == (A, C)
