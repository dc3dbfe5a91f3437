"""bench.kinds: files, scoring and the printed table."""

from __future__ import annotations

import json
import wave
from collections import Counter
from pathlib import Path

import pytest

from bench.kinds import Played, earlier, errors, figures, goals, table, write
from bench.speech import texts
from bench.speech.utterances import ROWS, Utterance
from bench.support.clips import SAMPLE_RATE, WIDTH
from bench.support.scoring import Errors

SOUND = bytes(SAMPLE_RATE * WIDTH)
BOTH = ["this server", "reference"]


def utterance(name: str = "one", row: str = "words", text: str | None = "stop it") -> Utterance:
    return Utterance(row, name, SOUND, b"", text=text)


def order(name: str) -> Utterance:
    return Utterance("orders-plain", name, SOUND, b"", phrases=("two shots", "milk"))


def heard(plays: list[Played], *answers: str) -> dict[str, str]:
    return {play.key: answer for play, answer in zip(plays, answers, strict=True)}


@pytest.mark.parametrize(
    ("group", "count"),
    [
        (texts.ORDERS, 6),
        (texts.REPEATS, 18),
        (texts.NUMBERS, 18),
        (texts.NAMES, 34),
        (texts.WORDS, 16),
    ],
)
def test_no_group_contains_a_text_twice(group: tuple[str, ...], count: int) -> None:
    assert len(set(group)) == len(group) == count


def test_utterances_are_written_with_their_reference_texts(tmp_path: Path) -> None:
    stereo = Utterance("degraded", "two", SOUND, b"", channels=2, text="go", auto=True)
    write([utterance(), stereo, order("a")], tmp_path)
    assert (tmp_path / "kinds.tsv").read_text().splitlines() == [
        "row\tfile\tlanguage\ttruth",
        "words\twords-one.wav\ten\tstop it",
        "degraded\tdegraded-two.wav\tauto\tgo",
        "orders-plain\torders-plain-a.wav\ten\ttwo shots | milk",
    ]
    with wave.open(str(tmp_path / "degraded-two.wav")) as file:
        assert (file.getnchannels(), file.getnframes()) == (2, SAMPLE_RATE // 2)


def test_an_order_without_all_its_phrases_counts_as_one_error() -> None:
    assert errors(order("a"), "2 shots of milk") == Errors(0, 1)
    assert errors(order("a"), "two shots") == Errors(1, 1)
    assert errors(utterance(), "") == Errors(2, 2)


def test_the_table_shows_word_errors_and_accepted_orders_per_mode() -> None:
    plays = [
        Played("at-once", each)
        for each in (utterance("a"), utterance("b", "clean"), order("c"), order("d"))
    ]
    said = {
        "this server": heard(plays, "stop it", "stop", "two shots, milk", "2 shots, milk"),
        "reference": heard(plays, "stop", "stop it all", "two shots", "2 shots, milk"),
    }
    rows = figures(plays, said)
    assert table(rows, BOTH).splitlines() == [
        "                clips  words  this server  reference  goal",
        "at-once: word errors",
        "  words             1      2            0          1   met",
        "  clean             1      2            1          1   met",
        "  pooled            2      4            1          2   met",
        "at-once: orders accepted",
        "  orders-plain      2      -            2          1     -",
        "  pooled            2      -            2          1   met",
    ]
    assert goals(rows) == [
        "at-once: at most 1.05 of the reference's errors in each row: met",
        "at-once: fewer word errors than the reference: met (1, 2)",
    ]


def test_the_verdict_names_a_row_with_too_many_errors() -> None:
    plays = [Played("real-time", utterance("a")), Played("real-time", utterance("b", "clean"))]
    said = {
        "this server": heard(plays, "stop", "stop it"),
        "reference": heard(plays, "stop it", "stop"),
    }
    assert goals(figures(plays, said)) == [
        "real-time: at most 1.05 of the reference's errors in each row: missed in words",
        "real-time: fewer word errors than the reference: missed (1, 1)",
    ]


def test_without_a_reference_there_are_no_goals() -> None:
    plays = [Played("at-once", utterance())]
    assert goals(figures(plays, {"this server": heard(plays, "stop it")})) == []


def test_answers_of_the_reference_are_read_from_an_earlier_report(tmp_path: Path) -> None:
    answers = [
        {"key": "at-once/words/one", "heard": {"this server": "a", "reference": "b"}},
        {"key": "at-once/words/two", "heard": {"this server": "c"}},
    ]
    file = tmp_path / "report.json"
    file.write_text(json.dumps({"answers": answers}))
    assert earlier(file) == {"at-once/words/one": "b"}


def test_no_two_rows_have_the_same_name() -> None:
    assert max(Counter(ROWS).values()) == 1
