"""Client secrets: what they carry, and which ones are refused."""

from __future__ import annotations

import base64
import json
import re
import zlib

import pytest

from wyoming_faster_whisper.principal import Principal
from wyoming_faster_whisper.tenant import HOUSE, Identity, IdentityKind, Tenant
from wyoming_faster_whisper.transports.http.api_errors import ApiError
from wyoming_faster_whisper.transports.http.realtime.client_secrets import ClientSecrets, Secret

MADE = Secret({"audio": {"input": {"turn_detection": None}}}, Principal("kitchen", "kitchen"))


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def refused(secrets: ClientSecrets, secret: str) -> str:
    with pytest.raises(ApiError) as error:
        secrets.read(secret)
    assert (error.value.status, error.value.code) == (401, "invalid_api_key")
    return str(error.value)


def test_a_secret_carries_its_session_and_its_principal() -> None:
    secrets = ClientSecrets()
    assert secrets.read(secrets.make(MADE, 10)) == MADE


def test_a_secret_carries_the_identities_of_its_maker_but_nothing_of_its_tenant() -> None:
    identities = (Identity(IdentityKind.CLAIM, "staff", "groups"),)
    tenant = Tenant(name="cellar", named=True, vocabulary=("Krabat",), prompt="Kolář")
    maker = Principal("token:a b", "b", 7.0, identities, tenant)
    made = ClientSecrets().make(Secret({}, maker), 10)
    data = zlib.decompress(base64.urlsafe_b64decode(made[3:].partition(".")[0] + "=="))
    assert not {word for word in ("cellar", "Krabat", "Kol") if word.encode() in data}
    secrets = ClientSecrets()
    read = secrets.read(secrets.make(Secret({}, maker), 10)).principal
    assert (read, read.identities, read.tenant) == (maker, identities, HOUSE)


def test_a_secret_is_a_legal_websocket_protocol() -> None:
    made = ClientSecrets().make(MADE, 10)
    assert re.fullmatch(r"ek_[A-Za-z0-9._-]+", made)


def test_a_secret_is_valid_for_its_time_only() -> None:
    clock = Clock()
    secrets = ClientSecrets(clock)
    made = secrets.make(MADE, 10)
    clock.now += 9.9
    assert secrets.read(made) == MADE
    clock.now += 0.1
    assert "expired" in refused(secrets, made)


def test_a_secret_of_another_process_is_refused() -> None:
    assert "not valid" in refused(ClientSecrets(), ClientSecrets().make(MADE, 10))


def test_a_secret_that_was_changed_is_refused() -> None:
    secrets = ClientSecrets()
    made = secrets.make(MADE, 10)
    for at in range(3, len(made)):
        other = "A" if made[at] != "A" else "B"
        refused(secrets, made[:at] + other + made[at + 1 :])


@pytest.mark.parametrize(
    "secret", ["ek_", "ek_.", "ek_a", "ek_ä.ä", "ek_a.b", "ek_" + "A" * 10_000, "ek_=.="]
)
def test_garbage_is_refused(secret: str) -> None:
    refused(ClientSecrets(), secret)


def test_a_forged_secret_is_refused() -> None:
    said = {"session": {}, "principal": {"key": "root", "name": "root"}, "until": 1e9}
    data = base64.urlsafe_b64encode(zlib.compress(json.dumps(said).encode())).decode()
    refused(ClientSecrets(), f"ek_{data.rstrip('=')}.")


def test_a_secret_that_fits_into_no_header_is_refused() -> None:
    noise = [format(n * 2654435761 % 2**32, "x") for n in range(2000)]
    with pytest.raises(ApiError, match="the limit is 8192") as error:
        ClientSecrets().make(Secret({"keywords": noise}, MADE.principal), 10)
    assert (error.value.status, error.value.param) == (400, "session")
