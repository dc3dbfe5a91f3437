"""The key that a client sends, and how it must not send it."""

from __future__ import annotations

import pytest

from wyoming_faster_whisper.transports.auth.refusal import Reason, Refused
from wyoming_faster_whisper.transports.http.presented_key import LONGEST_KEY, presented_key

KEY = b"0123456789abcdef"
BEARER = (b"authorization", b"Bearer " + KEY)
PROTOCOLS = ("realtime", "openai-insecure-api-key.0123456789abcdef", "openai-beta.realtime-v1")


@pytest.mark.parametrize(
    "header",
    [
        BEARER,
        (b"authorization", b"bearer " + KEY),
        (b"authorization", b"BEARER   " + KEY + b" "),
        (b"api-key", KEY),
        (b"x-api-key", KEY),
    ],
)
def test_a_key_comes_in_one_of_three_headers(header: tuple[bytes, bytes]) -> None:
    assert presented_key([(b"host", b"localhost"), header], b"model=whisper-1") == KEY.decode()


def test_a_browser_offers_the_key_of_a_websocket_as_a_protocol() -> None:
    assert presented_key([], b"", PROTOCOLS) == KEY.decode()


def test_the_same_key_may_be_sent_twice() -> None:
    assert presented_key([BEARER, (b"api-key", KEY)], b"", PROTOCOLS) == KEY.decode()


def test_another_scheme_leaves_room_for_a_key_in_a_header() -> None:
    """A reverse proxy may want its own Authorization."""
    basic = (b"authorization", b"Basic dXNlcjpwYXNz")
    assert presented_key([basic, (b"x-api-key", KEY)], b"") == KEY.decode()


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ([], Reason.MISSING),
        ([(b"authorization", b"")], Reason.MISSING),
        ([(b"authorization", b"Bearer")], Reason.MISSING),
        ([(b"authorization", b"Bearer  ")], Reason.MISSING),
        ([(b"authorization", b"Basic " + KEY)], Reason.MISSING),
        ([(b"authorization", KEY)], Reason.MISSING),
        ([(b"x-api-key", b"")], Reason.MISSING),
        ([(b"cookie", b"authorization=" + KEY)], Reason.MISSING),
        ([BEARER, BEARER], Reason.AMBIGUOUS),
        ([BEARER, (b"authorization", b"Basic x")], Reason.AMBIGUOUS),
        ([BEARER, (b"api-key", KEY + b"0")], Reason.AMBIGUOUS),
        ([(b"authorization", "Bearer schlüssel".encode())], Reason.MALFORMED),
        ([(b"authorization", b"Bearer " + KEY + b" " + KEY)], Reason.MALFORMED),
        ([(b"authorization", b"Bearer \x00" + KEY)], Reason.MALFORMED),
        ([(b"authorization", b"Bearer " + b"a" * (LONGEST_KEY + 1))], Reason.MALFORMED),
    ],
)
def test_a_request_without_exactly_one_proper_key_is_refused(
    headers: list[tuple[bytes, bytes]], reason: Reason
) -> None:
    with pytest.raises(Refused) as refused:
        presented_key(headers, b"")
    assert refused.value.reason is reason
    assert KEY.decode() not in str(refused.value)


@pytest.mark.parametrize(
    "query",
    [
        b"api_key=x",
        b"model=a&access_token=x",
        b"API_KEY=x",
        b"api%5Fkey=x",
        b"key=x",
        b"token=x",
        b"apikey=x&api-key=y",
    ],
)
def test_a_key_in_the_url_is_refused_even_beside_a_good_one(query: bytes) -> None:
    with pytest.raises(Refused, match="must not be in the URL") as refused:
        presented_key([BEARER], query)
    assert refused.value.reason is Reason.IN_URL
