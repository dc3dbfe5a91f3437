from __future__ import annotations

import pytest

from wyoming_faster_whisper.engine.recognizer import EVERYTHING, ServedModel
from wyoming_faster_whisper.models.languages import MULTILINGUAL_V3
from wyoming_faster_whisper.session.request import Request
from wyoming_faster_whisper.transports.http.catalogue import Catalogue
from wyoming_faster_whisper.transports.http.form import ServerVad, TranscriptionForm
from wyoming_faster_whisper.transports.http.requests import request_of

CATALOGUE = Catalogue([ServedModel("base", tuple(MULTILINGUAL_V3))], started=0)


def requested(form: TranscriptionForm) -> Request:
    return request_of(form, CATALOGUE, EVERYTHING)


def test_server_vad_sets_what_counts_as_speech() -> None:
    request = requested(TranscriptionForm(chunking=ServerVad(0.3, 500, 700)))
    assert request.vad_threshold == 0.3
    assert request.vad_pad == 0.5
    assert request.vad_min_silence == 0.7


@pytest.mark.parametrize("chunking", [None, "auto"])
def test_without_server_vad_the_rules_of_the_server_apply(chunking: str | None) -> None:
    form = TranscriptionForm(chunking="auto" if chunking else None)
    assert requested(form) == Request(model="base", prompt=None, task="transcribe")
