"""Webhooks: POST an event to a URL when a job has ended, signed as Standard Webhooks are.

Only URLs with a prefix that the operator chose are called, so a client cannot make this server
reach into its network. Redirects are not followed, and the response's body is not read.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import json
import logging
import secrets
from collections.abc import Callable, Sequence

import httpx2

from ....errors import SettingError, request_failure
from ..api_errors import ApiError
from .webhook_urls import WebhookUrl

_LOGGER = logging.getLogger(__name__)

_SECONDS = 10.0  # for one attempt, from the name look-up to the status of the response
_RETRY_DELAYS = (2.0, 10.0, 60.0)  # seconds before the second attempt, the third and the last
_AT_ONCE = 8  # attempts
_PENDING = 1000  # events that have not been delivered; further ones are dropped
_SECRET_PREFIX = "whsec_"
_SECRET_BYTES = range(24, 65)  # as the specification recommends


class Webhooks:
    """Delivers events. Lives on the event loop; the constructor blocks: it reads certificates.

    Args:
        prefixes: of the URLs that may be called.
        secret: "whsec_" and the Base64 of the key.
        now: returns the seconds since the epoch.
        transport: replaces the network; for tests.

    Raises:
        SettingError: a prefix or the secret is not usable.
    """

    def __init__(
        self,
        prefixes: Sequence[str],
        secret: str,
        *,
        now: Callable[[], float],
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._prefixes = [_prefix(prefix) for prefix in prefixes]
        self._key = _key(secret)
        self._now = now
        # The environment's proxies and .netrc are not used: they are not meant for these URLs.
        self._client = httpx2.AsyncClient(
            follow_redirects=False,
            headers={"user-agent": "wyoming-faster-whisper"},
            timeout=_SECONDS,
            transport=transport,
            trust_env=False,
        )
        # It logs each URL, and these may contain tokens.
        logging.getLogger("httpx2").setLevel(logging.WARNING)
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._deliveries: set[asyncio.Task[None]] = set()

    def check(self, url: str) -> None:
        """Check whether a URL may be called.

        Raises:
            ApiError: 400, it has no prefix that the operator allows.
        """
        try:
            parsed = WebhookUrl.parse(url)
        except ValueError as error:
            raise ApiError(400, f"webhook_url: {error}", param="webhook_url") from None
        if not any(parsed.begins_with(prefix) for prefix in self._prefixes):
            raise ApiError(
                400,
                "webhook_url begins with no prefix of --webhook-url",
                param="webhook_url",
                code="webhook_url_not_allowed",
            )

    def notify(self, url: str, type: str, job: str) -> None:
        """Deliver an event later, in a task.

        Args:
            url: which check() has allowed.
            type: of the event.
            job: id of the job.
        """
        if len(self._deliveries) >= _PENDING:
            _LOGGER.warning("%d webhooks are waiting; the one of job %s is lost", _PENDING, job)
            return
        identity = f"evt_{secrets.token_hex(16)}"
        event = {
            "id": identity,
            "object": "event",
            "type": type,
            "created_at": int(self._now()),
            "data": {"id": job},
        }
        task = asyncio.create_task(self._deliver(url, identity, json.dumps(event).encode()))
        self._deliveries.add(task)
        task.add_done_callback(self._deliveries.discard)

    async def close(self, seconds: float) -> None:
        """Wait for a limited time for deliveries to end, and drop the others."""
        if self._deliveries:
            _, late = await asyncio.wait(self._deliveries, timeout=seconds)
            for task in late:
                task.cancel()
            if late:
                _LOGGER.warning("%d webhooks were not delivered before the end", len(late))
        await self._client.aclose()

    async def _deliver(self, url: str, identity: str, body: bytes) -> None:
        for delay in (*_RETRY_DELAYS, None):
            async with self._slots:
                problem, may_retry = await self._attempt(url, identity, body)
            if not problem:
                return
            host = WebhookUrl.parse(url).host
            if delay is None or not may_retry:
                _LOGGER.warning("webhook %s to %s is lost: %s", identity, host, problem)
                return
            _LOGGER.info("webhook %s to %s: %s; trying again", identity, host, problem)
            await asyncio.sleep(delay)

    async def _attempt(self, url: str, identity: str, body: bytes) -> tuple[str, bool]:
        """Send an event once.

        Returns:
            The problem ("" = none), and whether another attempt may succeed.
        """
        timestamp = int(self._now())
        headers = {
            "content-type": "application/json",
            "webhook-id": identity,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(self._key, identity, timestamp, body),
        }
        try:
            async with (
                asyncio.timeout(_SECONDS),
                self._client.stream("POST", url, content=body, headers=headers) as response,
            ):
                status = response.status_code
        except TimeoutError:
            return f"no response within {_SECONDS:g} s", True
        except httpx2.HTTPError as error:
            return request_failure(error), True
        return ("", False) if 200 <= status < 300 else (f"status {status}", status >= 500)


def sign(key: bytes, identity: str, timestamp: int, body: bytes) -> str:
    """Return the signature of an event, as Standard Webhooks defines it.

    Args:
        identity: of the event.
        timestamp: of the attempt, in seconds since the epoch.
    """
    signed = b".".join((identity.encode(), str(timestamp).encode(), body))
    return "v1," + base64.b64encode(hmac.digest(key, signed, "sha256")).decode()


def _prefix(text: str) -> WebhookUrl:
    try:
        prefix = WebhookUrl.parse(text)
        if prefix.has_query:
            raise ValueError("a prefix has no query")
    except ValueError as error:
        raise SettingError(f"--webhook-url is {text!r}: {error}") from None
    return prefix


def _key(secret: str) -> bytes:
    try:
        key = base64.b64decode(secret.removeprefix(_SECRET_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not secret.startswith(_SECRET_PREFIX) or len(key) not in _SECRET_BYTES:
        raise SettingError(
            f"--webhook-secret must be {_SECRET_PREFIX} and the Base64 of "
            f"{_SECRET_BYTES[0]} to {_SECRET_BYTES[-1]} bytes"
        )
    return key
