from __future__ import annotations

import pytest

from wyoming_faster_whisper.engine.recognizer import Capabilities, ServedModel
from wyoming_faster_whisper.transports.http.api_errors import ApiError
from wyoming_faster_whisper.transports.http.catalogue import Catalogue

CATALOGUE = Catalogue([ServedModel("base", ("en", "de"))], started=0)


@pytest.mark.parametrize(
    "name",
    [
        "",
        # openai 3.57, types/
        "whisper-1",
        "gpt-transcribe",
        "gpt-live-transcribe",
        "gpt-4o-transcribe",
        "gpt-4o-transcribe-diarize",
        "gpt-4o-mini-transcribe",
        "gpt-4o-mini-transcribe-2025-12-15",
        "gpt-realtime",
        "gpt-realtime-whisper",
        "gpt-4o-realtime-preview",  # names of the realtime API's beta
        "gpt-4o-mini-realtime-preview-2024-12-17",
        # Groq, AnythingLLM, the hub, openai/whisper
        "whisper-large-v3-turbo",
        "distil-whisper-large-v3-en",
        "whisper-small",
        "Systran/faster-whisper-tiny.en",
        "Systran/faster-distil-whisper-large-v3",
        "large-v3",
        "turbo",
    ],
)
def test_other_names_of_whisper_stand_for_the_default_model(name: str) -> None:
    assert CATALOGUE.resolve(name).name == "base"


@pytest.mark.parametrize("name", ["gpt-5", "gpt-4o", "nova", "whisper", "parakeet-tdt"])
def test_names_of_other_models_are_refused(name: str) -> None:
    with pytest.raises(ApiError) as refused:
        CATALOGUE.resolve(name)
    assert (refused.value.status, refused.value.code) == (404, "model_not_found")


def test_a_model_is_described_with_its_capabilities() -> None:
    able = ServedModel("able", ("en",), capabilities=Capabilities(translates=True, samples=True))
    catalogue = Catalogue([ServedModel("plain", ("en",)), able], started=0)
    assert catalogue.retrieve("plain")["capabilities"] == []
    assert catalogue.retrieve("able")["capabilities"] == ["translates", "samples"]
