"""Requests of a client, and the settings they result in."""

from __future__ import annotations

import logging
from dataclasses import replace
from typing import Any

import pytest

from wyoming_faster_whisper.audio.gain import gain
from wyoming_faster_whisper.audio.preprocess import Preprocessing
from wyoming_faster_whisper.audio.steps import PlannedStep, StepSpec
from wyoming_faster_whisper.engine.protocol import DecodeOptions
from wyoming_faster_whisper.engine.recognizer import EVERYTHING, ServedModel
from wyoming_faster_whisper.engine.remote.protocol import RELAYED
from wyoming_faster_whisper.models.languages import ENGLISH, MULTILINGUAL
from wyoming_faster_whisper.session.request import LONGEST_PROMPT, MOST_NAMES, Offer, Request
from wyoming_faster_whisper.speech.endpointing import TurnRules
from wyoming_faster_whisper.speech.hysteresis import windows
from wyoming_faster_whisper.speech.segmenter import SpeechRules, closing_silence, fill_window

BASE = ServedModel("base", MULTILINGUAL, capabilities=EVERYTHING)
TINY_EN = ServedModel("tiny.en", ENGLISH, capabilities=EVERYTHING)
LIMITED = ServedModel("base", MULTILINGUAL)  # no optional feature


def accepted(request: Request, *models: ServedModel, **options: object) -> DecodeOptions:
    return Offer(models or (BASE,), DecodeOptions(**options)).accept(request, "client")  # type: ignore[arg-type]


def test_an_empty_request_gets_the_defaults() -> None:
    assert accepted(Request()) == DecodeOptions(model="base")
    assert accepted(Request(), language="de").language == "de"


def test_a_language_tag_becomes_whispers_code() -> None:
    assert accepted(Request(language="en-US")).language == "en"
    assert accepted(Request(language="nb")).language == "no"


def test_auto_detects_the_language_whatever_the_default_is() -> None:
    assert accepted(Request(language="auto"), language="de").language is None


def test_an_english_only_model_always_decodes_english() -> None:
    assert accepted(Request(), TINY_EN).language == "en"
    assert accepted(Request(language="auto"), TINY_EN).language == "en"


def test_an_unsupported_language_gives_the_default_and_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        assert accepted(Request(language="xx\n"), language="de").language == "de"
    assert [record.getMessage() for record in caplog.records] == [
        "client: model base does not support language 'xx?'; using de"
    ]


def test_a_model_is_chosen_by_name() -> None:
    assert accepted(Request(model="tiny.en"), BASE, TINY_EN).model == "tiny.en"


def test_an_unknown_model_gives_the_default_and_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        assert accepted(Request(model="large"), BASE, TINY_EN).model == "base"
    assert "no model 'large'" in caplog.text


def test_a_language_selects_a_model_that_supports_it() -> None:
    assert accepted(Request(language="de"), TINY_EN, BASE).model == "base"
    assert accepted(Request(language="en"), TINY_EN, BASE).model == "tiny.en"


def test_candidate_languages_are_limited_to_those_of_the_model() -> None:
    assert accepted(Request(), candidate_languages=("en", "de")).candidate_languages == (
        "en",
        "de",
    )
    assert accepted(Request(), TINY_EN, candidate_languages=("en", "de")).candidate_languages == (
        "en",
    )


HOME = Offer([BASE], DecodeOptions(candidate_languages=("en", "de")), spoken=("en", "de"))


def test_the_pipelines_language_is_only_expected_in_a_home_of_several() -> None:
    options = HOME.accept(Request(language="de-CH", expected=True), "client")
    assert (options.language, options.expected_language) == (None, "de")
    assert options.candidate_languages == ("en", "de")


@pytest.mark.parametrize(
    ("offer", "request_", "language"),
    [
        (HOME, Request(language="fr", expected=True), "fr"),  # none of the home's
        (HOME, Request(language="de"), "de"),  # named for certain
        (replace(HOME, spoken=("de",)), Request(language="de", expected=True), "de"),
        (replace(HOME, spoken=()), Request(language="de", expected=True), "de"),
        (replace(HOME, models=[TINY_EN]), Request(language="en", expected=True), "en"),
        (replace(HOME, models=[LIMITED]), Request(language="de", expected=True), "de"),
    ],
)
def test_any_other_language_is_certain(offer: Offer, request_: Request, language: str) -> None:
    options = offer.accept(request_, "client")
    assert (options.language, options.expected_language) == (language, None)


def test_the_servers_default_is_expected_where_a_request_names_no_language() -> None:
    home = replace(HOME, options=replace(HOME.options, language="de"))
    for request in (Request(), Request(expected=True)):
        options = home.accept(request, "client")
        assert (options.language, options.expected_language) == (None, "de")
    detected = home.accept(Request(language="auto", expected=True), "client")
    assert (detected.language, detected.expected_language) == (None, None)


