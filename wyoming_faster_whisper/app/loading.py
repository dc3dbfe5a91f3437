"""Load Whisper models: from a directory to an engine."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from .. import hardware
from ..config.libraries import ONNX_WHISPER, measured_device
from ..config.settings import Settings
from ..engine.gpu_memory import ALL, GpuError, GpuMemory
from ..engine.protocol import Engine
from ..engine.whisper.tuning import Limits, Tuned
from ..errors import ModelError, NoMemory, counted
from ..models import (
    Measurements,
    Model,
    auto,
    is_distilled,
    locate,
    locate_tokenizer,
    size_of,
)
from ..models.folders import folder_version, model_fault, refreshed
from ..models.languages import ENGLISH
from .probe import check_backend, is_ordinary

if TYPE_CHECKING:
    from ..engine.whisper.engine import WhisperModel

_LOGGER = logging.getLogger(__name__)

_MOST_WORKERS = 4
# The size of a batch is measured (engine/whisper/tuning.py); these only end the measurement.
_MOST_TOGETHER = 6  # jobs in all batches on a CPU; each takes about 30 MB with base
# Others gained nothing from larger batches: sgl-project/sglang-omni#1888 found the most requests
# per second at 32, SYSTRAN/faster-whisper#1143 no gain from 64 to 512.
_BATCH_ON_GPU = 32
_LEAST_FREE = 0.1  # share of the memory that is left free by the largest batch


class Weights(Protocol):
    """The attributes of loaded weights that this module uses, whichever library runs them."""

    @property
    def device(self) -> str: ...
    @property
    def num_workers(self) -> int: ...


class LoadWeights(Protocol):
    """Loads weights: load_model() of CTranslate2, load_graphs() of ONNX Runtime."""

    def __call__(
        self, directory: Path, /, *, device: str, compute_type: str, threads: int, workers: int
    ) -> Any: ...


class MakeModel(Protocol):
    """Makes an acoustic model of weights. See CTranslate2Whisper and OnnxWhisper."""

    def __call__(
        self, weights: Any, tokenizer: Path, /, *, takes_prompt: bool, reload: Callable[[], Any]
    ) -> WhisperModel: ...


def load_engine(
    model: Model,
    settings: Settings,
    folders: Sequence[Path],
    *,
    loaded: Callable[[], None],
) -> Engine:
    """Load a model; download it if necessary. Blocking; a download can take minutes.

    Args:
        model: from choose_models().
        settings: the server's settings.
        folders: data folders; the first is the one to download into.
        loaded: called once the weights are loaded, after the peak of memory use. The rest takes
            half a second.

    Raises:
        ModelError: the model is not available or cannot be loaded.
        NoMemory: there is too little memory for the model.
    """
    now = refreshed(model, folders)
    directory = locate(now, folders[0], local_files_only=settings.local_files_only)
    if what := model_fault(directory):
        raise ModelError(what)
    _make_sure_of_memory(model, directory, settings)
    tokenizer = locate_tokenizer(
        directory, folders[0], local_files_only=settings.local_files_only
    )
    if not is_ordinary():
        check_backend(folders[0])
    # Imported here because importing them takes longer than everything before listening.
    from ..engine.whisper.calibration.values import Calibrations
    from ..engine.whisper.engine import WhisperEngine

    load_weights, make_model = _library(settings, folders[0])
    figures = Measurements(folders[0], measured_device(settings.stt_library, settings.device))
    threads = hardware.threads_to_use(settings.cpu_threads)
    size = size_of(model.name)
    together = auto.threads_together(
        size,
        threads,
        arm=hardware.is_arm(),
        figures=figures.read(),
        waited_for=settings.vad_endpointing == "auto",
    )
    load = partial(
        load_weights,
        directory,
        device=settings.device,
        compute_type=settings.compute_type,
        threads=together,
        workers=workers_for(threads, together),
    )
    keep_gpu_memory(settings)
    weights = load()
    loaded()
    if model.multilingual != bool(weights.is_multilingual):
        _LOGGER.warning(
            "Model %s does not have the languages that its name implies; clients were told %s",
            model.name,
            "English only" if model.languages == ENGLISH else "all languages",
        )
    return WhisperEngine(
        make_model(
            weights,
            tokenizer,
            takes_prompt=not is_distilled(model.name),
            reload=partial(reload, model, directory, settings, load),
        ),
        calibrations=Calibrations(model.name),
        full_window=settings.audio_context == "full",
        limits=batch_limits(
            settings,
            gpu=weights.device == "cuda",
            workers=weights.num_workers,
            figure=figures.read().get(size),
        ),
        measured=remember(figures, size, model.name, together, settings.beam_size),
    )


def _library(settings: Settings, folder: Path) -> tuple[LoadWeights, MakeModel]:
    """Import the library that runs the models, which takes longer than everything before."""
    if settings.stt_library == ONNX_WHISPER:
        from ..engine.onnx.whisper.acoustic_model import OnnxWhisper
        from ..engine.onnx.whisper.graphs import load_graphs

        return partial(load_graphs, folder=folder, provider=settings.onnx_provider), OnnxWhisper
    from ..engine.whisper.ctranslate2 import CTranslate2Whisper
    from ..engine.whisper.weights import load_model

    return load_model, CTranslate2Whisper


def version_of(find: Callable[[], Model]) -> Hashable:
    """Return the version of a model's files; None if they are in no folder. Blocking, quick.

    Files of packages have none: an installer replaces them one by one, under a running process.

    Args:
        find: returns the model with the directory that has its files now.
    """
    directory = find().directory
    return None if directory is None else folder_version(directory)


def workers_for(threads: int, together: int) -> int:
    """Return how many decodes run in parallel; capped because each takes memory."""
    return max(1, min(threads // together, _MOST_WORKERS))


def largest_batch(wanted: int | str, *, gpu: bool, workers: int) -> int:
    """Return the largest batch: what the operator chose, or what memory allows for auto."""
    if isinstance(wanted, int):
        return wanted
    return _BATCH_ON_GPU if gpu else max(1, _MOST_TOGETHER // workers)


def batch_limits(
    settings: Settings, *, gpu: bool, workers: int, figure: auto.Measurement | None
) -> Limits:
    """Return the limits of the batch sizes, and those that an earlier start has measured.

    Args:
        settings: the server's settings.
        gpu: the model runs on a GPU.
        workers: batches that are decoded at the same time.
        figure: of an earlier start.
    """
    memory = gpu_memory(settings.device) if gpu else None

    def has_room() -> bool:
        if memory is None:
            most = settings.max_memory
            total = hardware.total_memory() if most is None else most
            return hardware.memory_left(most) >= _LEAST_FREE * total
        try:
            return memory.free_share() > _LEAST_FREE
        except GpuError:
            return True  # the library says so when memory runs out

    return Limits(
        largest_batch(settings.max_batch, gpu=gpu, workers=workers),
        settings.max_batch_seconds,
        has_room,
        commands=figure.batch if figure else 0,
        long=figure.long_batch if figure else 0,
    )


def gpu_memory(device: str) -> GpuMemory | None:
    """Return the memory of the GPU of --device; None if there is none."""
    if device == "cpu" or not hardware.may_have_gpu():
        return None
    try:
        return GpuMemory(int(device.partition(":")[2] or 0))
    except GpuError as error:
        _LOGGER.debug("The GPU's memory cannot be read: %s", error)
        return None


def gpu_pool(gpu: GpuMemory | None) -> Mapping[str, int]:
    """Return the bytes of a GPU's memory pool by state, for the metrics; {} without a GPU."""
    if gpu is None:
        return {}
    try:
        pool = gpu.pool()
    except GpuError:
        return {}
    return {"reserved": pool.reserved, "used": pool.used}


