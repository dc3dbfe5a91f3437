"""TLS: the protocol has no authentication of its own."""

from __future__ import annotations

import ssl

from ..errors import SettingError


def server_context(cert: str, key: str | None = None, ca: str | None = None) -> ssl.SSLContext:
    """What a server shows its clients.

    Args:
        cert: file with the certificate and those that vouch for it, PEM.
        key: file with the private key; None = it is in cert.
        ca: file with whose certificates clients must show one of; None = they need none.

    Raises:
        SettingError: a file is not there, or not what it should be.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _show(context, cert, key)
    if ca is not None:
        _trust(context, ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def client_context(
    ca: str | None = None, cert: str | None = None, key: str | None = None
) -> ssl.SSLContext:
    """How a client looks at its server.

    Args:
        ca: file with whose certificates are believed; None = whom this system trusts.
        cert: file with the client's own certificate, for servers that ask for one.
        key: file with its private key; None = it is in cert.

    Raises:
        SettingError: a file is not there, or not what it should be.
    """
    context = ssl.create_default_context()
    if ca is not None:
        _trust(context, ca)
    if cert is not None:
        _show(context, cert, key)
    return context


def own_context(cert: str, key: str | None = None) -> ssl.SSLContext:
    """How a server asks itself whether it is well: it need not ask who it is.

    Raises:
        SettingError: a file is not there, or not what it should be.
    """
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    _show(context, cert, key)  # for the case that it asks its clients for one
    return context


def _show(context: ssl.SSLContext, cert: str, key: str | None) -> None:
    try:
        # Without the empty password OpenSSL would ask for one at the terminal.
        context.load_cert_chain(cert, key, password="")
    except (OSError, ValueError) as error:
        named = f"--tls-cert {cert}" + (f" and --tls-key {key}" if key else "")
        raise SettingError(
            f"{named} cannot be used: {_why(error)}; they must be PEM files, the key without a "
            "password"
        ) from None


def _trust(context: ssl.SSLContext, ca: str) -> None:
    try:
        context.load_verify_locations(ca)
    except OSError as error:
        raise SettingError(
            f"--tls-ca {ca} cannot be used: {_why(error)}; it must be a PEM file"
        ) from None


def _why(error: Exception) -> str:
    if isinstance(error, ssl.SSLError):
        return (error.reason or "no certificate or key in it").replace("_", " ").lower()
    return getattr(error, "strerror", None) or str(error)