def test_names_of_the_request_go_first_and_their_number_is_limited() -> None:
    home = Offer([BASE], home_names=lambda: ("Nanit",))
    assert home.accept(Request(hotwords=("Ecobee",)), "client").hotwords == ("Ecobee", "Nanit")
    assert len(accepted(Request(hotwords=("x",) * 10_000)).hotwords) == MOST_NAMES


def test_a_client_is_warned_once(caplog: pytest.LogCaptureFixture) -> None:
    warned: set[str] = set()
    for name in ("large", "huge"):
        Offer([BASE]).accept(Request(model=name, language=name), "client", warned)
    assert len(caplog.records) == 2


def test_a_model_without_names_gets_none_with_one_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    offer = Offer([LIMITED], home_names=lambda: ("Nanit",))
    warned: set[str] = set()
    for _ in range(2):
        assert offer.accept(Request(hotwords=("Ecobee",)), "client", warned).hotwords == ()
    assert caplog.messages == [
        "client: model base takes no names or terms; ignoring the client's"
    ]


def test_a_model_without_word_times_is_asked_for_none_with_one_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert accepted(Request(word_times=True)).word_times
    offer = Offer([LIMITED])
    warned: set[str] = set()
    for _ in range(2):
        assert not offer.accept(Request(word_times=True), "client", warned).word_times
    assert caplog.messages == ["client: model base gives no times of words"]


def test_names_of_the_home_cause_no_warning_for_a_client(
    caplog: pytest.LogCaptureFixture,
) -> None:
    offer = Offer([LIMITED], home_names=lambda: ("Nanit",))
    assert offer.accept(Request(), "client").hotwords == ()
    assert caplog.messages == []


def test_without_detection_auto_is_the_default_with_one_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    warned: set[str] = set()
    offer = Offer([LIMITED], DecodeOptions(language="de"))
    for _ in range(2):
        assert offer.accept(Request(language="auto"), "client", warned).language == "de"
    assert caplog.messages == ["client: model base does not detect languages; using de"]


def test_without_detection_a_request_that_names_no_language_gets_the_models_first() -> None:
    offer = Offer([LIMITED])
    assert offer.accept(Request(), "client").language == MULTILINGUAL[0]


