"""Word-times step: when each word of a text was spoken."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from ...models.languages import UNSPACED
from ..protocol import Word
from .acoustic_model import AcousticModel, Encoding
from .clip import Clip


def word_times(
    model: AcousticModel, clip: Clip, text: str, encoding: Callable[[], Encoding]
) -> tuple[Word, ...]:
    """Align a text with the audio and return its words.

    Args:
        text: final text of the clip.
        encoding: returns an encoding of the clip.

    Returns:
        () for an empty text, or one that is too long for the decoder.
    """
    if not text:
        return ()
    aligned = model.align(encoding(), clip.prompt, text, clip.seconds)
    if aligned is None:
        return ()
    words = model.tokenizer.words(text, spaced=clip.language not in UNSPACED)
    return tuple(_times(clip, words, (*aligned.starts, aligned.end)))


def _times(clip: Clip, words: list[tuple[str, int]], starts: tuple[float, ...]) -> Iterator[Word]:
    """Yield the words with their times, counted from the first sample of the job.

    Args:
        words: text and number of tokens of each.
        starts: start of each token, then the end of the text, in seconds of the model's input.
    """
    silence = clip.seconds - clip.job.seconds
    at = 0
    for word, count in words:
        start, end = starts[at], starts[min(at + count, len(starts) - 1)]
        at += count
        # The alignment may start or end a word in a pause, so limit it to the speech.
        stretch = next((each for each in clip.speech if each[0] < end and each[1] > start), None)
        if stretch is not None:
            start, end = max(start, stretch[0]), min(end, stretch[1])
        first = max(0.0, start - silence)
        yield Word(word.strip(), first, max(first, min(end - silence, clip.job.seconds)))
