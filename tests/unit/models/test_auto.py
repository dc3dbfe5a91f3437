"""--model auto: the largest model that fits the memory and speed of the machine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from wyoming_faster_whisper.models.auto import (
    BELIEVED_DAYS,
    MOONSHINE,
    SIZES,
    WHISPER,
    Choice,
    Machine,
    Measurement,
    Size,
    by_accuracy,
    choose,
    expected_seconds,
    memory_needed,
    threads_together,
)

PLENTY = 16_000.0  # MB


def pick(
    *here: str,
    memory: float = PLENTY,
    arm: bool = False,
    gpu: bool = False,
    compute_type: str = "default",
    english: bool = False,
    figures: Mapping[str, float] | None = None,
    old: Mapping[str, float] | None = None,
    budget: float = 300,
    sizes: Sequence[Size] = WHISPER,
) -> Choice:
    return choose(
        Machine(memory, arm=arm, gpu=gpu, compute_type=compute_type),
        english=english,
        figures={size: Measurement(seconds, 1) for size, seconds in (figures or {}).items()}
        | {
            size: Measurement(seconds, 1, age=BELIEVED_DAYS + 1)
            for size, seconds in (old or {}).items()
        },
        at_hand=here.__contains__,
        download_budget=budget,
        sizes=sizes,
    )


def test_an_unknown_machine_gets_the_reference_servers_choice() -> None:
    assert pick().name == "base-int8"
    assert pick(arm=True).name == "tiny-int8"
    assert pick(gpu=True).name == "small"


def test_a_model_on_this_machine_is_preferred_to_a_download() -> None:
    assert pick("tiny").name == "tiny"
    assert pick("tiny", "base").name == "base"
    assert pick("tiny", "base", "base-int8").name == "base-int8"


def test_a_fast_machine_gets_a_larger_model() -> None:
    fast = {"base": 0.1}
    assert pick("base", "small", figures=fast).name == "small"
    assert pick("base", figures=fast).name == "base"
    assert pick("base", "small", figures={"base": 0.3}).name == "base"


def test_a_measured_decode_time_overrides_an_expected_one() -> None:
    assert pick("base", "small", figures={"base": 0.1, "small": 0.9}).name == "base"


def test_a_slow_machine_gets_a_smaller_model() -> None:
    assert pick("tiny", "base", figures={"base": 0.8}).name == "tiny"


def test_a_slow_model_is_tried_again_when_its_measurement_is_old() -> None:
    assert pick("tiny", "base", figures={"base": 0.46, "tiny": 0.23}).name == "tiny"
    again = pick("tiny", "base", figures={"tiny": 0.23}, old={"base": 0.46})
    assert again.name == "base"
    assert "tried again because its 0.46 s were measured" in again.reason
    assert pick("tiny", "base", figures={"tiny": 0.15}, old={"base": 1.5}).name == "base"
    assert pick("tiny", "base", old={"base": 0.46}).name == "base"


def test_a_model_that_other_measurements_predict_to_be_slow_is_not_tried_again() -> None:
    assert pick("tiny", "base", figures={"tiny": 0.6}, old={"base": 1.2}).name == "tiny"
    assert pick("base", "small", figures={"base": 0.3}, old={"small": 1.0}).name == "base"


def test_an_old_measurement_that_is_fast_enough_remains_valid() -> None:
    assert pick("base", "small", old={"base": 0.1}).name == "small"


def test_a_model_that_is_too_slow_is_better_than_none() -> None:
    assert pick("base", figures={"base": 2.0}).name == "base"


def test_a_model_that_does_not_fit_into_memory_is_not_chosen() -> None:
    assert pick("tiny", "base", memory=300).name == "tiny"
    assert pick("small", memory=300).name == "tiny-int8"
    assert pick(memory=10).name == "tiny-int8"


@pytest.mark.parametrize(("compute_type", "name"), [("default", "base"), ("float32", "tiny")])
def test_the_memory_estimate_depends_on_the_compute_type(compute_type: str, name: str) -> None:
    assert pick("tiny", "base", memory=400, compute_type=compute_type).name == name


def test_a_download_is_never_larger_than_the_budget() -> None:
    fast = {"base": 0.05}
    assert pick(figures=fast, budget=300).name == "small-int8"
    assert pick(figures=fast, budget=100).name == "base-int8"
    assert pick(figures=fast, budget=50).name == "tiny-int8"


def test_an_english_only_model_is_chosen_only_for_english_and_if_there_is_no_other() -> None:
    assert pick("base.en").name == "base-int8"
    assert pick("base.en", english=True).name == "base.en"
    assert pick("base.en", "base", english=True).name == "base"


BETTER = by_accuracy({"tiny": 0.5, "base": 0.6, MOONSHINE.name: 0.7})
WORSE = by_accuracy({"tiny": 0.5, "base": 0.6, MOONSHINE.name: 0.55})


def test_moonshine_comes_after_the_sizes_that_it_beats() -> None:
    names = [size.name for size in BETTER]
    assert names == ["tiny", "base", "moonshine-base-en", "small", "medium"]
    assert [size.name for size in WORSE][:3] == ["tiny", "moonshine-base-en", "base"]
    tied = by_accuracy({"tiny": 0.556, "base": 0.661, MOONSHINE.name: 0.553})
    assert tied == WORSE


def test_moonshine_is_chosen_for_english_if_it_is_here_and_hears_better() -> None:
    here = ("base", "moonshine-base-en")
    assert pick(*here, english=True, sizes=BETTER).name == "moonshine-base-en"
    assert pick(*here, english=True, sizes=WORSE).name == "base"
    assert pick(*here, english=False, sizes=BETTER).name == "base"
    assert pick(*here, english=True, gpu=True, sizes=BETTER).name == "base"


def test_moonshine_is_never_downloaded() -> None:
    assert pick(english=True, sizes=BETTER, budget=10_000).name == "base-int8"


def test_moonshine_must_be_fast_enough_and_fit_into_memory() -> None:
    here = ("base", "moonshine-base-en")
    slow = {"base": 0.3, "moonshine-base-en": 0.5}
    assert pick(*here, english=True, sizes=BETTER, figures=slow).name == "base"
    assert pick("tiny", *here, english=True, sizes=BETTER, memory=300).name == "tiny"


def test_a_larger_whisper_that_is_fast_enough_is_better_than_moonshine() -> None:
    here = ("small", "moonshine-base-en")
    assert pick(*here, english=True, sizes=BETTER, figures={"base": 0.1}).name == "small"
    assert pick(*here, english=True, sizes=BETTER).name == "moonshine-base-en"


def test_the_reason_names_the_measurement() -> None:
    assert "measured 0.30 s" in pick("base", figures={"base": 0.3}).reason
    assert "not measured" in pick("base").reason


def test_one_measurement_predicts_the_other_sizes() -> None:
    sizes = {size.name: size for size in SIZES}
    assert expected_seconds(sizes["small"], {"base": Measurement(0.2, 1)}) == pytest.approx(0.66)
    assert expected_seconds(sizes["tiny"], {}) is None


def test_threads_share_a_decode_only_if_one_is_too_slow() -> None:
    def together(
        size: str = "base", *, arm: bool = False, figure: Measurement | None = None
    ) -> int:
        figures = {size: figure} if figure else {}
        return threads_together(size, 4, arm=arm, figures=figures)

    assert together() == 1
    assert together(arm=True) == 4
    assert together("small") == 4
    assert together(figure=Measurement(0.2, 1)) == 1
    assert together(arm=True, figure=Measurement(0.2, 1)) == 1
    assert together(figure=Measurement(0.8, 1)) == 4


def test_a_model_that_needed_all_threads_keeps_them() -> None:
    assert threads_together("base", 4, arm=False, figures={"base": Measurement(0.2, 4)}) == 4


def test_a_model_fast_enough_for_one_thread_does_not_keep_all() -> None:
    assert threads_together("base", 2, arm=False, figures={"base": Measurement(0.13, 2)}) == 1


@pytest.mark.parametrize(("threads", "expected"), [(1, 1), (2, 2), (4, 2)])
def test_two_threads_share_a_decode_that_a_client_waits_for(threads: int, expected: int) -> None:
    assert threads_together("base", threads, arm=False, figures={}, waited_for=True) == expected


@pytest.mark.parametrize(
    ("file", "compute_type", "measured"),
    [(76, "int8", 177), (76, "float32", 292), (145, "default", 269), (145, "float32", 454)],
)
def test_the_memory_estimate_is_close_to_the_measured_use(
    file: float, compute_type: str, measured: float
) -> None:
    needed = memory_needed(file, compute_type)
    assert measured <= needed <= 1.1 * measured