def test_a_single_language_needs_no_detection(caplog: pytest.LogCaptureFixture) -> None:
    offer = Offer([ServedModel("tiny.en", ENGLISH)])
    assert offer.accept(Request(language="auto"), "client").language == "en"
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("wish", "option", "default", "warning"),
    [
        ({"task": "translate"}, "task", "transcribe", "does not translate"),
        ({"prompt": "Hello."}, "prompt", None, "takes no prompt; ignoring the client's"),
        ({"temperature": 0.4}, "temperature", 0.0, "has no temperature; ignoring the client's"),
        (
            {"token_logprobs": True},
            "token_logprobs",
            False,
            "gives no log-probabilities of tokens",
        ),
    ],
)
def test_a_model_is_asked_only_for_what_it_can_do_with_one_warning(
    wish: dict[str, Any],
    option: str,
    default: object,
    warning: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert getattr(accepted(Request(**wish)), option) == wish[option]
    assert caplog.messages == []
    offer = Offer([LIMITED])
    warned: set[str] = set()
    for _ in range(2):
        assert getattr(offer.accept(Request(**wish), "client", warned), option) == default
    assert caplog.messages == [f"client: model base {warning}"]


def test_each_model_is_asked_for_what_it_can_do_itself(caplog: pytest.LogCaptureFixture) -> None:
    server = DecodeOptions(
        beam_size=5, prompt="Kitchen.", task="translate", candidate_languages=("en", "de")
    )
    offer = Offer(
        [BASE, ServedModel("small", MULTILINGUAL)], server, home_names=lambda: ("Nanit",)
    )
    full = offer.accept(Request(model="base"), "client")
    assert full == replace(server, model="base", hotwords=("Nanit",))
    assert offer.accept(Request(model="small"), "client") == DecodeOptions(
        model="small", language=MULTILINGUAL[0]
    )
    assert caplog.messages == []  # the operator was warned at the start


def test_a_default_language_that_a_model_lacks_is_replaced_by_its_first() -> None:
    nordic = ServedModel("nordic", ("sv", "da"))
    server = DecodeOptions(language="de")
    assert Offer([BASE, nordic], server).accept(Request(model="nordic"), "c").language == "sv"
    able = ServedModel("nordic", ("sv", "da"), capabilities=EVERYTHING)
    assert Offer([BASE, able], server).accept(Request(model="nordic"), "c").language is None


def test_task_and_prompt_of_a_request_replace_those_of_the_server() -> None:
    server = {"task": "translate", "prompt": "Kitchen."}
    assert accepted(Request(), **server).task == "translate"
    assert accepted(Request(), **server).prompt == "Kitchen."
    assert accepted(Request(task="transcribe"), **server).task == "transcribe"
    assert accepted(Request(prompt="Garden."), **server).prompt == "Garden."
    assert accepted(Request(prompt=""), **server).prompt is None


def test_the_end_of_a_long_prompt_is_used() -> None:
    prompt = accepted(Request(prompt="a" * 1_000_000 + "b")).prompt
    assert prompt is not None
    assert prompt.endswith("ab")
    assert len(prompt) == LONGEST_PROMPT


def test_the_language_is_detected_among_those_of_the_request() -> None:
    options = accepted(Request(candidate_languages=("en-US", "fr", "xx", "en")), language="de")
    assert options.language is None
    assert options.candidate_languages == ("en", "fr")
    named = accepted(Request(language="de", candidate_languages=("en", "fr")))
    assert named.language == "de"


def test_the_languages_of_a_request_replace_those_of_the_server() -> None:
    options = accepted(Request(candidate_languages=("fr",)), candidate_languages=("en", "de"))
    assert (options.language, options.candidate_languages) == ("fr", ("fr",))


def test_unsupported_candidate_languages_are_left_out_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    options = accepted(Request(candidate_languages=("xx", "yy")), language="de")
    assert (options.language, options.candidate_languages) == ("de", ())
    assert caplog.messages == [
        "client: model base supports none of the languages 'xx, yy'; ignoring them"
    ]


def test_without_detection_the_default_or_the_first_candidate_language_is_used() -> None:
    offer = Offer([LIMITED], DecodeOptions(language="de"))
    assert offer.accept(Request(candidate_languages=("fr", "de")), "client").language == "de"
    assert offer.accept(Request(candidate_languages=("fr", "es")), "client").language == "fr"


def test_candidate_languages_select_a_model_that_supports_most_of_them() -> None:
    assert accepted(Request(candidate_languages=("en", "de")), TINY_EN, BASE).model == "base"
    assert accepted(Request(candidate_languages=("en",)), TINY_EN, BASE).model == "tiny.en"


@pytest.mark.parametrize(
    "wish",
    [
        {"language": "de"},
        {"hotwords": ("Nanit",)},
        {"context": {"id": 1}},
        {"endpointing": TurnRules(), "vad_threshold": 0.3, "vad_pad": 1.0, "partials": "on"},
        {"vad_min_silence": 0.5},
        {},
    ],
)
def test_a_request_that_an_upstream_server_can_be_told_is_relayable(wish: dict[str, Any]) -> None:
    assert Request(**wish).relayable


@pytest.mark.parametrize(
    "wish",
    [
        {"context": {RELAYED: True}},
        {"task": "translate"},
        {"prompt": ""},
        {"temperature": 0.2},
        {"word_times": True},
        {"token_logprobs": True},
        {"candidate_languages": ("de", "en")},
    ],
)
def test_any_other_request_is_served_here(wish: dict[str, Any]) -> None:
    assert not Request(**wish).relayable


def test_a_request_changes_what_counts_as_speech() -> None:
    server = SpeechRules(threshold=0.4, pad=0.4)
    assert Request().rules(server) == server
    assert Request(vad_threshold=0.7, vad_pad=1.0).rules(server) == SpeechRules(0.7, pad=1.0)
    assert Request(vad_pad=0.1).rules(server).pad == 0.4
    assert Request(vad_min_silence=0.5).rules(server) == SpeechRules(0.4, min_silence=0.5)


def test_a_request_that_says_where_speech_is_cut_leaves_windows_unfilled() -> None:
    rules = fill_window(SpeechRules())
    asked = Request(vad_min_silence=0.5).rules(rules)
    five = windows(5.0)
    assert closing_silence(five, rules) > windows(4.5)
    assert closing_silence(five, asked) == windows(0.5)


def test_a_request_for_unknown_preprocessing_gets_the_servers_with_one_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    steps = tuple(PlannedStep(StepSpec(name), gain) for name in ("gain", "louder"))
    offer = Offer([BASE], preprocessing=Preprocessing(steps))
    warned: set[str] = set()

    def used(*wanted: str) -> list[str]:
        preprocessor = offer.preprocessor(Request(preprocess=wanted), "client", warned)
        return [use.name for use in preprocessor.used()]

    assert used("louder") == ["louder"]
    assert used("none") == []
    assert used("softer") == used("gain", "far_field") == ["gain", "louder"]
    assert caplog.messages == [
        "client: a request cannot choose preprocessing 'softer', only none, gain, louder; using "
        "the server's"
    ]


def test_a_request_without_preprocessing_gets_the_servers() -> None:
    steps = (PlannedStep(StepSpec("gain"), gain),)
    offer = Offer([BASE], preprocessing=Preprocessing(steps))
    assert [use.name for use in offer.preprocessor(Request(), "client", set()).used()] == ["gain"]
