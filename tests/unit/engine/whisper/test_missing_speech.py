"""Coverage steps: loops that were not spoken, and speech that a text leaves out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wyoming_faster_whisper.audio.pcm import SAMPLE_RATE
from wyoming_faster_whisper.engine.protocol import Job, Transcript
from wyoming_faster_whisper.engine.whisper.acoustic_model import Encoding
from wyoming_faster_whisper.engine.whisper.clip import Pass
from wyoming_faster_whisper.engine.whisper.coverage import Alignment, Gap
from wyoming_faster_whisper.engine.whisper.missing_speech import check_coverage, fill_gaps
from wyoming_faster_whisper.testing import silence
from wyoming_faster_whisper.testing.acoustic_model import CONFIDENT, FakeAcousticModel, heard

from .jobs import clip_of, decode, encoder_of, spoken

SHORT = "Turn off the lights."
MORE = "Close all the blinds."
STARTS = {SHORT: [0.4, 0.8, 1.0, 1.2, 1.9]}  # the second sentence is missing
ALIGNED = Alignment(
    ("Turn", " off", " the", " lights."),
    tuple(STARTS[SHORT][:-1]),
    STARTS[SHORT][-1],
    (-0.1,) * 4,
)
TWO = ((0.4, 1.9), (3.0, 4.5))  # seconds of speech of two sentences
UNLIKELY = -0.5


def part(text: str, *, avg_logprob: float = CONFIDENT, verdict: str = "believe") -> Transcript:
    return Transcript(text, "en", avg_logprob=avg_logprob, verdict=verdict)


def filled(job: Job, *missing: Gap, found: Transcript) -> tuple[str, list[Job]]:
    """Fill the gaps of SHORT with one transcript; return the text and the decoded parts."""
    model = FakeAcousticModel()
    parts: list[Job] = []

    def decode_part(part: Job) -> Transcript:
        parts.append(part)
        return found

    believed = Pass(heard(SHORT), missing, aligned=ALIGNED)
    return fill_gaps(model.tokenizer, clip_of(model, job), believed, decode_part), parts


# What is compared with the audio.


def test_a_sparse_text_is_aligned_and_its_gap_found() -> None:
    model = FakeAcousticModel(starts=STARTS)
    clip = clip_of(model, spoken(5.0, *TWO))
    found = check_coverage(model, clip, heard(SHORT), lambda: encoder_of(model).first(clip))
    assert found == Pass(heard(SHORT), (Gap(4, 3.0, 4.5),))


def test_times_are_those_of_the_input_with_its_leading_silence() -> None:
    model, lead = FakeAcousticModel(starts=STARTS), 0.4
    early = [(start - lead, end - lead) for start, end in TWO]
    job = spoken(4.6, *early, leading_silence=round(lead * SAMPLE_RATE))
    clip = clip_of(model, job)
    found = check_coverage(model, clip, heard(SHORT), lambda: encoder_of(model).first(clip))
    assert found.gaps == (Gap(4, 3.0, 4.5),)


def test_a_dense_text_is_not_aligned() -> None:
    model = FakeAcousticModel()
    dense = heard("Turn off all of the lights in the kitchen.")

    def encoding() -> Encoding:
        raise AssertionError("not needed")

    clip = clip_of(model, spoken(3.0, (0.4, 2.4)))
    assert check_coverage(model, clip, dense, encoding) == Pass(dense)
    assert model.aligned == []


def test_a_loop_without_known_speech_stays_as_it_is() -> None:
    loop = heard(" ".join([SHORT] * 4))
    model = FakeAcousticModel()
    clip = clip_of(model, spoken(3.0))
    found = check_coverage(model, clip, loop, lambda: encoder_of(model).first(clip))
    assert found == Pass(loop, looped=True)
    assert model.aligned == []


@pytest.mark.parametrize(
    ("speech", "text"),
    [
        (((0.2, 1.0),), "Stop the music."),
        (((0.2, 1.0), (1.4, 2.2)), "Stop the music. Stop the music."),
    ],
    ids=["once", "twice"],
)
def test_a_loop_is_cut_to_what_was_spoken(
    speech: tuple[tuple[float, float], ...], text: str
) -> None:
    # It breaks off where the budget of a short clip was exhausted.
    loop = "Stop the music. Stop the music. Stop the"
    starts = {loop: [0.2, 0.4, 0.6, 1.4, 1.6, 1.8, 2.2, 2.2, 2.2]}
    model = FakeAcousticModel(replace(heard(loop, tokens=200)), starts=starts)
    [found] = decode(model, spoken(2.4, *speech))
    assert found.text == text


# What is inserted.


def test_a_gap_is_decoded_alone_with_a_margin_and_appended() -> None:
    job = spoken(5.0, *TWO)
    text, [decoded] = filled(job, Gap(4, 3.0, 4.5), found=part(MORE))
    assert text == f"{SHORT} {MORE}"
    assert decoded.seconds == pytest.approx(1.9)  # 0.2 s more on both sides
    assert decoded.speech == ((3200, 27200),)
    assert decoded.options.language == "en"


def test_leading_silence_shifts_the_part() -> None:
    lead = 6400
    job = spoken(5.0, *TWO, leading_silence=lead)
    _, [decoded] = filled(job, Gap(4, 3.4, 4.9), found=part(MORE))
    assert decoded.seconds == pytest.approx(1.9)
    assert decoded.speech == ((3200, 27200),)
    assert decoded.leading_silence == 0


def test_a_gap_before_a_sentence_is_filled_before_it() -> None:
    text, _ = filled(spoken(5.0, *TWO), Gap(0, 0.4, 1.9), found=part(MORE))
    assert text == f"{MORE} {SHORT}"


@pytest.mark.parametrize(
    ("avg_logprob", "inserted"), [(-0.99, True), (-1.0, False), (-1.5, False)]
)
def test_an_improbable_part_is_not_inserted(avg_logprob: float, inserted: bool) -> None:
    text, _ = filled(
        spoken(5.0, *TWO), Gap(4, 3.0, 4.5), found=part(MORE, avg_logprob=avg_logprob)
    )
    assert text == (f"{SHORT} {MORE}" if inserted else SHORT)


@pytest.mark.parametrize("found", [part(""), part("..."), part(MORE, verdict="empty")])
def test_a_part_without_speech_adds_nothing(found: Transcript) -> None:
    text, parts = filled(spoken(5.0, *TWO), Gap(4, 3.0, 4.5), found=found)
    assert text == SHORT
    assert len(parts) == 1


def test_a_part_as_long_as_the_clip_is_not_decoded_again() -> None:
    text, parts = filled(spoken(2.0, (0.4, 1.9)), Gap(4, 0.4, 1.9), found=part(MORE))
    assert (text, parts) == (SHORT, [])


def test_nothing_is_inserted_into_text_that_was_sent() -> None:
    job = spoken(5.0, *TWO, prefix="Turn off the")
    text, parts = filled(job, Gap(1, 0.4, 1.9), found=part(MORE))
    assert (text, parts) == (SHORT, [])
    text, _ = filled(job, Gap(4, 3.0, 4.5), found=part(MORE))
    assert text == f"{SHORT} {MORE}"


# In the pipeline.


def test_a_sentence_that_one_pass_loses_comes_from_the_other() -> None:
    whole = "Turn off the lights. Close the blinds."
    starts = {**STARTS, whole: [0.4, 0.8, 1.0, 1.2, 3.0, 3.5, 4.0, 4.5]}
    for first, again in ((SHORT, whole), (whole, SHORT)):
        model = FakeAcousticModel(
            heard(first, avg_logprob=-1.0), heard(again, avg_logprob=-1.0), starts=starts
        )
        [found] = decode(model, spoken(5.0, *TWO))
        assert found.text == whole
        assert found.passes == 2


def test_a_sentence_that_slower_sound_loses_too_is_decoded_alone() -> None:
    """After the full window, the second pass decodes slower sound."""
    model = FakeAcousticModel(heard(SHORT), heard(SHORT), heard(MORE), starts=STARTS)
    [found] = decode(model, spoken(5.0, *TWO), size="tiny")
    assert (found.text, found.passes) == (f"{SHORT} {MORE}", 3)


@pytest.mark.parametrize("lead", [0, 6400])
@pytest.mark.parametrize("avg_logprob", [CONFIDENT, UNLIKELY])
def test_a_sentence_that_both_passes_lose_is_decoded_alone(avg_logprob: float, lead: int) -> None:
    model = FakeAcousticModel(
        heard(SHORT, avg_logprob=avg_logprob),
        heard(SHORT, avg_logprob=avg_logprob),
        heard(MORE),
        starts=STARTS,
    )
    late = lead / SAMPLE_RATE
    samples = silence(5.0)
    samples[round(3.7 * SAMPLE_RATE) - lead] = 1.0
    speech = [(start - late, end - late) for start, end in TWO]
    [found] = decode(model, spoken(5.0, *speech, samples=samples, leading_silence=lead))
    assert found.text == f"{SHORT} {MORE}"
    assert (found.passes, found.provisional) == (3, True)
    # The part begins 0.2 s before the sentence, at 2.8 s.
    assert int(model.encoded[2].features[0].argmax()) == pytest.approx(90, abs=2)


def test_a_sentence_that_is_lost_at_the_start_is_put_there() -> None:
    model = FakeAcousticModel(
        heard(SHORT),
        heard(SHORT),
        heard(MORE),
        starts={SHORT: [0.2, 3.4, 3.8, 4.0, 4.5]},
    )
    [found] = decode(model, spoken(5.0, *TWO))
    assert found.text == f"{MORE} {SHORT}"


@pytest.mark.parametrize("size", ["base", "tiny"])
def test_a_sentence_that_is_said_twice_and_written_once_is_written_twice(size: str) -> None:
    model = FakeAcousticModel(heard(SHORT), starts=STARTS)
    [found] = decode(model, spoken(5.0, *TWO), size=size)
    assert found.text == f"{SHORT} {SHORT}"


def test_a_sentence_that_is_said_once_is_written_once_wherever_it_is_aligned() -> None:
    early = {SHORT: [0.1, 0.2, 0.3, 0.4, 0.5]}
    model = FakeAcousticModel(heard(SHORT), starts=early)
    [found] = decode(model, spoken(5.0, (0.4, 2.4)))
    assert found.text == SHORT


def test_each_of_two_gaps_at_one_place_is_filled() -> None:
    """A sentence is said three times, and the text has it once."""
    job = spoken(8.0, *TWO, (5.5, 7.0))
    text, _ = filled(job, Gap(4, 3.0, 4.5), Gap(4, 5.5, 7.0), found=part(SHORT))
    assert text == f"{SHORT} {SHORT} {SHORT}"
