"""Settings that a recognizer cannot serve."""

from __future__ import annotations

import dataclasses

import pytest

from wyoming_faster_whisper.app.limitations import fit, unread
from wyoming_faster_whisper.config.settings import Settings
from wyoming_faster_whisper.engine.recognizer import (
    EVERYTHING,
    Capabilities,
    Recognizer,
    ServedModel,
)
from wyoming_faster_whisper.testing import FakeEngine


def recognizer(capabilities: Capabilities, *languages: str) -> Recognizer:
    model = ServedModel("toy", languages or ("en",), capabilities=capabilities)
    return Recognizer(models=(model,), load=FakeEngine)


def two_models(first: Capabilities, second: Capabilities) -> Recognizer:
    """Make a recognizer of two models, "one" and "two"."""
    models = (
        ServedModel("one", ("en", "de"), capabilities=first),
        ServedModel("two", ("en", "de"), capabilities=second),
    )
    return Recognizer(models=models, load=FakeEngine)


def settings(**given: object) -> Settings:
    return Settings(stt_library="toy", **given)  # type: ignore[arg-type]


LIMITED = [
    ("translates", {"whisper_task": "translate"}, "--whisper-task is ignored; toy does not"),
    ("takes_prompt", {"initial_prompt": "Hi."}, "--initial-prompt is ignored; toy takes no"),
    ("takes_hotwords", {"hass_token": "s3cret"}, "--hass-token is ignored; toy takes no names"),
    ("takes_beam_size", {"beam_size": 5}, "--beam-size is ignored; toy has no beam"),
    ("detects_language", {"languages": ("en", "de")}, "--languages is ignored; toy does not"),
]


@pytest.mark.parametrize(("capability", "given", "says"), LIMITED)
def test_a_setting_is_replaced_by_its_default_if_the_capability_is_missing(
    capability: str, given: dict[str, object], says: str
) -> None:
    wanted = settings(**given)
    assert fit(wanted, recognizer(EVERYTHING)) == (wanted, [])
    without = dataclasses.replace(EVERYTHING, **{capability: False})
    served, warnings = fit(wanted, recognizer(without))
    assert served == settings()
    assert len(warnings) == 1
    assert warnings[0].startswith(says)
    assert "s3cret" not in warnings[0]


def test_default_settings_cause_no_warning() -> None:
    assert fit(settings(), recognizer(Capabilities())) == (settings(), [])


@pytest.mark.parametrize(("capability", "given", "says"), LIMITED)
def test_a_setting_stays_if_one_of_the_models_can_serve_it(
    capability: str, given: dict[str, object], says: str
) -> None:
    wanted = settings(language="en", **given)
    without = dataclasses.replace(EVERYTHING, **{capability: False})
    served, [warning] = fit(wanted, two_models(EVERYTHING, without))
    assert served == wanted
    assert warning.startswith(says.replace("toy", "model two"))


def test_what_not_every_model_can_do_is_a_warning_that_names_the_model() -> None:
    wanted = settings(partials="on", vad_endpointing="auto")
    served, warnings = fit(wanted, two_models(Capabilities(), EVERYTHING))
    assert served == wanted
    assert [warning.partition("; ")[::2] for warning in warnings] == [
        (
            "--vad-endpointing auto needs end-of-turn scores, which model one does not have",
            "0.7 s of silence end a turn",
        ),
        (
            "--partials on sends text after long pauses only",
            "model one cannot continue a text",
        ),
        (
            "model one does not detect languages",
            "requests that name none are decoded as en, which --language changes",
        ),
    ]


def test_auto_endpointing_falls_back_to_a_fixed_silence() -> None:
    wanted = settings(vad_endpointing="auto")
    assert fit(wanted, recognizer(EVERYTHING)) == (wanted, [])
    served, [warning] = fit(wanted, recognizer(Capabilities()))
    assert served == wanted  # a turn applies the silence, for each model
    assert warning == (
        "--vad-endpointing auto needs end-of-turn scores, which toy does not have; "
        "0.7 s of silence end a turn"
    )


def test_a_silence_in_seconds_needs_no_scores() -> None:
    wanted = settings(vad_endpointing=1.5)
    assert fit(wanted, recognizer(Capabilities())) == (wanted, [])


def test_partial_text_comes_at_pauses_where_a_text_cannot_be_continued() -> None:
    wanted = settings(partials="on")
    assert fit(wanted, recognizer(EVERYTHING)) == (wanted, [])
    served, [warning] = fit(wanted, recognizer(Capabilities()))
    assert served == wanted
    assert warning.startswith("--partials on sends text after long pauses only")


def test_without_detection_the_first_language_is_the_default() -> None:
    served, [warning] = fit(settings(), recognizer(Capabilities(), "sv", "en"))
    assert served == settings()
    assert "decoded as sv" in warning


@pytest.mark.parametrize(("languages", "language"), [(("sv",), "auto"), (("sv", "en"), "en")])
def test_a_known_language_needs_no_detection(languages: tuple[str, ...], language: str) -> None:
    wanted = settings(language=language)
    assert fit(wanted, recognizer(Capabilities(), *languages)) == (wanted, [])


@pytest.mark.parametrize(
    ("libraries", "ignored"),
    [(["faster-whisper"], False), (["remote"], False), (["moonshine", "onnx-asr"], True)],
)
def test_the_grammar_needs_hypotheses(libraries: list[str], ignored: bool) -> None:
    warnings = unread(Settings(grammar="on"), libraries)
    assert [warning.startswith("--grammar is ignored") for warning in warnings] == [
        True
    ] * ignored


@pytest.mark.parametrize(
    ("libraries", "ignored"), [(["remote"], True), (["remote", "faster-whisper"], False)]
)
def test_settings_of_this_machine_need_a_model_here(libraries: list[str], ignored: bool) -> None:
    given = Settings(device="cuda", cpu_threads=8, unload_after=60.0)
    assert unread(given, libraries) == [
        f"{flag} is ignored; no model runs on this machine"
        for flag in ("--unload-after", "--device", "--cpu-threads")
        if ignored
    ]
