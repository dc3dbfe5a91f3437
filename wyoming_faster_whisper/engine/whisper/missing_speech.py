"""Coverage steps: find the speech that a text leaves out, decode it alone, and insert it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from ...audio.pcm import SAMPLE_RATE
from ..protocol import Job, Transcript
from .acoustic_model import AcousticModel, Encoding, Tokenizer
from .clip import Clip, Pass
from .coverage import Gap, adds, gaps, insert, remove_loops, said_beside, sparse
from .hallucination import Decoded, Verdict

_MARGIN = 0.2  # seconds of audio to add on both sides of a gap
_LARGEST_PART = 0.8  # share of the clip; a larger part is not decoded again
# Mean log-probability; a less probable text is not inserted. Whisper's own threshold
# (openai/whisper: transcribe.py, logprob_threshold).
_LEAST_LOGPROB = -1.0


def check_coverage(
    model: AcousticModel, clip: Clip, decoded: Decoded, encoding: Callable[[], Encoding]
) -> Pass:
    """Compare a text with the audio: remove loops, find speech that the text leaves out.

    Args:
        decoded: result of the pass.
        encoding: returns the encoding of the pass; called only for a doubtful text.
    """
    looped = decoded.repetitive
    aligned, limits = None, clip.calibration.coverage
    if clip.job.speech and (looped or sparse(decoded, clip.job.speech_seconds, limits)):
        aligned = model.align(encoding(), clip.prompt, decoded.text, clip.seconds)
    if aligned is None:
        return Pass(decoded, looped=looped)
    if looped:
        decoded, aligned = remove_loops(decoded, aligned, clip.speech)
    return Pass(decoded, tuple(gaps(aligned, clip.speech, limits)), looped, aligned)


def fill_gaps(
    tokenizer: Tokenizer,
    clip: Clip,
    believed: Pass,
    decode: Callable[[Job], Transcript],
) -> str:
    """Decode the speech that the text of a pass leaves out, and insert it where it belongs.

    Args:
        believed: a pass that has gaps.
        decode: decodes a part of the clip.
    """
    assert believed.aligned is not None  # the gaps were found in it
    text = filled = believed.decoded.text
    for gap in reversed(believed.gaps):
        before = tokenizer.first_tokens(text, gap.tokens)
        part = _part(clip, gap)
        # The prefix of the text was already sent: nothing is inserted into it.
        if part is None or len(before) < len(clip.job.prefix):
            continue
        found = decode(part)
        if found.verdict != Verdict.NO_SPEECH.value and found.avg_logprob > _LEAST_LOGPROB:
            beside = said_beside(believed.aligned, gap, found.text, clip.speech)
            if adds(text, len(before), found.text, beside):
                filled = insert(filled, len(before), found.text)
    return filled


def _part(clip: Clip, gap: Gap) -> Job | None:
    """Return a job for the audio of a gap; None if it is nearly the whole clip."""
    job = clip.job
    start = max(0, round((gap.start - _MARGIN) * SAMPLE_RATE) - job.leading_silence)
    end = round((gap.end + _MARGIN) * SAMPLE_RATE) - job.leading_silence
    if end - start > _LARGEST_PART * len(job.samples):
        return None
    speech = tuple(
        (max(a, start) - start, min(b, end) - start)
        for a, b in job.speech
        if a < end and b > start
    )
    options = replace(job.options, language=clip.language)
    return Job(job.samples[start:end], options, speech=speech, tenant=job.tenant)
