"""TLS contexts. The Wyoming protocol has neither encryption nor authentication of its own."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any

from ..errors import SettingError


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
