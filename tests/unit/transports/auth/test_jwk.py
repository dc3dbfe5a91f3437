"""Key sets: which keys are used, and for which algorithm."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, x25519
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

from tests.support.issuer import ec_key, ed_key, jwk, key_set, rsa_key, usual_set
from wyoming_faster_whisper.transports.auth.jwk import parse_key_set

GOOD = jwk(ed_key(), "good")


def usable(*keys: Any) -> set[tuple[str | None, str]]:
    """Return key ids and algorithms, but for a good key that makes the set valid."""
    found = parse_key_set(key_set(*keys, GOOD))
    return {(key.kid, key.algorithm) for key in found} - {("good", "EdDSA")}


def test_the_algorithm_follows_from_the_type_of_the_key() -> None:
    assert {(key.kid, key.algorithm) for key in parse_key_set(usual_set())} == {
        ("rsa", "RS256"),
        ("rsa", "PS256"),
        ("ec", "ES256"),
        ("ed", "EdDSA"),
    }


def test_a_key_may_name_its_algorithm_and_need_no_id() -> None:
    assert usable(jwk(rsa_key(), "a", alg="PS256", use="sig", key_ops=["verify"])) == {
        ("a", "PS256")
    }
    assert usable(jwk(ec_key(), None)) == {(None, "ES256")}


@pytest.mark.parametrize(
    "key",
    [
        jwk(rsa_key(), "a", use="enc"),
        jwk(rsa_key(), "a", key_ops=["encrypt"]),
        jwk(rsa_key(), "a", alg="HS256"),
        jwk(rsa_key(), "a", alg="none"),
        jwk(rsa_key(), "a", alg="RSA-OAEP"),
        jwk(rsa_key(), "a", alg=["RS256"]),
        jwk(rsa_key(), 7),
        jwk(rsa_key("short", 1024), "a"),
        jwk(rsa_key(), "a") | {"n": "AQAB"},
        jwk(rsa_key(), "a") | {"n": 7},
        jwk(rsa_key(), "a") | {"kty": "oct"},
        jwk(rsa_key(), "a") | {"kty": ["RSA"]},
        json.loads(RSAAlgorithm.to_jwk(rsa_key())) | {"kid": "private"},
        json.loads(ECAlgorithm.to_jwk(ec.generate_private_key(ec.SECP521R1()).public_key())),
        json.loads(OKPAlgorithm.to_jwk(ed_key())) | {"kid": "private"},
        jwk(ec_key(), "a") | {"x": "AAAA"},
        jwk(ec_key(), "a") | {"crv": "secp256k1"},
        jwk(ed_key(), "a") | {"crv": "X25519"},
        jwk(ed_key(), "a") | {"x": ""},
        {"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "kid": "a"},
        {"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "alg": "HS256"},
        {},
        {"kid": "a"},
        None,
        7,
        "key",
    ],
)
def test_an_unusable_key_is_left_out(key: Any) -> None:
    assert usable(key) == set()


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"<!doctype html><title>Sign in</title>", "it is not JSON"),
        (b"", "it is not JSON"),
        (b"\xff\xfe", "it is not JSON"),
        (b"[" * 100_000, "it is not JSON"),
        (b"[]", "it has no list of keys"),
        (b"{}", "it has no list of keys"),
        (b'{"keys": {}}', "it has no list of keys"),
        (key_set(), "it has no key for ES256, EdDSA, PS256, RS256"),
        (key_set({"kty": "oct", "k": "AA"}), "it has no key for"),
        (key_set(*[{}] * 101), "it has 101 keys; the limit is 100"),
    ],
)
def test_data_that_is_not_a_key_set_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        parse_key_set(data)


def test_a_key_for_encryption_by_diffie_hellman_is_left_out() -> None:
    public = x25519.X25519PrivateKey.generate().public_key().public_bytes_raw()
    text = base64.urlsafe_b64encode(public).rstrip(b"=").decode()
    assert usable({"kty": "OKP", "crv": "X25519", "x": text, "kid": "a"}) == set()
