"""Whisper on CTranslate2: the only file that knows either.

One decode is: a spectrogram, one encoding of as much window as the clip needs
(window.py), greedy decoding, a beam over the same encoding where greedy was not
confident, and, where the gate does not believe the text (gate.py), all of it
once more with the full window.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np

from ..audio import SAMPLE_RATE
from ..auto import BUDGET
from ..errors import EngineError, ModelError
from ..hardware import release_memory
from .base import DecodeOptions, Job, Transcript
from .gate import Decoded, Verdict, better, judge, token_budget, unlooped
from .spectrogram import Features, Spectrogram
from .window import window_frames

_LOGGER = logging.getLogger(__name__)

# Greedy text that the model is this sure of (mean log-probability) is what a beam finds
# as well: 175 clips at three levels of noise are understood no worse than by a beam for all.
_SURE = -0.25
# Of 2, 3 and 5, the narrowest that hears as well as the widest; each beam has its own copy of
# what the decoder attends to, 12 MB for base and ten seconds.
_BEAM = 3
_POSITIONS = 448  # tokens that the decoder has places for, the prompt included
_LONGEST_PROMPT = _POSITIONS // 2 - 1  # tokens, as Whisper cuts it
_HINTS = 200  # tokens of prompt and names; more and the model echoes them


def load_model(
    directory: Path, *, device: str, compute_type: str, threads: int, workers: int = 1
) -> ctranslate2.models.Whisper:
    """Load the weights; half a second for base, and twice its size in memory for a moment.

    Args:
        directory: with model.bin and what belongs to it.
        device: cpu, cuda, cuda:N or auto.
        compute_type: CTranslate2's; "default" is int8 on a CPU, float16 on a GPU.
        threads: that decode one utterance together.
        workers: utterances that are decoded at the same time, with the same weights.

    Raises:
        ModelError: the model or the device cannot be used.
    """
    name, _, index = device.partition(":")
    if name == "auto":
        name = "cuda" if ctranslate2.get_cuda_device_count() else "cpu"
    if compute_type == "default":
        # CTranslate2's own default is the type the file was written in, float16 as a
        # rule, which a CPU would turn into float32.
        compute_type = "float16" if name == "cuda" else "int8"
    try:
        model = ctranslate2.models.Whisper(
            str(directory),
            device=name,
            device_index=int(index or 0),
            compute_type=compute_type,
            intra_threads=threads,
            inter_threads=workers,
        )
    except (RuntimeError, ValueError) as error:
        raise ModelError(
            f"the model in {directory} does not load on {device} as {compute_type}: {error}"
        ) from error
    _LOGGER.info("Loaded %s on %s as %s", directory, name, model.compute_type)
    return model


class WhisperEngine:
    """Decodes with a model that is loaded.

    Args:
        model: from load_model().
        directory: it was loaded from; the tokenizer lies there.
        size: of the model, as models.size_of() says.
        full_window: never a shorter window than the model was trained on.
        takes_prompt: False for distilled models, which prompts harm.
        measured: told, by warm_up(), how long a usual command takes, in seconds.

    Raises:
        ModelError: the tokenizer is missing or damaged.
    """

    max_batch = 1

    def __init__(
        self,
        model: ctranslate2.models.Whisper,
        directory: Path,
        *,
        size: str = "",
        full_window: bool = False,
        takes_prompt: bool = True,
        measured: Callable[[float], None] = lambda seconds: None,
    ) -> None:
        self.parallel: int = model.num_workers
        self.directory = directory
        self._model = model
        self._size = size
        self._full_window = full_window
        self._takes_prompt = takes_prompt
        self._measured = measured
        self._fast = True  # a beam can be afforded; until measured we hope so
        self._spectrogram = Spectrogram(model.n_mels)
        self._tokenizer = _tokenizer(directory, multilingual=model.is_multilingual)
        self._end = self._id("<|endoftext|>")

    def decode(self, jobs: Sequence[Job]) -> list[Transcript]:
        """See Engine.decode."""
        try:
            return [self._decode(job) for job in jobs]
        except RuntimeError as error:  # CTranslate2's only kind
            raise EngineError(f"the model failed on this audio: {error}") from error

    def warm_up(self) -> None:
        """Decode a usual command a few times: every allocation and thread is there then.

        The fastest time counts, for others may be busy on the machine just now. One that is
        slower than the silence people leave decodes greedily only.
        """
        times = []
        for _ in range(3):
            started = time.perf_counter()
            self._usual_command()
            times.append(time.perf_counter() - started)
        self._fast = min(times) <= 2 * BUDGET
        self._measured(min(times))

    def _usual_command(self) -> None:
        features = self._spectrogram(np.zeros(3 * SAMPLE_RATE, np.float32))
        frames = window_frames(3.0, size=self._size, language="en", full=self._full_window)
        prompt = self._prompt(DecodeOptions(), "en")
        # Twelve tokens, whatever the model thinks of silence.
        self._model.generate(
            self._encode(features, frames),
            [prompt],
            beam_size=1,
            max_length=len(prompt) + 12 + len(prompt) % 2,
            suppress_tokens=[-1, self._end],
        )

    def _decode(self, job: Job) -> Transcript:
        options = job.options
        features = self._spectrogram(job.samples)
        # The language decides on the window; before it is known, the cautious one will do.
        known = options.language or ("" if self._model.is_multilingual else "en")
        frames = window_frames(
            job.seconds, size=self._size, language=known, full=self._full_window
        )
        encoding = self._encode(features, frames)
        language = known or self._detect(encoding, options.among)
        prompt = self._prompt(options, language)
        budget = token_budget(job.seconds, language)

        decoded = self._generate(encoding, prompt, options.beam_size or 1, budget)
        decoded = unlooped(decoded, job.seconds)
        passes = 1
        # Greedy decoding is what runs in circles, and is sure of itself then.
        hesitant = decoded.logprob < _SURE or decoded.derailed
        if not options.beam_size and self._fast and hesitant:
            decoded = self._generate(encoding, prompt, _BEAM, budget)
            decoded = unlooped(decoded, job.seconds)
            passes += 1
        verdict = judge(decoded, sure=job.sure)
        if verdict is Verdict.AGAIN:
            full = window_frames(job.seconds, size="", language="", full=True)
            if frames < full:
                # What short windows left behind in the heap does not fit the full one, which
                # takes more memory than all else after loading.
                del encoding
                release_memory()
                encoding = self._encode(features, full)
            again = self._generate(encoding, prompt, max(options.beam_size, _BEAM), 2 * budget)
            decoded = better(decoded, again)
            passes += 1
        text = "" if verdict is Verdict.EMPTY else decoded.text
        return Transcript(text, language, decoded.logprob, passes, verdict.value)

    def _encode(self, features: Features, frames: int) -> ctranslate2.StorageView:
        # Zeros behind the features, as faster-whisper pads: with zeros behind the samples
        # short windows hear worse.
        padded = np.zeros((1, features.shape[0], frames), np.float32)
        width = min(frames, features.shape[1])
        padded[0, :, :width] = features[:, :width]
        return self._model.encode(ctranslate2.StorageView.from_array(padded))

    def _detect(self, encoding: ctranslate2.StorageView, among: tuple[str, ...]) -> str:
        """The likeliest language, of those that may be, by the encoding at hand."""
        ranked: list[str] = [
            token.strip("<|>") for token, _ in self._model.detect_language(encoding)[0]
        ]
        return next((code for code in ranked if not among or code in among), ranked[0])

    def _prompt(self, options: DecodeOptions, language: str) -> list[int]:
        """The tokens that the decoder continues."""
        prompt: list[int] = []
        if self._takes_prompt and (text := self._hints(options)):
            prompt = [self._id("<|startofprev|>"), *self._tokens(text)[-_LONGEST_PROMPT:]]
        prompt.append(self._id("<|startoftranscript|>"))
        if self._model.is_multilingual:
            prompt += [self._id(f"<|{language}|>"), self._id(f"<|{options.task}|>")]
        return [*prompt, self._id("<|notimestamps|>")]

    def _hints(self, options: DecodeOptions) -> str:
        """The text before the text: the operator's prompt, and as many names as fit."""
        hints = options.prompt or ""
        for name in options.names:
            longer = f"{hints}, {name}" if hints else name
            if len(self._tokens(longer)) > _HINTS:
                break
            hints = longer
        return hints

    def _tokens(self, text: str) -> list[int]:
        ids = self._tokenizer.encode(" " + text.strip(), add_special_tokens=False).ids
        # "<|startoftranscript|>" in a name is no command to the decoder.
        return [i for i in ids if i < self._end]

    def _generate(
        self, encoding: ctranslate2.StorageView, prompt: list[int], beam: int, budget: int
    ) -> Decoded:
        # CTranslate2 stops at min(max_length / 2, max_length - prompt).
        longest = min(_POSITIONS, max(2 * budget, len(prompt) + budget))
        result: Any = self._model.generate(
            encoding,
            [prompt],
            beam_size=beam,
            max_length=longest,
            return_scores=True,
            return_no_speech_prob=True,
        )[0]
        ids: list[int] = result.sequences_ids[0]
        text: str = self._tokenizer.decode([i for i in ids if i < self._end]).strip()
        return Decoded(
            text=text,
            tokens=len(ids),
            # The score is the mean without the end-of-text token, which counts as well.
            logprob=result.scores[0] * len(ids) / (len(ids) + 1),
            no_speech=result.no_speech_prob,
            budget=budget,
        )

    def _id(self, token: str) -> int:
        number = self._tokenizer.token_to_id(token)
        if number is None:
            raise EngineError(f"the model's tokenizer knows no {token}")
        return int(number)


def _tokenizer(directory: Path, *, multilingual: bool) -> Any:
    import tokenizers

    path = directory / "tokenizer.json"
    try:
        if path.is_file():
            return tokenizers.Tokenizer.from_file(str(path))
        # Some conversions came without; faster-whisper fetches it as well.
        name = "openai/whisper-tiny" + ("" if multilingual else ".en")
        return tokenizers.Tokenizer.from_pretrained(name)
    except Exception as error:  # tokenizers raises nothing more specific
        raise ModelError(f"no tokenizer: {path} is missing or damaged ({error})") from None
