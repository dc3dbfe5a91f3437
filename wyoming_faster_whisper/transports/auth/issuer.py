"""Sources of an issuer's keys: its URL, or a file."""

from __future__ import annotations

import asyncio
import json
import logging
from pathlib import Path

import httpx2

from ...errors import request_failure
from .jwks import FetchError

_SECONDS = 5.0  # for one fetch, with the discovery of the URL
_LARGEST = 256 * 1024  # bytes of a response or file
_DISCOVERY = "/.well-known/openid-configuration"


class KeySetFile:
    """A key set in a file.

    Args:
        path: the file. It is read for each fetch.
    """

    def __init__(self, path: Path) -> None:
        self.name = f"--jwt-jwks {path}"
        self._path = path

    async def fetch(self) -> bytes:
        """Return the key set.

        Raises:
            FetchError: the file cannot be read or is too large.
        """
        try:
            return await asyncio.to_thread(self._read)
        except OSError as error:
            raise FetchError(error.strerror or str(error)) from None

    def _read(self) -> bytes:
        with self._path.open("rb") as file:
            data = file.read(_LARGEST + 1)
        if len(data) > _LARGEST:
            raise FetchError(f"it is larger than {_LARGEST} bytes")
        return data

    async def close(self) -> None:
        """Do nothing: the file is not kept open."""


class KeySetUrl:
    """A key set at a URL. The constructor blocks: it reads certificates.

    Redirects are not followed, and the environment's proxies and .netrc are not used.

    Args:
        issuer: whose OpenID Connect discovery names the URL.
        url: of the key set; None = discover it.
    """

    def __init__(self, issuer: str, url: str | None) -> None:
        self.name = f"--jwt-jwks {url}" if url else f"--jwt-issuer {issuer}"
        self._issuer = issuer
        self._url = url
        self._client = httpx2.AsyncClient(
            follow_redirects=False,
            headers={
                "user-agent": "wyoming-faster-whisper",
                "accept": "application/json",
                # A small compressed response could unpack to a very large one.
                "accept-encoding": "identity",
            },
            timeout=_SECONDS,
            trust_env=False,
        )
        logging.getLogger("httpx2").setLevel(logging.WARNING)  # else it logs each request

    async def fetch(self) -> bytes:
        """Return the key set.

        Raises:
            FetchError: there is no proper response in time, or it is too large.
        """
        try:
            async with asyncio.timeout(_SECONDS):
                return await self._get(self._url or await self._discover())
        except TimeoutError:
            raise FetchError(f"no response within {_SECONDS:g} s") from None
        except (httpx2.HTTPError, httpx2.InvalidURL) as error:
            raise FetchError(request_failure(error)) from None

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _discover(self) -> str:
        """Return the URL that the issuer's discovery document names."""
        try:
            found = json.loads(await self._get(self._issuer.rstrip("/") + _DISCOVERY))
        except (ValueError, RecursionError):
            raise FetchError("the discovery document is not JSON") from None
        if not isinstance(found, dict) or found.get("issuer") != self._issuer:
            raise FetchError(
                "the discovery document is of another issuer; --jwt-issuer must be equal to its "
                "member issuer, with or without a slash at the end"
            )
        url = found.get("jwks_uri")
        schemes = ("https:",) if self._issuer.startswith("https:") else ("https:", "http:")
        if not isinstance(url, str) or not url.startswith(schemes):
            raise FetchError("jwks_uri of the discovery document is not an https URL")
        return url

    async def _get(self, url: str) -> bytes:
        data = bytearray()
        async with self._client.stream("GET", url) as response:
            if response.status_code != 200:
                raise FetchError(f"status {response.status_code}")
            async for chunk in response.aiter_raw():
                data += chunk
                if len(data) > _LARGEST:
                    raise FetchError(f"it is larger than {_LARGEST} bytes")
        return bytes(data)
