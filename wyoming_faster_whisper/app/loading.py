"""From the names of models to engines that decode: choose now, load later."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar

from .. import hardware
from ..config.settings import Settings
from ..engine.protocol import Engine
from ..engine.router import Router
from ..engine.whisper.tuning import Tuned
from ..errors import ModelError, NoMemory, SettingError, counted
from ..models import (
    AUTO,
    Measurements,
    Model,
    auto,
    canonical,
    choose,
    choose_auto,
    fault,
    is_distilled,
    locate,
    locate_tokenizer,
    size_of,
)
from ..models.languages import ENGLISH, MULTILINGUAL_V3, means_detect, normalise
from .probe import check_backend, is_ordinary

_LOGGER = logging.getLogger(__name__)

_MOST_WORKERS = 4
_MOST_TOGETHER = 6  # commands on a CPU, of all workers: each takes some 30 MB with base
_BATCH_ON_GPU = 32


class CTranslate2Model(Protocol):
    """What is asked of loaded weights here."""

    @property
    def device(self) -> str: ...
    @property
    def num_workers(self) -> int: ...


def choose_models(settings: Settings, folders: Sequence[Path]) -> list[Model]:
    """Say which models will serve, the default first. Quick; never goes out.

    Raises:
        ModelError: a name means nothing.
        SettingError: the same model twice.
    """
    models: list[Model] = []
    for name in settings.model:
        if canonical(name) == AUTO:
            model = choose_auto(
                folders,
                auto.Machine(
                    memory=hardware.available_memory(),
                    arm=hardware.is_arm(),
                    # Only CTranslate2 knows what "auto" will be, and it is imported later. It
                    # counts as a CPU: a model for one does on a GPU, but not the other way round.
                    gpu=settings.device.startswith("cuda") and hardware.may_have_gpu(),
                    compute_type=settings.compute_type,
                ),
                device=settings.device,
                language=_spoken(settings),
                download_budget=0 if settings.local_files_only else settings.model_budget,
            )
        else:
            model = choose(name, folders)
        if model.name in (other.name for other in models):
            raise SettingError(f"--model {model.name} is given twice")
        models.append(model)
        if is_distilled(model.name):
            _LOGGER.warning(
                "Model %s is distilled: prompts and names to expect make it hear worse; "
                "it is given none",
                model.name,
            )
    return models


def default_language(settings: Settings, model: Model) -> str | None:
    """The language that is decoded when a request names none; None = detect."""
    wanted = settings.language
    if means_detect(wanted):
        return None if model.multilingual else model.languages[0]
    code = normalise(wanted, model.languages)
    if code is None:
        _LOGGER.warning("--language is %s, which model %s does not know", wanted, model.name)
        return None if model.multilingual else model.languages[0]
    return code


def load_engines(
    models: Sequence[Model],
    settings: Settings,
    folders: Sequence[Path],
    *,
    loaded: Callable[[], None],
) -> Engine:
    """Load all models. Blocking, for as long as a download takes.

    Args:
        loaded: called when the weights are there and the most memory has been taken;
            what is left then takes half a second.

    Raises:
        ModelError: one of them cannot be had or loaded; NoMemory where there is too little.
    """
    directories = [
        locate(model, folders[0], local_files_only=settings.local_files_only) for model in models
    ]
    for directory in directories:
        if what := fault(directory / "model.bin"):
            raise ModelError(what)
    _make_sure_of_memory(models, directories, settings)
    tokenizers = [
        locate_tokenizer(directory, folders[0], local_files_only=settings.local_files_only)
        for directory in directories
    ]
    if not is_ordinary():
        check_backend(folders[0])
    # Imported here because it takes longer than to begin to listen.
    from ..engine.whisper.ctranslate2 import load_model
    from ..engine.whisper.pipeline import WhisperEngine

    figures = Measurements(folders[0], settings.device)
    threads = hardware.threads_to_use(settings.cpu_threads)
    together = [
        auto.threads_together(
            size_of(model.name),
            threads,
            arm=hardware.is_arm(),
            figures=figures.read(),
            waited_for=settings.vad_endpointing == "auto",
        )
        for model in models
    ]
    load = [
        partial(
            load_model,
            directory,
            device=settings.device,
            compute_type=settings.compute_type,
            threads=some,
            workers=workers_for(threads, some),
        )
        for directory, some in zip(directories, together, strict=True)
    ]
    weights = [load_one() for load_one in load]
    loaded()
    engines: dict[str, Engine] = {}
    for model, directory, tokenizer, loaded_weights, load_one, some in zip(
        models, directories, tokenizers, weights, load, together, strict=True
    ):
        if model.multilingual != bool(loaded_weights.is_multilingual):
            _LOGGER.warning(
                "Model %s is not what its name says of its languages; clients were told %s",
                model.name,
                "English only" if model.languages == ENGLISH else "all languages",
            )
        size = size_of(model.name)
        engines[model.name] = WhisperEngine(
            loaded_weights,
            directory,
            tokenizer=tokenizer,
            size=size,
            full_window=settings.audio_context == "full",
            takes_prompt=not is_distilled(model.name),
            largest_batch=largest_batch(settings.max_batch, loaded_weights),
            reload=partial(reload, model, directory, settings, load_one),
            measured=remember(figures, size, model.name, some, settings.beam_size),
        )
    return Router(engines) if len(engines) > 1 else next(iter(engines.values()))


def workers_for(threads: int, together: int) -> int:
    """Decodes at the same time, for which memory must do."""
    return max(1, min(threads // together, _MOST_WORKERS))


def largest_batch(wanted: int | str, weights: CTranslate2Model) -> int:
    """Jobs that may be decoded together: what the operator says, or what memory allows."""
    if isinstance(wanted, int):
        return wanted
    if weights.device == "cuda":
        return _BATCH_ON_GPU
    return max(1, _MOST_TOGETHER // weights.num_workers)


def _make_sure_of_memory(
    models: Sequence[Model], directories: Sequence[Path], settings: Settings
) -> None:
    """Refuse before the kernel would end us, in the middle of somebody's sentence.

    Raises:
        NoMemory: the models need more than there is.
    """
    if settings.device != "cpu":
        return  # what a GPU has is CTranslate2's to know
    needed = sum(
        auto.memory_needed((directory / "model.bin").stat().st_size / 1e6, settings.compute_type)
        for directory in directories
    )
    available = hardware.available_memory()
    if needed > available:
        raise NoMemory(
            f"{' and '.join(model.name for model in models)} needs about {needed:.0f} MB of "
            f"memory and {available:.0f} MB are available; choose a smaller one with --model"
        )


W = TypeVar("W")


def reload(model: Model, directory: Path, settings: Settings, load: Callable[[], W]) -> W:
    """Load what was unloaded, if what was free at the start still is.

    Raises:
        ModelError: the weights cannot be loaded, NoMemory: not now.
    """
    _make_sure_of_memory([model], [directory], settings)
    try:
        return load()
    except MemoryError:
        raise NoMemory(f"the memory did not do for {model.name} after all") from None


def remember(
    figures: Measurements, size: str, name: str, threads: int, beam_size: int
) -> Callable[[Tuned], None]:
    """Make what is told of each measurement: it logs what changed and keeps the figure.

    A figure that is too slow is kept only if it was measured while the server was idle, not
    right after a start: a machine that boots is busy, and its next start goes by the figure.

    Args:
        size: of the model; "" = not one whose figures are kept.
        beam_size: that was asked for, as in --beam-size.
    """
    told: tuple[int, int] | None = None

    def measured(choice: Tuned) -> None:
        nonlocal told
        if told != (choice.beam, choice.batch):
            told = choice.beam, choice.batch
            _LOGGER.info(
                "Model %s decodes a usual command in %.2f s on %s: beam %d, batches of up to %d",
                name,
                choice.seconds,
                counted(threads, "thread"),
                beam_size if beam_size > 0 else choice.beam,
                choice.batch,
            )
        if size and (choice.again or choice.seconds <= auto.BUDGET):
            figures.write(size, auto.Measurement(choice.seconds, threads))

    return measured


def _spoken(settings: Settings) -> str | None:
    return (
        None if means_detect(settings.language) else normalise(settings.language, MULTILINGUAL_V3)
    )
