"""The file of API keys: one "NAME KEY [SCOPE,SCOPE]" a line.

Only digests of the keys are kept. A fast hash suffices, because the keys are long and random.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from ...errors import SettingError
from ...watched_file import read_text
from .scopes import USUAL, Scope, known

SHORTEST_KEY = 16
"""Minimum length of a key in characters."""

_LARGEST_FILE = 1024 * 1024  # bytes
_NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}")
_KEY = re.compile(rf"[!-~]{{{SHORTEST_KEY},512}}")
# A client that sends these means something else: a client secret, a token.
_FOREIGN = re.compile(r"ek_.*|eyJ[^.]*\.[^.]*\.[^.]*")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key in the file."""

    name: str  # of the client; several keys may have the same
    digest: bytes  # SHA-256 of the key
    scopes: frozenset[Scope]


def digest_of(key: str) -> bytes:
    """Return the digest by which keys are compared."""
    return hashlib.sha256(key.encode()).digest()


def read_key_file(path: Path) -> tuple[ApiKey, ...]:
    """Read the keys. Blocking.

    Raises:
        SettingError: the file cannot be read or others can read it, or a line is wrong.
    """
    text = read_text(path, "--api-keys", _LARGEST_FILE, partial(_check_mode, path))
    try:
        return parse_keys(text)
    except ValueError as error:
        raise SettingError(f"--api-keys {path}, {error}") from None


def _check_mode(path: Path, found: os.stat_result) -> None:
    # As ssh does with private keys: a file of another owner, such as a secret that Docker or
    # Kubernetes mounts, cannot be protected better by this user.
    if found.st_uid == os.getuid() and found.st_mode & 0o077:
        mode = stat.S_IMODE(found.st_mode)
        raise SettingError(
            f"--api-keys {path} has mode {mode:04o}, so that other users can read the keys; "
            f"run chmod 600 {path}"
        )


def parse_keys(text: str) -> tuple[ApiKey, ...]:
    """Return the keys in the text of a file.

    Raises:
        ValueError: a line is wrong. The message has its number, but nothing of its key.
    """
    keys: dict[bytes, ApiKey] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            key = _parse(words)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
        if key.digest in keys:
            raise ValueError(f"line {number}: {keys[key.digest].name} has the same key")
        keys[key.digest] = key
    return tuple(keys.values())


def _parse(words: list[str]) -> ApiKey:
    if len(words) not in (2, 3):
        raise ValueError(f"{len(words)} words; it must be NAME KEY or NAME KEY SCOPE,SCOPE")
    name, key = words[:2]
    if not _NAME.fullmatch(name):
        raise ValueError("the name must have 1 to 64 letters, digits or ._@-")
    if len(key) < SHORTEST_KEY:
        raise ValueError(
            f"the key of {name} has {len(key)} characters; it must have at least {SHORTEST_KEY}; "
            "openssl rand -hex 32 makes a good one"
        )
    if not _KEY.fullmatch(key):
        raise ValueError(f"the key of {name} must be 512 ASCII characters at most")
    if _FOREIGN.fullmatch(key):
        raise ValueError(f"the key of {name} looks like a token; choose another one")
    return ApiKey(name, digest_of(key), _scopes(words[2]) if len(words) == 3 else USUAL)


def _scopes(text: str) -> frozenset[Scope]:
    names = set(text.split(","))
    scopes = known(names)
    if len(scopes) != len(names):
        raise ValueError(f"the scopes must be among {', '.join(Scope)}")
    return scopes
