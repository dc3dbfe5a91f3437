"""Retries after a lost connection, and the delays before them."""

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
    """Exponential backoff: the delay is 0.5 s at first and doubles up to 10 s.

    A server that was never reached is not retried: a wrong address is more likely than a server
    that is about to start.
    """

    times: int = RETRIES
    first: float = 0.5  # first delay in seconds
    longest: float = 10.0  # longest delay in seconds

    def pause(self, failed: int) -> float:
        """Return the delay in seconds after the given number of failures, 1 or more."""
        return min(self.longest, self.first * 2.0 ** min(failed - 1, 30))

    async def run(
        self,
        client: Client,
        action: Callable[[], Awaitable[_Result]],
        *,
        tell: Callable[[str], None] = lambda text: None,
    ) -> _Result:
        """Call action until it succeeds, and return its result.

        Args:
            client: is closed after each failure.
            tell: called with a sentence about each failure that is retried.

        Raises:
            ClientError: the last retry failed, or a retry would not help.
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
            return reason == "busy"  # this server's code for "come back later"
    return False
