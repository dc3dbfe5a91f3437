"""Grant: what an authenticated client may do, and until when. Pure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from ...principal import Principal
from .refusal import Reason, Refused
from .scopes import Scope


@dataclass(frozen=True, slots=True)
class Grant:
    """Result of a successful authentication."""

    principal: Principal
    scopes: frozenset[Scope]
    # Waits until the key is deleted or the token expires, and returns the error for connections
    # that are still open.
    ended: Callable[[], Awaitable[Refused]]

    def check(self, needed: Scope | None) -> None:
        """Check that the client has a scope.

        Args:
            needed: None = every client that is authenticated.

        Raises:
            Refused: the client does not have it.
        """
        if needed is not None and needed not in self.scopes:
            raise Refused(
                Reason.SCOPE,
                f"this key or token does not have the scope {needed}",
                name=self.principal.name,
            )
