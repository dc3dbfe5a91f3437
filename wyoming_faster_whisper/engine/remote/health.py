"""Health of a server on another machine, which is checked periodically."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

from ...errors import ServerError

_LOGGER = logging.getLogger(__name__)

_BETWEEN = 10.0  # seconds between two checks of an available server
_BACK_OFF = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)  # seconds before each check of an unavailable one


class Health:
    """Result of the last check of a server. Lives on one event loop.

    Args:
        name: of the server in the log, like "upstream tcp://gpu-box:10300".
        check: checks the server once. It raises ServerError if the server is unavailable.
    """

    def __init__(self, name: str, check: Callable[[], Awaitable[object]]) -> None:
        self.name = name
        self.why = "it has not been checked yet"  # a sentence, while the server is unavailable
        self._check = check
        self._available = asyncio.Event()
        self._now = asyncio.Event()  # set: check at once
        self._failures = 0

    def __repr__(self) -> str:
        return f"<Health of {self.name}: {'well' if self.available else 'away'}>"

    @property
    def available(self) -> bool:
        """True while the server is available. May be read in any thread."""
        return self._available.is_set()

    async def recovered(self) -> None:
        """Wait until the server is available."""
        await self._available.wait()

    async def check(self) -> None:
        """Check the server once."""
        try:
            await self._check()
        except ServerError as error:
            self.lost(str(error))
            return
        if not self.available:
            _LOGGER.info("%s is available", self.name)
        self._failures = 0
        self._available.set()

    async def check_repeatedly(self) -> None:
        """Check the server periodically until cancelled; an unavailable one after a back-off."""
        while True:
            tries = min(self._failures, len(_BACK_OFF))
            pause = _BACK_OFF[tries - 1] if tries else _BETWEEN
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._now.wait()
            self._now.clear()
            await self.check()

    def lost(self, why: str) -> None:
        """Mark the server as unavailable until a check finds otherwise."""
        if self.available or not self._failures:
            _LOGGER.warning("%s is unavailable: %s", self.name, why)
        self._available.clear()
        self.why = why
        self._failures += 1

    def suspect(self) -> None:
        """Check the server at once: a request has failed."""
        self._now.set()
