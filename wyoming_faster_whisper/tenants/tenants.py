"""The tenants in use: reads the file of tenants, and follows its changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path

from ..errors import SettingError, counted
from ..principal import Principal
from ..tenant import IdentityKind
from ..watched_file import changes, read_text, version_of
from .directory import TenantDirectory
from .parsing import IDENTITY_KEYS, parse_tenants
from .use import TenantUse

_LOGGER = logging.getLogger(__name__)

_LARGEST_FILE = 16 * 1024 * 1024  # bytes
_INTERVAL = 1.0  # seconds between checks whether the file has changed
_MOST_NAMED = 5  # tables in a warning; a file may have thousands


def read_tenants(path: Path, models: Mapping[str, Sequence[str]]) -> TenantDirectory:
    """Read a file of tenants. Blocking.

    Args:
        models: the languages of each served model, by its name.

    Raises:
        SettingError: the file cannot be read, or a value in it is wrong.
    """
    text = read_text(path, "--tenants", _LARGEST_FILE)
    try:
        return parse_tenants(text, models)
    except ValueError as error:
        raise SettingError(f"--tenants {path}: {error}") from None


class Tenants:
    """The tenants of a file. The constructor blocks; afterwards it lives on the event loop.

    Args:
        path: the file; None = there are no tenants but the house.
        models: the languages of each served model, by its name.
        required: for each kind of identity that no client can have, the option that is missing.
        interval: seconds between checks whether the file has changed.

    Raises:
        SettingError: the file cannot be used.
    """

    def __init__(
        self,
        path: Path | None = None,
        models: Mapping[str, Sequence[str]] | None = None,
        *,
        required: Mapping[IdentityKind, str] | None = None,
        interval: float = _INTERVAL,
    ) -> None:
        self._path = path
        self._models = models or {}
        self._required = required or {}
        self._interval = interval
        self._watching: asyncio.Task[None] | None = None
        self._version = version_of(path) if path else None  # before it is read
        self.directory = read_tenants(path, self._models) if path else TenantDirectory()
        self.use = TenantUse()
        # For some kinds of identities: the option that lists them, and a function that returns
        # those that clients can have.
        self.known: dict[IdentityKind, tuple[str, Callable[[], Iterable[str]]]] = {}

    def assign(self, principal: Principal) -> Principal:
        """Return a client with the tenant that it belongs to now."""
        return self.directory.assign(principal)

    def start(self) -> None:
        """Begin to follow changes of the file; warn of tenants that no client can match."""
        if self._path is not None:
            self._warn_of_unmatched()
            self._watching = asyncio.create_task(self._watch(self._path))

    def close(self) -> None:
        """Stop following changes."""
        if self._watching is not None:
            self._watching.cancel()

    async def _watch(self, path: Path) -> None:
        """Read the file again whenever it has changed. While it has an error, nothing changes."""
        async for _ in changes(partial(version_of, path), self._version, self._interval):
            try:
                self.directory = await asyncio.to_thread(read_tenants, path, self._models)
            except SettingError as error:
                _LOGGER.error("%s; the tenants that were read before stay in force", error)
            else:
                self.use.keep(self.directory.names)
                self._warn_of_unmatched()
                _LOGGER.info(
                    "--tenants %s: %s", path, counted(len(self.directory.names), "tenant")
                )

    def _warn_of_unmatched(self) -> None:
        """Warn of tenants whose clients the server cannot recognise.

        It is no error: servers with different options may share a file, and a key may be added
        to its file later.
        """
        for kind, option in self._required.items():
            names = [f"[tenants.{name}]" for name in self.directory.tenants_by(kind)]
            self._warn(f"{IDENTITY_KEYS[kind]} of", names, f"that requires {option}")
        for kind, (option, known) in self.known.items():
            unknown = self.directory.values_by(kind)
            for value in known():
                unknown.pop(value, None)
            found = [f"{value!r} of [tenants.{name}]" for value, name in unknown.items()]
            self._warn(IDENTITY_KEYS[kind], found, f"{option} has no such name")

    def _warn(self, what: str, found: Sequence[str], why: str) -> None:
        shown = list(found[:_MOST_NAMED])
        if len(found) > _MOST_NAMED:
            shown.append(f"{len(found) - _MOST_NAMED} more")
        if shown:
            _LOGGER.warning(
                "--tenants %s: no client matches %s %s; %s",
                self._path,
                what,
                ", ".join(shown),
                why,
            )
