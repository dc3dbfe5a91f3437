"""Files that are in progress: limits by client and in total, and when to try again."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from ....engine.queue import Worker
from ....errors import Busy, counted
from ....principal import Principal
from ....tenants.use import TenantUse


class FilesInFlight:
    """Number of files of each client that are received or transcribed now.

    Args:
        most: maximum for one client.
        in_total: maximum for all clients.
        use: what tenants use; a file is one of their requests.
    """

    def __init__(self, most: int, in_total: int, use: TenantUse) -> None:
        self._most = most
        self._in_total = in_total
        self._use = use
        self._files: Counter[str] = Counter()

    @contextmanager
    def one_more(self, principal: Principal) -> Iterator[None]:
        """Count a file for as long as the context is open.

        Raises:
            Busy: the client has too many files in flight, or its tenant too many requests, or
                all clients together have too many files.
        """
        key = principal.key
        if self._files[key] >= self._most:
            raise Busy(
                f"this client has {counted(self._files[key], 'file')} in progress already; "
                "see --max-files"
            )
        if (files := self._files.total()) >= self._in_total:
            raise Busy(
                f"{counted(files, 'file')} of all clients are in progress already; see "
                "--max-total-files"
            )
        self._files[key] += 1
        try:
            with self._use.request(principal.tenant):
                yield
        finally:
            self._files[key] -= 1
            if not self._files[key]:
                del self._files[key]


def seconds_until_free(worker: Worker) -> int:
    """Estimate when the jobs that wait now will have been decoded, in whole seconds from 1."""
    return max(1, math.ceil(worker.statistics().waiting * worker.decode_seconds))
