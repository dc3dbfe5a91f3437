"""Build the authentication of the HTTP API from the operator's settings."""

from __future__ import annotations

from pathlib import Path

from ..config.settings import Settings
from ..transports.auth.api_keys import ApiKeys
from ..transports.auth.authenticator import Authenticator


def make_authenticator(settings: Settings) -> Authenticator | None:
    """Make the authentication; None if the settings ask for none. Blocking: it reads files.

    Raises:
        SettingError: a file cannot be used, or an extra is not installed.
    """
    if settings.api_keys is None:
        return None
    return Authenticator(ApiKeys(Path(settings.api_keys)))
