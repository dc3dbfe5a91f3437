"""Loading an engine: load, warm up, and why it cannot be used. Runs in a thread."""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable

from ..errors import EngineError, NoMemory, ServerError
from .protocol import Engine

_LOGGER = logging.getLogger(__name__)


def load_and_warm_up(load: Callable[[], Engine], needed: Callable[[], bool]) -> Engine:
    """Load an engine and run its first decodes. Blocking.

    Args:
        needed: returns True when a job waits; decoding that job warms the model up as well.

    Raises:
        ServerError: the engine cannot decode.
        Exception: any other, from load().
    """
    engine = load()
    if not needed():
        started = time.monotonic()
        try:
            engine.warm_up(needed)
        except Exception as error:  # it could not decode speech either
            raise as_server_error(error, "decode") from error
        _LOGGER.debug("warm-up took %.2f s", time.monotonic() - started)
    return engine


def as_server_error(error: Exception, what: str = "load") -> ServerError:
    """Convert an exception to the error that says why there is no usable model.

    Args:
        what: what the model could not do, as a verb: "load" or "decode".
    """
    if isinstance(error, ServerError):
        return error
    _LOGGER.debug("the model does not %s", what, exc_info=error)
    message = str(error) or type(error).__name__
    if isinstance(error, MemoryError) or re.search(r"alloc|out of memory", message):
        return NoMemory(
            f"not enough memory for the model ({message}); choose a smaller one with --model, or "
            "give the server more memory"
        )
    return EngineError(f"the model does not {what}: {message}")
