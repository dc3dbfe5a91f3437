"""From the form of an API request to the request for a session. Pure."""

from __future__ import annotations

from dataclasses import replace

from ....audio.pcm import PcmFormat
from ....engine.recognizer import ServedModel
from ....errors import printable
from ....models.languages import means_detect, normalise
from ....session.request import Request
from ..api_errors import ApiError
from ..catalogue import Catalogue
from ..server_vad import ServerVad
from .form import Task, TranscriptionForm

_RAW = frozenset({"audio/pcm", "audio/raw", "audio/l16"})


def request_of(form: TranscriptionForm, catalogue: Catalogue) -> Request:
    """Turn a form into a request for a session.

    Raises:
        ApiError: the model is not known, or cannot do what the form asks for.
    """
    spoken = None if means_detect(form.language or "auto") else form.language
    model = catalogue.resolve(form.model or "", (spoken,) if spoken else form.languages)
    if form.task is Task.TRANSLATE and not model.capabilities.translates:
        raise ApiError(400, f"model {model.name} does not translate", param="model")
    if spoken:
        _check_language(spoken, model, "language")
    for language in form.languages:
        _check_language(language, model, "languages")
    request = Request(
        language=form.language,
        candidate_languages=form.languages,
        model=model.name,
        hotwords=form.keywords,
        prompt=form.prompt,
        task=form.task,
        temperature=form.temperature,
        word_times=form.needs_word_times,
        token_logprobs=form.logprobs,
    )
    if not isinstance(form.chunking, ServerVad):
        return request
    return replace(
        request,
        vad_threshold=form.chunking.threshold,
        vad_pad=form.chunking.prefix_padding_ms / 1000,
        vad_min_silence=form.chunking.silence_duration_ms / 1000,
    )


def _check_language(language: str, model: ServedModel, param: str) -> None:
    if normalise(language, model.languages) is None:
        raise ApiError(
            400,
            f"model {model.name} does not support language {printable(language, 20)!r}; "
            f"it supports {', '.join(model.languages)}",
            param=param,
            code="unsupported_language",
        )


def raw_format(content_type: str) -> PcmFormat | None:
    """Return the format of PCM without a container, as other servers take it; None otherwise.

    Args:
        content_type: of the file's part, in lower case, without parameters.
    """
    return PcmFormat() if content_type in _RAW else None
