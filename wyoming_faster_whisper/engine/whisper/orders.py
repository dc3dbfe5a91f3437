"""Grammar step: prefer a hypothesis that is an order which a home understands."""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import lru_cache
from types import ModuleType

from ...errors import SettingError
from ..protocol import LONGEST_COMMAND
from .clip import Clip
from .hallucination import Decoded

_LOGGER = logging.getLogger(__name__)


def prefer_order(clip: Clip, decoded: Decoded) -> Decoded:
    """Prefer a hypothesis that fits Home Assistant's grammar, if it is nearly as probable.

    Recordings of more than 10 s, translations and continuations of text that was sent stay as
    they are, and so do languages without a grammar.

    Args:
        decoded: n-best list, the best first, with its scores.

    Returns:
        The same n-best list with the preferred hypothesis first. The number of tokens and the
        mean log-probability stay those of the original first hypothesis.
    """
    job, options = clip.job, clip.job.options
    if (
        not options.grammar
        or len(decoded.scores) < 2
        or options.task != "transcribe"
        or job.prefix
        or job.earlier_seconds + job.seconds > LONGEST_COMMAND
    ):
        return decoded
    library = _library()
    known = library.grammar(clip.tenant, clip.language, options.hotwords) if library else None
    if library is None or known is None:
        return decoded
    gains = clip.calibration.grammar
    texts = (decoded.text, *decoded.alternatives)
    fit = library.Fit
    by_fit = {fit.NONE: 0.0, fit.ORDER: gains.order, fit.HOME: gains.home}
    best = library.choose_order(texts, decoded.scores, known, by_fit)
    if not best:
        return decoded
    order = [best, *(at for at in range(len(texts)) if at != best)]
    text, *others = (texts[at] for at in order)
    scores = tuple(decoded.scores[at] for at in order)
    return replace(decoded, text=text, alternatives=tuple(others), scores=scores)


@lru_cache(maxsize=1)
def _library() -> ModuleType | None:
    """Import the grammar on first use, because its libraries take some 10 MB.

    None, with a warning, if they are not installed. A decode server may lack them although its
    front ends ask for the grammar.
    """
    try:
        from ...biasing import grammar
    except SettingError as missing:
        _LOGGER.warning("Orders are not compared with Home Assistant's grammar: %s", missing)
        return None
    return grammar
