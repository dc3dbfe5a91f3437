"""TLS contexts. The Wyoming protocol has neither encryption nor authentication of its own."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import SettingError
from ..watched_file import FileVersion, changes, version_of

_LOGGER = logging.getLogger(__name__)


class ServerCertificate:
    """A server's certificate, read again when its files change. The constructor blocks.

    Args:
        cert, key, ca: as of server_context().
        interval: seconds between checks whether a file has changed.

    Raises:
        SettingError: a file is missing or unusable.
    """

    def __init__(
        self, cert: str, key: str | None, ca: str | None, *, interval: float = 1.0
    ) -> None:
        self._cert, self._key, self._ca = cert, key, ca
        self._interval = interval
        self._read = self._version()  # before they are read, so that no change is missed
        self._current = self._make()
        # Listeners keep it; each handshake continues with the current one.
        self.context = self._make()
        self.context.sni_callback = self._choose

    async def watch(self) -> None:
        """Follow changes of the files. Never returns.

        Connections that are open stay as they are. While the files cannot be used, such as a
        certificate whose key has not been replaced yet, nothing changes.
        """
        async for _ in changes(self._version, self._read, self._interval):
            try:
                self._current = await asyncio.to_thread(self._make)
            except SettingError as error:
                _LOGGER.error("%s; the certificate that was read before stays in use", error)
            else:
                _LOGGER.info("--tls-cert %s was read again", self._cert)

    def _version(self) -> list[FileVersion | None]:
        return [version_of(Path(each)) for each in (self._cert, self._key, self._ca) if each]

    def _make(self) -> ssl.SSLContext:
        return server_context(self._cert, self._key, self._ca)

    def _choose(self, connection: ssl.SSLObject, *_: object) -> None:
        """Continue a handshake; called with or without a server name in it."""
        connection.context = self._current


def server_context(cert: str, key: str | None = None, ca: str | None = None) -> ssl.SSLContext:
    """Make the context of a server.

    Args:
        cert: PEM file with the server's certificate chain.
        key: PEM file with its private key; None = the key is in cert.
        ca: PEM file with the CA certificates that must have signed a client's certificate; None =
            clients need no certificate.

    Raises:
        SettingError: a file is missing or unusable.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _show(context, cert, key)
    if ca is not None:
        _trust(context, ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(
    ca: str | None = None,
    cert: str | None = None,
    key: str | None = None,
    *,
    option: str = "tls",
) -> ssl.SSLContext:
    """Make the context of a client.

    Args:
        ca: PEM file with the CA certificates to trust; None = those of this system.
        cert: PEM file with the client's certificate chain, for servers that require one.
        key: PEM file with its private key; None = the key is in cert.
        option: the options that name the files begin with it, for the error text.

    Raises:
        SettingError: a file is missing or unusable.
    """
    context = ssl.create_default_context()
    if ca is not None:
        _trust(context, ca, option)
    if cert is not None:
        _show(context, cert, key, option)
    return context


def own_context(cert: str, key: str | None = None) -> ssl.SSLContext:
    """Make the context of the health check, with which a server connects to itself.

    The server's certificate is not verified, because the check connects to its own machine.

    Args:
        cert: the server's --tls-cert.
        key: the server's --tls-key.

    Raises:
        SettingError: a file is missing or unusable.
    """
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    _show(context, cert, key)  # in case the server requires client certificates
    return context


def certificate_names(certificate: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return the names of a client: its common name, then its alternative names.

    Args:
        certificate: as getpeercert() of the ssl module returns it; None or {} = there is none.
    """
    found = certificate or {}
    common = [
        value for part in found.get("subject", ()) for name, value in part if name == "commonName"
    ]
    others = [str(value) for _, value in found.get("subjectAltName", ())]
    return tuple(dict.fromkeys((*common, *others)))


def _show(context: ssl.SSLContext, cert: str, key: str | None, option: str = "tls") -> None:
    try:
        # Without a password here, OpenSSL would prompt for one on the terminal.
        context.load_cert_chain(cert, key, password="")
    except (OSError, ValueError) as error:
        named = f"--{option}-cert {cert}" + (f" and --{option}-key {key}" if key else "")
        raise SettingError(
            f"{named} cannot be used: {_why(error)}; give PEM files, the key without a password"
        ) from None


def _trust(context: ssl.SSLContext, ca: str, option: str = "tls") -> None:
    try:
        context.load_verify_locations(ca)
    except OSError as error:
        raise SettingError(
            f"--{option}-ca {ca} cannot be used: {_why(error)}; it must be a PEM file"
        ) from None


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "no certificate or key in it").replace("_", " ").lower()
    return getattr(error, "strerror", None) or str(error)
