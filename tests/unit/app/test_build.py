"""The rules of the server's parts, from its settings."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from wyoming_faster_whisper.app.build import (
    default_language,
    files_context,
    required_for_tenants,
    utterance_rules,
)
from wyoming_faster_whisper.config.settings import Settings
from wyoming_faster_whisper.engine.recognizer import ServedModel
from wyoming_faster_whisper.session.context import SessionContext
from wyoming_faster_whisper.speech.hysteresis import windows
from wyoming_faster_whisper.speech.segmenter import PAUSE
from wyoming_faster_whisper.speech.utterance import UtteranceRules
from wyoming_faster_whisper.tenant import IdentityKind

UNUSED: Any = None


def test_the_rules_for_speech_are_by_default_those_of_the_settings() -> None:
    assert utterance_rules(Settings()) == UtteranceRules()


def test_a_file_is_decoded_at_its_pauses_whether_or_not_commands_are_guessed() -> None:
    settings = Settings(guess_after=0.0)
    commands = SessionContext(UNUSED, UNUSED, UNUSED, rules=utterance_rules(settings))
    files = files_context(commands, settings)
    assert windows(files.rules.guess_after) == PAUSE
    assert replace(files.rules, guess_after=0.0) == commands.rules


@pytest.mark.parametrize(
    ("languages", "used", "words"),
    [(("en",), "en", "en"), (("en", "it"), None, "language detection")],
)
def test_a_language_that_the_model_lacks_is_replaced_with_a_warning(
    languages: tuple[str, ...], used: str | None, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert default_language(Settings(language="de"), ServedModel("toy", languages)) == used
    assert [record.getMessage() for record in caplog.records] == [
        f"--language is de, which model toy does not support; using {words}"
    ]


def test_identities_that_no_client_can_have_name_the_option_that_is_missing() -> None:
    assert required_for_tenants(Settings(uri="tcp://127.0.0.1:10300")) == {
        IdentityKind.KEY: "--api-keys",
        IdentityKind.SUBJECT: "--jwt-issuer",
        IdentityKind.CLAIM: "--jwt-issuer",
        IdentityKind.CERTIFICATE: "--tls-ca",
        IdentityKind.SITE: "--mqtt-url",
    }
    assert required_for_tenants(Settings(uri="unix:///run/wyoming"))[IdentityKind.ADDRESS] == (
        "--http-port, or tcp:// in --uri"
    )
    everything = Settings(
        api_keys="keys",
        jwt_issuer="https://id.example",
        tls_ca="ca.pem",
        mqtt_url="mqtt://broker",
        http_port=0,
    )
    assert required_for_tenants(everything) == {}
