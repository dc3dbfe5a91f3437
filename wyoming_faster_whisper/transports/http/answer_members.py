"""Members of an answer that files and the realtime API have in common. Pure."""

from __future__ import annotations

from typing import Any

from ...session.events import Answer

JSON = "application/json"
"""Content type of such an answer."""

_LOWEST_LOGPROB = -9999.0  # as in OpenAI's answers; JSON has no infinity


def usage(answer: Answer) -> dict[str, Any]:
    """Return `usage`: the length of the audio."""
    return {"type": "duration", "seconds": round(answer.record.heard, 3)}


def token_logprobs(answer: Answer) -> list[dict[str, Any]]:
    """Return `logprobs`: the log-probability of each token of the text."""
    return [
        {
            "token": token.token,
            "bytes": list(token.bytes),
            "logprob": finite_logprob(token.logprob),
        }
        for segment in answer.segments
        for token in segment.token_logprobs
    ]


def finite_logprob(logprob: float) -> float:
    """Return a log-probability (natural log) as JSON can hold it."""
    return round(max(_LOWEST_LOGPROB, logprob), 6)
