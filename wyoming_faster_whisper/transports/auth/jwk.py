"""Keys that verify the signatures of tokens. Needs the extra `auth`. Pure.

The algorithm of a key follows from the key, never from a token: a token that is signed with an
issuer's public key as a shared secret does not verify.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK, PyJWTError

_MOST_KEYS = 100
_SHORTEST_RSA = 2048  # bits
# By key type and curve. Shared secrets (oct) do not belong into a public set.
_ALGORITHMS = {
    ("RSA", None): ("RS256", "PS256"),
    ("EC", "P-256"): ("ES256",),
    ("OKP", "Ed25519"): ("EdDSA",),
}
_PUBLIC = ("kty", "crv", "x", "y", "n", "e")

ASYMMETRIC = frozenset(name for names in _ALGORITHMS.values() for name in names)
"""Algorithms that are accepted with the keys of an issuer."""


@dataclass(frozen=True, slots=True)
class VerificationKey:
    """A key with the one algorithm that it is used for."""

    kid: str | None  # its id
    algorithm: str
    key: Any  # as PyJWT takes it


class SharedSecret:
    """The key of an issuer that signs with HS256.

    Args:
        secret: of 32 bytes at least, else PyJWT refuses it.
    """

    algorithms = frozenset({"HS256"})

    def __init__(self, secret: bytes) -> None:
        self._key = VerificationKey(None, "HS256", secret)

    async def find(self, kid: str | None, algorithm: str) -> VerificationKey:
        return self._key

    async def start(self) -> None:
        """Do nothing: the secret is known."""

    async def close(self) -> None:
        """Do nothing."""


def parse_key_set(data: bytes) -> tuple[VerificationKey, ...]:
    """Return the usable keys of a JSON Web Key Set (RFC 7517). Others are left out.

    Raises:
        ValueError: it is not a key set, or has no usable key.
    """
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    listed = found.get("keys") if isinstance(found, dict) else None
    if not isinstance(listed, list):
        raise ValueError("it has no list of keys")
    if len(listed) > _MOST_KEYS:
        raise ValueError(f"it has {len(listed)} keys; the limit is {_MOST_KEYS}")
    keys = tuple(key for one in listed if isinstance(one, dict) for key in _usable(one))
    if not keys:
        raise ValueError(f"it has no key for {', '.join(sorted(ASYMMETRIC))}")
    return keys


def _usable(jwk: Mapping[str, Any]) -> Iterator[VerificationKey]:
    kid, kind = jwk.get("kid"), jwk.get("kty")
    curve = jwk.get("crv") if kind != "RSA" else None
    if jwk.get("use", "sig") != "sig" or "verify" not in jwk.get("key_ops", ("verify",)):
        return
    if not isinstance(kind, str) or not isinstance(curve, str | None):
        return
    if not isinstance(kid, str | None) or "d" in jwk:  # a private key is known to everybody
        return
    for algorithm in _ALGORITHMS.get((kind, curve), ()):
        if jwk.get("alg", algorithm) != algorithm:
            continue
        try:
            key = PyJWK({name: jwk[name] for name in _PUBLIC if name in jwk}, algorithm).key
        except (PyJWTError, ValueError, TypeError):
            return
        if isinstance(key, RSAPublicKey) and key.key_size < _SHORTEST_RSA:
            return
        yield VerificationKey(kid, algorithm, key)
