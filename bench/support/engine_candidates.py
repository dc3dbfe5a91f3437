"""Engines that bench/engines.py compares, and how each is loaded in a process of its own."""

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from wyoming_faster_whisper.engine.protocol import DecodeOptions, Engine, Job
from wyoming_faster_whisper.engine.whisper.calibration.values import Calibrations
from wyoming_faster_whisper.engine.whisper.engine import WhisperEngine, WhisperModel
from wyoming_faster_whisper.engine.whisper.window import FULL_WINDOW, Window, window_frames
from wyoming_faster_whisper.models.moonshine import choose_moonshine, is_moonshine_at_hand

from ..conversion.ggml import ggml_file
from .clips import SAMPLE_RATE, Samples
from .models import load_moonshine, load_onnx_whisper, load_whisper, model_directory
from .report import warn

_MOONSHINE = "moonshine-base-en"

Decode = Callable[[Samples], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """An engine, with the options that determine its cost."""

    name: str
    window: str  # encoder window
    beam: str
    threads: int
    load: Callable[[], Decode]  # called in the engine's own process
    needs: tuple[str, ...] = ()  # optional modules


def candidates_for(model: str, threads: int) -> list[Candidate]:
    directory = model_directory(model)
    calibrations = Calibrations(model)
    window = calibrations.of("en").window
    found = [
        Candidate(
            name="this server, int8",
            window="as needed",
            beam="5",
            threads=some,
            load=partial(load_ours, directory, calibrations, some),
        )
        for some in sorted({threads, 1}, reverse=True)
    ]
    found += [
        Candidate(
            name="this server, Moonshine base-en",
            window="none",
            beam="5",
            threads=some,
            load=partial(load_moonshine_base, some),
            needs=("onnx",),
        )
        for some in sorted({threads, 1}, reverse=True)
        if (known := choose_moonshine(_MOONSHINE, [])) and is_moonshine_at_hand(known)
    ]
    found.append(
        Candidate(
            name="faster-whisper, int8",
            window="30 s",
            beam="5",
            threads=threads,
            load=partial(load_faster_whisper, directory, threads),
        )
    )
    found += [
        Candidate(
            name="whisper.cpp, q8_0",
            window="30 s" if full else "as needed",
            beam=str(beam),
            threads=some,
            load=partial(load_whisper_cpp, model, FULL_WINDOW if full else window, beam, some),
            needs=("pywhispercpp",),
        )
        for full, beam, some in (
            (False, 1, 1),
            (False, 1, threads),
            (False, 5, threads),
            (True, 1, threads),
        )
    ]
    found += [
        Candidate(
            name="this server, ONNX Runtime",
            window="as needed",
            beam="5",
            threads=some,
            load=partial(load_onnx, directory, calibrations, some),
            needs=("onnx",),
        )
        for some in sorted({threads, 1}, reverse=True)
    ]
    return found


def at_hand(candidates: Sequence[Candidate], only: Sequence[str]) -> list[Candidate]:
    """Return the requested engines whose packages are installed; warn about the others."""
    wanted = [each for each in candidates if not only or any(w in each.name for w in only)]
    for module in sorted({module for each in wanted for module in each.needs}):
        if importlib.util.find_spec(module) is None:
            names = sorted({each.name for each in wanted if module in each.needs})
            warn(f"{', '.join(names)}: skipped because module {module} is not installed")
            wanted = [each for each in wanted if module not in each.needs]
    return wanted


def load_ours(directory: Path, calibrations: Calibrations, threads: int) -> Decode:
    return _pipeline(load_whisper(directory, threads), calibrations)


def load_onnx(directory: Path, calibrations: Calibrations, threads: int) -> Decode:
    return _pipeline(load_onnx_whisper(directory, threads), calibrations)


def _pipeline(model: WhisperModel, calibrations: Calibrations) -> Decode:
    engine = WhisperEngine(model, calibrations=calibrations)
    return _texts(engine, DecodeOptions(language="en", beam_size=5))


def load_moonshine_base(threads: int) -> Decode:
    engine = load_moonshine(_MOONSHINE, threads)
    engine.warm_up(lambda: False)
    return _texts(engine, DecodeOptions(language="en"))


def _texts(engine: Engine, options: DecodeOptions) -> Decode:
    return lambda samples: engine.decode([Job(samples, options)])[0].text


def load_faster_whisper(directory: Path, threads: int) -> Decode:
    """Load faster-whisper with the options of the reference server."""
    from faster_whisper import WhisperModel

    model = WhisperModel(str(directory), device="cpu", compute_type="int8", cpu_threads=threads)

    def decode(samples: Samples) -> str:
        segments, _ = model.transcribe(samples, language="en", beam_size=5)
        return " ".join(segment.text.strip() for segment in segments)

    return decode


def load_whisper_cpp(model: str, window: Window, beam: int, threads: int) -> Decode:
    from pywhispercpp.model import Model

    parameters: dict[str, Any] = {
        "n_threads": threads,
        "language": "en",
        "no_timestamps": True,
        "single_segment": True,
        "print_progress": False,
        "temperature_inc": 0.0,  # one pass, no retries at higher temperatures
    }
    if beam > 1:
        parameters["beam_search"] = {"beam_size": beam, "patience": -1.0}
    engine = Model(
        str(ggml_file(model, "q8_0")),
        params_sampling_strategy=int(beam > 1),
        redirect_whispercpp_logs_to=None,
        **parameters,
    )

    def decode(samples: Samples) -> str:
        seconds = len(samples) / SAMPLE_RATE
        frames = window_frames(seconds, window)
        segments = engine.transcribe(samples, audio_ctx=frames // 2)
        return " ".join(segment.text.strip() for segment in segments)

    return decode
