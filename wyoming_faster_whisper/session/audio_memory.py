"""Memory budget for the recordings of all sessions. Lives on the event loop."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Protocol

from ..errors import Busy
from ..tenant import HOUSE, Tenant, has_room


class Budget(Protocol):
    """Memory for recordings."""

    def reserve(self, samples: int) -> None:
        """Reserve memory for more samples. The caller must release() it later.

        Raises:
            Busy: there is no room for them.
        """

    def release(self, samples: int) -> None: ...


@dataclass(slots=True)
class AudioMemory:
    """Memory budget for the recordings of all sessions together, which tenants share."""

    limit: int = 1_000_000_000  # bytes: 250 clients with two minutes of audio each
    used: int = 0  # bytes; a stored sample takes two
    _tenants: Counter[str] = field(default_factory=Counter)  # bytes by name

    def of(self, tenant: Tenant) -> Budget:
        """Return the budget of one tenant: a part of this one."""
        return _Part(self, tenant)

    def reserve(self, samples: int, tenant: Tenant = HOUSE) -> None:
        """See Budget.reserve()."""
        own, size = self._tenants[tenant.name], 2 * samples
        # As the last byte would be reserved, so that what is larger than the room is refused.
        if size and not has_room(own + size - 1, self.used + size - 1, self.limit, tenant):
            raise Busy(f"{own} bytes of audio are waiting already; try again later")
        self.used += size
        self._tenants[tenant.name] += size

    def release(self, samples: int, tenant: Tenant = HOUSE) -> None:
        """See Budget.release()."""
        self.used -= 2 * samples
        self._tenants[tenant.name] -= 2 * samples
        if not self._tenants[tenant.name]:
            del self._tenants[tenant.name]


@dataclass(frozen=True, slots=True)
class _Part:
    """The part of a budget that one tenant uses."""

    whole: AudioMemory
    tenant: Tenant

    def reserve(self, samples: int) -> None:
        self.whole.reserve(samples, self.tenant)

    def release(self, samples: int) -> None:
        self.whole.release(samples, self.tenant)
