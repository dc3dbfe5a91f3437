"""Results of a decoder pass, as the tests of this folder need them."""

from __future__ import annotations

from dataclasses import replace

from wyoming_faster_whisper.engine.whisper.hallucination import Decoded


def decoded(
    text: str = "turn on the light",
    *,
    tokens: int = 5,
    logprob: float = -0.3,
    no_speech: float = 0.05,
    budget: int = 30,
) -> Decoded:
    return Decoded(text, tokens, logprob, no_speech, budget)


def heard(*texts: tuple[str, float]) -> Decoded:
    (text, _), *others = texts
    likely = tuple(likely for _, likely in texts)
    return replace(decoded(text), alternatives=tuple(other for other, _ in others), scores=likely)
