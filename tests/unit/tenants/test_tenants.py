"""Reading a file of tenants, and following its changes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from pathlib import Path

import pytest

from wyoming_faster_whisper.errors import SettingError
from wyoming_faster_whisper.principal import Principal
from wyoming_faster_whisper.tenant import Identity, IdentityKind
from wyoming_faster_whisper.tenants.tenants import Tenants, read_tenants

MODELS = {"base": ("en",)}
GUEST = Principal("key:guest", "guest", identities=(Identity(IdentityKind.KEY, "guest"),))
FILE = '[tenants.guests]\nkeys = ["guest"]\nrequests = 1\n'


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0)


def replace(path: Path, text: str) -> None:
    new = path.with_suffix(".new")
    new.write_text(text)
    new.rename(path)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (None, r"--tenants .*/tenants.toml cannot be read: No such file"),
        (b"\xff", "is not UTF-8 text"),
        (b"#" * (16 * 1024 * 1024 + 1), "is larger than 16777216 bytes"),
        (b"[tenants.a]\nx = 1", r"tenants.toml: \[tenants.a\] has the key 'x'"),
    ],
)
def test_an_unusable_file_is_explained(tmp_path: Path, data: bytes | None, why: str) -> None:
    path = tmp_path / "tenants.toml"
    if data is not None:
        path.write_bytes(data)
    with pytest.raises(SettingError, match=why):
        read_tenants(path, MODELS)


def test_a_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "tenants.toml"
    path.write_text("\ufeffdefault = 'a'\n[tenants.a]\n")
    assert read_tenants(path, MODELS).names == {"a"}


async def test_tenants_that_no_client_can_match_are_named_with_the_missing_option(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "tenants.toml"
    many = "".join(f'[tenants.t{n}]\nsites = ["site{n}"]\n' for n in range(7))
    file = f'{FILE}[tenants.staff]\nclaims = {{ groups = ["staff"] }}\n{many}'
    await asyncio.to_thread(replace, path, file)
    required = {
        IdentityKind.CLAIM: "--jwt-issuer",
        IdentityKind.CERTIFICATE: "--tls-ca",
        IdentityKind.ADDRESS: "--http-port",
        IdentityKind.SITE: "--mqtt-url",
    }
    tenants = await asyncio.to_thread(Tenants, path, MODELS, required=required, interval=0.001)
    tenants.known[IdentityKind.KEY] = ("--api-keys", lambda: ["other"])
    tenants.start()
    assert [record.getMessage() for record in caplog.records] == [
        f"--tenants {path}: no client matches claims of [tenants.staff]; that requires "
        "--jwt-issuer",
        f"--tenants {path}: no client matches sites of [tenants.t0], [tenants.t1], [tenants.t2], "
        "[tenants.t3], [tenants.t4], 2 more; that requires --mqtt-url",
        f"--tenants {path}: no client matches keys 'guest' of [tenants.guests]; --api-keys has "
        "no such name",
    ]
    caplog.clear()
    await asyncio.to_thread(replace, path, '[tenants.lab]\nnetworks = ["10.0.0.0/8"]\n')
    await until(lambda: bool(caplog.records))
    assert "networks of [tenants.lab]; that requires --http-port" in caplog.text
    tenants.close()


async def test_a_changed_file_counts_and_a_wrong_one_does_not(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "tenants.toml"
    await asyncio.to_thread(replace, path, FILE)
    tenants = await asyncio.to_thread(Tenants, path, MODELS, interval=0.001)
    tenants.start()
    assert tenants.assign(GUEST).tenant.requests == 1
    tenants.use.begin(tenants.assign(GUEST).tenant)
    await asyncio.to_thread(replace, path, FILE.replace("= 1", "= 2"))
    await until(lambda: tenants.assign(GUEST).tenant.requests == 2)
    assert repr(tenants.use) == "<TenantUse {'guests': 1}>"  # it is still in progress
    for wrong in ("requests =", '[tenants.guests]\nmodels = ["x"]'):
        caplog.clear()
        await asyncio.to_thread(replace, path, wrong)
        await until(lambda: bool(caplog.records))
        assert [record.levelno for record in caplog.records] == [logging.ERROR]
        assert tenants.assign(GUEST).tenant.requests == 2
    await asyncio.to_thread(path.unlink)
    caplog.clear()
    await until(lambda: "cannot be read" in caplog.text)
    assert tenants.assign(GUEST).name == "guests"
    await asyncio.to_thread(replace, path, "")
    await until(lambda: tenants.assign(GUEST).name == "guest")
    tenants.close()
