"""Conversion of the form of an API request to the request for a session. Pure."""

from __future__ import annotations

from dataclasses import replace

from ....audio.pcm import PcmFormat
from ....models.languages import means_detect
from ....session.request import Request
from ..api_errors import ApiError
from ..catalogue import Catalogue, unsupported_language
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
    named = [("language", spoken)] if spoken else []
    for param, tag in [*named, *(("languages", tag) for tag in form.languages)]:
        if why := unsupported_language(tag, model):
            raise ApiError(400, why, param=param, code="unsupported_language")
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


def raw_format(content_type: str) -> PcmFormat | None:
    """Return the format of PCM without a container, as other servers take it; None otherwise.

    Args:
        content_type: of the file's part, in lower case, without parameters.
    """
    return PcmFormat() if content_type in _RAW else None
