"""The API keys in use: finds the client of a key, and follows changes of the file."""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from ...errors import SettingError, counted
from ...principal import Principal
from ...tenant import Identity, IdentityKind
from ...watched_file import changes, version_of
from .grant import Grant
from .key_file import ApiKey, digest_of, read_key_file
from .refusal import Reason, Refused

_LOGGER = logging.getLogger(__name__)

_PREFIX = "key:"  # of a principal's key; addresses and tokens have others


@dataclass(frozen=True, slots=True)
class _Known:
    """State of a key in the file."""

    # Random, because client secrets carry it, which can be read.
    id: str = field(default_factory=lambda: secrets.token_hex(8))
    deleted: asyncio.Event = field(default_factory=asyncio.Event)


class ApiKeys:
    """The keys of a file. The constructor blocks; afterwards it lives on the event loop.

    Args:
        path: the file; see key_file.py.
        interval: seconds between checks whether the file has changed.

    Raises:
        SettingError: the file cannot be used, or has no keys.
    """

    def __init__(self, path: Path, *, interval: float = 1.0) -> None:
        self._path = path
        self._interval = interval
        self._version = version_of(path)  # before the file is read, so that no change is missed
        keys = read_key_file(path)
        if not keys:
            raise SettingError(f"--api-keys {path} has no keys; a line is NAME KEY")
        self._keys = {key: _Known() for key in keys}

    def names(self) -> set[str]:
        """Return the names of the keys."""
        return {key.name for key in self._keys}

    def find(self, text: str) -> Grant | None:
        """Return what a key allows; None if there is no such key.

        It takes the same time for all keys.
        """
        digest, found = digest_of(text), None
        for key in self._keys:
            if hmac.compare_digest(key.digest, digest):
                found = key
        return self._grant(found) if found else None

    def renew(self, principal: Principal) -> Grant | None:
        """Return what a client may do now; None if its key has been deleted.

        Args:
            principal: of a grant that find() has returned.
        """
        for key, known in self._keys.items():
            if known.id == principal.credential:
                return self._grant(key)
        return None

    def _grant(self, key: ApiKey) -> Grant:
        known = self._keys[key]
        return Grant(
            Principal(
                _PREFIX + key.name,
                key.name,
                identities=(Identity(IdentityKind.KEY, key.name),),
                credential=known.id,
            ),
            key.scopes,
            partial(self._deleted, key.name, known.deleted),
        )

    @staticmethod
    async def _deleted(name: str, deleted: asyncio.Event) -> Refused:
        await deleted.wait()
        return Refused(Reason.REVOKED, "this key is no longer valid", name=name)

    async def watch(self) -> None:
        """Read the file again whenever it has changed. Never returns.

        The keys stay as they are while the file cannot be used.
        """
        async for _ in changes(partial(version_of, self._path), self._version, self._interval):
            await self._reload()

    async def _reload(self) -> None:
        try:
            keys = await asyncio.to_thread(read_key_file, self._path)
        except SettingError as error:
            _LOGGER.error("%s; the keys that were read before stay valid", error)
            return
        old = self._keys
        self._keys = {key: old.get(key) or _Known() for key in keys}
        gone = [key for key in old if key not in self._keys]
        for key in gone:
            old[key].deleted.set()
        _LOGGER.info(
            "%s: %s, %d of them new; %s deleted",
            self._path,
            counted(len(keys), "key"),
            len(keys) - len(old) + len(gone),
            counted(len(gone), "key"),
        )
