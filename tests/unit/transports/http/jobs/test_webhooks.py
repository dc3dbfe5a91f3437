"""Webhooks: what is sent, when it is sent again, and what is refused. In virtual time."""

from __future__ import annotations

import asyncio
import base64
import json
import logging
from collections.abc import Callable

import httpx2
import pytest

from tests.support.virtual_time import run
from wyoming_faster_whisper.errors import SettingError
from wyoming_faster_whisper.transports.http.api_errors import ApiError
from wyoming_faster_whisper.transports.http.jobs.webhooks import Webhooks, sign

PREFIX = "https://hooks.example.org/stt"
KEY = bytes(range(32))
SECRET = "whsec_" + base64.b64encode(KEY).decode()
EPOCH = 1_800_000_000
Handler = Callable[[httpx2.Request], httpx2.Response]


class Receiver:
    """Receives webhooks, and answers with statuses in turn; 0 = it does not answer."""

    def __init__(self, *statuses: int) -> None:
        self.requests: list[httpx2.Request] = []
        self.times: list[float] = []
        self.at_once = self.most_at_once = 0
        self._statuses = list(statuses)

    async def handle(self, request: httpx2.Request) -> httpx2.Response:
        self.requests.append(request)
        self.times.append(asyncio.get_running_loop().time())
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        try:
            status = self._statuses.pop(0) if self._statuses else 200
            if not status:
                await asyncio.Event().wait()
            if status == 1:
                raise httpx2.ConnectError("connection refused")
            return httpx2.Response(status, headers={"location": "https://evil.example/"})
        finally:
            self.at_once -= 1


def webhooks(receiver: Receiver, *, secret: str = SECRET, prefix: str = PREFIX) -> Webhooks:
    loop = asyncio.get_running_loop()
    return Webhooks(
        [prefix],
        secret,
        now=lambda: EPOCH + loop.time(),
        transport=httpx2.MockTransport(receiver.handle),
    )


def test_an_event_names_the_job_and_is_signed() -> None:
    async def test() -> None:
        receiver = Receiver()
        sender = webhooks(receiver)
        sender.notify(f"{PREFIX}/a?b=c", "transcription.completed", "trsc_1")
        await sender.close(1)
        [request] = receiver.requests
        assert (request.method, str(request.url)) == ("POST", f"{PREFIX}/a?b=c")
        event = json.loads(request.content)
        assert event == {
            "id": request.headers["webhook-id"],
            "object": "event",
            "type": "transcription.completed",
            "created_at": EPOCH,
            "data": {"id": "trsc_1"},
        }
        assert request.headers["webhook-timestamp"] == str(EPOCH)
        expected = sign(KEY, event["id"], EPOCH, request.content)
        assert request.headers["webhook-signature"] == expected
        assert request.headers["content-type"] == "application/json"

    run(test())


def test_the_signature_is_that_of_the_specification() -> None:
    """The example of the specification's reference implementations."""
    key = base64.b64decode("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signature = sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signature == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_an_event_is_sent_again_with_the_same_id_if_the_receiver_fails() -> None:
    async def test() -> None:
        receiver = Receiver(500, 1, 0, 200)
        sender = webhooks(receiver)
        sender.notify(PREFIX, "transcription.failed", "trsc_1")
        await sender.close(1000)
        assert receiver.times == [0, 2, 12, 82]  # the third takes its 10 s
        assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1
        stamps = [int(request.headers["webhook-timestamp"]) for request in receiver.requests]
        assert stamps == [EPOCH, EPOCH + 2, EPOCH + 12, EPOCH + 82]

    run(test())


def test_an_event_is_lost_after_four_attempts(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        receiver = Receiver(*[503] * 10)
        sender = webhooks(receiver)
        sender.notify(f"{PREFIX}?token=private", "transcription.failed", "trsc_1")
        await sender.close(1000)
        assert len(receiver.requests) == 4

    caplog.set_level(logging.INFO)
    run(test())
    assert "is lost: status 503" in caplog.text
    assert "private" not in caplog.text


@pytest.mark.parametrize("status", [301, 307, 400, 404, 410, 429])
def test_a_redirect_or_a_refusal_is_final(status: int) -> None:
    async def test() -> None:
        receiver = Receiver(status)
        sender = webhooks(receiver)
        sender.notify(PREFIX, "transcription.completed", "trsc_1")
        await sender.close(1000)
        assert len(receiver.requests) == 1

    run(test())


def test_a_hanging_receiver_takes_a_limited_number_of_connections() -> None:
    async def test() -> None:
        receiver = Receiver(*[0] * 100)
        sender = webhooks(receiver)
        for _ in range(20):
            sender.notify(PREFIX, "transcription.completed", "trsc_1")
        await sender.close(500)
        assert receiver.most_at_once == 8

    run(test())


def test_the_number_of_waiting_events_is_limited(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        receiver = Receiver(*[0] * 2000)
        sender = webhooks(receiver)
        for _ in range(1001):
            sender.notify(PREFIX, "transcription.completed", "trsc_1")
        await sender.close(0)

    run(test())
    assert "1000 webhooks are waiting" in caplog.text


def test_a_stopping_server_waits_for_a_limited_time(caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> None:
        sender = webhooks(Receiver(0))
        sender.notify(PREFIX, "transcription.completed", "trsc_1")
        await sender.close(2)
        assert asyncio.get_running_loop().time() == 2

    run(test())
    assert "1 webhooks were not delivered" in caplog.text


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("https://evil.example/stt", "no prefix of --webhook-url"),
        (f"{PREFIX}evil", "no prefix of --webhook-url"),
        ("http://hooks.example.org/stt", "no prefix of --webhook-url"),
        (f"{PREFIX}/../admin", "segment of dots"),
        ("https://hooks.example.org@evil.example/stt", "it must be like"),
    ],
)
def test_a_url_outside_the_prefixes_is_refused(url: str, says: str) -> None:
    async def test() -> None:
        sender = webhooks(Receiver())
        sender.check(f"{PREFIX}/a")
        with pytest.raises(ApiError, match=says) as refused:
            sender.check(url)
        assert (refused.value.status, refused.value.param) == (400, "webhook_url")
        await sender.close(0)

    run(test())


@pytest.mark.parametrize(
    ("secret", "prefix", "says"),
    [
        (SECRET[6:], PREFIX, "--webhook-secret"),
        ("whsec_", PREFIX, "--webhook-secret"),
        ("whsec_c2hvcnQ=", PREFIX, "24 to 64 bytes"),
        ("whsec_not base64", PREFIX, "--webhook-secret"),
        (SECRET, "hooks.example.org", "--webhook-url"),
        (SECRET, f"{PREFIX}?token=1", "--webhook-url"),
    ],
)
def test_settings_that_cannot_be_used_are_refused(secret: str, prefix: str, says: str) -> None:
    async def test() -> None:
        with pytest.raises(SettingError, match=says) as refused:
            webhooks(Receiver(), secret=secret, prefix=prefix)
        assert "c2hvcnQ" not in str(refused.value)

    run(test())
