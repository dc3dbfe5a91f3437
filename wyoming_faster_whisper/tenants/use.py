"""Current use by tenants: requests in progress, and audio in the last minute."""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ..errors import Busy, counted
from ..tenant import Tenant

_MINUTE = 60.0
_LEAST = 1.0  # seconds of audio that must be left for a request; a tenant's minute has as many


@dataclass(slots=True)
class _Budget:
    """Audio that a tenant may still send, in seconds. Negative = it has sent more."""

    left: float
    at: float  # time of the last change

    def refill(self, tenant: Tenant, now: float) -> None:
        grown = self.left + (now - self.at) * tenant.audio_per_minute / _MINUTE
        self.left, self.at = min(tenant.audio_per_minute, grown), now


class TenantUse:
    """Counts what tenants use, and refuses what exceeds their limits. Lives on the event loop.

    An utterance or a file that has begun is always served to its end. What it has beyond the
    budget for audio is missing from the budget afterwards, so that the average is kept.

    Args:
        clock: returns seconds, monotonic.
        on_refused: called with the tenant and the name of the limit that refused a request.
    """

    def __init__(
        self,
        clock: Callable[[], float] = time.monotonic,
        on_refused: Callable[[Tenant, str], None] = lambda *_: None,
    ) -> None:
        self.on_refused = on_refused
        self._clock = clock
        self._requests: Counter[str] = Counter()
        self._budgets: dict[str, _Budget] = {}  # of tenants with a limit

    def __repr__(self) -> str:
        return f"<TenantUse {dict(self._requests)}>"

    def begin(self, tenant: Tenant) -> Callable[[], None]:
        """Count one more request of a tenant.

        Returns:
            A function that ends the request; further calls do nothing.

        Raises:
            Busy: the tenant has too many requests in progress.
        """
        name, running = tenant.name, self._requests[tenant.name]
        if tenant.requests and running >= tenant.requests:
            self.on_refused(tenant, "requests")
            raise Busy(
                f"{counted(running, 'request')} in progress already, and no more are allowed at "
                "the same time; try again later"
            )
        self._requests[name] += 1
        ended = False

        def end() -> None:
            nonlocal ended
            if not ended:
                ended = True
                self._requests[name] -= 1
                if not self._requests[name]:
                    del self._requests[name]

        return end

    @contextmanager
    def request(self, tenant: Tenant) -> Iterator[None]:
        """Count one more request for as long as the context is open.

        Raises:
            Busy: as begin().
        """
        end = self.begin(tenant)
        try:
            yield
        finally:
            end()

    def check_audio(self, tenant: Tenant) -> None:
        """Check whether a tenant may send audio.

        Raises:
            Busy: it has sent as much as it may; the error says when it may send again.
        """
        if not tenant.audio_per_minute:
            return
        missing = _LEAST - self._budget(tenant).left
        if missing > 0:
            self.on_refused(tenant, "audio")
            wait = math.ceil(missing * _MINUTE / tenant.audio_per_minute)
            raise Busy(
                f"{tenant.audio_per_minute:g} s of audio a minute are used up; try again in "
                f"{wait} s",
                retry_after=wait,
            )

    def charge_audio(self, tenant: Tenant, seconds: float) -> None:
        """Take audio of a tenant off its budget."""
        if tenant.audio_per_minute:
            self._budget(tenant).left -= seconds

    def keep(self, names: Collection[str]) -> None:
        """Forget the budgets of all tenants but these."""
        self._budgets = {name: one for name, one in self._budgets.items() if name in names}

    def _budget(self, tenant: Tenant) -> _Budget:
        now = self._clock()
        found = self._budgets.get(tenant.name)
        if found is None:
            found = self._budgets[tenant.name] = _Budget(tenant.audio_per_minute, now)
        found.refill(tenant, now)
        return found
