"""Load Whisper models: from directories to engines."""

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
from ..errors import ModelError, NoMemory, counted
from ..models import (
    Measurements,
    Model,
    auto,
    fault,
    is_distilled,
    locate,
    locate_tokenizer,
    size_of,
)
from ..models.languages import ENGLISH
from .probe import check_backend, is_ordinary

_LOGGER = logging.getLogger(__name__)

_MOST_WORKERS = 4
_MOST_TOGETHER = 6  # jobs in all batches on a CPU; each takes about 30 MB with base
_BATCH_ON_GPU = 32


class CTranslate2Model(Protocol):
    """The attributes of loaded weights that this module uses."""

    @property
    def device(self) -> str: ...
    @property
    def num_workers(self) -> int: ...


def load_engines(
    models: Sequence[Model],
    settings: Settings,
    folders: Sequence[Path],
    *,
    loaded: Callable[[], None],
) -> Engine:
    """Load all models; download them if necessary. Blocking; a download can take minutes.

    Args:
        models: the models, from choose_models().
        settings: the server's settings.
        folders: data folders; the first is the one to download into.
        loaded: called once all weights are loaded, after the peak of memory use. The rest
            takes half a second.

    Raises:
        ModelError: a model is not available or cannot be loaded.
        NoMemory: there is too little memory for the models.
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
    # Imported here because importing them takes longer than everything before listening.
    from ..engine.whisper.calibration.values import Calibrations
    from ..engine.whisper.ctranslate2 import CTranslate2Whisper, load_model
    from ..engine.whisper.engine import WhisperEngine

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
                "Model %s does not have the languages that its name implies; "
                "clients were told %s",
                model.name,
                "English only" if model.languages == ENGLISH else "all languages",
            )
        size = size_of(model.name)
        engines[model.name] = WhisperEngine(
            CTranslate2Whisper(
                loaded_weights,
                tokenizer,
                takes_prompt=not is_distilled(model.name),
                reload=partial(reload, model, directory, settings, load_one),
            ),
            calibrations=Calibrations(model.name),
            full_window=settings.audio_context == "full",
            largest_batch=largest_batch(settings.max_batch, loaded_weights),
            measured=remember(figures, size, model.name, some, settings.beam_size),
        )
    return Router(engines) if len(engines) > 1 else next(iter(engines.values()))


def workers_for(threads: int, together: int) -> int:
    """Return how many decodes run in parallel; capped because each takes memory."""
    return max(1, min(threads // together, _MOST_WORKERS))


def largest_batch(wanted: int | str, weights: CTranslate2Model) -> int:
    """Return the largest batch: what the operator chose, or what memory allows for auto."""
    if isinstance(wanted, int):
        return wanted
    if weights.device == "cuda":
        return _BATCH_ON_GPU
    return max(1, _MOST_TOGETHER // weights.num_workers)


def _make_sure_of_memory(
    models: Sequence[Model], directories: Sequence[Path], settings: Settings
) -> None:
    """Check that the models fit into memory.

    Without the check, the kernel's out-of-memory killer could end the process during a decode.

    Raises:
        NoMemory: the models need more memory than is available.
    """
    if settings.device != "cpu":
        return  # CTranslate2 checks a GPU's memory itself
    needed = sum(
        auto.memory_needed((directory / "model.bin").stat().st_size / 1e6, settings.compute_type)
        for directory in directories
    )
    available = hardware.available_memory()
    if needed > available:
        raise NoMemory(
            f"{' and '.join(model.name for model in models)} needs about {needed:.0f} MB of "
            f"memory, but {available:.0f} MB are available; choose a smaller model with --model"
        )


W = TypeVar("W")


def reload(model: Model, directory: Path, settings: Settings, load: Callable[[], W]) -> W:
    """Load an unloaded model again, if enough memory is still free. Blocking.

    Raises:
        ModelError: the weights cannot be loaded.
        NoMemory: there is too little memory at the moment.
    """
    _make_sure_of_memory([model], [directory], settings)
    try:
        return load()
    except MemoryError:
        raise NoMemory(f"memory ran out while loading {model.name}") from None


def remember(
    figures: Measurements, size: str, name: str, threads: int, beam_size: int
) -> Callable[[Tuned], None]:
    """Make the callback for measurements, which logs changes and stores the decode time.

    A time over the limit is stored only if it was measured while the server was idle, not
    right after the start. A machine that is booting is busy, and the next start would choose a
    smaller model because of that time.

    Args:
        figures: store of the decode times.
        size: size of the model; "" = do not store its times.
        name: name of the model, for the log.
        threads: threads that decode one utterance.
        beam_size: as in --beam-size; 0 or less = automatic.
    """
    told: tuple[int, int] | None = None

    def measured(choice: Tuned) -> None:
        nonlocal told
        if told != (choice.beam, choice.batch):
            told = choice.beam, choice.batch
            _LOGGER.info(
                "Model %s decodes a typical command in %.2f s on %s: "
                "beam %d, batches of up to %d",
                name,
                choice.seconds,
                counted(threads, "thread"),
                beam_size if beam_size > 0 else choice.beam,
                choice.batch,
            )
        if size and (choice.again or choice.seconds <= auto.BUDGET):
            figures.write(size, auto.Measurement(choice.seconds, threads))

    return measured
