"""Addresses on which the server listens and clients connect. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from ..errors import SettingError

DEFAULT_PORT = 10300

DEFAULT_URI = f"tcp://127.0.0.1:{DEFAULT_PORT}"
"""Address to which the commands connect by default."""


@dataclass(frozen=True, slots=True)
class Address:
    """A parsed --uri."""

    scheme: str  # "tcp", "unix" or "stdio"
    host: str = ""  # tcp only
    port: int = 0  # tcp only; 0 = any free port
    path: str = ""  # unix only

    @staticmethod
    def parse(uri: str) -> Address:
        """Parse tcp://HOST:PORT, unix://PATH or stdio://.

        Raises:
            SettingError: the URI has none of these forms.
        """
        # Without urlsplit(), because the name of a file may contain # and ?.
        scheme, _, path = uri.strip().partition(":")
        if scheme.lower() == "unix" and (path := path.removeprefix("//")):
            return Address("unix", path=path)
        try:
            url = urlsplit(uri)
            port = url.port
        except ValueError:
            raise SettingError(
                f"--uri is {uri!r}; it must be tcp://HOST:PORT with a port from 0 to 65535"
            ) from None
        if url.scheme == "tcp" and port is not None:
            return Address("tcp", host=url.hostname or "0.0.0.0", port=port)
        if url.scheme == "stdio":
            return Address("stdio")
        raise SettingError(
            f"--uri is {uri!r}; it must be tcp://HOST:PORT, unix://PATH or stdio://"
        )

    def __str__(self) -> str:
        if self.scheme == "tcp":
            host = f"[{self.host}]" if ":" in self.host else self.host
            return f"tcp://{host}:{self.port}"
        return f"{self.scheme}://{self.path}"
