"""Word-times step: when each word of a text was spoken, and how probable its tokens are."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from statistics import fmean

from ...models.languages import UNSPACED
from ..protocol import TokenLogprob, Word
from .acoustic_model import AcousticModel, Encoding, Tokenizer
from .clip import Clip
from .coverage import Alignment

# Seconds that the VAD needs to notice speech; the alignment may end the first word before. Set by
# hand on 2026-12-01 from one English clip, whose first word ends 0.12 s after its onset, when the
# VAD notices it. Used with every model and language.
_LATE = 0.1


def words_and_tokens(
    model: AcousticModel, clip: Clip, text: str, encoding: Callable[[], Encoding]
) -> tuple[tuple[Word, ...], tuple[TokenLogprob, ...]]:
    """Align a text with the audio, if the options of the job ask for its words or tokens.

    Args:
        text: final text of the clip.
        encoding: returns an encoding of the clip.

    Returns:
        Those that the options ask for, else (); () also for an empty text, or one that is too
        long for the decoder.
    """
    options = clip.job.options
    if not text or not (options.word_times or options.token_logprobs):
        return (), ()
    aligned = model.align(encoding(), clip.prompt, text, clip.seconds)
    if aligned is None:
        return (), ()
    return (
        tuple(_words(model.tokenizer, clip, text, aligned)) if options.word_times else (),
        tuple(_tokens(model.tokenizer, text, aligned)) if options.token_logprobs else (),
    )


def _tokens(tokenizer: Tokenizer, text: str, aligned: Alignment) -> Iterator[TokenLogprob]:
    for piece, logprob in zip(tokenizer.pieces(text), aligned.logprobs, strict=True):
        yield TokenLogprob(piece.decode(errors="replace"), piece, logprob)


def _words(tokenizer: Tokenizer, clip: Clip, text: str, aligned: Alignment) -> Iterator[Word]:
    """Yield the words with their times, counted from the first sample of the job."""
    silence = clip.seconds - clip.job.seconds
    starts = (*aligned.starts, aligned.end)  # seconds of the model's input
    tokens = tokenizer.encode(text)
    at = 0
    for word, count in tokenizer.words(text, spaced=clip.language not in UNSPACED):
        start, end = starts[at], starts[min(at + count, len(starts) - 1)]
        probability = fmean(map(math.exp, aligned.logprobs[at : at + count]))
        own = tuple(tokens[at : at + count])
        at += count
        # The alignment may start or end a word in a pause, so limit it to the speech.
        late = end + _LATE
        stretch = next((each for each in clip.speech if each[0] < late and each[1] > start), None)
        if stretch is not None:
            start, end = max(start, min(stretch[0], end - _LATE)), min(end, stretch[1])
        first = max(0.0, start - silence)
        last = max(first, min(end - silence, clip.job.seconds))
        yield Word(word.strip(), first, last, probability, own)
