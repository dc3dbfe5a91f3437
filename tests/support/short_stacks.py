"""asyncio's debug mode with short stacks.

In debug mode asyncio keeps the stack on which each callback, future and task was created. With
whole stacks, and a look at every source file on them, that took more than half of the time of
the tests with real sockets.
"""

from __future__ import annotations

import asyncio.constants
import linecache
import traceback
from collections.abc import Iterator
from itertools import islice
from types import FrameType

import pytest

_FUTURE = 6  # innermost calls that are kept of the creation of a future or a task
_CALLBACK = 2  # the same of a callback; there are several for each future


def keep_short_stacks(patch: pytest.MonkeyPatch) -> None:
    """Let asyncio keep only the innermost calls, and not look whether a source file changed."""
    walk = traceback.walk_stack

    def innermost(frame: FrameType | None) -> Iterator[tuple[FrameType, int]]:
        return islice(walk(frame), _FUTURE)

    patch.setattr(traceback, "walk_stack", innermost)
    patch.setattr(linecache, "checkcache", lambda filename=None: None)
    patch.setattr(asyncio.constants, "DEBUG_STACK_DEPTH", _CALLBACK)
