"""The API keys in use: whose key it is, and changes of the file."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from wyoming_faster_whisper.errors import SettingError
from wyoming_faster_whisper.principal import Principal
from wyoming_faster_whisper.transports.auth.api_keys import ApiKeys
from wyoming_faster_whisper.transports.auth.grant import Grant
from wyoming_faster_whisper.transports.auth.refusal import Reason
from wyoming_faster_whisper.transports.auth.scopes import Scope

KEY = "0123456789abcdef0123456789abcdef"
OTHER = "fedcba9876543210fedcba9876543210"
DEADLINE = 10.0  # seconds; only a failing test waits this long


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "keys"
    write(path, f"alice {KEY}\nbob {OTHER} stt:transcribe\n")
    return path


def write(path: Path, text: str, mode: int = 0o600) -> None:
    """Replace the file, as editors and Kubernetes do."""
    new = path.with_suffix(".new")
    new.write_text(text)
    new.chmod(mode)
    new.rename(path)


@asynccontextmanager
async def watched(path: Path) -> AsyncIterator[ApiKeys]:
    keys = await asyncio.to_thread(ApiKeys, path, interval=0.001)
    watching = asyncio.create_task(keys.watch())
    yield keys
    watching.cancel()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(DEADLINE):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0)


def found(keys: ApiKeys, key: str) -> Grant:
    grant = keys.find(key)
    assert grant is not None
    return grant


def test_a_key_has_a_client_with_a_name_and_scopes(path: Path) -> None:
    grant = found(ApiKeys(path), OTHER)
    assert grant.principal == Principal("key:bob", "bob")
    assert grant.scopes == {Scope.TRANSCRIBE}


@pytest.mark.parametrize("key", ["", KEY[:-1], KEY + "0", KEY.upper(), "alice", "key:alice"])
def test_a_key_that_is_not_in_the_file_is_unknown(path: Path, key: str) -> None:
    assert ApiKeys(path).find(key) is None


def test_all_keys_are_compared_in_constant_time(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first key takes as many comparisons as the last one and an unknown one."""
    compared = []
    compare = hmac.compare_digest

    def count(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", count)
    keys = ApiKeys(path)
    for key in (KEY, OTHER, "unknown"):
        compared.clear()
        keys.find(key)
        assert compared == [(32, 32), (32, 32)]


def test_a_file_without_keys_is_refused_at_the_start(path: Path) -> None:
    write(path, "# none yet\n")
    with pytest.raises(SettingError, match="has no keys; a line is NAME KEY"):
        ApiKeys(path)


async def test_a_new_key_is_valid_without_a_restart(path: Path) -> None:
    async with watched(path) as keys:
        await asyncio.to_thread(write, path, f"alice {KEY}\ncarol {KEY}{OTHER}\n")
        await until(lambda: keys.find(KEY + OTHER) is not None)
        assert keys.find(OTHER) is None


async def test_a_grant_ends_when_its_key_is_deleted(path: Path) -> None:
    async with watched(path) as keys:
        stays, ends = (asyncio.ensure_future(found(keys, key).ended()) for key in (KEY, OTHER))
        await asyncio.to_thread(write, path, f"alice {KEY}\n")
        async with asyncio.timeout(DEADLINE):
            error = await ends
        assert (error.reason, error.name) == (Reason.REVOKED, "bob")
        assert not stays.done()
        stays.cancel()


async def test_a_grant_ends_when_the_scopes_of_its_key_change(path: Path) -> None:
    async with watched(path) as keys:
        ended = asyncio.ensure_future(found(keys, OTHER).ended())
        await asyncio.to_thread(write, path, f"alice {KEY}\nbob {OTHER} stt:realtime\n")
        async with asyncio.timeout(DEADLINE):
            await ended
        assert found(keys, OTHER).scopes == {Scope.REALTIME}


async def test_deleting_all_keys_is_possible(path: Path) -> None:
    async with watched(path) as keys:
        await asyncio.to_thread(write, path, "# nobody\n")
        await until(lambda: keys.find(KEY) is None)


@pytest.mark.parametrize(
    ("text", "mode", "why"),
    [
        ("alice short\n", 0o600, "line 1: the key of alice has 5 characters"),
        (f"carol {KEY}\n", 0o644, "has mode 0644"),
    ],
)
async def test_the_keys_stay_while_the_file_cannot_be_used(
    path: Path, text: str, mode: int, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with watched(path) as keys:
        await asyncio.to_thread(write, path, text, mode)
        await until(lambda: "stay valid" in caplog.text)
        assert why in caplog.text
        assert found(keys, KEY).principal.name == "alice"
        await asyncio.to_thread(write, path, f"carol {KEY}\n")
        await until(lambda: found(keys, KEY).principal.name == "carol")
    assert caplog.text.count("stay valid") == 1
    assert KEY not in caplog.text


async def test_a_missing_file_changes_nothing_until_it_is_back(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with watched(path) as keys:
        await asyncio.to_thread(path.unlink)
        await until(lambda: "cannot be read: No such file" in caplog.text)
        assert keys.find(KEY) is not None
        await asyncio.to_thread(write, path, f"bob {OTHER}\n")
        await until(lambda: keys.find(KEY) is None)


def test_a_client_is_found_again_by_the_key_that_it_sent(path: Path) -> None:
    write(path, f"alice {KEY} stt:realtime\nalice {OTHER} stt:transcribe\n")
    keys = ApiKeys(path)
    for key, scope in ((KEY, Scope.REALTIME), (OTHER, Scope.TRANSCRIBE)):
        again = keys.renew(found(keys, key).principal)
        assert again is not None
        assert again.scopes == {scope}
    assert keys.renew(Principal("key:alice", "alice")) is None
    assert keys.renew(Principal("127.0.0.1", "127.0.0.1:1")) is None
