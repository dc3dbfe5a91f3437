from __future__ import annotations

from dataclasses import replace

import pytest

from wyoming_faster_whisper.engine.recognizer import EVERYTHING, ServedModel
from wyoming_faster_whisper.models.languages import MULTILINGUAL_V3
from wyoming_faster_whisper.session.request import Request
from wyoming_faster_whisper.transports.http.api_errors import ApiError
from wyoming_faster_whisper.transports.http.catalogue import Catalogue
from wyoming_faster_whisper.transports.http.files.form import TranscriptionForm
from wyoming_faster_whisper.transports.http.files.requests import request_of
from wyoming_faster_whisper.transports.http.server_vad import ServerVad

TINY_EN = ServedModel("tiny.en", ("en",), capabilities=EVERYTHING)
BASE = ServedModel("base", tuple(MULTILINGUAL_V3), capabilities=EVERYTHING)
CATALOGUE = Catalogue([BASE], started=0)


def requested(form: TranscriptionForm, catalogue: Catalogue = CATALOGUE) -> Request:
    return request_of(form, catalogue)


def test_server_vad_sets_what_counts_as_speech() -> None:
    request = requested(TranscriptionForm(chunking=ServerVad(0.3, 500, 700)))
    assert request.vad_threshold == 0.3
    assert request.vad_pad == 0.5
    assert request.vad_min_silence == 0.7


@pytest.mark.parametrize("chunking", [None, "auto"])
def test_without_server_vad_the_rules_of_the_server_apply(chunking: str | None) -> None:
    form = TranscriptionForm(chunking="auto" if chunking else None)
    assert requested(form) == Request(model="base", prompt=None, task="transcribe")


@pytest.mark.parametrize("name", [None, "whisper-1"])
@pytest.mark.parametrize(
    ("form", "model"),
    [
        (TranscriptionForm(), "tiny.en"),
        (TranscriptionForm(language="en-US"), "tiny.en"),
        (TranscriptionForm(language="auto"), "tiny.en"),
        (TranscriptionForm(language="de"), "base"),
        (TranscriptionForm(languages=("en", "de")), "base"),
    ],
)
def test_an_alias_stands_for_a_model_that_supports_the_language(
    name: str | None, form: TranscriptionForm, model: str
) -> None:
    both = Catalogue([TINY_EN, BASE], started=0)
    assert requested(replace(form, model=name), both).model == model


def test_a_named_model_refuses_other_languages() -> None:
    form = TranscriptionForm(model="tiny.en", language="de")
    with pytest.raises(ApiError, match="does not support language 'de'") as refused:
        requested(form, Catalogue([TINY_EN, BASE], started=0))
    assert refused.value.param == "language"
