"""The cache of an issuer's keys: when it fetches, and what it does if that fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest

from tests.support.issuer import ec_key, jwk, key_set, rsa_key
from tests.support.virtual_time import run
from wyoming_faster_whisper.transports.auth.jwks import (
    COOL_DOWN,
    EARLY,
    LONGEST,
    OLD,
    FetchError,
    Jwks,
)
from wyoming_faster_whisper.transports.auth.refusal import Reason, Refused

ONE, TWO = key_set(jwk(rsa_key(), "one")), key_set(jwk(rsa_key("2"), "two"))


class Source:
    """A key set that can fail, and can take some time."""

    name = "the issuer"

    def __init__(self, body: bytes = ONE) -> None:
        self.body: bytes | None = body  # None: it fails
        self.seconds = 0.0
        self.times: list[float] = []  # of the fetches

    async def fetch(self) -> bytes:
        self.times.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self.seconds)
        if self.body is None:
            raise FetchError("connection refused")
        return self.body

    async def close(self) -> None: ...


def check(
    test: Callable[[Jwks, Source], Awaitable[None]], source: Source | None = None
) -> Source:
    """Run a test with keys that have been fetched at time 0."""
    source = source or Source()

    async def started() -> None:
        keys = Jwks(source)
        await keys.start()
        await asyncio.sleep(0.001)
        await test(keys, source)
        await keys.close()

    run(started())
    return source


async def reason(keys: Jwks, kid: str | None) -> Reason | None:
    """Return why a key is not found; None if it is."""
    try:
        await keys.find(kid, "RS256")
    except Refused as error:
        return error.reason
    return None


def test_keys_are_fetched_at_the_start_and_then_used() -> None:
    async def test(keys: Jwks, source: Source) -> None:
        for _ in range(100):
            assert (await keys.find("one", "RS256")).kid == "one"

    assert check(test).times == [0]


def test_without_a_key_id_the_only_key_of_the_algorithm_is_used() -> None:
    async def test(keys: Jwks, source: Source) -> None:
        assert await reason(keys, None) is None
        source.body = key_set(jwk(rsa_key(), "one"), jwk(rsa_key("2"), "two"))
        await asyncio.sleep(OLD)
        assert await reason(keys, None) is Reason.SIGNATURE

    check(test)


def test_ten_thousand_unknown_key_ids_cause_one_fetch_per_cool_down() -> None:
    async def test(keys: Jwks, source: Source) -> None:
        source.seconds = 1.0
        for round in range(5):
            finds = (reason(keys, f"bad {round} {n}") for n in range(10_000))
            assert set(await asyncio.gather(*finds)) == {Reason.SIGNATURE}
            await asyncio.sleep(COOL_DOWN / 2)

    times = check(test).times
    assert len(times) == 3
    assert all(later - one >= COOL_DOWN for one, later in pairwise(times))


def test_bad_key_ids_do_not_delay_good_ones() -> None:
    async def test(keys: Jwks, source: Source) -> None:
        await asyncio.sleep(COOL_DOWN)
        source.seconds = 5.0
        bad = asyncio.create_task(reason(keys, "bad"))
        await asyncio.sleep(0)
        before = asyncio.get_running_loop().time()
        assert await reason(keys, "one") is None
        assert asyncio.get_running_loop().time() == before
        assert await bad is Reason.SIGNATURE

    check(test)


def test_a_rotated_key_is_fetched_when_the_first_token_names_it() -> None:
    async def test(keys: Jwks, source: Source) -> None:
        await asyncio.sleep(COOL_DOWN)
        source.body = TWO
        assert await reason(keys, "two") is None
        assert await reason(keys, "one") is Reason.SIGNATURE

    assert len(check(test).times) == 2


def test_a_removed_key_is_refused_after_the_next_refresh() -> None:
    async def test(keys: Jwks, source: Source) -> None:
        source.body = TWO
        await asyncio.sleep(OLD - 1)
        assert await reason(keys, "one") is None, "and refreshes in the background"
        await asyncio.sleep(1)
        assert await reason(keys, "one") is Reason.SIGNATURE

    check(test)


def test_after_a_pause_a_removed_key_is_refused_at_once() -> None:
    async def test(keys: Jwks, source: Source) -> None:
        source.body = TWO
        await asyncio.sleep(10 * OLD)
        assert await reason(keys, "one") is Reason.SIGNATURE

    check(test)


def test_keys_are_refreshed_before_they_are_old_so_that_no_token_waits() -> None:
    async def test(keys: Jwks, source: Source) -> None:
        source.seconds = 2.0
        loop = asyncio.get_running_loop()
        for _ in range(100):
            await asyncio.sleep(10)
            before = loop.time()
            assert await reason(keys, "one") is None
            assert loop.time() == before

    times = check(test).times
    assert len(times) == 5
    assert all(EARLY <= later - one < OLD for one, later in pairwise(times))


def test_without_requests_nothing_is_fetched() -> None:
    async def test(keys: Jwks, source: Source) -> None:
        await asyncio.sleep(LONGEST)

    assert check(test).times == [0]


@pytest.mark.parametrize("body", [None, b"<html>", key_set()])
def test_the_last_keys_are_used_while_the_issuer_is_down(
    body: bytes | None, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(keys: Jwks, source: Source) -> None:
        source.body = body
        for _ in range(20):
            await asyncio.sleep(OLD)
            assert await reason(keys, "one") is None
        assert await reason(keys, "two") is Reason.SIGNATURE

    check(test)
    assert "the keys fetched last stay valid" in caplog.text


def test_keys_of_yesterday_are_not_used() -> None:
    async def test(keys: Jwks, source: Source) -> None:
        source.body = None
        await asyncio.sleep(LONGEST - 1)
        assert await reason(keys, "one") is None
        await asyncio.sleep(COOL_DOWN)
        assert await reason(keys, "one") is Reason.UNAVAILABLE
        source.body = ONE
        await asyncio.sleep(COOL_DOWN)
        assert await reason(keys, "one") is None

    check(test)


def test_if_the_issuer_is_down_at_the_start_tokens_are_accepted_when_it_is_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    down = Source()
    down.body = None

    async def test(keys: Jwks, source: Source) -> None:
        for _ in range(1000):
            assert await reason(keys, "one") is Reason.UNAVAILABLE
        source.body = ONE
        assert await reason(keys, "one") is Reason.UNAVAILABLE, "until the cool-down is over"
        await asyncio.sleep(COOL_DOWN)
        assert await reason(keys, "one") is None

    assert len(check(test, down).times) == 2
    assert "the issuer cannot be used: connection refused; tokens are refused" in caplog.text


def test_a_client_that_leaves_does_not_cancel_the_fetch_of_others() -> None:
    slow = Source()
    slow.seconds = 1.0

    async def test(keys: Jwks, source: Source) -> None:
        leaves = asyncio.create_task(reason(keys, "one"))
        stays = asyncio.create_task(reason(keys, "one"))
        await asyncio.sleep(0)
        leaves.cancel()
        assert await stays is None

    assert len(check(test, slow).times) == 1


def test_closing_ends_a_fetch() -> None:
    async def test(keys: Jwks, source: Source) -> None:
        source.seconds = 1e9
        await asyncio.sleep(OLD - 1)
        assert await reason(keys, "one") is None
        await asyncio.sleep(0)
        assert len(source.times) == 2

    check(test)


def test_only_the_algorithm_of_a_key_is_used_with_it() -> None:
    async def test(keys: Jwks, source: Source) -> None:
        with pytest.raises(Refused):
            await keys.find("ec", "RS256")

    check(test, Source(key_set(jwk(ec_key(), "ec"))))