def keep_gpu_memory(settings: Settings) -> None:
    """Let CUDA's memory pool keep the memory of a decode for the next one."""
    wanted = settings.gpu_memory_pool
    if (gpu := gpu_memory(settings.device)) is None:
        return
    try:
        gpu.keep(ALL if isinstance(wanted, str) else wanted * 1_000_000)
    except GpuError as error:
        _LOGGER.warning("--gpu-memory-pool %s has no effect: %s", wanted, error)


def _make_sure_of_memory(model: Model, directory: Path, settings: Settings) -> None:
    """Check that a model fits into memory.

    Without the check, the kernel's out-of-memory killer could end the process during a decode.

    Raises:
        NoMemory: the model needs more memory than is available.
    """
    if settings.device != "cpu":
        return  # CTranslate2 checks a GPU's memory itself
    size = (directory / "model.bin").stat().st_size / 1e6
    needed = auto.memory_needed(size, settings.compute_type)
    available = hardware.memory_left(settings.max_memory)
    if needed > available:
        raise NoMemory(
            f"{model.name} needs about {needed:.0f} MB of memory, but {available:.0f} MB are "
            "available; choose a smaller model with --model"
        )


W = TypeVar("W")


def reload(model: Model, directory: Path, settings: Settings, load: Callable[[], W]) -> W:
    """Load an unloaded model again, if enough memory is still free. Blocking.

    Raises:
        ModelError: the weights cannot be loaded.
        NoMemory: there is too little memory at the moment.
    """
    _make_sure_of_memory(model, directory, settings)
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
    logged: tuple[int, int, int] | None = None

    def measured(choice: Tuned) -> None:
        nonlocal logged
        if logged != (choice.beam, choice.batch, choice.long_batch):
            logged = choice.beam, choice.batch, choice.long_batch
            _LOGGER.info(
                "Model %s decodes a typical command in %.2f s on %s: "
                "beam %d, batches of up to %d%s",
                name,
                choice.seconds,
                counted(threads, "thread"),
                beam_size if beam_size > 0 else choice.beam,
                choice.batch,
                f", of 30 s each up to {choice.long_batch}" if choice.long_batch else "",
            )
        if size and (choice.again or choice.seconds <= auto.BUDGET):
            figures.write(
                size,
                auto.Measurement(
                    choice.seconds, threads, batch=choice.batch, long_batch=choice.long_batch
                ),
            )

    return measured
