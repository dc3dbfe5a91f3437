"""Caches with a part for each tenant. Pure."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Generic, ParamSpec, TypeVar, cast

P = ParamSpec("P")
T = TypeVar("T")

_TENANTS = 32  # those that were active last


class TenantCache(Generic[P, T]):
    """Cache of what a function returns, with a part for each tenant. Threads may share it.

    A tenant that sends another vocabulary with each request evicts only its own entries, and
    cannot tell from the time of an answer what another tenant has asked for.

    Args:
        make: returns a value; must have no effects.
        size: most values of one tenant.
    """

    def __init__(self, make: Callable[P, T], size: int) -> None:
        self._make = make
        self._size = size
        self._part = lru_cache(maxsize=_TENANTS)(self._new_part)

    def __call__(self, tenant: str, *key: P.args, **more: P.kwargs) -> T:
        """Return the value for a key, from the part of a tenant."""
        return self._part(tenant)(*key, **more)

    def clear(self) -> None:
        """Forget everything."""
        self._part.cache_clear()

    def _new_part(self, tenant: str) -> Callable[P, T]:
        return cast("Callable[P, T]", lru_cache(maxsize=self._size)(self._make))
