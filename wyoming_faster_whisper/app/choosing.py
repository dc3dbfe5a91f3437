"""Finds the model that each --model names, and the library that serves it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..config.libraries import MOONSHINE, ONNX_WHISPER
from ..config.settings import Settings
from ..errors import ModelError, SettingError
from ..models import AUTO, Model, SttLibrary, canonical, is_at_hand
from ..models import moonshine as moonshine_models
from ..models import onnx_asr as onnx_asr_models
from ..models.moonshine import choose_moonshine, is_moonshine_at_hand
from ..models.names import is_moonshine
from ..models.onnx_asr import OnnxAsrModel, choose_onnx_asr
from .whisper import choose_whisper, spoken


@dataclass(frozen=True, slots=True)
class Chosen:
    """A model, and the library that serves it."""

    library: str  # a value of --stt-library that is built in, but not auto
    model: Model
    at_hand: bool  # on this machine: in a folder or in an installed package
    onnx_asr: OnnxAsrModel | None = None  # for the library onnx-asr


def choose_models(settings: Settings, folders: Sequence[Path]) -> list[Chosen]:
    """Choose the models to serve, the default first. Quick; does not use the network.

    A model that was named and that `auto` chose as well is served once: what `auto` chooses can
    change at every start.

    Args:
        settings: the server's settings; the library is a built-in one.
        folders: data folders; the first holds the decode times measured on this machine.

    Raises:
        ModelError: a model name is unknown.
        SettingError: a model was given twice.
    """
    chosen: dict[str, Chosen] = {}
    given: set[tuple[str, bool]] = set()  # name of a model, and whether auto chose it
    for name in settings.model:
        one = _choose(name, settings, folders)
        way = one.model.name, canonical(name) == AUTO
        if way in given:
            raise SettingError(f"--model {one.model.name} is given twice")
        given.add(way)
        chosen.setdefault(one.model.name, one)
    return list(chosen.values())


def _choose(name: str, settings: Settings, folders: Sequence[Path]) -> Chosen:
    library = settings.stt_library
    automatic = canonical(name) == AUTO
    if library == MOONSHINE or (library == SttLibrary.AUTO and not automatic):
        wanted = "moonshine-base-en" if automatic else name
        if (model := choose_moonshine(wanted, folders)) is not None:
            return Chosen(MOONSHINE, model, is_moonshine_at_hand(model))
        if library == MOONSHINE:
            raise _unknown(name, MOONSHINE, moonshine_models.NAMES)
    if library == SttLibrary.ONNX_ASR or (library == SttLibrary.AUTO and not automatic):
        wanted = _usual_onnx_asr(settings) if automatic else name
        if (found := choose_onnx_asr(wanted, folders)) is not None and not (
            library == SttLibrary.AUTO and found.model.name == "whisper-base"
        ):
            at_hand = found.model.directory is not None
            return Chosen(SttLibrary.ONNX_ASR, found.model, at_hand, found)
        if library == SttLibrary.ONNX_ASR:
            raise _unknown(name, "onnx-asr", onnx_asr_models.NAMES)
    free = library == SttLibrary.AUTO and _moonshine_suffices(settings)
    model = choose_whisper(name, settings, folders, moonshine=free)
    if automatic and is_moonshine(model.name):
        return Chosen(MOONSHINE, model, is_moonshine_at_hand(model))
    whisper = ONNX_WHISPER if library == ONNX_WHISPER else SttLibrary.FASTER_WHISPER
    return Chosen(whisper, model, is_at_hand(model))


def _moonshine_suffices(settings: Settings) -> bool:
    """Return whether no setting asks for what only Whisper can do, or does better."""
    return (
        settings.whisper_task == "transcribe"
        and not settings.initial_prompt
        and not settings.hass_token  # a prompt with names finds more of them
        and settings.vad_endpointing != "auto"
        and not settings.languages
    )


def _usual_onnx_asr(settings: Settings) -> str:
    """Return the model that --model auto means: the reference server's for Russian."""
    return "gigaam-v2-rnnt" if spoken(settings) == "ru" else "nemo-parakeet-tdt-0.6b-v3"


def _unknown(name: str, library: str, known: Iterable[str]) -> ModelError:
    return ModelError(
        f"{library} has no model {name!r}; give a directory with a model, or one of "
        f"{', '.join(known)}"
    )
