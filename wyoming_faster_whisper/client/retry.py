"""What is done again after the connection broke, and how long we wait before."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from .connection import Client, ClientError, Lost, Refused, Unreachable
from .options import RETRIES

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Retry:
    """How often to try again: after 0.5 s, then twice as long each time, at most 10 s.

    A server that was never reached is not waited for: its address is wrong more
    often than it is about to start.
    """

    times: int = RETRIES
    first: float = 0.5  # seconds
    longest: float = 10.0  # seconds

    def pause(self, failed: int) -> float:
        """Seconds to wait after so many failures, at least one."""
        return min(self.longest, self.first * 2.0 ** min(failed - 1, 30))

    async def run(
        self,
        client: Client,
        action: Callable[[], Awaitable[_Result]],
        *,
        tell: Callable[[str], None] = lambda text: None,
    ) -> _Result:
        """Do it until it is done.

        Args:
            tell: is given a sentence about each failure that is not the last.

        Raises:
            ClientError: it failed once too often, or in a way that stays.
        """
        failed = 0
        while True:
            try:
                return await action()
            except ClientError as error:
                failed += 1
                if failed > self.times or not _may_pass(error, client):
                    raise
                pause = self.pause(failed)
                tell(f"{error}; trying again in {pause:g} s ({failed} of {self.times})")
                await client.close()
            await asyncio.sleep(pause)


def _may_pass(error: ClientError, client: Client) -> bool:
    match error:
        case Lost():
            return True
        case Unreachable():
            return client.reached
        case Refused(reason=reason):
            return reason == "busy"  # ours; it means "come back later"
    return False
